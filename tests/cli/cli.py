"""What the tests of the program share."""
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest
import wave

SONANT = os.environ["SONANT"]
SOURCE = pathlib.Path(os.environ["SOURCE"])
AUDIO = SOURCE / "tests" / "audio"
TINY = SOURCE / "tests" / "fixtures" / "tiny"


# Portable C is ten times slower than what the tests' times are for, and two runs share the cores.
PATIENCE = 20 if os.environ.get("SONANT_CPU") == "scalar" else 1


def run(*args, program=SONANT, data=None, env=None, timeout=120):
    """Runs the program; data: bytes for its standard input. Standard output comes back as bytes."""
    done = subprocess.run([program, *map(str, args)], input=data, stdin=None if data is not None else subprocess.DEVNULL,
                          capture_output=True, env={**os.environ, **(env or {})}, timeout=timeout * PATIENCE)
    done.errors = done.stderr.decode(errors="replace")
    return done


def installed(*names):
    """Skips a case whose models are not installed."""
    models = json.loads(run("models", "list", "--format", "json").stdout)
    have = {word for m in models if m["installed"] for word in [m["name"], *m["aliases"].split()]}
    missing = [name for name in names if name not in have]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


def has_fixture(name):
    """Whether a tiny checkpoint is there with its weights."""
    folder = TINY / name
    return folder.is_dir() and any(p.suffix in (".safetensors", ".bin", ".pt", ".pth", "") and p.name != "expected.safetensors"
                                   for p in folder.iterdir() if p.is_file())


def write_npy(path, values):
    """An array of 32-bit floats in one row."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(values)},), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}f", *values))


def write_wav(path, data, rate=16000, channels=1):
    """16-bit samples."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(data)


def transcript(*args, **more):
    done = run("transcribe", *args, "--format", "json", **more)
    assert done.returncode == 0, done.errors
    return json.loads(done.stdout)


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def distance(a, b):
    """Words that differ."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, last + (x != y))
    return row[-1]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def fails(self, done, status, *says):
        self.assertEqual(done.returncode, status, done.errors)
        for text in says:
            self.assertIn(text, done.errors)
