"""Looking at audio, rating it, converting it, with the program."""
import json
import math
import os
import random
import struct
import zlib

from cli import AUDIO, Case, installed, run, write_wav

JFK = AUDIO / "jfk.wav"


def sine(level, hertz=440, seconds=2, rate=16000):
    """A sine of a level in dBFS (of its power), as 16-bit samples; what leaves full scale is cut off."""
    peak = 32768 * math.sqrt(2) * 10 ** (level / 20)
    return pack(peak * math.sin(2 * math.pi * hertz * i / rate) for i in range(int(seconds * rate)))


def pack(samples):
    values = [max(-32768, min(32767, round(x))) for x in samples]
    return struct.pack(f"<{len(values)}h", *values)


def noise_below(hertz, seconds=2, rate=16000):
    """Noise with nothing above a frequency: a sum of sines at random."""
    draw = random.Random(1)
    parts = [(f, draw.uniform(0, 2 * math.pi)) for f in range(50, hertz, 50)]
    period = [sum(math.sin(2 * math.pi * f * i / rate + p) for f, p in parts) for i in range(rate // 50)]
    scale = 8000 / max(map(abs, period))
    return pack(scale * x for x in period * int(50 * seconds))


def facts(*args, **more):
    done = run(*args, "--json", **more)
    assert done.returncode == 0, done.errors
    return json.loads(done.stdout)


def read_png(path):
    """Width, height, and the bytes of the picture without its filters' undoing."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        part = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + part) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        size = struct.unpack(">II", part[:8]) if kind == b"IHDR" else size
        body += part if kind == b"IDAT" else b""
        at += 12 + length
    return *size, zlib.decompress(body)


class Signals(Case):
    """What is known of a signal is what is measured."""

    def rate(self, data, rate=16000, *args):
        file = self.folder / "a.wav"
        write_wav(file, data, rate)
        return facts("quality", file, "--no-scores", *args)

    def test_a_sine(self):
        q = self.rate(sine(-20))
        self.assertAlmostEqual(q["rms"], -20, delta=0.05)
        self.assertAlmostEqual(q["peak"], -16.99, delta=0.05)
        self.assertAlmostEqual(q["true_peak"], -16.99, delta=0.1)
        self.assertAlmostEqual(q["loudness"], -20.7, delta=1)  # K-weighting is near 0 dB at 440 Hz
        self.assertAlmostEqual(q["duration"], 2, places=3)
        self.assertEqual((q["clipped_runs"], q["silence"], q["dnsmos"]), (0, 0, None))

    def test_a_clipped_sine(self):
        q = self.rate(sine(3))
        self.assertGreater(q["clipping"], 0.2)
        self.assertIn("clipped", [p["code"] for p in q["problems"]])
        self.assertLess(q["score"], 2.5)

    def test_silence(self):
        q = self.rate(bytes(64000))
        self.assertEqual((q["score"], q["peak"], q["silence"]), (1, -100, 1))
        self.assertEqual([p["code"] for p in q["problems"]], ["silent"])

    def test_an_offset(self):
        q = self.rate(pack([3277] * 16000))
        self.assertAlmostEqual(q["dc"], 0.1, places=3)
        self.assertIn("dc", [p["code"] for p in q["problems"]])

    def test_half_silence(self):
        self.assertAlmostEqual(self.rate(sine(-20) + bytes(64000))["silence"], 0.5, delta=0.02)

    def test_what_has_no_high_frequencies(self):
        q = self.rate(noise_below(3400))
        self.assertAlmostEqual(q["bandwidth"], 3400, delta=150)
        self.assertIn("narrow", [p["code"] for p in q["problems"]])
        self.assertGreater(self.rate(noise_below(7900))["bandwidth"], 7700)

    def test_the_pitch_of_a_tone(self):
        file = self.folder / "a.wav"
        for hertz in (100, 220, 440):
            write_wav(file, sine(-20, hertz))
            a = facts("analyze", file, "--language", "off")
            self.assertAlmostEqual(a["pitch"]["median"], hertz, delta=0.02 * hertz)
            self.assertAlmostEqual(a["spectrum"]["centroid"], hertz, delta=60)
            strongest = max(a["spectrum"]["bands"], key=lambda b: b["level"])
            self.assertTrue(0.7 < hertz / strongest["center"] < 1.42)
            self.assertAlmostEqual(strongest["level"], -20, delta=0.5)

    def test_other_rates_and_one_sample(self):
        for rate in (8000, 44100, 96000):
            self.assertEqual(self.rate(sine(-20, rate=rate), rate)["sample_rate"], rate)
        q = self.rate(b"\0\1")
        self.assertEqual(q["duration"], 0)
        self.assertIn("too_short", [p["code"] for p in q["problems"]] + ["too_short"] * (q["score"] == 1))


class Quality(Case):
    def test_several_files_and_a_bad_one(self):
        write_wav(self.folder / "a.wav", sine(-20))
        (self.folder / "b.wav").write_text("this is no audio")
        done = run("quality", self.folder / "b.wav", self.folder / "none.wav", self.folder / "a.wav", "--no-scores", "--format", "json")
        self.fails(done, 4, "b.wav", "none.wav")
        self.assertEqual(json.loads(done.stdout)["file"], str(self.folder / "a.wav"))

    def test_mistakes(self):
        write_wav(self.folder / "a.wav", sine(-20))
        self.fails(run("quality"), 2, "FILE")
        self.fails(run("quality", self.folder / "a.wav", "--format", "xml"), 2, "json")
        self.fails(run("quality", self.folder / "a.wav", "--windows", "5000"), 2, "1024")
        self.fails(run("quality", self.folder / "a.wav", "-m", "none-such"), 3, "none-such")
        self.fails(run("quality", self.folder / "none.wav"), 3, "none.wav")
        write_wav(self.folder / "empty.wav", b"")
        self.fails(run("quality", self.folder / "empty.wav"), 4, "samples")

    @installed("dnsmos")
    def test_scores_are_the_references(self):
        q = facts("quality", JFK, "--personalised")
        for name, value in {"overall": 2.7150, "signal": 3.4758, "background": 2.9892, "p808": 3.0984}.items():
            self.assertAlmostEqual(q["dnsmos"][name], value, delta=1e-3)
        self.assertEqual((q["dnsmos"]["windows"], q["windows_possible"]), (2, 2))
        self.assertIn("dnsmos_personalised", q)
        again = facts("quality", "-", data=JFK.read_bytes())
        self.assertEqual(again["dnsmos"], q["dnsmos"])

    @installed("dnsmos")
    def test_long_files_are_sampled(self):
        write_wav(self.folder / "a.wav", sine(-20, seconds=20))
        q = facts("quality", self.folder / "a.wav", "--windows", "3")
        self.assertEqual((q["dnsmos"]["windows"], q["windows_possible"]), (3, 7))  # 11, less those that the reference leaves out
        self.assertEqual(facts("quality", self.folder / "a.wav", "--windows", "1")["dnsmos"]["windows"], 1)
        self.assertEqual(facts("quality", self.folder / "a.wav", "--exact")["dnsmos"]["windows"], 7)

    @installed("silero-vad")
    def test_noise_lowers_the_ratio(self):
        with JFK.open("rb") as file:
            speech = struct.unpack("<176000h", file.read()[-352000:])
        draw = random.Random(2)
        ratios = []
        for level in (20, 300, 3000):
            write_wav(self.folder / "a.wav", pack(x + draw.gauss(0, level) for x in speech))
            ratios.append(facts("quality", self.folder / "a.wav", "--no-scores")["snr"])
        self.assertTrue(ratios[0] > ratios[1] + 1 and ratios[1] > ratios[2] + 10, ratios)


class Analyze(Case):
    def test_a_picture(self):
        file, picture = self.folder / "a.wav", self.folder / "a.png"
        write_wav(file, sine(-20) + bytes(32000) + noise_below(7900))
        done = run("analyze", file, "--plot", picture, "--size", "800x500", "--language", "off")
        self.assertEqual(done.returncode, 0, done.errors)
        width, height, pixels = read_png(picture)
        self.assertEqual((width, height), (800, 500))
        self.assertGreater(len(set(pixels)), 100)
        self.assertGreater(len(picture.read_bytes()), 10000)

    def test_a_picture_that_cannot_be(self):
        file = self.folder / "a.wav"
        write_wav(file, sine(-20))
        self.fails(run("analyze", file, "--plot", self.folder / "no" / "a.png"), 3, "a.png")
        self.fails(run("analyze", file, "--plot", self.folder / "a.png", "--size", "10x10"), 2, "10 x 10")
        self.fails(run("analyze", file, "--plot", self.folder / "a.png", "--size", "large"), 2, "1600x900")
        self.fails(run("analyze", file, file, "--plot", self.folder / "a.png"), 2, "same file")
        self.fails(run("analyze", "-", "--words", data=file.read_bytes()), 2, "read twice")
        self.fails(run("analyze", self.folder / "none.wav"), 3, "none.wav")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["a.wav"])

    @installed("silero-vad")
    def test_speech(self):
        a = facts("analyze", JFK, "--language", "off")
        self.assertTrue(3 <= len(a["speech"]) <= 6)
        self.assertAlmostEqual(a["speech"][0]["start"], 0.32, delta=0.1)
        self.assertAlmostEqual(sum(s["end"] - s["start"] for s in a["speech"]) / 11, a["quality"]["speech"], delta=0.01)
        self.assertTrue(100 < a["pitch"]["median"] < 300)

    @installed("base", "silero-vad")
    def test_language_and_words(self):
        self.assertEqual(facts("analyze", JFK)["language"], "en")
        a = facts("analyze", JFK, "--words", "--plot", self.folder / "a.png")
        self.assertIn("ask not", a["text"])
        starts = [w["start"] for w in a["word_timestamps"]]
        self.assertEqual(starts, sorted(starts))
        self.assertEqual(len(starts), 22)
        self.assertEqual(read_png(self.folder / "a.png")[:2], (1600, 900))


class Convert(Case):
    def setUp(self):
        super().setUp()
        self.wav = self.folder / "in.wav"
        write_wav(self.wav, sine(-20))

    def level(self, path):
        return facts("quality", path, "--no-scores")

    def test_round_trips(self):
        for name in ("a.wav", "a.flac", "a.mp3", "a.opus", "a.ogg"):
            done = run("convert", self.wav, self.folder / name)
            self.assertEqual(done.returncode, 0, done.errors)
            q = self.level(self.folder / name)
            self.assertAlmostEqual(q["rms"], -20, delta=0.3)
            self.assertAlmostEqual(q["duration"], 2, delta=0.1)

    def test_bits_rate_and_part(self):
        f = facts("convert", self.wav, self.folder / "a.wav", "--bits", "24", "--rate", "8000", "--start", "0.5", "--end", "1.25")
        self.assertEqual((f["bits"], f["sample_rate"], f["duration"]), (24, 8000, 0.75))
        self.assertEqual((self.folder / "a.wav").stat().st_size, 44 + 6000 * 3)
        run("convert", self.wav, self.folder / "b.wav", "--bits", "32", "--gain", "30")
        self.assertGreater(self.level(self.folder / "b.wav")["peak"], 12)  # floats keep what is beyond full scale

    def test_bitrate(self):
        for name, low, high in (("a.mp3", 32, 128), ("a.opus", 16, 96)):
            sizes = []
            for rate in (low, high):
                self.assertEqual(run("convert", self.wav, self.folder / name, "--bitrate", rate).returncode, 0)
                sizes.append((self.folder / name).stat().st_size)
            self.assertGreater(sizes[1], 1.5 * sizes[0])

    def test_gain_and_loudness(self):
        f = facts("convert", self.wav, self.folder / "a.wav", "--gain", "-10")
        self.assertAlmostEqual(self.level(self.folder / "a.wav")["rms"], -30, delta=0.05)
        self.assertEqual(f["gain"], -10)
        done = run("convert", self.wav, self.folder / "a.wav", "--gain", "25")
        self.assertIn("clipped", done.errors)
        run("convert", self.wav, self.folder / "a.flac", "--loudness", "-16")
        self.assertAlmostEqual(self.level(self.folder / "a.flac")["loudness"], -16, delta=0.2)
        run("convert", self.wav, self.folder / "a.flac", "--loudness", "-5")
        self.assertLess(self.level(self.folder / "a.flac")["true_peak"], -0.8)

    def test_pipes_and_the_file_itself(self):
        done = run("convert", "-", "-", "--audio", "pcm", data=self.wav.read_bytes())
        self.assertEqual(done.stdout, self.wav.read_bytes()[44:])
        self.assertEqual(run("convert", self.wav, self.wav, "--rate", "8000").returncode, 0)
        self.assertEqual(self.level(self.wav)["sample_rate"], 8000)

    def test_channels_are_averaged_and_that_is_said(self):
        write_wav(self.wav, sine(-20), channels=2)
        self.assertIn("2 channels", facts("convert", self.wav, self.folder / "a.wav")["note"])

    def test_nothing_is_left_where_it_fails(self):
        text, out = self.folder / "text.wav", self.folder / "out.wav"
        text.write_text("this is no audio")
        for args, status, says in [((self.folder / "none.wav", out), 3, "none.wav"), ((text, out), 4, "text.wav"), ((self.wav, self.folder / "a.aac"), 2, "aac can be read"),
                                   ((self.wav, self.folder / "a.xyz"), 2, "wav, flac"), ((self.wav, self.folder / "no" / "a.wav"), 3, "folder"),
                                   ((self.wav, out, "--bits", "12"), 2, "16, 24"), ((self.wav, out, "--start", "9"), 2, "2.000 s"),
                                   ((self.wav, out, "--start", "2", "--end", "1"), 2, "behind"), ((self.wav, out, "--rate", "5"), 2, "5 Hz"),
                                   ((self.wav, out, "--bitrate", "64"), 2, "bitrate"), ((self.wav, out, "--loudness", "3"), 2, "LUFS"),
                                   ((self.wav, self.folder / "a.mp3", "--bitrate", "900"), 2, "possible"), ((self.wav,), 2, "OUT")]:
            with self.subTest(args=args):
                self.fails(run("convert", *args), status, says)
        self.assertEqual(sorted(os.listdir(self.folder)), ["in.wav", "text.wav"])
