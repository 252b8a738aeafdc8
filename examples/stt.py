"""Speech to text: python examples/stt.py [FILE] [--model NAME]"""

import argparse
import pathlib
import sys

import sonant

DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "tests/audio/jfk.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(DEFAULT), help="audio in any format (a speech of 11 s)")
    parser.add_argument("--model", help="a name, an alias or a directory, such as base or openai/whisper-base (the default model)")
    given = parser.parse_args()
    with sonant.Engine() as engine:
        result = engine.transcribe(given.file, model=given.model)
    print(result.text)
    for word in result.words:
        print(f"{word.start:7.2f} {word.end:7.2f}  {word.word}")
    sure = f"{result.language} ({result.language_confidence:.0%}), {result.avg_confidence:.0%} of the words are probably right"
    print(f"{result.model}: {sure}; {result.duration:.1f} s in {result.processing_time:.2f} s", file=sys.stderr)
    for note in result.notes:
        print(f"note: {note.message}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except sonant.Error as error:
        sys.exit(f"{error}")
