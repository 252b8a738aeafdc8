"""Every architecture from its directory alone: what it is, what it can do, and that it does it. The weights are random: only noise
comes out, but it comes out."""
import json
import random
import shutil
import struct
import unittest
import wave

from cli import TINY, Case, has_fixture, run, write_wav

# directory: architecture, task, what `models info` must say it can do beside that
MODELS = {
    "wav2vec2-base": ("wav2vec2", "transcribe", {"time words"}),
    "wav2vec2-large": ("wav2vec2", "transcribe", {"time words"}),
    "vits-dp": ("vits", "speak", {"change its speed"}),
    "vits-sdp-multispeaker": ("vits", "speak", {"change its speed", "change its noise"}),
    "yourtts": ("yourtts", "speak", {"change its speed", "make voices of clips"}),
    "speecht5": ("speecht5", "speak", {"switch its dropout"}),
    "tacotron2-nvidia": ("tacotron2", "speak", {"switch its dropout"}),
    "tacotron2-coqui": ("tacotron2", "speak", set()),
    "fastspeech2-conformer": ("fastspeech2", "speak", {"change its speed"}),
    "fastspeech2-conformer-with-hifigan": ("fastspeech2", "speak", {"change its speed"}),
    "fastspeech2-coqui": ("fastspeech2", "speak", {"change its speed", "change its pitch", "change its energy"}),
    "fastpitch-coqui": ("fastspeech2", "speak", {"change its speed", "change its pitch"}),
    "bark": ("bark", "speak", {"change its temperature", "take presets as voices"}),
    "speecht5-hifigan": ("hifigan", "vocode", set()),
    "fastspeech2-conformer-hifigan": ("hifigan", "vocode", set()),
    "hifigan-coqui": ("hifigan", "vocode", set()),
    "hifigan-jik876": ("hifigan", "vocode", set()),
    "melgan": ("melgan", "vocode", set()),
    "multiband-melgan": ("multiband-melgan", "vocode", set()),
    "waveglow": ("waveglow", "vocode", set()),
}
HERE = {name: facts for name, facts in MODELS.items() if has_fixture(name)}
PLAIN = ["--no-cache", "--dtype", "f32"]


def info(model, *args):
    done = run("models", "info", model, "--format", "json", "--no-cache", *args)
    assert done.returncode == 0, done.errors
    return json.loads(done.stdout)


