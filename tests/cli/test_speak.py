"""Text to speech with the program."""
import json
import os
import shutil
import signal
import subprocess
import time
import wave

from cli import SONANT, TINY, Case, distance, installed, run, words

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

    def test_bark_sees_the_signs_of_a_song(self):
        bark = self.folder / "bark"
        shutil.copytree(TINY / "bark", bark)
        words = (bark / "vocab.txt").read_text().split("\n")
        (bark / "vocab.txt").write_text("\n".join("♪" if word == "##z" else word for word in words))
        for text, noted in [("♪ my dog is cute ♪", False), ("★ my dog is cute", True)]:
            with self.subTest(text=text):
                done = run("speak", text, "-o", self.folder / "a.wav", "--format", "json", "--no-cache", "-m", bark)
                self.assertEqual(done.returncode, 0, done.errors)
                self.assertEqual("left_out" in [note["code"] for note in json.loads(done.stdout)["notes"]], noted)

    def test_options_out_of_range(self):
        for args, status in [(["--speed", "9"], 2), (["--speed", "0"], 2), (["--energy", "0"], 2), (["--speed", "fast"], 2), (["-v", "anna"], 3), (["-l", "klingon"], 2),
                             (["--audio", "jpeg"], 2), (["-m", "nobody"], 3), (["-m", str(TINY / "whisper")], 6)]:
            with self.subTest(args=args):
                self.fails(self.speak("hello", *args), status, args[-1].split("/")[-1])

    def test_a_name_without_an_ending_is_a_wav(self):
        for name in ("./plain", "v1.2/plain"):
            (self.folder / "v1.2").mkdir(exist_ok=True)
            done = run("speak", "hello", "-o", f"{self.folder}/{name}", *TINY_MODEL)
            self.assertEqual(done.returncode, 0, done.errors)
            self.assertEqual((self.folder / name).read_bytes()[:4], b"RIFF")

    def test_an_output_that_cannot_be_written(self):
        self.fails(run("speak", "hello", "-o", self.folder / "no" / "x.wav", *TINY_MODEL), 3, "no/x.wav")


    def facts(self, text, *args):
        done = run("speak", text, "-o", self.folder / "a.wav", "--format", "json", "--check", "off", *TINY_MODEL, *args)
        self.assertEqual(done.returncode, 0, done.errors)
        return json.loads(done.stdout)

    def test_ssml_with_marks(self):
        facts = self.facts("<speak><mark name='a'/>Hello there.<break time='300ms'/><mark name='b'/>Bye <mark name='c'/></speak>")
        self.assertEqual([m["name"] for m in facts["marks"]], ["a", "b", "c"])
        times = [m["time"] for m in facts["marks"]]
        self.assertEqual(times[0], 0)
        self.assertTrue(0.3 < times[1] < times[2] <= facts["duration"] + 0.001, times)

    def test_malformed_ssml_says_where(self):
        self.fails(self.speak("<speak>\n<p>Hello</speak>"), 4, "line 2", "column")
        self.fails(self.speak("<speak>&nbsp;</speak>"), 4, "entity")
        self.fails(self.speak("Hello", "--ssml", "on"), 4, "SSML")
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.speak("<speak>\n<p>Hello</speak>", "--ssml", "off").returncode, 0)

    def test_text_that_no_voice_speaks(self):
        for text in ("!!!", "\U0001F600", "<speak>...</speak>", " "):
            with self.subTest(text=text):
                self.fails(self.speak(text), 2)
        done = run("speak", "-", "-o", self.folder / "x.wav", *TINY_MODEL, data=b"hel\0lo there")
        self.assertEqual(done.returncode, 0, done.errors)

    def test_voices_of_romanised_text_take_other_letters(self):
        def speak(text):
            return run("speak", text, "-o", self.folder / "x.wav", "-m", TINY / "vits-mms", "--no-cache", "--check", "off", "--seed", "1")
        hangul = speak("한국")
        self.assertEqual(hangul.returncode, 0, hangul.errors)
        self.assertIn("Latin letters", hangul.errors)
        written = (self.folder / "x.wav").read_bytes()
        latin = speak("hangug")
        self.assertEqual((latin.returncode, latin.errors), (0, ""))
        self.assertEqual((self.folder / "x.wav").read_bytes(), written)

    def test_text_of_other_letters_is_told_those_of_the_voice(self):
        self.fails(self.speak("你好"), 2, "its letters are a b c")

    def test_a_word_without_end(self):
        done = run("speak", "-", "-o", self.folder / "x.wav", "--retries", "-1", *TINY_MODEL, data=b"ab" * 5000)
        self.assertEqual(done.returncode, 0, done.errors)

    def test_numbers_are_read_unless_told_otherwise(self):
        self.assertGreater(self.facts("123456")["duration"], 0)
        self.fails(self.speak("123456", "--no-normalise"), 2, "knows none of the 6 characters")

    def test_stream_tells_what_happens(self):
        data = b"<speak>Hello there. <mark name='m'/>How are you today?</speak>"
        done = run("speak", "-", "--stream", "-o", self.folder / "s.wav", "--format", "json", *TINY_MODEL, data=data)
        self.assertEqual(done.returncode, 0, done.errors)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line.get("event") for line in lines], ["sentence", "mark", "sentence", None])
        self.assertEqual((lines[1]["name"], lines[-1]["marks"][0]["time"]), ("m", lines[1]["time"]))
        with wave.open(str(self.folder / "s.wav")) as clip:
            self.assertAlmostEqual(clip.getnframes() / clip.getframerate(), lines[-1]["duration"], places=2)

    def test_stream_is_heard_before_its_text_ends(self):
        command = [SONANT, "speak", "-", "--stream", "-o", "-", "--audio", "pcm", *map(str, TINY_MODEL)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as speaking:
            for byte in "Wörter kommen langsam, one by one, ".encode():
                speaking.stdin.write(bytes([byte]))
                time.sleep(0.002)
            first = os.read(speaking.stdout.fileno(), 2)
            self.assertTrue(first)
            speaking.stdin.write(b"until the end.")
            speaking.stdin.close()
            rest = speaking.stdout.read()
            self.assertEqual(speaking.wait(), 0, speaking.stderr.read())
        self.assertGreater(len(rest), len(first))

    def test_an_interrupted_stream_leaves_nothing(self):
        with subprocess.Popen([SONANT, "speak", "-", "--stream", "-o", self.folder / "s.wav", *map(str, TINY_MODEL)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as speaking:
            speaking.stdin.write(b"Hello there. How are you? ")
            speaking.stdin.flush()
            end = time.monotonic() + 60
            while not list(self.folder.iterdir()) and speaking.poll() is None:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            speaking.send_signal(signal.SIGINT)
            self.assertEqual(speaking.wait(60), 12)
            self.assertIn(b"interrupted", speaking.stderr.read())
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_stream_that_ends_badly(self):
        def stream(data, *args):
            return run("speak", "-", "--stream", "-o", self.folder / "x.wav", *TINY_MODEL, *args, data=data)
        self.fails(stream(b""), 2)
        self.fails(stream(b"Hello there. \xff"), 4, "UTF-8")
        self.fails(stream(b"Hello there. \xc3"), 4, "UTF-8")
        self.fails(stream(b"<speak>Hello there. </p>"), 4, "line 1")
        self.fails(run("speak", "Hello", "--stream", "-o", self.folder / "x.wav", *TINY_MODEL), 2, "standard input")
        self.fails(stream(b"Hello there.", "--no-overwrite"), 2, "--no-overwrite")
        self.assertEqual(list(self.folder.iterdir()), [])


@installed("joe")
class Real(Case):
    @installed("joe", "base", "dnsmos")
    def test_a_precision_is_for_the_voice_and_what_helps_takes_what_it_can(self):
        """The check's models are loaded beside the voice; one of them computes in float32 only."""
        done = run("speak", "hello there, how are you?", "-m", "joe", "--dtype", "bf16", "--check", "on", "-o", self.folder / "a.wav", "--format", "json")
        self.assertEqual(0, done.returncode, done.errors)
        said = json.loads(done.stdout)
        self.assertEqual("bf16", said["dtype"])
        self.assertIsNotNone(said["quality_score"])

    @installed("base")
    def test_speech_is_read_back(self):
        done = run("speak", "The train to London leaves at half past seven. Nobody knows what will happen tomorrow.", "-o",
                   self.folder / "a.wav", "--verify", "--verify-model", "base", "--format", "json")
        facts = json.loads(done.stdout)
        self.assertLessEqual(facts["word_error_rate"], 0.3)
        self.assertIn(facts["attempts"], (1, 2))

    @installed("base")
    def test_given_phonemes_are_heard(self):
        for ipa, word in (("b\u02c8\u028ct\u0259", "butter"), ("w\u02c8\u0254\u02d0t\u0259", "water")):
            text = f"<speak>She wanted some <phoneme ph='{ipa}'>xyz</phoneme> for the bread.</speak>"
            self.assertEqual(run("speak", text, "-o", self.folder / "a.wav").returncode, 0)
            done = run("transcribe", self.folder / "a.wav", "-m", "base", "-l", "en")
            self.assertIn(word, done.stdout.decode().lower())

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
