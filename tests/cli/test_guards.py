"""Nothing is written for silence, noise and music; nothing again and again; a doubtful transcript is tried by another model."""
import array
import collections
import math
import random
import unittest
import wave

from cli import AUDIO, TINY, Case, installed, run, transcript, words, write_wav

RATE = 16000
JFK = AUDIO / "jfk.wav"
TINY_MODEL = ["-m", TINY / "whisper", "--no-cache", "--dtype", "f32", "--beam", "1", "--no-fallback"]


def pcm(values, level=1.0):
    return array.array("h", (max(-32768, min(32767, int(32767 * level * v))) for v in values)).tobytes()


def noise(seconds, seed):
    """Pink, by the sum of white noises that change ever more seldom (Voss)."""
    dice = random.Random(seed)
    rows, total = [0.0] * 8, 0.0
    for i in range(int(seconds * RATE)):
        row = min((i & -i).bit_length() - 1, 7) if i else 0
        total -= rows[row]
        rows[row] = dice.uniform(-1, 1)
        total += rows[row]
        yield (total + dice.uniform(-1, 1)) / 9


def tones(seconds, frequencies, fade=None):
    for i in range(int(seconds * RATE)):
        t = i / RATE
        loud = math.exp(-fade * (t % 1)) if fade else 1
        yield loud * sum(math.sin(2 * math.pi * f * t) for f in frequencies(t)) / len(frequencies(t))


def chords(t):
    return [(262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)][int(t) % 4]


def clicks(seconds):
    return (math.sin(i % 4000) * (1 if i % 4000 < 40 else 0) for i in range(int(seconds * RATE)))


def jfk(start, stop):
    with wave.open(str(JFK)) as clip:
        clip.setpos(int(start * RATE))
        return clip.readframes(int((stop - start) * RATE))


def repeated(text, size, times):
    """n-grams of `size` words that come `times` times or more, one after the other."""
    said = words(text)
    return {" ".join(said[i:i + size]) for i in range(len(said) - size * times + 1)
            if all(said[i:i + size] == said[i + k * size:i + (k + 1) * size] for k in range(times))}


class Options(Case):
    """Needs no installed weights."""

    def test_values_out_of_range_are_refused(self):
        write_wav(self.folder / "a.wav", bytes(32000))
        for args, says in [(["--vad-threshold", "1.5"], "1.5"), (["--vad-pad", "60000"], "60000"), (["--vad-min-silence", "99999"], "99999"),
                           (["--min-confidence", "2", "--retry", TINY_MODEL[1]], "min_confidence")]:
            with self.subTest(args=args):
                self.fails(run("transcribe", self.folder / "a.wav", *TINY_MODEL, *args), 2, says)

    def test_a_clipped_recording_is_noted(self):
        write_wav(self.folder / "a.wav", pcm(tones(1, lambda t: (300,)), 3))
        self.assertIn("clipped", [n["code"] for n in transcript(self.folder / "a.wav", *TINY_MODEL)["notes"]])
        write_wav(self.folder / "b.wav", pcm(tones(1, lambda t: (300,)), 0.5))
        self.assertNotIn("clipped", [n["code"] for n in transcript(self.folder / "b.wav", *TINY_MODEL)["notes"]])


@installed("tiny.en", "silero-vad")
class Quiet(Case):
    def test_no_words_where_nobody_speaks(self):
        """With vad, which hears no speech at all, and without: then the decoder writes something for nearly each of them."""
        made = {"silence": bytes(2 * RATE * 20), "noise": pcm(noise(8, 1), 0.3), "loud noise": pcm(noise(8, 2), 2), "clicks": pcm(clicks(8)),
                "hum": pcm(tones(12, lambda t: (50, 100, 150)), 0.3), "chords": pcm(tones(12, chords, 2), 0.4), "short": bytes(320)}
        for name, data in made.items():
            write_wav(self.folder / (name + ".wav"), data)
            for vad in ("on", "off"):
                with self.subTest(clip=name, vad=vad):
                    result = transcript(self.folder / (name + ".wav"), "-m", "tiny.en", "--vad", vad)
                    self.assertEqual(result["text"], "")
                    self.assertTrue({"no_speech", "no_text", "too_short"} & {n["code"] for n in result["notes"]}, result["notes"])

    def test_what_was_dropped_is_named(self):
        """Without guards the same model writes on silence: with them the note says what, where and why."""
        write_wav(self.folder / "a.wav", bytes(2 * RATE * 20))
        loose = transcript(self.folder / "a.wav", "-m", "tiny.en", "--vad", "off", "--guards", "off")
        self.assertNotEqual(loose["text"], "")
        notes = transcript(self.folder / "a.wav", "-m", "tiny.en", "--vad", "off")["notes"]
        dropped = [n["message"] for n in notes if n["code"] == "guard_silence"]
        self.assertTrue(dropped and words(loose["text"])[0] in dropped[0].lower() and "0.00 to" in dropped[0], notes)


