"""Narrower checkpoints: they load like any other, int8 gives what int8 of the original gives, and what is reported is true."""
import json
import shutil
import struct

from cli import AUDIO, TINY, Case, installed, run

JFK = AUDIO / "jfk.wav"
HEAR = ["--beam", "1", "--vad", "off", "--no-fallback", "--no-cache", "--format", "json", "--length", "4"]


def header(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), 8 + size


class Quantize(Case):
    def quantize(self, model, dtype, *more):
        folder = self.folder / dtype
        done = run("quantize", model, "--dtype", dtype, "-o", folder, "--format", "json", *more)
        self.assertEqual(0, done.returncode, done.errors)
        return folder, json.loads(done.stdout)

    def heard(self, model, dtype, *more):
        done = run("transcribe", JFK, "-m", model, "--dtype", dtype, *HEAR, *more)
        self.assertEqual(0, done.returncode, done.errors)
        said = json.loads(done.stdout)
        return said["text"], said["avg_confidence"], [segment["tokens"] if "tokens" in segment else segment["text"] for segment in said["segments"]]

    def test_int8_is_int8_of_the_original(self):
        folder, said = self.quantize(TINY / "whisper", "int8")
        types = {name: tensor["dtype"] for name, tensor in header(folder / "model.safetensors")[0].items() if name != "__metadata__"}
        narrowed = [layer["name"] for layer in said["layers"] if layer["type"] == "int8"]
        self.assertTrue(narrowed)
        self.assertEqual({"I8"}, {types[name] for name in narrowed})
        self.assertEqual({"F32"}, {types[name + ".scale"] for name in narrowed})
        self.assertTrue(all(0 < layer["error"] < 0.02 for layer in said["layers"] if layer["type"] == "int8"))
        self.assertEqual((TINY / "whisper/tokenizer.json").read_bytes(), (folder / "tokenizer.json").read_bytes())
        table = next(layer for layer in said["layers"] if layer["name"].endswith("embed_tokens.weight"))
        self.assertIn(table["type"], ("float16", "bfloat16"))
        if table["error"] == 0:
            self.assertEqual(self.heard(TINY / "whisper", "int8"), self.heard(folder, "int8"))

    def test_both_backends_load_it(self):
        for dtype in ("int8", "bf16"):
            folder, _ = self.quantize(TINY / "whisper", dtype)
            self.heard(folder, "f32")
            done = run("transcribe", JFK, "-m", folder, "--backend", "ort", *HEAR)
            self.assertIn(done.returncode, (0, 14), done.errors)

    def test_a_voice(self):
        folder, said = self.quantize(TINY / "vits-sdp-multispeaker", "int8")
        self.assertLess(said["bytes"], said["bytes_f32"] / 2)
        done = run("speak", "hello there", "-m", folder, "-o", self.folder / "a.wav", "--check", "off", "--no-cache")
        self.assertEqual(0, done.returncode, done.errors)

    def test_refused(self):
        self.fails(run("quantize", TINY / "whisper", "-o", self.folder / "x"), 2, "--dtype")
        self.fails(run("quantize", TINY / "whisper", "--dtype", "int4", "-o", self.folder / "x"), 2, "int4")
        self.fails(run("quantize", TINY / "whisper", "--dtype", "int8", "--calibrate", self.folder, "-o", self.folder / "x"), 2, "0 texts")
        (self.folder / "a.txt").write_text("hello")
        self.fails(run("quantize", TINY / "whisper", "--dtype", "int8", "--calibrate", self.folder, "-o", self.folder / "x"), 3, "no clip")
        self.assertEqual(["a.txt"], [p.name for p in self.folder.iterdir()])
        self.fails(run("quantize", TINY / "whisper", "--dtype", "int8", "-o", self.folder), 2, "not empty")

    def test_a_file_that_lies(self):
        folder, said = self.quantize(TINY / "whisper", "int8")
        name = next(layer["name"] for layer in said["layers"] if layer["type"] == "int8")
        file = folder / "model.safetensors"
        tensors, front = header(file)
        at = front + tensors[name + ".scale"]["data_offsets"][0]
        data = bytearray(file.read_bytes())
        data[at:at + 4] = struct.pack("<f", float("nan"))
        file.write_bytes(data)
        self.fails(run("transcribe", JFK, "-m", folder, *HEAR), 5, name + ".scale")

    def test_the_largest_values(self):
        """They stay finite in every type, and what is said of them is JSON."""
        source = self.folder / "source"
        shutil.copytree(TINY / "bert-punctuation", source)
        file, name, most = source / "model.safetensors", "bert.encoder.layer.0.output.dense.weight", struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
        tensors, front = header(file)
        data = bytearray(file.read_bytes())
        struct.pack_into("<2f", data, front + tensors[name]["data_offsets"][0], -most, most)
        file.write_bytes(data)
        for dtype, size, stored in (("bf16", 2, struct.pack("<2H", 0xff7f, 0x7f7f)), ("int8", 1, struct.pack("<2b", -127, 127))):
            folder, said = self.quantize(source, dtype)
            file = folder / "model.safetensors"
            tensors, front = header(file)
            at = front + tensors[name]["data_offsets"][0]
            self.assertEqual(stored, file.read_bytes()[at:at + 2 * size])
            if dtype == "int8":
                at = front + tensors[name + ".scale"]["data_offsets"][0]
                scale = struct.unpack("<f", file.read_bytes()[at:at + 4])[0]
                self.assertLessEqual(127 * scale, most)
            for report in (said, json.loads((folder / "quantized.json").read_text())):
                self.assertLess(next(layer["error"] for layer in report["layers"] if layer["name"] == name), 0.01)

    @installed("openai/whisper-base")
    def test_whisper_base(self):
        clips = self.folder / "clips"
        clips.mkdir()
        shutil.copy(JFK, clips)
        (clips / "jfk.txt").write_text("And so my fellow Americans ask not what your country can do for you ask what you can do for your country.")
        folder, said = self.quantize("openai/whisper-base", "int8", "--calibrate", clips)
        self.assertLess(said["bytes"], said["bytes_f32"] / 2)
        self.assertLess((folder / "model.safetensors").stat().st_size, said["bytes_f32"] / 2)
        self.assertEqual({"texts": 1, "words": 22, "wer_before": 0.0, "wer_after": 0.0}, said["measured"])
        self.assertEqual(self.heard("openai/whisper-base", "int8"), self.heard(folder, "int8"))

    @installed("joe")
    def test_a_voice_inside_of_onnx_is_refused(self):
        self.fails(run("quantize", "joe", "--dtype", "int8", "-o", self.folder / "x"), 6, "ONNX")
