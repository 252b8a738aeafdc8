"""Marks for letters, and words that are expected."""
import re

from cli import AUDIO, TINY, Case, installed, run, transcript

JFK = AUDIO / "jfk.wav"
LETTERS = ["-m", TINY / "wav2vec2-base", "--no-cache", "--dtype", "f32"]


class Marks(Case):
    """A model of random weights writes nonsense of capital letters."""

    def test_letters_become_sentences(self):
        plain, marked = transcript(JFK, *LETTERS, "--punctuate", "off"), transcript(JFK, *LETTERS)
        self.assertEqual([], plain["notes"])
        self.assertEqual(["punctuated"], [note["code"] for note in marked["notes"]])
        self.assertIn("rules", marked["notes"][0]["message"])
        self.assertEqual(re.sub(r"[.,?]", "", marked["text"]).lower(), plain["text"].lower())
        self.assertNotEqual(marked["text"], plain["text"])
        self.assertRegex(marked["text"], r"^[^a-z]*[A-Z][^A-Z]*[.]")
        for a, b in zip(plain["word_timestamps"], marked["word_timestamps"], strict=True):
            self.assertEqual((a["start"], a["end"], a["confidence"]), (b["start"], b["end"], b["confidence"]))

    def test_a_classifier_writes_the_marks(self):
        for name in ("bert", "distilbert", "electra", "roberta", "xlm-roberta"):
            with self.subTest(name=name):
                result = transcript(JFK, *LETTERS, "--punctuation", TINY / f"{name}-punctuation", timeout=60)
                self.assertIn(f"{name}-punctuation", result["notes"][0]["message"])

    def test_what_cannot_punctuate_is_refused(self):
        self.fails(run("transcribe", JFK, *LETTERS, "--punctuation", TINY / "wav2vec2-large"), 6, "punctuate")
        self.fails(run("transcribe", JFK, *LETTERS, "--punctuation", "no-such-model"), 3, "no-such-model")

    def test_a_classifier_is_described(self):
        done = run("models", "info", TINY / "xlm-roberta-punctuation", "--no-cache")
        self.assertEqual(0, done.returncode, done.errors)
        self.assertRegex(done.stdout.decode(), r"architecture +bert\s+task +punctuate")


@installed("openai/whisper-base", "en_US-joe-medium")
class HotWords(Case):
    def spoken(self, text):
        """Phonemes are given where they matter: releases of espeak-ng differ, and what is heard with them."""
        file = self.folder / "spoken.wav"
        done = run("speak", text, "-o", file, "-m", "joe", "--seed", "1")
        self.assertEqual(0, done.returncode, done.errors)
        return file

    def test_a_rare_name_is_written_when_it_is_listed(self):
        file = self.spoken('<speak><phoneme alphabet="ipa" ph="kjuːbənˈɛɾɪs">Kubernetes</phoneme> was the first word in the letter.</speak>')
        for beam in ("1", "5"):
            with self.subTest(beam=beam):
                options = [file, "-m", "base", "-l", "en", "--beam", beam]
                self.assertNotIn("Kubernetes", transcript(*options)["text"])
                self.assertIn("Kubernetes was the first word", transcript(*options, "--hotwords", "Kvothe, Kubernetes, Siobhan")["text"])

    def test_words_that_nobody_says_are_not_written(self):
        options = [JFK, "-m", "base", "-l", "en"]
        names = "Kvothe, Kubernetes, Zbigniew, New York City, Askov, Amerika Nord, Fellowes, countess, Yosemite"
        self.assertEqual(transcript(*options)["text"], transcript(*options, "--hotwords", names)["text"])

    def test_too_many_are_refused(self):
        self.fails(run("transcribe", JFK, "-m", "base", "--hotwords", "name, " * 700), 10, "4096")
