"""Kokoro end to end: English and Japanese that Whisper reads back, voices, what it refuses, files that are none. Skipped without ONNX Runtime, and
where they need them without the weights."""

import json
import os
import pathlib
import re
import struct
import unittest
import zipfile

from cli import Case, distance, installed, run, transcript, words, write_npy

ENGLISH = "The weather is nice today, and the last train to London leaves in the evening."
KANA = "さくらのはながきれいです。"
KANJI = "今日はいい天気ですね。東京駅へ行きました。"
ROWS = 510


def home():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("SONANT_HOME") or pathlib.Path(cache) / "sonant") / "models" / "kokoro"


def write_npz(path, arrays):
    """{name: (shape, values)} of 32-bit floats, stored."""
    with zipfile.ZipFile(path, "w") as out:
        for name, (shape, values) in arrays.items():
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            out.writestr(name + ".npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}f", *values))


class Kokoro(Case):
    def speak(self, text, *more, model="kokoro"):
        out = self.folder / "out.wav"
        done = run("speak", text, "-m", model, "-o", out, "--check", "off", *more)
        if done.returncode == 14 and "onnxruntime" in done.errors:
            raise unittest.SkipTest(done.errors.strip())
        return done, out

    def heard(self, path, language):
        return "".join(s["text"] for s in transcript(path, "-m", "base", "-l", language)["segments"])

    @installed("kokoro", "base")
    def test_english_is_read_back(self):
        done, out = self.speak(ENGLISH, "-l", "en")
        self.assertEqual(0, done.returncode, done.errors)
        self.assertLessEqual(distance(words(self.heard(out, "en")), words(ENGLISH)), 1)

    @installed("kokoro", "base")
    def test_japanese_is_read_back(self):
        done, out = self.speak(KANJI)
        if done.returncode == 14:  # no MeCab
            self.assertIn("apt-get install", done.errors)
            raise unittest.SkipTest(done.errors.strip())
        self.assertEqual(0, done.returncode, done.errors)
        heard = self.heard(out, "ja").replace("きょう", "今日").replace("良い", "いい")  # other spellings of the same
        self.assertLessEqual(distance(re.sub("[。、 ]", "", heard), re.sub("[。、 ]", "", KANJI)), 3)

    @installed("kokoro")
    def test_kana_need_no_dictionary_and_kanji_say_what_to_install(self):
        os.environ["SONANT_MECAB_DIC"] = "/nowhere"
        try:
            done, out = self.speak(KANA)
            self.assertEqual(0, done.returncode, done.errors)
            self.assertGreater(out.stat().st_size, 24000 * 2)
            self.fails(self.speak(KANJI)[0], 14, "MeCab")
        finally:
            del os.environ["SONANT_MECAB_DIC"]

    @installed("kokoro")
    def test_speed_and_voices(self):
        sizes = []
        for speed in ("1", "2"):
            done, out = self.speak("one two three four five", "-l", "en", "--speed", speed, "--voice", "jm_kumo")
            self.assertEqual(0, done.returncode, done.errors)
            sizes.append(out.stat().st_size)
        self.assertLess(sizes[1], 0.75 * sizes[0])
        self.fails(self.speak("one", "--voice", "af_heart")[0], 3, "jf_alpha")
        self.fails(self.speak("one", "--pitch", "1.5")[0], 6, "speed")
        self.fails(self.speak("one", "-l", "de")[0], 6, "ja")
        self.fails(self.speak("one", "--vocoder", "hifi-gan")[0], 6, "vocoder")

    def speaks_french(self, model):
        ssml = '<speak xml:lang="en">She said <lang xml:lang="fr">bonjour mes amis</lang> and <lang xml:lang="es">hola</lang>.</speak>'
        done, out = self.speak(ssml, "-l", "en", model=model)
        self.assertEqual(0, done.returncode, done.errors)
        self.assertGreater(out.stat().st_size, 22050 * 2)

    @installed("kokoro")
    def test_other_languages_are_spoken_with_its_sounds(self):
        self.speaks_french("kokoro")

    @installed("joe")
    def test_so_they_are_by_another_voice(self):
        self.speaks_french("joe")

    @installed("kokoro")
    def test_a_table_of_styles_is_a_voice(self):
        with zipfile.ZipFile(next(home().glob("voices*.npz"))) as voices:
            table = self.folder / "mine.npy"
            table.write_bytes(voices.read("jf_nezumi.npy"))
        done, out = self.speak("one two three", "-l", "en", "--voice", table)
        self.assertEqual(0, done.returncode, done.errors)
        mine = out.read_bytes()
        done, out = self.speak("one two three", "-l", "en", "--voice", "jf_nezumi")
        self.assertEqual(mine, out.read_bytes())
        write_npy(self.folder / "short.npy", [0.5] * 256)
        self.fails(self.speak("one", "--voice", self.folder / "short.npy")[0], 2, str(ROWS * 256))

    @installed("kokoro")
    def test_its_precision_is_its_file_s(self):
        for dtype in ("f32", "bf16"):
            done, _ = self.speak("one", "--dtype", dtype)
            self.fails(done, 6, "int8 only", dtype)
        done, _ = self.speak("one", "--dtype", "int8", "--format", "json")
        self.assertEqual(0, done.returncode, done.errors)
        self.assertEqual("int8", json.loads(done.stdout)["dtype"])

    @installed("kokoro")
    def test_without_the_runtime_it_says_what_to_install(self):
        done = run("speak", "one", "-m", "kokoro", "-o", self.folder / "a.wav", env={"SONANT_ONNXRUNTIME": "/nowhere"})
        self.fails(done, 14, "install")
        self.assertIn("kokoro", done.errors)

    def folder_of(self, onnx=b"no model", vocab='{"vocab": {"a": 1}}', voices=None):
        """A checkpoint of these parts."""
        folder = self.folder / "model"
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(onnx)
        (folder / "vocab.json").write_text(vocab)
        write_npz(folder / "voices.npz", voices or {"jf_a": ((2, 1, 256), [0.0] * 512)})
        return folder

    def test_files_that_are_none_are_refused(self):
        row = [0.0] * 256
        self.fails(self.speak("a", model=self.folder_of())[0], 5, "model.onnx")
        self.fails(self.speak("a", model=self.folder_of(vocab='{"vocab": []}'))[0], 5, "vocab")
        for voices in ({"a": ((1, 1, 255), row[:255])}, {"a": ((256,), row)}, {"a": ((1, 1, 256), row), "b": ((2, 1, 256), row * 2)}, {"a": ((0, 1, 256), [])},
                       {"a": ((1, 1, 256), [float("nan")] * 256)}):
            self.fails(self.speak("a", model=self.folder_of(voices=voices))[0], 5, "voices.npz")

    @installed("kokoro")
    def test_a_cut_model_is_refused(self):
        whole = next(home().glob("*.onnx")).read_bytes()
        for size in (100, len(whole) // 2, len(whole) - 1):
            self.fails(self.speak("a", model=self.folder_of(onnx=whole[:size]))[0], 5, "model.onnx")


if __name__ == "__main__":
    unittest.main()
