"""What computes: own kernels, or ONNX Runtime."""
import pathlib
import unittest

from cli import AUDIO, TINY, Case, run

JFK = AUDIO / "jfk.wav"
HEARING = ["-m", TINY / "whisper", "--no-cache", "--dtype", "f32", "--beam", "1", "--no-fallback", "--vad", "off", "--format", "text"]
SPEECH = ["-m", TINY / "vits-sdp", "--no-cache", "--seed", "3", "--check", "off", "--retries", "-1"]


def libraries(done):
    """Names of the files that the dynamic linker was asked for, from LD_DEBUG=files."""
    return {pathlib.Path(line.split("file=")[1].split()[0]).name for line in done.errors.splitlines() if "file=" in line}


def has_runtime():
    done = run("transcribe", JFK, *HEARING, "--backend", "ort")
    if done.returncode == 14:
        raise unittest.SkipTest(done.errors.strip())


class Backends(Case):
    def test_the_runtime_is_opened_when_asked_for_and_never_otherwise(self):
        env = {"LD_DEBUG": "files"}
        plain = run("transcribe", JFK, *HEARING, env=env)
        self.assertEqual(0, plain.returncode)
        self.assertFalse([name for name in libraries(plain) if "onnxruntime" in name])
        has_runtime()
        asked = run("transcribe", JFK, *HEARING, "--backend", "ort", env=env)
        self.assertTrue([name for name in libraries(asked) if "onnxruntime" in name])
        self.assertEqual(plain.stdout, asked.stdout)

    def test_speech_is_the_same(self):
        has_runtime()
        sizes = []
        for backend in ("cpu", "ort:cpu"):
            file = self.folder / (backend.replace(":", "-") + ".wav")
            done = run("speak", "hello there", "-o", file, *SPEECH, "--backend", backend)
            self.assertEqual(0, done.returncode, done.errors)
            sizes.append(file.stat().st_size)
        self.assertEqual(sizes[0], sizes[1])

    def test_no_precision_is_exchanged_for_another(self):
        for dtype in ("int8", "bf16"):
            wanted = [dtype if word == "f32" else word for word in HEARING]
            self.fails(run("transcribe", JFK, *wanted, "--backend", "ort"), 6, dtype)
            self.fails(run("speak", "hello", "-o", self.folder / "a.wav", *SPEECH, "--dtype", dtype, "--backend", "ort"), 6, dtype)

    def test_what_is_missing_is_said(self):
        self.fails(run("transcribe", JFK, *HEARING, "--backend", "ort:tensorrt"), 14, "nstall")
        self.fails(run("speak", "hello", "-o", self.folder / "a.wav", *SPEECH, "--backend", "ort:tensorrt"), 14, "nstall")
        nowhere = {"SONANT_ONNXRUNTIME": "/nowhere/libonnxruntime.so"}
        self.fails(run("transcribe", JFK, *HEARING, "--backend", "ort", env=nowhere), 14, "nstall")
        self.fails(run("transcribe", JFK, *HEARING, "--backend", "metal"), 2, "metal")