class Models(Case):
    def speak(self, model, *args, text="hello world", name="x.wav"):
        return run("speak", text, "-o", self.folder / name, "-m", model if "/" in str(model) else TINY / model, *PLAIN, *args)

    def test_what_each_is_and_can_do(self):
        for name, (architecture, task, can) in HERE.items():
            with self.subTest(name=name):
                facts = info(TINY / name)
                self.assertEqual((facts["architecture"], facts["task"]), (architecture, task))
                self.assertGreater(facts["parameters"], 1000)
                self.assertGreater(facts["sample_rate"], 4000)
                self.assertLessEqual(can, set(facts["can"]))
                if task == "vocode":
                    self.assertRegex(facts["mel"], r"^\d+ mels")
                text = run("models", "info", TINY / name, "--no-cache").stdout.decode()
                for word in ("architecture", "parameters", "can", architecture):
                    self.assertIn(word, text)

    def test_one_that_has_one_precision_is_asked_for_in_no_other(self):
        for dtype in ("bf16", "int8"):
            self.fails(run("models", "info", TINY / "xvector", "--no-cache", "--dtype", dtype), 6, "f32 only", dtype)
        for args in ([], ["--dtype", "f32"]):
            self.assertEqual("f32", info(TINY / "xvector", *args)["dtype"])

    def test_each_speaks(self):
        for name in [n for n, facts in HERE.items() if facts[1] == "speak"]:
            with self.subTest(name=name):
                done = self.speak(name, "--format", "json")
                self.assertEqual(done.returncode, 0, done.errors)
                facts = json.loads(done.stdout)
                with wave.open(str(self.folder / "x.wav")) as clip:
                    self.assertEqual(clip.getframerate(), facts["sample_rate"])
                    self.assertGreater(clip.getnframes(), 0)
                    self.assertAlmostEqual(clip.getnframes() / clip.getframerate(), facts["duration"], places=2)
                self.assertEqual(facts["vocoder"] != "", info(TINY / name)["mel"] != "")

    def test_each_speaks_the_same_for_any_threads(self):
        for name in [n for n, facts in HERE.items() if facts[1] == "speak"]:
            with self.subTest(name=name):
                for threads in ("1", "3"):
                    self.assertEqual(self.speak(name, "--threads", threads, name=threads + ".wav").returncode, 0)
                self.assertEqual((self.folder / "1.wav").read_bytes(), (self.folder / "3.wav").read_bytes())

    def test_what_a_model_lacks_is_an_error_that_lists_what_it_has(self):
        asked = {"change its speed": ["--speed", "2"], "change its pitch": ["--pitch", "1.5"], "change its energy": ["--energy", "0.5"],
                 "change its temperature": ["--temperature", "0.7"], "change its noise": ["--noise", "0.3"],
                 "switch its dropout": ["--dropout", "on"]}
        for name in [n for n, facts in HERE.items() if facts[1] == "speak"]:
            can = info(TINY / name)
            for ability, args in asked.items():
                with self.subTest(name=name, args=args):
                    done = self.speak(name, *args)
                    if ability in can["can"]:
                        self.assertEqual(done.returncode, 0, done.errors)
                    else:
                        self.fails(done, 6, "cannot change", *[c.split()[-1] for c in can["can"] if c.startswith("change")])
            with self.subTest(name=name, args="language, emotion"):
                self.fails(self.speak(name, "-l", "klingon"), 2, "klingon")
                if can["languages"]:
                    self.fails(self.speak(name, "-l", "sw"), 6, "sw", can["languages"][0])
                self.fails(self.speak(name, "--emotion", "envy"), 6, "envy", *(can["emotions"][:2] or ["none"]))
                self.fails(self.speak(name, "-v", "nobody-of-that-name"), 3, "nobody-of-that-name")

    def test_every_emotion_is_spoken(self):
        for name in [n for n, facts in HERE.items() if facts[1] == "speak"]:
            for emotion in info(TINY / name)["emotions"]:
                with self.subTest(name=name, emotion=emotion):
                    done = self.speak(name, "--emotion", emotion.upper())
                    self.assertEqual(done.returncode, 0, done.errors)

    def test_a_weights_file_stands_for_its_directory(self):
        for name, file in [("vits-dp", "model.safetensors"), ("yourtts", "model_file.pth"), ("speecht5", "pytorch_model.bin"),
                           ("fastpitch-coqui", "model_file.pth"), ("melgan", "model_file.pth"), ("hifigan-jik876", "generator_v1")]:
            if name in HERE:
                with self.subTest(name=name):
                    self.assertEqual(info(TINY / name / file)["architecture"], info(TINY / name)["architecture"])
        other = self.folder / "other"
        shutil.copytree(TINY / "vits-dp", other)
        shutil.copy(other / "model.safetensors", other / "more.safetensors")
        self.fails(run("models", "info", other / "more.safetensors", "--no-cache"), 5, "more.safetensors", "model.safetensors")

    def test_a_path_has_a_name_however_it_is_written(self):
        for path in (f"{TINY}/vits-dp/", f"{TINY}/vits-dp/.", f"{TINY}/vits-dp/../vits-dp"):
            self.assertEqual(info(path)["name"], "vits-dp")

    def test_numbers_out_of_range(self):
        for args in (["--speed", "9"], ["--pitch", "-1"], ["--energy", "5"], ["--temperature", "3"], ["--dropout", "maybe"]):
            with self.subTest(args=args):
                self.fails(self.speak("vits-dp", *args), 2, args[1])


class Foreign(Case):
    def test_files_of_other_programs_are_called_by_name(self):
        pickle = b"PK\3\4" + bytes(26) + b"tiny/data.pklFB" + bytes(50) + b"\x80\2}q\0(X\4\0\0\0dimsq\1}X\x10\0\0\0model_state_dictq\2"
        for name, data, whose in (("ggml-small.bin", b"lmgg" + bytes(500), "whisper.cpp"), ("ggml-tiny.gguf", b"GGUF" + bytes(500), "whisper.cpp"),
                                  ("tiny.pt", pickle + bytes(500), "OpenAI")):
            with self.subTest(name=name):
                (self.folder / name).write_bytes(data)
                self.fails(run("models", "info", self.folder / name, "--no-cache"), 5, name, whose, "sonant models pull", "turbo")


