"""Kokoro by ONNX Runtime's Python package against the model: python kokoro_check.py DUMP MODEL. Run by test_kokoro.py with a Python that has
onnxruntime and numpy; the model runs by that package's own library, so that nothing but our code can differ."""

import json
import os
import pathlib
import subprocess
import sys

import numpy
import onnxruntime

BOUND = 1e-3  # of the largest sample; the same library gives the same bytes, another version may round int8 products differently
CASES = [  # voice, speed, sounds
    ("jf_alpha", 1.0, "həlˈO wˈɜɹld, hˌW ɑɹ ju tədˈA?"),
    ("jm_kumo", 1.3, "kʲoː βa ii teŋkʲi desɨ ne."),
    ("jf_nezumi", 0.8, "aʔ"),
    ("jf_tebukuro", 1.0, "ðə lˈɪTᵊl bˈY ʧˈOz ə ʤˈɑɹ ʌv bˈʌTəɹ ænd ə bˈɑTᵊl ʌv wˈɔTəɹ. " * 3),
]


def reference(session, voices, ids, voice, speed):
    style = voices[voice][len(ids) - 1].reshape(1, -1)
    feeds = {"tokens": numpy.array([[0, *ids, 0]], numpy.int64), "style": style, "speed": numpy.array([speed], numpy.float32)}
    return session.run(None, feeds)[0].ravel()


def main(dump, model):
    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    env = {**os.environ, "SONANT_ONNXRUNTIME": str(library)}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(next(model.glob("*.onnx"))), options, providers=["CPUExecutionProvider"])
    voices = numpy.load(next(model.glob("voices*.npz")))
    vocab = json.loads((model / "vocab.json").read_text())["vocab"]
    failed = 0
    for voice, speed, sounds in CASES:
        ids = [vocab[c] for c in sounds][:510]
        expected = reference(session, voices, ids, voice, speed)
        made = subprocess.run([dump, model, voice, str(speed), *map(str, ids)], capture_output=True, env=env)
        if made.returncode:
            print(made.stderr.decode())
            return made.returncode
        got = numpy.frombuffer(made.stdout, numpy.float32)
        worst = float(abs(got - expected).max() / abs(expected).max()) if got.size == expected.size else None
        failed += worst is None or worst > BOUND
        print(f"{voice}: {len(ids)} ids, {got.size} of {expected.size} samples, worst difference {worst}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
