"""Subtitles for many files: python examples/batch.py FILE... [--format srt] [--to FOLDER]

Files are transcribed side by side; one that cannot be read does not stop the others.
"""

import argparse
import pathlib
import sys

import sonant


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--format", default="srt", help="text, json, verbose_json, jsonl, srt, vtt, tsv (srt)")
    parser.add_argument("--to", type=pathlib.Path, help="where subtitles go (beside each file)")
    parser.add_argument("--model", help="a name, an alias or a directory (the default model)")
    given = parser.parse_args()
    failed = 0
    with sonant.Engine() as engine:
        for outcome in engine.transcribe_many(given.files, model=given.model):
            if not outcome:
                failed += 1
                print(f"{outcome.source}: {outcome.error}", file=sys.stderr)
                continue
            folder = given.to or outcome.source.parent
            target = folder / f"{outcome.source.stem}.{given.format}"
            target.write_text(outcome.get().to(given.format), encoding="utf-8")
            print(f"{target}: {len(outcome.get().words)} words")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except sonant.Error as error:
        sys.exit(f"{error}")
