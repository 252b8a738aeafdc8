"""Text to speech: python examples/tts.py [TEXT] [--out FILE] [--model NAME]"""

import argparse
import sys

import sonant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", nargs="?", default="Good morning. It is 7 o'clock, and the sun is up.")
    parser.add_argument("--out", default="speech.wav", help="wav, flac, mp3 or opus by its ending (speech.wav)")
    parser.add_argument("--model", help="a name, an alias or a directory, such as joe (the default model)")
    parser.add_argument("--speed", type=float, help="0.25 to 4 (1)")
    parser.add_argument("--play", action="store_true", help="play it, too")
    given = parser.parse_args()
    with sonant.Engine() as engine:
        speech = engine.speak(given.text, model=given.model, speed=given.speed)
    speech.save(given.out)
    print(f"{given.out}: {speech.duration:.2f} s of {speech.model} in {speech.processing_time:.2f} s")
    if given.play:
        speech.play()


if __name__ == "__main__":
    try:
        main()
    except sonant.Error as error:
        sys.exit(f"{error}")
