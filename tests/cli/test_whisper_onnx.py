"""Whisper as sherpa-onnx publishes it: what any checkpoint can do, with the same results."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import wave

from cli import AUDIO, SOURCE, TINY, Case, installed, run, transcript

JFK = AUDIO / "jfk.wav"
ORIGINAL, EXPORT = TINY / "whisper", TINY / "whisper-onnx"
PLAIN = ["--no-cache", "--no-fallback", "--guards", "off", "--vad", "off"]
TESTENV = SOURCE / "build" / "testenv" / "bin" / "python"
PYTHON = str(TESTENV) if TESTENV.exists() else sys.executable


def heard(model, *more):
    """Segments with their times and probabilities."""
    said = transcript(JFK, "-m", model, "-l", "fr", *PLAIN, *more)
    return {key: said[key] for key in ("segments", "text", "language")}


def plain(said):
    """Without probabilities."""
    return [(s["start"], s["end"], s["text"]) for s in said["segments"]]


def captions(model):
    with wave.open(str(JFK)) as clip:
        done = run("listen", "-m", model, "-l", "fr", "--format", "json", "--no-cache", data=clip.readframes(clip.getnframes()))
    assert done.returncode == 0, done.errors
    return [(e["kind"], e["text"]) for e in map(json.loads, done.stdout.splitlines()) if e["kind"] in ("commit", "segment")]


class Exports(Case):
    def made(self):
        """Files that onnx and onnxruntime make of the fixture."""
        if subprocess.run([PYTHON, "-c", "import onnx, onnxruntime.quantization"], capture_output=True).returncode:
            raise unittest.SkipTest(f"{PYTHON} has no onnx and onnxruntime (scripts/testenv.sh installs them)")
        done = subprocess.run(
            [PYTHON, pathlib.Path(__file__).with_name("whisper_onnx_files.py"), EXPORT, self.folder / "made"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return self.folder / "made"

    def test_it_hears_what_its_checkpoint_hears(self):
        for more in (
            ["--beam", "1"],
            ["--beam", "3", "--words"],
            ["--dtype", "int8"],
            ["--dtype", "bf16"],
            ["--task", "translate"],
            ["--prompt", "the cat"],
            ["--timestamps", "off", "--hotwords", "thanks"],
        ):
            with self.subTest(more):
                wanted, found = (
                    heard(ORIGINAL, *more),
                    heard(EXPORT, *more),
                )  # one more id is suppressed there, which changes probabilities a little
                self.assertTrue(found["text"])
                self.assertEqual((wanted["text"], plain(wanted)), (found["text"], plain(found)))

    def test_any_name_of_it(self):
        wanted = heard(EXPORT, "--beam", "1")
        for file in ("tiny-encoder.onnx", "tiny-decoder.onnx"):
            self.assertEqual(wanted, heard(EXPORT / file, "--beam", "1"))
        self.assertNotEqual(wanted, heard(EXPORT / "tiny-encoder.int8.onnx", "--beam", "1"))
        home = self.folder / "models"
        shutil.copytree(EXPORT, home / "sherpa-tiny")
        env = {"SONANT_HOME": str(self.folder)}
        listed = json.loads(run("models", "list", "--format", "json", env=env).stdout)
        self.assertIn(("sherpa-tiny", "transcribe"), [(m["name"], m["task"]) for m in listed])
        done = run("transcribe", JFK, "-m", "sherpa-tiny", "-l", "fr", *PLAIN, "--beam", "1", env=env)
        self.assertEqual((0, wanted["text"].strip()), (done.returncode, done.stdout.decode().strip()), done.errors)

    def test_the_runtime(self):
        done = run("transcribe", JFK, "-m", EXPORT, "-l", "fr", *PLAIN, "--beam", "1", "--backend", "ort", "--format", "text")
        if done.returncode == 14:
            raise unittest.SkipTest(done.errors.strip())
        self.assertEqual(heard(EXPORT, "--beam", "1", "--dtype", "f32")["text"].strip(), done.stdout.decode().strip(), done.errors)

    def test_quantised_and_outlying_weights(self):
        made = self.made()
        self.assertEqual(heard(made / "floats", "--dtype", "f32"), heard(made / "int8", "--dtype", "f32"))
        self.assertEqual(heard(EXPORT, "--dtype", "f32"), heard(made / "beside", "--dtype", "f32"))
        with open(made / "beside" / "tiny-decoder.weights", "r+b") as file:
            file.truncate(os.path.getsize(file.name) // 2)
        self.fails(run("transcribe", JFK, "-m", made / "beside"), 5, "tiny-decoder.onnx", "cut short")
        (made / "beside" / "tiny-decoder.weights").unlink()
        self.fails(run("transcribe", JFK, "-m", made / "beside"), 5, "'tiny-decoder.weights', which is not beside it")

    @installed("silero-vad")
    def test_it_is_heard_live(self):
        self.assertEqual(captions(ORIGINAL), captions(EXPORT))

    def test_what_becomes_of_it(self):
        out = self.folder / "exported"
        done = run("export", EXPORT, "-o", out)
        self.assertEqual(0, done.returncode, done.errors)
        said = json.loads((out / "manifest.json").read_text())
        self.assertEqual(["encoder", "decoder", "attend"], [g["name"] for g in said["graphs"]])
        self.assertEqual((EXPORT / "tiny-tokens.txt").read_bytes(), (out / "tiny-tokens.txt").read_bytes())
        self.fails(run("quantize", EXPORT, "--dtype", "int8", "-o", self.folder / "narrow"), 6, "inside of an ONNX graph")

    def test_what_is_missing(self):
        copy = shutil.copytree(EXPORT, self.folder / "copy")
        (copy / "tiny-decoder.onnx").unlink()
        self.fails(run("transcribe", JFK, "-m", copy), 3, "without its decoder", "tiny-decoder.int8.onnx")
        shutil.copy(EXPORT / "tiny-decoder.onnx", copy)
        (copy / "tiny-tokens.txt").unlink()
        self.fails(run("transcribe", JFK, "-m", copy), 3, "without its tokens", "tiny-tokens.txt")


if __name__ == "__main__":
    unittest.main()