@unittest.skipUnless(JFK.exists(), "no clip")
@installed("base", "tiny.en", "silero-vad")
class Loops(Case):
    def test_nothing_is_repeated_that_was_said_once(self):
        """Silence between and behind words, speech cut in a word, noise behind it."""
        made = {"gaps": jfk(0, 2.2) + bytes(2 * RATE * 6) + jfk(3.2, 4.5) + bytes(2 * RATE * 9) + jfk(5.3, 7.6) + bytes(2 * RATE * 12),
                "cut": jfk(0, 6.1) + pcm(noise(20, 3), 0.05), "hum": jfk(0, 4.5) + pcm(tones(25, lambda t: (120,)), 0.1) + jfk(0, 4.5)}
        for name, data in made.items():
            write_wav(self.folder / (name + ".wav"), data)
            for vad, model in (("on", "base"), ("off", "base"), ("off", "tiny.en")):
                with self.subTest(clip=name, vad=vad, model=model):
                    text = transcript(self.folder / (name + ".wav"), "-m", model, "--vad", vad, "-l", "en", "--beam", "1")["text"]
                    times = 3 if name == "hum" else 2  # one more than was said
                    self.assertFalse(set().union(*(repeated(text, size, times) for size in range(1, 12))), text)
                    self.assertIn("fellow", text)
                    self.assertLessEqual(collections.Counter(words(text))["fellow"], 2 if name == "hum" else 1, text)

    def test_what_is_said_again_is_written_again(self):
        """A real repetition is no loop."""
        write_wav(self.folder / "a.wav", jfk(0, 11) * 3)
        for vad in ("on", "off"):
            text = transcript(self.folder / "a.wav", "-m", "tiny.en", "--vad", vad)["text"]
            self.assertEqual(collections.Counter(words(text))["fellow"], 3, text)

    def test_a_prompt_is_not_echoed(self):
        write_wav(self.folder / "a.wav", jfk(0, 2.2) + pcm(noise(6, 4), 0.02))
        for vad in ("on", "off"):
            text = transcript(self.folder / "a.wav", "--vad", vad, "-l", "en", "--prompt", "A speech about the history of the harbour.")["text"]
            self.assertNotIn("harbour", text)


@unittest.skipUnless(JFK.exists(), "no clip")
@installed("base", "tiny.en")
class Gate(Case):
    def test_the_better_of_two_models_is_kept_and_both_are_named(self):
        data = JFK.read_bytes()
        result = transcript("-", "-m", "tiny.en", "--retry", "base", "--min-confidence", "0.999", "--beam", "1", data=data)
        models = [a["model"].split("-")[-1] for a in result["attempts"]]
        self.assertEqual(models, ["tiny.en", "base"])
        kept = [a for a in result["attempts"] if a["kept"]]
        self.assertEqual([a["confidence"] for a in kept], [max(a["confidence"] for a in result["attempts"])])
        self.assertEqual((kept[0]["model"], kept[0]["confidence"]), (result["model"], result["avg_confidence"]))
        self.assertIn("fellow", result["text"])
        codes = [n["code"] for n in result["notes"]]
        self.assertIn("retried", codes)

    def test_a_sure_transcript_is_left_alone(self):
        result = transcript(JFK, "--retry", "tiny.en", "--min-confidence", "0.3", "--beam", "1")
        self.assertNotIn("attempts", result)
        self.assertNotIn("retried", [n["code"] for n in result["notes"]])
