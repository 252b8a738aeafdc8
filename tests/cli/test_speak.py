"""Text to speech with the program."""
import json
import os
import wave

from cli import TINY, Case, distance, installed, run, words

TINY_MODEL = ["-m", TINY / "vits-sdp", "--no-cache", "--dtype", "f32"]
SENTENCES = [
    "The weather was warm and the sky was clear.",
    "She bought three apples and a loaf of bread.",
    "Please close the door when you leave the house.",
    "The train to London leaves at half past seven.",
    "We walked along the river until it was dark.",
    "My brother works in a small hospital.",
    "Nobody knows what will happen tomorrow.",
    "The children were playing in the garden.",
    "I would like a cup of tea with milk.",
    "This morning the streets were covered with snow.",
]


class Tiny(Case):
    def speak(self, text, *args, name="out.wav", **more):
        return run("speak", text, "-o", self.folder / name, *TINY_MODEL, *args, **more)

    def test_writes_a_playable_file_and_nothing_else(self):
        done = self.speak("hello there")
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.errors)
        with wave.open(str(self.folder / "out.wav")) as clip:
            self.assertEqual((clip.getnchannels(), clip.getsampwidth()), (1, 2))
            self.assertGreater(clip.getnframes(), 100)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["out.wav"])

    def test_every_audio_format(self):
        for name, magic in [("a.wav", b"RIFF"), ("a.flac", b"fLaC"), ("a.opus", b"OggS"), ("a.mp3", None), ("a.pcm", None)]:
            with self.subTest(name=name):
                self.assertEqual(self.speak("hello there, " * 20, name=name).returncode, 0)
                data = (self.folder / name).read_bytes()
                self.assertTrue(len(data) > 300 and (magic is None or data.startswith(magic)))
        self.assertEqual(run("speak", "hello", "-o", "-", "--audio", "flac", *TINY_MODEL).stdout[:4], b"fLaC")
        self.fails(self.speak("hello", name="a.docx"), 2, "docx")

    def test_text_from_standard_input(self):
        done = run("speak", "-", "-o", self.folder / "a.wav", "--format", "json", *TINY_MODEL, data=b"Hello there. How are you?")
        facts = json.loads(done.stdout)
        self.assertEqual((facts["success"], facts["sentences"]), (True, 2))
        with wave.open(str(self.folder / "a.wav")) as clip:
            self.assertAlmostEqual(clip.getnframes() / clip.getframerate(), facts["duration"], places=2)

    def test_bad_text_is_refused_and_leaves_no_file(self):
        for data, status in [(b"", 2), (b" \n\t", 2), (b"\xf0\x9f\x98\x80\xf0\x9f\x8e\x89", 2), (b"\x01\x02\x03", 2),
                             (b"abc\xff", 4), (b"a" * (1 << 20), 10)]:
            with self.subTest(data=data[:8]):
                done = run("speak", "-", "-o", self.folder / "x.wav", *TINY_MODEL, data=data)
                self.fails(done, status)
                self.assertEqual(list(self.folder.iterdir()), [])

    def test_control_characters_are_left_out(self):
        self.assertEqual(self.speak("hel\x07lo\x1b there").returncode, 0)

    def test_options_out_of_range(self):
        for args, status in [(["--speed", "9"], 2), (["--speed", "fast"], 2), (["-v", "anna"], 3), (["-l", "klingon"], 2),
                             (["--audio", "jpeg"], 2), (["-m", "nobody"], 3), (["-m", str(TINY / "whisper")], 6)]:
            with self.subTest(args=args):
                self.fails(self.speak("hello", *args), status, args[-1].split("/")[-1])

    def test_an_output_that_cannot_be_written(self):
        self.fails(run("speak", "hello", "-o", self.folder / "no" / "x.wav", *TINY_MODEL), 3, "no/x.wav")


@installed("joe")
class Real(Case):
    def test_same_seed_same_bytes_for_any_threads(self):
        files = []
        for i, args in enumerate((["--threads", "1"], ["--threads", "2"], ["--threads", "4"], ["--seed", "5"])):
            out = self.folder / f"{i}.wav"
            self.assertEqual(run("speak", "The same words. And some more of them.", "-o", out, *args).returncode, 0)
            files.append(out.read_bytes())
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])
        self.assertNotEqual(files[0], files[3])

    def test_speed(self):
        lengths = []
        for speed in ("0.5", "1", "2"):
            done = run("speak", "One sentence at several speeds.", "-o", self.folder / "a.wav", "--speed", speed, "--format", "json")
            lengths.append(json.loads(done.stdout)["duration"])
        self.assertTrue(1.6 < lengths[0] / lengths[1] < 2.4 and 1.6 < lengths[1] / lengths[2] < 2.4, lengths)

    def test_example_program(self):
        done = run("Hello there.", program=os.path.join(os.environ["EXAMPLES"], "speak"))
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertGreater(len(done.stdout), 4 * 8000)

    @installed("base")
    def test_what_is_spoken_is_heard(self):
        errors = total = 0
        files = []
        for i, sentence in enumerate(SENTENCES):
            files.append(self.folder / f"{i}.wav")
            self.assertEqual(run("speak", sentence, "-o", files[-1]).returncode, 0)
        done = run("transcribe", *files, "-m", "base", "-l", "en", "--format", "json")
        heard = [json.loads(line)["text"] for line in done.stdout.splitlines()]
        for sentence, text in zip(SENTENCES, heard, strict=True):
            errors += distance(words(sentence), words(text.replace("7:30", "half past seven")))
            total += len(words(sentence))
        self.assertLessEqual(errors / total, 0.05, heard)