class Pointers(Case):
    def test_a_clone_without_git_lfs_is_told(self):
        """Its weights are texts that say where they are."""
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 290403936\n"
        for source, weights in (("whisper", "model.safetensors"), ("whisper", "model.bin"), ("whisper", "pytorch_model.bin"), ("vits-piper", "voice.onnx")):
            with self.subTest(weights=weights):
                clone = self.folder / weights
                shutil.copytree(TINY / source, clone, ignore=shutil.ignore_patterns("*.safetensors"))
                (clone / weights).write_text(pointer)
                self.fails(run("models", "info", clone, "--no-cache"), 5, weights, "Git LFS", "git lfs pull", "sonant models pull")


class Defaults(Case):
    """Which model is taken where none is named."""

    def setUp(self):
        super().setUp()
        self.models = self.folder / "home" / "models"
        self.models.mkdir(parents=True)
        self.env = {"SONANT_HOME": str(self.models.parent), "HF_HUB_CACHE": str(self.folder / "hub")}

    def voice(self, name, code):
        """A Piper voice of that language; "joe" is the catalogue's."""
        (self.models / name).mkdir()
        config = json.loads((TINY / "vits-piper/voice.onnx.json").read_text())
        config["language"]["code"] = code
        file = self.models / name / "en_US-joe-medium.onnx"
        shutil.copy(TINY / "vits-piper/voice.onnx", file)
        file.with_suffix(".onnx.json").write_text(json.dumps(config))
        (file.parent / "MODEL_CARD").write_text("")

    def taken(self, command, *args):
        done = run(command, *args, *PLAIN, "--format", "json", env=self.env)
        self.assertEqual(done.returncode, 0, done.errors)
        return json.loads(done.stdout)["model"]

    def spoken_by(self, *args):
        return self.taken("speak", "hello", "-o", self.folder / "x.wav", *args)

    def test_one_that_is_no_default_is_taken_where_nothing_else_is_there(self):
        clip = write_wav(self.folder / "a.wav", bytes(32000)) or self.folder / "a.wav"
        self.fails(run("transcribe", clip, env=self.env), 3, "'openai/whisper-base' is not installed")
        self.voice("voice", "en_US")
        self.fails(run("transcribe", clip, env=self.env), 3, "'openai/whisper-base' is not installed")  # a voice does not hear
        (self.models / "wav2vec2-base-960h").symlink_to(TINY / "wav2vec2-base")
        self.assertEqual(self.taken("transcribe", clip), "facebook/wav2vec2-base-960h")
        (self.models / "openai--whisper-small").symlink_to(TINY / "whisper")
        self.assertEqual(self.taken("transcribe", clip, "-l", "de"), "openai/whisper-small")  # the other writes English

    def test_the_language_chooses_among_those_that_are_there(self):
        self.voice("b-german", "de_DE")
        self.voice("c-german", "de_DE")
        self.voice("a-english", "en_GB")
        self.assertEqual(self.spoken_by(), "a-english")
        self.assertEqual(self.spoken_by("-l", "de"), "b-german")
        self.voice("joe", "en_US")
        self.assertEqual(self.spoken_by(), "en_US-joe-medium")
        for language, model in (("en", "en_US-joe-medium"), ("en-GB", "en_US-joe-medium"), ("German", "b-german"), ("de_AT", "b-german")):
            self.assertEqual(self.spoken_by("-l", language), model)
        self.fails(run("speak", "hello", "-o", self.folder / "x.wav", "-l", "fi", env=self.env), 6, "en_US-joe-medium", "fi")

    def test_the_language_of_a_vits_is_in_its_tokenizer(self):
        for name, code in (("mms-tts-ara", "ara"), ("mms-tts-deu", "deu")):
            shutil.copytree(TINY / "vits-dp", self.models / name)
            config = (TINY / "vits-dp/tokenizer_config.json").read_text()
            (self.models / name / "tokenizer_config.json").write_text(config.replace('"eng"', f'"{code}"'))
        self.assertEqual(self.spoken_by("-l", "de"), "mms-tts-deu")
        self.assertEqual(self.spoken_by("-l", "ar"), "mms-tts-ara")


