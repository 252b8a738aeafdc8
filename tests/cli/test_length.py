"""Audio of any length: memory that does not grow with it, text that is written while it is heard, files side by side, windows in batches.

The models are tiny ones with random weights, which write nonsense, but write; SONANT_HOURS=10 makes the long streams that long."""
import array
import json
import math
import os
import pathlib
import random
import signal
import struct
import subprocess
import threading
import time
import unittest

from cli import AUDIO, SONANT, TINY, Case, installed, run, transcript, write_wav

RATE = 16000
JFK = AUDIO / "jfk.wav"
MODEL = ["-m", TINY / "whisper", "--no-cache", "--dtype", "f32"]
PLAIN = ["--beam", "1", "--no-fallback", "--guards", "off"]
HOURS = float(os.environ.get("SONANT_HOURS", "1"))
GROWTH = 4 << 10  # KiB that the peak may grow from ten minutes to hours, beside the text where it is kept
KEPT = 16         # bytes kept for each byte of "json", which needs the whole
SANITIZED = b"__asan_init" in pathlib.Path(SONANT).read_bytes()


def header(size=0xffffffff, rate=RATE, channels=1, tag=1, bits=16):
    """Of a wav; by default the one that a writer to a pipe puts, who does not know the length."""
    frame = channels * bits // 8
    return (b"RIFF" + struct.pack("<I", min(size + 36, 0xffffffff)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, tag, channels, rate, rate * frame, frame, bits) + b"data" + struct.pack("<I", size))


def noise(seconds, seed=1, level=0.01):
    dice = random.Random(seed)
    return array.array("h", (max(-32768, min(32767, int(dice.gauss(0, 32767 * level)))) for _ in range(int(seconds * RATE)))).tobytes()


def speech():
    return JFK.read_bytes()[44:]


