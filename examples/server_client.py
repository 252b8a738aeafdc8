"""A server's client: sonant serve, then python examples/server_client.py [URL]. Needs pip install './sdk/python[client]'."""

import argparse
import os
import pathlib
import sys

import sonant

DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "tests/audio/jfk.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8765")
    parser.add_argument("--file", default=str(DEFAULT))
    parser.add_argument("--model", help="that transcribes (the server's default)")
    given = parser.parse_args()
    with sonant.Client(given.url, api_key=os.environ.get("SONANT_API_KEY")) as client:
        print(client.transcribe(given.file, model=given.model).text)
        speech = client.speak("The same methods, over the network.")
        print(f"{speech.duration:.2f} s of speech at {speech.sample_rate} Hz")


if __name__ == "__main__":
    try:
        main()
    except sonant.Error as error:
        sys.exit(f"{error}")
