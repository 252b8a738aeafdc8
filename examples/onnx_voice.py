"""Speaks phonemes with a Piper voice that `sonant export VOICE -o DIR` wrote, into a WAV file.

usage: onnx_voice.py DIR PHONEMES FILE.wav [SEED]            needs onnxruntime and numpy

PHONEMES are those of the voice's own table, as espeak-ng writes them.
"""

import json
import pathlib
import sys
import wave
from collections.abc import Callable

import numpy as np
import onnxruntime

# Standard normal draws of a shape; the first argument says what for: "duration" or "prior".
Noise = Callable[[str, tuple[int, int]], np.ndarray]


class Voice:
    def __init__(self, folder: pathlib.Path) -> None:
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.config = json.loads(next(folder.glob("*.onnx.json")).read_text())
        self.sessions = {graph["name"]: onnxruntime.InferenceSession(str(folder / graph["file"])) for graph in self.manifest["graphs"]}

    def run(self, graph: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs that the graph does not have (a voice of one speaker has no "speaker") are left out."""
        session = self.sessions[graph]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {i.name: inputs[i.name] for i in session.get_inputs()}), strict=True))

    def ids(self, phonemes: str) -> list[int]:
        """A blank stands after the first mark and after each phoneme."""
        table = self.config["phoneme_id_map"]
        inside = [number for phoneme in phonemes for number in (*table[phoneme], *table["_"])]
        return [*table["^"], *table["_"], *inside, *table["$"]]

    def speak(self, ids: list[int], noise: Noise, scales: dict[str, float]) -> np.ndarray:
        """Samples from -1 to 1; scales are those of the voice's configuration."""
        who = np.zeros(1, np.int32)
        rhythm = (noise("duration", (len(ids), 2)) * scales["noise_w"]).astype(np.float32)
        text = self.run("text", ids=np.array(ids, np.int32), noise=rhythm, speaker=who)
        frames = np.ceil(np.exp(text["log_duration"][:, 0]) * np.float32(scales["length_scale"])).astype(int)
        means, deviations = (np.repeat(x, frames, axis=0) for x in (text["prior_means"], np.exp(text["prior_log_variances"])))
        z = (means + noise("prior", means.shape) * deviations * scales["noise_scale"]).astype(np.float32)
        x = self.run("flow", z=z, speaker=who)["z.next"]
        for name in sorted(name for name in self.sessions if name.startswith("decoder")):
            x = self.run(name, x=x, speaker=who)["y"]
        return x[:, 0]


def main(folder: str, phonemes: str, path: str, seed: str = "0") -> None:
    voice, random = Voice(pathlib.Path(folder)), np.random.default_rng(int(seed))
    samples = voice.speak(voice.ids(phonemes), lambda _, shape: random.standard_normal(shape), voice.config["inference"])
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice.manifest["sample_rate"])
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
