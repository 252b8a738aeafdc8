"""The bank of voices."""
import json
import os
import random
import struct
import wave

from cli import TINY, Case, has_fixture, run, write_npy, write_wav

SPEECHT5 = TINY / "speecht5"   # takes embeddings of 16 values
YOURTTS = TINY / "yourtts"     # makes them of clips, 24 values


def noise(seconds, seed, rate=16000):
    """A buzz whose pitch and colour depend on the seed."""
    draw = random.Random(seed)
    period, soft = draw.randint(50, 200), draw.random()
    samples, last = [], 0.0
    for i in range(int(seconds * rate)):
        last = soft * last + (1 - soft) * (draw.uniform(-0.2, 0.2) + (0.8 if i % period < period // 4 else -0.2))
        samples.append(int(20000 * last))
    return struct.pack(f"<{len(samples)}h", *samples)


class Voices(Case):
    def setUp(self):
        super().setUp()
        self.home = {"SONANT_HOME": str(self.folder / "home")}
        self.clip = self.folder / "clip.wav"
        write_wav(self.clip, noise(2, 1))

    def voices(self, *args, **more):
        return run("voices", *args, env=self.home, **more)

    def good(self, *args):
        done = self.voices(*args)
        self.assertEqual((done.returncode, done.errors), (0, ""))
        return done.stdout

    def names(self):
        return [v["name"] for v in json.loads(self.good("list", "--format", "json"))]

    def show(self, name):
        return json.loads(self.good("show", name, "--format", "json"))

    def test_a_clip_is_kept_with_its_facts(self):
        self.assertEqual(self.names(), [])
        self.good("add", "anna", self.clip, "--language", "de", "--licence", "CC0-1.0", "--source", "a \"friend\"")
        self.assertEqual(self.names(), ["anna"])
        voice = self.show("anna")
        self.assertEqual((voice["kind"], voice["language"], voice["licence"], voice["source"], voice["model"]),
                         ("clip", "de", "CC0-1.0", "a \"friend\"", ""))
        self.assertRegex(voice["created"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        with wave.open(voice["path"] + "/voice.wav") as kept, wave.open(str(self.clip)) as given:
            self.assertEqual(kept.readframes(1 << 20), given.readframes(1 << 20))
        self.assertIn("anna", self.good("list").decode())
        self.good("remove", "anna")
        self.assertEqual(self.names(), [])
        self.assertEqual(os.listdir(self.folder / "home" / "voices"), [])

    def test_speakers_of_a_model_have_names_and_numbers(self):
        model, sounds = TINY / "vits-authors", []
        listed = json.loads(self.good("list", "-m", model, "--format", "json"))
        self.assertEqual([v["name"] for v in listed], ["p225", "p226", "p227", "p228"])
        self.assertIn("p225, p226, p227, p228", run("models", "info", model, env=self.home).stdout.decode())
        speak = ["speak", "One.", "-m", model, "--seed", "3", "--no-cache", "--check", "off"]
        for voice in ("p227", "2", "p226"):
            out = self.folder / f"{voice}.wav"
            self.assertEqual(run(*speak, "-v", voice, "-o", out, env=self.home).returncode, 0)
            sounds.append(out.read_bytes())
        self.assertEqual(sounds[0], sounds[1])
        self.assertNotEqual(sounds[0], sounds[2])
        self.fails(run(*speak, "-v", "anna", "-o", self.folder / "x.wav", env=self.home), 3, '"p225", "p226", "p227", "p228" (4)')

    def test_bad_names_touch_nothing(self):
        (self.folder / "home").mkdir()
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "12", "default", "auto", "x" * 64, "a\nb"]:
            with self.subTest(name=name):
                self.fails(self.voices("add", name, self.clip), 2, "cannot be called")
                self.fails(self.voices("remove", name), 2, "cannot be called")
        self.assertEqual(os.listdir(self.folder / "home"), [])

    def test_what_is_no_voice_is_refused_and_leaves_nothing(self):
        text, short, wide, nan = (self.folder / n for n in ("text.wav", "short.wav", "wide.npy", "nan.npy"))
        text.write_text("this is no audio")
        write_wav(short, noise(0.9, 1))
        write_npy(wide, [0.5] * 300000)
        for args, status, says in [([text], 4, "text.wav"), ([short], 2, "0.90 s"), ([self.folder / "none.wav"], 3, "none.wav"),
                                   ([wide], 4, "wide.npy"), ([], 2, "needs"), ([self.folder], 3, "voice.json"),
                                   ([self.clip, "--speaker", "1"], 2, "not both"), (["--speaker", "1"], 2, "model"),
                                   ([self.clip, "-m", TINY / "whisper"], 6, "whisper"),
                                   ([self.clip, "-m", TINY / "vits-sdp"], 6, "clips"),
                                   ([self.clip, "--licence", "x" * 300], 2, "255")]:
            with self.subTest(args=args):
                self.fails(self.voices("add", "anna", *args), status, says)
                self.assertEqual(self.names(), [])

    def test_names_are_taken_once(self):
        self.good("add", "anna", self.clip)
        self.fails(self.voices("add", "anna", self.clip), 2, "already")
        for action in ("remove", "show"):
            self.fails(self.voices(action, "bert"), 3, "bert")
        self.fails(self.voices("remove", "bert"), 3, "anna")

    def test_export_and_import_give_the_same_voice(self):
        embedding, out, other = self.folder / "e.npy", self.folder / "out.npy", self.folder / "other"
        write_npy(embedding, [0.25 * i for i in range(16)])
        other.mkdir()
        self.good("add", "anna", embedding, "--language", "en")
        self.good("export", "anna", out)
        self.assertEqual(out.read_bytes(), embedding.read_bytes())
        self.fails(self.voices("export", "anna", out), 2, "exists")
        self.good("export", "anna", other)
        self.fails(self.voices("export", "anna", other), 2, "exists")
        self.good("add", "berta", other / "anna")
        a, b = self.show("anna"), self.show("berta")
        self.assertEqual({**a, "name": "", "path": ""}, {**b, "name": "", "path": ""})
        self.assertEqual(a["embedding"], 16)

    def test_a_damaged_voice_hides_no_other(self):
        self.good("add", "anna", self.clip)
        self.good("add", "bert", self.clip)
        facts = self.folder / "home" / "voices" / "anna" / "voice.json"
        facts.write_text(facts.read_text().replace('"clip"', '"parrot"'))
        self.assertEqual(self.names(), ["bert"])
        self.fails(run("speak", "hello", "-o", self.folder / "x.wav", "-m", TINY / "vits-sdp", "-v", "anna", "--no-cache", env=self.home), 4,
                   "parrot")
        self.good("remove", "anna")

    def test_speakers_of_a_model_have_names(self):
        model = TINY / "vits-sdp-multispeaker"
        listed = json.loads(self.good("list", "-m", model, "--format", "json"))
        self.assertEqual([(v["name"], v["in_bank"]) for v in listed], [(str(i), False) for i in range(5)])
        self.good("add", "third", "--speaker", "3", "-m", model)
        self.fails(self.voices("add", "tenth", "--speaker", "10", "-m", model), 3, "10")
        self.fails(self.voices("export", "third", self.folder / "x"), 2, "speaker")
        files = []
        for voice in ("third", "3", "1"):
            files.append(self.folder / f"{voice}.wav")
            self.assertEqual(run("speak", "hello", "-o", files[-1], "-m", model, "-v", voice, "--no-cache", env=self.home).returncode, 0)
        third, three, one = (f.read_bytes() for f in files)
        self.assertEqual(third, three)
        self.assertNotEqual(third, one)
        self.fails(run("speak", "hello", "-o", self.folder / "x.wav", "-m", TINY / "vits-sdp", "-v", "third", "--no-cache",
                       env=self.home), 2, "vits-sdp-multispeaker")

    def speak(self, voice, *args):
        out = self.folder / "spoken.wav"
        done = run("speak", "hello world", "-o", out, "-v", voice, "--no-cache", "--dtype", "f32", "--seed", "1", *args, env=self.home)
        return done, out.read_bytes() if done.returncode == 0 else b""

    def test_an_embedding_must_fit(self):
        if not has_fixture("speecht5"):
            self.skipTest("no speecht5")
        fits, other, short = (self.folder / n for n in ("fits.npy", "other.npy", "short.npy"))
        write_npy(fits, [0.1 * i for i in range(16)])
        write_npy(other, [-0.2 * i for i in range(16)])
        write_npy(short, [1.0] * 8)
        self.good("add", "fits", fits, "-m", SPEECHT5)
        self.good("add", "other", other)
        self.good("add", "short", short)
        self.fails(self.voices("add", "short2", short, "-m", SPEECHT5), 2, "8", "16")
        spoken = {}
        for voice in ("fits", "other", str(fits)):
            done, spoken[voice] = self.speak(voice, "-m", SPEECHT5)
            self.assertEqual(done.returncode, 0, done.errors)
        self.assertEqual(spoken["fits"], spoken[str(fits)])
        self.assertNotEqual(spoken["fits"], spoken["other"])
        self.fails(self.speak("short", "-m", SPEECHT5)[0], 2, "8", "16")
        self.fails(self.speak(short, "-m", SPEECHT5)[0], 2, "8", "16")
        self.fails(self.speak("nobody", "-m", SPEECHT5)[0], 3, "nobody", "fits, other, short")
        self.fails(self.speak("fits", "-m", TINY / "vits-sdp")[0], 2, "fits", "vits")

    def test_a_preset_is_a_voice_of_models_that_take_them(self):
        if not has_fixture("bark"):
            self.skipTest("no bark")
        preset = TINY / "bark" / "speaker_embeddings" / "v2" / "en_speaker_0.npz"
        self.good("add", "teller", preset, "-m", TINY / "bark")
        self.assertEqual((self.show("teller")["kind"], self.show("teller")["architecture"]), ("preset", "bark"))
        named, banked, plain = (self.speak(v, "-m", TINY / "bark") for v in ("v2/en_speaker_0", "teller", "default"))
        self.assertEqual((named[0].returncode, banked[0].returncode, plain[0].returncode), (0, 0, 0), banked[0].errors)
        self.assertEqual(named[1], banked[1])
        self.assertNotEqual(banked[1], plain[1])
        self.fails(self.speak("teller", "-m", TINY / "vits-sdp")[0], 2, "preset", "vits-sdp")
        write_npy(self.folder / "e.npy", [1.0] * 16)
        self.good("add", "values", self.folder / "e.npy")
        self.fails(self.speak("values", "-m", TINY / "bark")[0], 2, "embedding", "presets")

    def test_voices_of_clips_are_spoken_with(self):
        if not has_fixture("yourtts"):
            self.skipTest("no yourtts")
        other = self.folder / "other.wav"
        write_wav(other, noise(2, 2))
        self.good("add", "one", self.clip, "-m", YOURTTS)
        self.good("add", "two", other, "-m", YOURTTS)
        self.good("add", "listened", self.clip)
        voice = self.show("one")
        self.assertEqual((voice["kind"], voice["embedding"], voice["architecture"]), ("embedding", 24, "yourtts"))
        spoken = {}
        for name in ("one", "two", "listened"):
            done, spoken[name] = self.speak(name, "-m", YOURTTS)
            self.assertEqual(done.returncode, 0, done.errors)
        self.assertEqual(spoken["one"], spoken["listened"])
        self.assertNotEqual(spoken["one"], spoken["two"])
        if has_fixture("speecht5"):
            self.fails(self.speak("one", "-m", SPEECHT5)[0], 2, "24", "16")
