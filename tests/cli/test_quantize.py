"""Narrower checkpoints: they load like any other, int8 gives what int8 of the original gives, and what is reported is true."""
import json
import os
import shutil
import struct

from cli import AUDIO, TINY, Case, has_fixture, installed, run

JFK = AUDIO / "jfk.wav"
FIXTURES = sorted(p.name for p in TINY.iterdir() if has_fixture(p.name))
HELPED = {"speecht5": ("embeds", "can")}  # by a speaker encoder that lies beside it
# Those that are refused, by a word of the reason.
NEVER = {"vits-piper": "ONNX", "whisper-onnx": "ONNX", "xvector": "f32 only"}
OWN = ("name", "path", "dtype", "load_time", "from_cache", "memory", "memory_most", "vocoder")  # of a folder, not of what it holds
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

    def can(self, model, name):
        done = run("models", "info", model, "--format", "json", "--no-cache")
        self.assertEqual(0, done.returncode, done.errors)
        return {key: value for key, value in json.loads(done.stdout).items() if key not in (*OWN, *HELPED.get(name, ()))}

    def works(self, *args):
        done = run(*args, "--no-cache")
        self.assertEqual(0, done.returncode, (args, done.errors))

    def uses_all(self, model, facts):
        """Every voice and every language that the model lists is used."""
        if facts["task"] == "transcribe":
            for language in facts["languages"] or ["auto"]:
                self.works("transcribe", JFK, "-m", model, "-l", language, "--length", "1", "--beam", "1", "--vad", "off", "--no-fallback",
                           "--guards", "off")
        if facts["task"] == "speak":
            speak = ["speak", "hello", "-m", model, "-o", self.folder / "a.wav", "--check", "off", "--seed", "1"]
            for voice in facts.get("speaker_names") or ["default"]:
                self.works(*speak, "-v", voice)
            for language in (facts["languages"] or [])[:4]:
                self.works(*speak, "-l", language)

    def test_every_kind_does_all_that_it_did_or_is_refused_before_anything_is_written(self):
        for name in FIXTURES:
            for dtype in ("int8", "bf16"):
                with self.subTest(model=name, dtype=dtype):
                    folder = self.folder / f"{FIXTURES.index(name)}-{dtype}"  # a folder's name may tell the kind
                    done = run("quantize", TINY / name, "--dtype", dtype, "-o", folder, "--format", "json")
                    if name in NEVER:
                        self.fails(done, 6, NEVER[name])
                        self.assertFalse(folder.exists())
                        continue
                    self.assertEqual(0, done.returncode, done.errors)
                    if has_fixture(name + "-hifigan"):
                        (self.folder / (folder.name + "-hifigan")).symlink_to(TINY / (name + "-hifigan"))
                    facts = self.can(folder, name)
                    self.assertEqual(self.can(TINY / name, name), facts)
                    if dtype == "int8":
                        self.uses_all(folder, facts)

    def test_links_are_followed(self):
        """As in the hub's cache; a folder that holds itself is gone through once."""
        source, blobs = self.folder / "source", self.folder / "blobs"
        shutil.copytree(TINY / "bark" / "speaker_embeddings", blobs)
        shutil.copytree(TINY / "bark", source, ignore=lambda folder, names: {"speaker_embeddings"} & set(names))
        (source / "speaker_embeddings").symlink_to(blobs)
        (blobs / "v2" / "en_speaker_1_semantic_prompt.npy").symlink_to(blobs / "v2" / "en_speaker_0_semantic_prompt.npy")
        (blobs / "v2" / "gone.npy").symlink_to(blobs / "nowhere")
        (blobs / "v2" / "again").symlink_to(source)
        folder, _ = self.quantize(source, "bf16")
        voices = {p.name for p in (blobs / "v2").iterdir() if p.is_file()}
        self.assertEqual(voices, {p.name for p in (folder / "speaker_embeddings/v2").iterdir()})
        self.assertFalse([p for p in folder.rglob("*") if p.is_symlink()])

    def test_what_is_too_deep_or_too_large(self):
        source = self.folder / "source"
        shutil.copytree(TINY / "bark", source)
        deep = source / "1/2/3/4"
        deep.mkdir(parents=True)
        shutil.copy(source / "speaker_embeddings/v2/en_speaker_0.npz", deep / "a.npz")
        folder, _ = self.quantize(source, "bf16")
        self.assertTrue((folder / "1/2/3/4/a.npz").exists())
        (deep / "5").mkdir()
        self.fails(run("quantize", source, "--dtype", "int8", "-o", self.folder / "x"), 10, "1/2/3/4/5", "4 folders")
        (deep / "5").rmdir()
        with (source / "notes.txt").open("w") as file:
            file.truncate(257 << 20)
        self.fails(run("quantize", source, "--dtype", "int8", "-o", self.folder / "x"), 10, "notes.txt", str(257 << 20))
        self.assertFalse((self.folder / "x").exists())

    def test_a_name_that_is_no_utf8(self):
        source = os.fsdecode(os.fsencode(self.folder) + b"/mod\xe8le")
        shutil.copytree(TINY / "bert-punctuation", source)
        for command in (["quantize", "--dtype", "bf16"], ["export"]):
            folder = self.folder / command[0]
            done = run(*command, source, "-o", folder)
            self.assertEqual(0, done.returncode, done.errors)
            said = json.loads((folder / ("manifest.json" if command == ["export"] else "quantized.json")).read_text())
            self.assertTrue(said["model"].endswith("mod?le"), said["model"])

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
