"""Transcribes the first 30 s of a WAV file (16 kHz) with a Whisper that `sonant export MODEL -o DIR` wrote: greedy, without timestamps.

usage: onnx_whisper.py DIR FILE.wav [LANGUAGE]            needs onnxruntime and numpy
"""

import json
import pathlib
import sys
import wave

import numpy as np
import onnxruntime


def log_mel(pcm: np.ndarray, mels: int, frames: int) -> np.ndarray:
    """[frames, mels]: windows of 25 ms every 10 ms, Slaney's mels, as Whisper was trained on."""
    padded = np.pad(np.pad(pcm, (0, max(0, frames * 160 - len(pcm))))[: frames * 160], 200, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:frames]
    power = np.abs(np.fft.rfft(windows * np.hanning(401)[:-1], axis=1)) ** 2
    points = np.linspace(0, 15 + np.log(8.0) / (np.log(6.4) / 27), mels + 2)
    edges = np.where(points < 15, points * 200 / 3, 1000 * np.exp((points - 15) * np.log(6.4) / 27))
    ramps, widths = edges[:, None] - np.linspace(0, 8000, 201), np.diff(edges)[:, None]
    rising, falling = -ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    log = np.log10(np.maximum(power @ filters.T, 1e-10))
    return ((np.maximum(log, log.max() - 8) + 4) / 4).astype(np.float32)


class Model:
    """The graphs of a directory; states keep their names from one to the other."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.graphs = {graph["name"]: graph for graph in self.manifest["graphs"]}
        self.sessions = {name: onnxruntime.InferenceSession(str(folder / graph["file"])) for name, graph in self.graphs.items()}
        self.states: dict[str, np.ndarray] = {}

    def run(self, graph: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        states = self.graphs[graph]["states"]
        for state in states:
            self.states.setdefault(state["input"], np.zeros(state["shape"], state["type"]))
        names = [output.name for output in self.sessions[graph].get_outputs()]
        made = dict(
            zip(names, self.sessions[graph].run(names, {**inputs, **{s["input"]: self.states[s["input"]] for s in states}}), strict=True)
        )
        self.states.update({s["input"]: made[s["output"]] for s in states if s["output"]})
        return made


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def transcribe(model: Model, pcm: np.ndarray, language: str = "en") -> list[int]:
    facts = model.manifest["whisper"]
    positions = facts["source_positions"]
    mel, place = log_mel(pcm, facts["mels"], 2 * positions), np.arange(positions, dtype=np.int32)
    model.run("encoder", mel=mel, place=place, window=ints(0), positions=np.array([positions]))
    tokens = (
        [facts["sot"]]
        + ([facts["language_tokens"][language], facts["transcribe"]] if facts["multilingual"] else [])
        + [facts["no_timestamps"]]
    )
    table, start = np.zeros((1, facts["target_positions"]), np.int32), len(tokens)
    for position in range(facts["target_positions"] // 2):
        logits = model.run(
            "decoder", token=ints(tokens[position]), slot=ints(0), position=ints(position), table=table, window=ints(0), wanted=ints(0)
        )["logits"][0]
        if position < start - 1:
            continue
        logits[facts["suppress"] + (facts["suppress_first"] if len(tokens) == start else [])] = -np.inf
        logits[facts["timestamp_begin"] :] = -np.inf
        tokens.append(int(logits.argmax()))
        if tokens[-1] == facts["eot"]:
            break
    return [token for token in tokens[start:] if token < facts["eot"]]


def text_of(folder: pathlib.Path, tokens: list[int]) -> str:
    """GPT-2's vocabulary writes each byte as one character."""
    words = {index: word for word, index in json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"].items()}
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(b for b in range(256) if b not in plain)}
    return bytes(letters[letter] for token in tokens for letter in words[token]).decode(errors="replace").strip()


if __name__ == "__main__":
    directory = pathlib.Path(sys.argv[1])
    with wave.open(sys.argv[2]) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    print(text_of(directory, transcribe(Model(directory), samples, *sys.argv[3:])))
