"""Live captions with the program: pieces of any size, at the pace of the clock or all at once."""
import json
import random
import subprocess
import threading
import time
import unittest
import wave

from cli import AUDIO, SONANT, TINY, Case, distance, has_fixture, installed, run, transcript, words

JFK = AUDIO / "jfk.wav"
RATE = 16000
MODEL = ["-m", "base", "-l", "en", "--format", "json"]
live = installed("base", "silero-vad")


def samples():
    with wave.open(str(JFK)) as clip:
        return clip.readframes(clip.getnframes())


def listen(data, *args):
    done = run("listen", *MODEL, *args, data=data)
    assert done.returncode == 0, done.errors
    return [json.loads(line) for line in done.stdout.splitlines()]


def joined(events, kind):
    return "".join(e["text"] for e in events if e["kind"] == kind)


def told(events):
    """What will not change: commits and segments, without when they came."""
    return [(e["kind"], e["text"], e["position"]) for e in events if e["kind"] in ("commit", "segment")]


class Use(Case):
    def test_files_are_for_transcribe(self):
        self.fails(run("listen", JFK), 2, "transcribe")

    def test_unknown_format(self):
        self.fails(run("listen", "--format", "srt", data=b""), 2, "srt", "json")

    def test_rates_and_channels_are_checked(self):
        self.fails(run("listen", "--rate", "10", data=b""), 2, "10 Hz")
        self.fails(run("listen", "--channels", "100", data=b""), 2, "100 channels")

    def test_a_wav_of_another_kind_is_named(self):
        header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\xff\xff\xff\xff"
        done = run("listen", *MODEL, data=header + bytes(1000))
        if done.returncode != 3:  # no model installed
            self.fails(done, 4, "8 bits")

    @unittest.skipUnless(has_fixture("wav2vec2-base"), "no fixture")
    def test_wav2vec2_says_why_not(self):
        self.fails(run("listen", "-m", TINY / "wav2vec2-base", "--no-cache", data=b""), 6, "live", "Whisper")


@live
class Live(Case):
    @classmethod
    def setUpClass(cls):
        cls.flood = listen(samples(), "--words")

    def test_commits_are_the_text_of_the_file(self):
        text = joined(self.flood, "commit")
        self.assertEqual(text, joined(self.flood, "segment"))
        self.assertLessEqual(distance(words(text), words(transcript(JFK, "-m", "base", "-l", "en")["text"])), 1)
        self.assertGreaterEqual(len([e for e in self.flood if e["kind"] == "segment"]), 2)

    def test_words_have_times_that_rise(self):
        all_words = [w for e in self.flood if e["kind"] == "commit" for w in e["words"]]
        self.assertEqual(all_words, [w for e in self.flood if e["kind"] == "segment" for w in e["words"]])
        self.assertEqual(" ".join(w["word"] for w in all_words).split(), joined(self.flood, "commit").split())
        ends = [0] + [w["end"] for w in all_words]
        for last, word in zip(ends, all_words):
            self.assertLessEqual(last, word["start"])
            self.assertLessEqual(word["start"], word["end"])
        self.assertLessEqual(ends[-1], 11)
        times = {w["word"].strip(".,!?").lower(): w["start"] for w in all_words}
        self.assertAlmostEqual(times["fellow"], 1.2, delta=0.5)

    def test_any_pieces_give_the_same(self):
        data, random_size = samples(), random.Random(3)
        process = subprocess.Popen([SONANT, "listen", *MODEL, "--words"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def feed():
            at = 0
            while at < len(data):
                size = random_size.choice([1, 3, 7, 333, 4001, 60001])
                process.stdin.write(data[at:at + size])
                process.stdin.flush()
                at += size
            process.stdin.close()
        feeder = threading.Thread(target=feed)
        feeder.start()
        events = [json.loads(line) for line in process.stdout]
        feeder.join()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(told(events), told(self.flood))

    def test_captions_come_while_one_speaks(self):
        data = samples()[:int(4.0 * RATE) * 2]
        process = subprocess.Popen([SONANT, "listen", *MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend((time.monotonic(), json.loads(line)) for line in process.stdout))
        reader.start()
        start = time.monotonic()
        for at in range(0, len(data), 640):
            time.sleep(max(0, start + at / 2 / RATE - time.monotonic()))
            process.stdin.write(data[at:at + 640])
            process.stdin.flush()
        end = start + 100  # a slow machine is given time, its input stays open
        while not any("fellow" in e["text"].lower() for _, e in list(lines) if e["kind"] == "partial") and time.monotonic() < end:
            time.sleep(0.05)
        closed = time.monotonic()
        process.stdin.close()
        reader.join()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        early = [e for when, e in lines if when < closed]
        self.assertIn("partial", [e["kind"] for e in early])
        self.assertIn("fellow", " ".join(e["text"] for e in early if e["kind"] == "partial").lower())
        final = listen(data)
        self.assertEqual(told(e for _, e in lines), told(final))

    def test_the_end_may_come_inside_a_word(self):
        cut = listen(samples()[:int(7.1 * RATE) * 2 + 1])  # and half a sample
        self.assertEqual(joined(cut, "commit"), joined(cut, "segment"))
        self.assertIn("country", joined(cut, "commit"))
        whole = joined(self.flood, "segment")
        first = [e["text"] for e in cut if e["kind"] == "segment"][0]
        self.assertTrue(whole.startswith(first), (whole, first))

    def test_nothing_is_explained(self):
        events = listen(b"")
        self.assertEqual([e["code"] for e in events if e["kind"] == "note"], ["no_audio"])
        events = listen(bytes(5 * RATE * 2))
        self.assertEqual([e["code"] for e in events if e["kind"] == "note"], ["no_speech"])
        self.assertEqual(joined(events, "segment"), "")

    def test_noise_is_no_speech(self):
        events = listen(random.Random(1).randbytes(5 * RATE * 2))
        self.assertEqual(joined(events, "commit"), "")

    def test_a_wav_of_another_rate_in_stereo(self):
        import array
        import io
        mono = array.array("h", samples())
        stereo = array.array("h")
        for s in mono:
            stereo.extend((s, s) * 2)  # 32 kHz
        out = io.BytesIO()
        with wave.open(out, "wb") as clip:
            clip.setnchannels(2)
            clip.setsampwidth(2)
            clip.setframerate(2 * RATE)
            clip.writeframes(stereo.tobytes())
        self.assertLessEqual(distance(words(joined(listen(out.getvalue()), "segment")), words(joined(self.flood, "segment"))), 1)

    def test_lines_on_a_pipe(self):
        done = run("listen", "-m", "base", "-l", "en", data=samples()[:3 * RATE * 2])
        self.assertEqual(done.returncode, 0, done.errors)
        kinds = [line.split()[0] for line in done.stdout.decode().splitlines()]
        self.assertIn("commit", kinds)
        self.assertIn("segment", kinds)

    def test_a_given_language_or_a_detected_one(self):
        done = run("listen", "-m", "base", "--format", "json", data=samples())
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([e["language"] for e in events if e["kind"] == "language"], ["en"])
        self.assertEqual(joined(events, "segment"), joined(self.flood, "segment"))