@unittest.skipUnless("speecht5" in HERE and "speecht5-hifigan" in HERE, "no speecht5")
class Vocoders(Case):
    def speak(self, *args, model=TINY / "speecht5"):
        return run("speak", "hello", "-o", self.folder / "x.wav", "-m", model, *PLAIN, "--format", "json", *args)

    def vocoder(self, *args, **more):
        done = self.speak(*args, **more)
        self.assertEqual(done.returncode, 0, done.errors)
        return json.loads(done.stdout)["vocoder"]

    def test_the_one_beside_the_model_is_taken(self):
        self.assertEqual(self.vocoder(), "speecht5-hifigan")
        for name, other in [("voice", "voice_hifigan"), ("speecht5_tts", "speecht5_hifigan")]:
            shutil.copytree(TINY / "speecht5", self.folder / name)
            shutil.copytree(TINY / "speecht5-hifigan", self.folder / other)
            self.assertEqual(self.vocoder(model=self.folder / name), other)

    def test_a_vocoder_is_chosen_by_path(self):
        self.assertEqual(self.vocoder("--vocoder", TINY / "speecht5-hifigan"), "speecht5-hifigan")

    def test_an_installed_one_must_fit_exactly(self):
        alone, home = self.folder / "alone", self.folder / "home"
        shutil.copytree(TINY / "speecht5", alone)
        for name in ("hifigan-coqui", "melgan"):
            if name in HERE:
                shutil.copytree(TINY / name, home / "models" / name)
        def speak():
            done = run("speak", "hello", "-o", self.folder / "x.wav", "-m", alone, *PLAIN, "--format", "json",
                       env={"SONANT_HOME": str(home)})
            self.assertEqual(done.returncode, 0, done.errors)
            return json.loads(done.stdout)

        facts = speak()
        self.assertEqual(facts["vocoder"], "griffin-lim")
        self.assertIn("no_vocoder", [n["code"] for n in facts["notes"]])
        shutil.copytree(TINY / "speecht5-hifigan", home / "models" / "zz-any-name")
        self.assertEqual(speak()["vocoder"], "zz-any-name")

    def test_griffin_lim_when_asked_for_needs_no_note(self):
        done = self.speak("--vocoder", "griffin-lim")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertNotIn("no_vocoder", [n["code"] for n in json.loads(done.stdout)["notes"]])

    def test_what_does_not_fit_names_both_sides(self):
        self.fails(self.speak("--vocoder", TINY / "hifigan-jik876"), 2, "speecht5", "hifigan-jik876", "16000", "22050", "20", "12")
        beside = self.folder / "voice-hifigan"
        shutil.copytree(TINY / "speecht5", self.folder / "voice")
        shutil.copytree(TINY / "speecht5-hifigan", beside)
        config = json.loads((beside / "config.json").read_text())
        (beside / "config.json").write_text(json.dumps({**config, "sampling_rate": 8000}))
        self.fails(self.speak(model=self.folder / "voice"), 2, "16000", "8000")

    def test_what_is_no_vocoder(self):
        self.fails(self.speak("--vocoder", TINY / "whisper"), 6, "whisper")
        self.fails(self.speak("--vocoder", "nobody"), 3, "nobody")
        self.fails(run("speak", "hello", "-o", self.folder / "x.wav", "-m", TINY / "vits-dp", "--vocoder", "griffin-lim", *PLAIN), 6,
                   "vits-dp")


@unittest.skipUnless("wav2vec2-base" in HERE, "no wav2vec2")
class Wav2Vec2(Case):
    def test_words_have_times(self):
        draw = random.Random(5)
        clip = self.folder / "clip.wav"
        write_wav(clip, struct.pack("<32000h", *(draw.randint(-9000, 9000) for _ in range(32000))))
        for name in ("wav2vec2-base", "wav2vec2-large"):
            done = run("transcribe", clip, "-m", TINY / name, "--words", "-l", "en", "--vad", "off", "--format", "json", *PLAIN)
            self.assertEqual(done.returncode, 0, done.errors)
            result = json.loads(done.stdout)
            words = result.get("word_timestamps", [])
            self.assertEqual(" ".join(w["word"] for w in words).split(), result["text"].split())
            for before, after in zip(words, words[1:]):
                self.assertLessEqual(before["end"], after["start"] + 1e-9)
            for word in words:
                self.assertTrue(0 <= word["start"] <= word["end"] <= 2 and 0 <= word["confidence"] <= 1, word)