def start(*args, **more):
    return subprocess.Popen([SONANT, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def feed(pipe, block, seconds):
    """The block again and again, up to so many seconds."""
    left = int(seconds * RATE) * 2
    try:
        pipe.write(header())
        while left > 0:
            left -= pipe.write(block[:left])
        pipe.close()
    except BrokenPipeError:
        pass


def peak(block, seconds, *args):
    """Peak memory in KiB of a transcription of a stream, and the size of what it wrote."""
    with open("/dev/null") as nothing:
        process = subprocess.Popen([SONANT, "transcribe", "-", *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=nothing.fileno())
    thread = threading.Thread(target=feed, args=(process.stdin, block, seconds))
    thread.start()
    size = 0
    while piece := process.stdout.read1(1 << 16):
        size += len(piece)
    thread.join()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return usage.ru_maxrss, size


@unittest.skipIf(SANITIZED, "a sanitizer keeps what was freed")
class Memory(Case):
    def grows_by(self, block, *args):
        little, _ = peak(block, 600, *args)
        much, size = peak(block, 3600 * HOURS, *args)
        self.assertGreater(size, 1000)
        return much - little, size

    def test_what_is_written_as_it_comes_is_not_kept(self):
        growth, _ = self.grows_by(noise(20), *MODEL, *PLAIN, "--vad", "off", "--format", "srt")
        self.assertLess(growth, GROWTH)

    def test_what_needs_the_whole_keeps_little_more_than_the_text(self):
        growth, size = self.grows_by(noise(20), *MODEL, *PLAIN, "--vad", "off", "--format", "json")
        self.assertLess(growth, GROWTH + KEPT * size / 1024)

    @installed("silero-vad")
    def test_speech_that_is_cut_at_pauses(self):
        growth, _ = self.grows_by(speech() + noise(29), *MODEL, *PLAIN, "--vad", "on", "--format", "jsonl")
        self.assertLess(growth, GROWTH)

    def test_hour_nine_of_a_file_beyond_four_gigabytes(self):
        """44.1 kHz, stereo; its samples are a hole in the file."""
        size = 10 * 3600 * 44100 * 4
        file = self.folder / "ten.wav"
        with file.open("wb") as out:
            out.write(b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", 28, size + 72, size, size // 4, 0) + header(rate=44100, channels=2)[12:])
            out.truncate(out.tell() + size)
        begun = time.monotonic()
        with subprocess.Popen([SONANT, "transcribe", file, *map(str, MODEL), *PLAIN, "--vad", "off", "--format", "tsv", "--from", "32400", "--length", "60"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            text = process.stdout.read().decode()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        rows = [line.split("\t") for line in text.splitlines()[1:]]
        self.assertTrue(rows and all(32400000 <= int(r[0]) <= int(r[1]) <= 32460000 for r in rows), text)
        self.assertLess(usage.ru_maxrss, 128 << 10)
        self.assertLess(time.monotonic() - begun, 60)


class AsItComes(Case):
    def wait_for(self, what, seconds=60):
        end = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), end, "nothing came")
            time.sleep(0.02)
        return found

    def begin(self, block, *args):
        """A stream that has said enough for some text and is not over."""
        process = start("transcribe", "-", *MODEL, *PLAIN, "--vad", "off", *args)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        process.stdin.write(header() + block)
        process.stdin.flush()
        return process

    def test_text_is_there_before_the_audio_ends(self):
        block = noise(95)
        write_wav(self.folder / "a.wav", block)
        for kind, line in [("srt", b" --> "), ("vtt", b" --> "), ("tsv", b"\t"), ("jsonl", b'"start"'), ("text", b"")]:
            with self.subTest(format=kind):
                process = self.begin(block, "--format", kind)
                first = process.stdout.read1(1 << 16)
                while line not in first:
                    first += process.stdout.read1(1 << 16)
                self.assertIsNone(process.poll())
                process.stdin.close()
                text = first + process.stdout.read()
                self.assertEqual(process.wait(60), 0)
                whole = run("transcribe", self.folder / "a.wav", *MODEL, *PLAIN, "--vad", "off", "--format", kind).stdout
                if kind == "jsonl":
                    text, whole = (b"\n".join(t.splitlines()[:-1]) for t in (text, whole))
                self.assertEqual(text, whole)

    def test_an_interrupt_leaves_whole_cues(self):
        out = self.folder / "a.srt"
        for args in ([], ["-o", out]):
            process = self.begin(noise(95), "--format", "srt", *args)
            if args:
                self.wait_for(lambda: out.exists() and out.read_bytes().count(b"\n\n") > 0)
                text = b""
            else:
                text = process.stdout.read1(1 << 16)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 12, errors)
            self.assertLess(time.monotonic() - begun, 60)
            text = out.read_bytes() if args else text + rest
            cues = text.decode().split("\n\n")
            self.assertEqual(cues.pop(), "")
            for i, cue in enumerate(cues):
                self.assertRegex(cue, rf"^{i + 1}\n\d\d:\d\d:\d\d,\d{{3}} --> \d\d:\d\d:\d\d,\d{{3}}\n.")
            self.assertIn(b"interrupted", errors)

    def test_a_failure_in_the_middle_leaves_what_was_written(self):
        """A sample that is no number, after two minutes."""
        dice = random.Random(1)
        body = array.array("f", (dice.gauss(0, 0.01) for _ in range(150 * RATE)))
        file, out = self.folder / "a.wav", self.folder / "a.srt"
        file.write_bytes(header(len(body) * 4, tag=3, bits=32) + body.tobytes())
        whole = run("transcribe", file, *MODEL, *PLAIN, "--vad", "off", "--format", "srt").stdout
        body[120 * RATE] = math.nan
        file.write_bytes(header(len(body) * 4, tag=3, bits=32) + body.tobytes())
        done = run("transcribe", file, *MODEL, *PLAIN, "--vad", "off", "--format", "srt", "-o", out)
        self.fails(done, 4, "120.0")
        text = out.read_bytes()
        self.assertTrue(text.endswith(b"\n\n") and whole.startswith(text))
        missing = run("transcribe", self.folder / "none.wav", *MODEL, "--format", "srt", "-o", out)
        self.fails(missing, 3, "none.wav")
        self.assertEqual(out.read_bytes(), text, "what fails at once leaves an older result alone")

    def test_a_part_has_the_times_of_the_whole(self):
        block = noise(75)
        write_wav(self.folder / "a.wav", block)
        write_wav(self.folder / "part.wav", block[30 * 2 * RATE:60 * 2 * RATE])
        part, cut = (run("transcribe", self.folder / name, *MODEL, *PLAIN, "--vad", "off", "--format", "jsonl", *more).stdout.splitlines()
                     for name, more in (("part.wav", []), ("a.wav", ["--from", "30", "--length", "30"])))
        part, cut = ([json.loads(line) for line in lines[:-1]] for lines in (part, cut))
        self.assertTrue(part)
        for s in part:
            for w in [s, *s.get("words", [])]:
                w["start"], w["end"] = round(w["start"] + 30, 3), round(w["end"] + 30, 3)
        self.assertEqual(cut, part)
        self.fails(run("transcribe", self.folder / "a.wav", *MODEL, "--from", "76"), 2, "76")
        self.fails(run("transcribe", self.folder / "a.wav", *MODEL, "--from", "-1"), 2, "-1")


@installed("silero-vad", "tiny.en")
@unittest.skipUnless(JFK.exists(), "no clip")
class FarApart(Case):
    def test_speech_after_minutes_of_silence_takes_no_words_away(self):
        """Both are heard in one window, minutes apart."""
        write_wav(self.folder / "a.wav", speech() + bytes(2 * RATE * 170) + speech())
        result = transcript(self.folder / "a.wav", "-m", "tiny.en", "--beam", "1", "--vad", "on")
        self.assertEqual(result["text"].lower().count("fellow americans"), 2, result["text"])
        starts = [w["start"] for w in result["word_timestamps"] if w["word"].lower().startswith("fellow")]
        self.assertTrue(abs(starts[1] - starts[0] - 181) < 0.5, starts)


class Together(Case):
    """Whoever else is decoded at the same time, texts, times and confidences are what they are alone."""

    def clips(self):
        made = {"short": noise(0.7, 2, 0.1), "loud": noise(9, 3, 0.3), "tone": array.array("h", (int(9000 * math.sin(i / 9)) for i in range(12 * RATE))).tobytes(),
                "long": noise(38, 5, 0.05), "silence": bytes(2 * RATE * 4)}
        if JFK.exists():
            made["speech"] = speech() + noise(14, 6) + speech()[:4 * 2 * RATE]
        for name, data in made.items():
            write_wav(self.folder / (name + ".wav"), data)
        return [self.folder / (name + ".wav") for name in made]

    def transcripts(self, files, *args):
        """By file, without what may differ."""
        done = run("transcribe", *files, "--format", "json" if len(files) > 1 else "verbose_json", *args)
        self.assertEqual(done.returncode, 0, done.errors)
        results = [json.loads(line) for line in done.stdout.splitlines()] if len(files) > 1 else [json.loads(done.stdout)]
        if len(files) > 1:
            self.assertEqual([r.pop("file") for r in results], [str(f) for f in files], "the order of the command line")
        for r in results:
            del r["processing_time"]
        return results

    def same(self, model, *args, warm=True):
        files = self.clips()
        alone = [self.transcripts([f], *model, *args, "--batch", "1")[0] for f in files]
        temperatures = {s["temperature"] for r in alone for s in r["segments"]}
        self.assertTrue(not warm or max(temperatures) > 0, temperatures)
        for r in alone:
            for s in r["segments"]:
                for name in ("tokens", "token_logprobs", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"):
                    s.pop(name, None)
        for batch in ("1", "2", "4", "8"):
            with self.subTest(batch=batch):
                self.assertEqual(self.transcripts(files, *model, *args, "--batch", batch, "--jobs", "4"), alone)

    def test_greedy(self):
        self.same(MODEL, "--beam", "1", "--guards", "off", "--vad", "off")

    def test_beams_and_all_temperatures(self):
        self.same(MODEL, "--beam", "5", "--guards", "off", "--vad", "off", "--seed", "7")

    @installed("silero-vad", "tiny.en")
    @unittest.skipUnless(JFK.exists(), "no clip")
    def test_words_of_a_real_model(self):
        self.same(["-m", "tiny.en"], "--beam", "1", "--vad", "on", warm=False)

    def test_one_that_fails_stops_no_other(self):
        good = self.clips()[1]
        (self.folder / "bad.wav").write_text("this is no audio")
        files = [good, self.folder / "bad.wav", good, self.folder / "none.wav", good]
        done = run("transcribe", *files, *MODEL, *PLAIN, "--vad", "off", "--format", "srt")
        self.fails(done, 4, "bad.wav", "none.wav")
        self.assertLess(done.errors.index("bad.wav"), done.errors.index("none.wav"))
        one = run("transcribe", good, *MODEL, *PLAIN, "--vad", "off", "--format", "srt").stdout
        self.assertEqual(done.stdout, 3 * one)
