"""sonant enhance, and transcribe --denoise."""
import json
import random
import struct
import wave

from cli import AUDIO, Case, distance, installed, run, transcript, words, write_wav


def samples(path):
    with wave.open(str(path)) as file:
        return struct.unpack(f"<{file.getnframes()}h", file.readframes(file.getnframes())), file.getframerate()


def noisy(path, level=1200, seed=1):
    """The clip with white noise."""
    clip, rate = samples(AUDIO / "jfk.wav")
    draw = random.Random(seed)
    mixed = [max(-32768, min(32767, s + round(draw.gauss(0, level)))) for s in clip]
    write_wav(path, struct.pack(f"<{len(mixed)}h", *mixed), rate)
    return path


SAID = words("And so my fellow Americans ask not what your country can do for you ask what you can do for your country")


class Enhance(Case):
    def enhance(self, *args, **more):
        done = run("enhance", *args, "--json", **more)
        self.assertEqual(done.returncode, 0, done.errors)
        return json.loads(done.stdout)

    def test_loudness_and_peaks(self):
        out = self.folder / "out.wav"
        facts = self.enhance(AUDIO / "jfk.wav", "-o", out, "--denoise", "off", "--loudness", "-14", "--ceiling", "-2")
        self.assertTrue(facts["success"])
        self.assertAlmostEqual(facts["after"]["loudness"], -14, delta=1)
        self.assertLessEqual(facts["after"]["true_peak"], -2)
        self.assertEqual([s["name"] for s in facts["stages"]], ["declip", "highpass", "denoise", "compress", "loudness", "limit"])
        again = self.enhance(out, "-o", self.folder / "again.wav", "--denoise", "off", "--normalise", "off", "--highpass", "off")
        self.assertAlmostEqual(again["before"]["loudness"], facts["after"]["loudness"], delta=0.1)
        self.assertAlmostEqual(again["after"]["loudness"], again["before"]["loudness"], delta=0.1)
        self.assertEqual(len(samples(out)[0]), len(samples(AUDIO / "jfk.wav")[0]))

    def test_formats_and_rates(self):
        for ending, rate in [("flac", 44100), ("mp3", 22050), ("opus", 48000), ("pcm", 8000)]:
            out = self.folder / f"out.{ending}"
            facts = self.enhance(AUDIO / "jfk.wav", "-o", out, "--denoise", "off", "--rate", rate)
            self.assertEqual(facts["sample_rate"], rate)
            self.assertGreater(out.stat().st_size, 1000)
        piped = run("enhance", "-", "-o", "-", "--denoise", "off", data=(AUDIO / "jfk.wav").read_bytes())
        self.assertEqual(piped.returncode, 0, piped.errors)
        self.assertEqual(piped.stdout[:4], b"RIFF")

    def test_over_itself(self):
        path = self.folder / "clip.wav"
        path.write_bytes((AUDIO / "jfk.wav").read_bytes())
        facts = self.enhance(path, "-o", path, "--denoise", "off")
        self.assertAlmostEqual(facts["duration"], 11, delta=0.01)
        self.assertEqual(len(samples(path)[0]), 176000)

    def test_clipped(self):
        clip, rate = samples(AUDIO / "jfk.wav")
        path = self.folder / "clipped.wav"
        write_wav(path, struct.pack(f"<{len(clip)}h", *(max(-9000, min(9000, s)) for s in clip)), rate)
        facts = self.enhance(path, "-o", self.folder / "out.wav", "--denoise", "off")
        self.assertGreater(facts["clipped_samples"], 500)
        self.assertGreater(facts["repaired_samples"], facts["clipped_samples"] // 2)
        clean = self.enhance(AUDIO / "jfk.wav", "-o", self.folder / "out.wav", "--denoise", "off")
        self.assertEqual(clean["clipped_samples"], 0)

    def test_channels_and_text(self):
        clip, rate = samples(AUDIO / "jfk.wav")
        path = self.folder / "stereo.wav"
        write_wav(path, b"".join(struct.pack("<hh", s, s) for s in clip), rate, 2)
        done = run("enhance", path, "-o", self.folder / "out.wav", "--denoise", "off", "--format", "text")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertIn("the 2 channels were averaged", done.errors)
        self.assertIn("loudness", done.stdout.decode())

    def test_refused(self):
        out = self.folder / "out.wav"
        for args, status, says in [
            ((), 2, "no IN was given"), ((AUDIO / "jfk.wav",), 2, "-o OUT is missing"), ((self.folder / "none.wav", "-o", out), 3, "none.wav"),
            ((AUDIO / "jfk.wav", "-o", out, "--loudness", "5"), 2, "-40 to -5"), ((AUDIO / "jfk.wav", "-o", out, "--rate", "100"), 2, "100 Hz"),
            ((AUDIO / "jfk.wav", "-o", self.folder / "out.xyz"), 2, "xyz"), ((AUDIO / "jfk.wav", "-o", "-", "--json"), 2, "standard output"),
            ((AUDIO / "jfk.wav", "-o", self.folder / "no" / "out.wav"), 3, "out.wav"), ((AUDIO / "SOURCES.tsv", "-o", out), 4, "SOURCES.tsv"),
        ]:
            done = run("enhance", *args)
            self.assertEqual(done.returncode, status, f"{args}: {done.errors}")
            self.assertIn(says, done.errors)
            self.assertFalse(out.exists())

    def test_no_model(self):
        home = {"SONANT_HOME": str(self.folder / "empty")}
        done = run("enhance", AUDIO / "jfk.wav", "-o", self.folder / "out.wav", "--denoise", "on", env=home)
        self.assertEqual(done.returncode, 3, done.errors)
        self.assertIn("models pull", done.errors)
        facts = self.enhance(AUDIO / "jfk.wav", "-o", self.folder / "out.wav", env=home)
        stage = facts["stages"][2]
        self.assertFalse(stage["done"])
        self.assertIn("skipped", stage["message"])

    @installed("deepfilternet3", "dnsmos")
    def test_scores(self):
        facts = self.enhance(noisy(self.folder / "noisy.wav"), "-o", self.folder / "out.wav", "--scores", "on")
        self.assertGreater(facts["after"]["score"], facts["before"]["score"] + 0.3)
        self.assertEqual(self.enhance(self.folder / "noisy.wav", "-o", self.folder / "out.wav", "--denoise", "off")["after"]["score"], 0)

    @installed("deepfilternet3")
    def test_noise_goes(self):
        out = self.folder / "out.wav"
        facts = self.enhance(noisy(self.folder / "noisy.wav"), "-o", out)
        self.assertEqual(facts["denoiser"], "deepfilternet3")
        self.assertGreater(facts["noise_reduction"], 10)
        self.assertGreater(facts["after"]["snr"], facts["before"]["snr"] + 10)
        mild = self.enhance(self.folder / "noisy.wav", "-o", out, "--attenuation", "6", "--normalise", "off")
        self.assertAlmostEqual(mild["noise_reduction"], 6, delta=2)


class Denoise(Case):
    @installed("deepfilternet3", "openai/whisper-base")
    def test_words_in_noise(self):
        path = noisy(self.folder / "noisy.wav", 2000)
        plain, clean = transcript(path, "-l", "en"), transcript(path, "-l", "en", "--denoise")
        self.assertLessEqual(distance(words(clean["text"]), SAID), 2)  # compilers' roundings decide between one and two
        note = next(n for n in clean["notes"] if n["code"] == "denoised")
        self.assertIn("deepfilternet3", note["message"])
        self.assertNotIn("denoised", [n["code"] for n in plain["notes"]])
        self.assertEqual(clean["duration"], plain["duration"])
        starts = {w["word"].strip(",.").lower(): w["start"] for w in plain["word_timestamps"]}
        for word in clean["word_timestamps"]:
            key = word["word"].strip(",.").lower()
            if key in ("americans", "fellow"):
                self.assertAlmostEqual(word["start"], starts[key], delta=0.25)

    @installed("openai/whisper-base")
    def test_no_model(self):
        base = next(m["path"] for m in json.loads(run("models", "list", "--format", "json").stdout) if m["name"] == "openai/whisper-base")
        done = run("transcribe", AUDIO / "jfk.wav", "-m", base, "--denoise", env={"SONANT_HOME": str(self.folder / "empty")})
        self.assertEqual(done.returncode, 3, done.errors)
        self.assertIn("deepfilternet3", done.errors)
        self.assertIn("models pull", done.errors)

