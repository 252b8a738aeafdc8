"""Live captions of a file, or of the microphone: python examples/listen.py [FILE | --microphone]"""

import argparse
import pathlib
import sys

import sonant

DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "tests/audio/jfk.wav"
PIECE = 1600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(DEFAULT))
    parser.add_argument("--microphone", action="store_true", help="until Ctrl-C; needs pip install sounddevice")
    parser.add_argument("--model", help="a Whisper model (the default model)")
    given = parser.parse_args()
    if given.microphone:
        chunks = sonant.microphone()
    else:
        samples = sonant.Audio.load(given.file, rate=16000).samples
        chunks = (samples[at : at + PIECE] for at in range(0, len(samples), PIECE))
    with sonant.Engine() as engine:
        for event in engine.listen(chunks, model=given.model):
            if isinstance(event, sonant.Partial):
                print(f"\r  {event.text[-100:]}\033[K", end="", file=sys.stderr)
            elif isinstance(event, sonant.Segment):
                print("\r\033[K", end="", file=sys.stderr)
                print(f"{event.start:7.2f} {event.end:7.2f} {event.text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except sonant.Error as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        pass
