"""Models as ONNX: what is written, and that a program with nothing but onnxruntime does the same with it."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from cli import AUDIO, SOURCE, TINY, Case, has_fixture, installed, run

JFK = AUDIO / "jfk.wav"
TESTENV = SOURCE / "build" / "testenv" / "bin" / "python"
PYTHON = str(TESTENV) if TESTENV.exists() else sys.executable
PHONEMES = "həlˈoʊ wˈɜːld"


def check(*args):
    """onnx_check.py's answer; a case without onnxruntime is skipped."""
    env = {**os.environ, "SOURCE": str(SOURCE)}
    if subprocess.run([PYTHON, "-c", "import onnxruntime, numpy"], capture_output=True, env=env).returncode:
        raise unittest.SkipTest(f"{PYTHON} has no onnxruntime and numpy (scripts/testenv.sh installs them)")
    done = subprocess.run([PYTHON, pathlib.Path(__file__).with_name("onnx_check.py"), *map(str, args)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Export(Case):
    def export(self, model, *more):
        folder = self.folder / ("exported-" + pathlib.Path(model).name)
        done = run("export", model, "--format", "onnx", "-o", folder, *more)
        self.assertEqual(0, done.returncode, done.errors)
        return folder, json.loads((folder / "manifest.json").read_text())

    def test_what_is_written(self):
        folder, said = self.export(TINY / "whisper", "--sequences", "2")
        self.assertEqual(["encoder", "decoder", "attend"], [g["name"] for g in said["graphs"]])
        self.assertEqual(("sonant-onnx", 1, "whisper", "transcribe", 16000),
                         (said["format"], said["version"], said["architecture"], said["task"], said["sample_rate"]))
        written = {g["file"] for g in said["graphs"]} | {f["name"] for f in said["files"]} | {"model.weights", "manifest.json"}
        self.assertEqual(written, {p.name for p in folder.iterdir()})
        self.assertIn("tokenizer.json", written)
        self.assertEqual((TINY / "whisper/tokenizer.json").read_bytes(), (folder / "tokenizer.json").read_bytes())
        self.assertEqual(said["weights"]["bytes"], (folder / "model.weights").stat().st_size)
        decoder = said["graphs"][1]
        states = {s["input"]: s for s in decoder["states"]}
        config = json.loads((TINY / "whisper/config.json").read_text())
        self.assertEqual([2 * said["whisper"]["target_positions"], config["d_model"]], states["self0.keys"]["shape"])
        self.assertEqual("self0.keys.next", states["self0.keys"]["output"])
        self.assertIsNone(states["cross0.keys"]["output"])
        encoder = {s["input"]: s for s in said["graphs"][0]["states"]}
        self.assertEqual(encoder["cross0.keys"]["shape"], states["cross0.keys"]["shape"])
        shared = [w for w in decoder["weights"] if w["name"].endswith("embed_tokens.weight")]
        self.assertEqual(1, len(shared))

    def test_what_the_graphs_are_for(self):
        """Voices are written beside them; a language whose adapter is not in them is none of theirs."""
        folder, said = self.export(TINY / "bark")
        voices = {p.relative_to(TINY / "bark").as_posix() for p in (TINY / "bark").rglob("*.np[yz]")}
        self.assertLessEqual(voices, {f["name"] for f in said["files"]})
        for name in voices:
            self.assertEqual((TINY / "bark" / name).read_bytes(), (folder / name).read_bytes())
        folder, said = self.export(TINY / "wav2vec2-mms")
        self.assertEqual(["eng"], said["languages"])
        self.assertFalse([p.name for p in folder.iterdir() if p.name.startswith("adapter.")])

    def test_it_is_onnx(self):
        for model in ("whisper", "vits-sdp-multispeaker", "wav2vec2-base", "fastspeech2-conformer", "hifigan-jik876"):
            if has_fixture(model):
                with self.subTest(model):
                    folder, said = self.export(TINY / model)
                    self.assertIn(check("valid", folder)["checked"], (0, len(said["graphs"])))
                    for graph in said["graphs"]:
                        sums = check("first", folder, graph["name"])["sums"]
                        self.assertTrue(all(math.isfinite(total) for total in sums.values()), (graph["name"], sums))

    def test_a_weight_counts(self):
        folder, said = self.export(TINY / "vits-sdp-multispeaker")
        whole = check("first", folder, "text")["sums"]["prior_means"]
        weight = next(w for w in said["graphs"][0]["weights"] if w["name"].endswith("layers.0.attention.v_proj.weight"))
        with open(folder / "model.weights", "r+b") as file:
            file.seek(weight["offset"])
            file.write(bytes(weight["bytes"]))
        self.assertNotAlmostEqual(whole, check("first", folder, "text")["sums"]["prior_means"], places=3)

    def test_bad_wishes(self):
        full = self.folder / "full"
        full.mkdir()
        (full / "mine").write_text("mine")
        self.fails(run("export", TINY / "whisper", "-o", full), 2, "not empty")
        self.assertEqual(["mine"], [p.name for p in full.iterdir()])
        self.fails(run("export", TINY / "whisper", "-o", full / "mine"), 2, "is a file")
        self.fails(run("export", TINY / "whisper"), 2, "-o")
        self.fails(run("export", TINY / "whisper", "--format", "torch", "-o", self.folder / "x"), 2, "torch")
        self.fails(run("export", TINY / "whisper", "--sequences", "65", "-o", self.folder / "x"), 2, "65")
        self.fails(run("export", "no-such-model", "-o", self.folder / "x"), 3, "no-such-model")
        self.fails(run("export", TINY / "whisper", "-o", self.folder / "none" / "x"), 3, "none")

    def test_whole_or_not_at_all(self):
        broken = self.folder / "broken"
        shutil.copytree(TINY / "whisper", broken)
        weights = broken / "model.safetensors"
        weights.chmod(0o644)
        weights.write_bytes(weights.read_bytes()[:-5000])
        self.assertNotEqual(0, run("export", broken, "-o", self.folder / "out").returncode)
        self.assertEqual(["broken"], [p.name for p in self.folder.iterdir()])
        empty = self.folder / "empty"
        empty.mkdir()
        self.assertEqual(0, run("export", TINY / "whisper", "-o", str(empty) + "/").returncode)
        self.assertTrue((empty / "manifest.json").exists())

    @installed("openai/whisper-base")
    def test_whisper_base_from_python(self):
        folder, _ = self.export("openai/whisper-base")
        done = run("transcribe", JFK, "-m", "openai/whisper-base", "--dtype", "f32", "--beam", "1", "--vad", "off", "--timestamps", "off", "--no-cache",
                   "-l", "en", "--length", "30")
        self.assertEqual(0, done.returncode, done.errors)
        self.assertEqual(done.stdout.decode().strip(), check("whisper", folder, JFK)["text"])

    @installed("joe")
    def test_the_voice_joe_from_python(self):
        folder, said = self.export("joe")
        self.assertEqual(["text", "flow", "decoder0", "decoder1", "decoder2"], [g["name"] for g in said["graphs"]])
        ssml, sound = f'<speak><phoneme ph="{PHONEMES}">hello world</phoneme></speak>', self.folder / "spoken.wav"
        done = run("speak", ssml, "-m", "joe", "--seed", "7", "--dtype", "f32", "--check", "off", "--no-cache", "-o", sound)
        self.assertEqual(0, done.returncode, done.errors)
        same = check("voice", folder, sound, PHONEMES, 7)
        self.assertTrue(same["same"])
        self.assertLess(same["most"], 1e-4)
