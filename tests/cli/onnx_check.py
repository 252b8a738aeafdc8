"""What test_export.py runs with onnxruntime: one check of an exported directory, whose result is JSON on standard output.

    onnx_check.py whisper DIR FILE.wav             {"text"}
    onnx_check.py voice DIR FILE.wav PHONEMES SEED {"same": whether the lengths agree, "most": the largest difference of samples}
    onnx_check.py first DIR GRAPH                  {"sums": of each output, by its name}
    onnx_check.py valid DIR                        {"checked": how many graphs, by onnx's own checker where that is installed}
"""
import json
import os
import pathlib
import sys
import wave

import numpy as np

sys.path.insert(0, os.path.join(os.environ["SOURCE"], "examples"))
import onnx_voice
import onnx_whisper
import onnxruntime


def samples(path):
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def whisper(folder, path):
    model = onnx_whisper.Model(folder)
    return {"text": onnx_whisper.text_of(folder, onnx_whisper.transcribe(model, samples(path)))}


def draws(seed, stream, shape):
    """Sonant's noise: Philox 4x32 with 10 rounds, Box and Muller."""
    low, half, words = np.uint64(0xFFFFFFFF), np.uint64(32), (shape[0] * shape[1] + 3) // 4
    count = np.arange(words, dtype=np.uint64)
    c = [count & low, count >> half, np.full(words, stream, np.uint64), np.zeros(words, np.uint64)]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(q >> half) ^ c[1] ^ np.uint64(keys[0]), q & low, (p >> half) ^ c[3] ^ np.uint64(keys[1]), p & low]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    pairs = np.stack(c, 1).reshape(-1, 2).astype(np.float64)
    radius, turn = np.sqrt(-2 * np.log((pairs[:, 0] + 1) / 2**32)), 2 * np.pi * pairs[:, 1] / 2**32
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).reshape(-1)[:shape[0] * shape[1]].reshape(shape).astype(np.float32)


def voice(folder, path, phonemes, seed):
    model = onnx_voice.Voice(folder)
    made = model.speak(model.ids(phonemes), lambda what, shape: draws(int(seed), int(what == "prior"), shape), model.config["inference"])
    heard = samples(path)
    same = len(made) == len(heard)
    return {"same": same, "most": float(np.abs(made - heard).max()) if same else None}


def first(folder, graph):
    """Runs a graph: floats are 1, ids 0, and symbols 2000 or what they may be at most."""
    facts = next(g for g in json.loads((folder / "manifest.json").read_text())["graphs"] if g["name"] == graph)
    session = onnxruntime.InferenceSession(str(folder / facts["file"]))
    symbols = {name: min(2000, most) for name, most in facts["symbols"].items()}
    inputs = {s["input"]: np.zeros(s["shape"], s["type"]) for s in facts["states"]}
    for i in facts["inputs"]:
        shape = [n if isinstance(n, int) else eval(n.replace("/", "//"), {}, symbols) for n in i["shape"]]
        values = {"float32": 1, "int32": 0, "int64": symbols.get(i["name"], 0)}
        inputs[i["name"]] = np.full(shape, values[i["type"]], i["type"])
    names = [o["name"] for o in facts["outputs"]]
    return {"sums": {name: float(np.abs(x).sum()) for name, x in zip(names, session.run(names, inputs))}}


def valid(folder):
    try:
        import onnx
    except ImportError:
        return {"checked": 0}
    graphs = json.loads((folder / "manifest.json").read_text())["graphs"]
    for graph in graphs:
        onnx.checker.check_model(str(folder / graph["file"]), full_check=True)
    return {"checked": len(graphs)}


if __name__ == "__main__":
    check, place, *rest = sys.argv[1:]
    print(json.dumps({"whisper": whisper, "voice": voice, "first": first, "valid": valid}[check](pathlib.Path(place), *rest)))
