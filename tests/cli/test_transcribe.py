"""Speech to text with the program."""
import json
import os
import struct
import unittest
import wave

from cli import AUDIO, TINY, Case, distance, installed, run, transcript, words, write_wav

JFK = AUDIO / "jfk.wav"
SAID = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
TINY_MODEL = ["-m", TINY / "whisper", "--no-cache", "--dtype", "f32", "--beam", "1", "--no-fallback"]


def samples(path):
    with wave.open(str(path)) as clip:
        return clip.readframes(clip.getnframes())


class Tiny(Case):
    """Needs no installed weights: a model of random weights writes nonsense, but it writes."""

    def test_bad_audio_is_named_and_the_others_still_run(self):
        good, text, nan, empty, cut = (self.folder / n for n in ("good.wav", "text.wav", "nan.wav", "empty.wav", "cut.wav"))
        write_wav(good, bytes(64000))
        text.write_text("this is no audio")
        empty.write_bytes(b"")
        cut.write_bytes(good.read_bytes()[:20])
        body = struct.pack("<2000f", *([0.0] * 1000 + [float("nan")] + [0.0] * 999))
        nan.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVEfmt " +
                        struct.pack("<IHHIIHH", 16, 3, 1, 16000, 64000, 4, 32) + b"data" + struct.pack("<I", len(body)) + body)
        for file, status in [(text, 4), (nan, 4), (empty, 4), (cut, 4), (self.folder, 4), (self.folder / "none.wav", 3)]:
            with self.subTest(file=file.name):
                done = run("transcribe", file, good, "--format", "json", *TINY_MODEL)
                self.fails(done, status, str(file))
                self.assertEqual(json.loads(done.stdout)["file"], str(good))

    def test_first_failure_decides_the_status(self):
        text = self.folder / "text.wav"
        text.write_text("this is no audio")
        done = run("transcribe", self.folder / "none.wav", text, *TINY_MODEL)
        self.fails(done, 3, "none.wav", "text.wav")

    def test_any_rate_and_channel_count(self):
        for rate, channels in [(8000, 1), (96000, 2), (44100, 8)]:
            file = self.folder / f"{rate}.wav"
            write_wav(file, bytes(2 * rate * channels), rate, channels)
            self.assertAlmostEqual(transcript(file, *TINY_MODEL)["duration"], 1.0, places=3)

    def test_one_sample_works_and_is_explained(self):
        file = self.folder / "one.wav"
        write_wav(file, b"\0\1")
        result = transcript(file, "--vad", "off", *TINY_MODEL)
        self.assertEqual(result["text"], "")
        self.assertEqual([n["code"] for n in result["notes"]], ["too_short"])

    def test_a_file_without_samples_is_an_error(self):
        file = self.folder / "none.wav"
        write_wav(file, b"")
        self.fails(run("transcribe", file, *TINY_MODEL), 4, "none.wav", "samples")

    def test_a_file_cut_short_is_transcribed_and_reported(self):
        file = self.folder / "cut.wav"
        write_wav(file, os.urandom(64000))
        file.write_bytes(file.read_bytes()[:-20000])
        done = run("transcribe", file, *TINY_MODEL)
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertIn("cut.wav", done.errors)
        self.assertIn("truncated", [n["code"] for n in transcript(file, *TINY_MODEL)["notes"]])

    def test_outputs_go_to_a_folder(self):
        for name in ("a.wav", "b.wav"):
            write_wav(self.folder / name, os.urandom(64000))
        out = self.folder / "out"
        done = run("transcribe", self.folder / "a.wav", self.folder / "b.wav", "-o", out, "--format", "srt", *TINY_MODEL)
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.errors)
        self.assertEqual(sorted(p.name for p in out.iterdir()), ["a.srt", "b.srt"])

    def test_lines_of_subtitles_are_checked_before_any_work(self):
        file = self.folder / "none.wav"
        self.fails(run("transcribe", file, "-f", "srt", "--max-line-width", "1001", *TINY_MODEL), 2, "1 to 1000")
        self.fails(run("transcribe", file, "-f", "vtt", "--max-line-count", "-1", *TINY_MODEL), 2, "1 to 100")
        self.fails(run("transcribe", file, "--max-line-width", "20", *TINY_MODEL), 2, "not for text")
        self.fails(run("transcribe", file, *TINY_MODEL, "--beam", "0"), 2, "--beam is 1 to 16, not 0")

    def test_models_to_retry_are_checked_before_any_work(self):
        file = self.folder / "none.wav"
        self.fails(run("transcribe", file, "--retry", "nobody", *TINY_MODEL), 3, "no model 'nobody'")
        self.fails(run("transcribe", file, "--retry", TINY / "vits-piper", *TINY_MODEL), 6, "cannot be used to transcribe")
        self.fails(run("transcribe", file, "--min-confidence", "0.5", *TINY_MODEL), 2, "--min-confidence needs --retry")
        self.fails(run("transcribe", file, "--retry", TINY / "whisper", *TINY_MODEL), 3, "none.wav")

    def test_an_output_that_cannot_be_written(self):
        write_wav(self.folder / "a.wav", bytes(64000))
        self.fails(run("transcribe", self.folder / "a.wav", "-o", self.folder / "no" / "x", *TINY_MODEL), 8, "no/x")

    def test_languages_tasks_and_options_the_model_lacks(self):
        write_wav(self.folder / "a.wav", bytes(64000))
        for args, status in [(["-l", "klingon"], 2), (["-l", "sw"], 6), (["--task", "sing"], 2),
                             (["--beam", "77"], 2), (["--vad-threshold", "7"], 2), (["-m", "joe-who"], 3)]:
            with self.subTest(args=args):
                self.fails(run("transcribe", self.folder / "a.wav", *TINY_MODEL, *args), status, args[-1].strip("-"))

    def test_a_read_only_home_is_no_obstacle(self):
        write_wav(self.folder / "a.wav", bytes(64000))
        done = run("transcribe", self.folder / "a.wav", "-m", TINY / "whisper", env={"SONANT_HOME": "/proc/none"})
        self.assertEqual(done.returncode, 0, done.errors)


@unittest.skipUnless(JFK.exists(), "no clip")
@installed("base", "silero-vad")
class Real(Case):
    def test_says_what_was_said(self):
        for args in (["--beam", "1"], ["--vad", "off", "--beam", "1"], ["--dtype", "f32"],
                     ["--dtype", "bf16", "--beam", "1"], ["--dtype", "int8", "--beam", "1"]):
            with self.subTest(args=args):
                result = transcript(JFK, *args)
                self.assertEqual(" ".join(words(result["text"])), SAID)
                self.assertEqual(result["language"], "en")
                self.assertAlmostEqual(result["duration"], 11.0, places=2)
                self.assertGreater(result["avg_confidence"], 0.6)
                self.assertEqual([s["id"] for s in result["segments"]], list(range(len(result["segments"]))))

    def test_two_clips_joined_give_both_texts_at_shifted_times(self):
        gap = bytes(2 * 16000 * 2)
        both = self.folder / "both.wav"
        write_wav(both, samples(JFK) + gap + samples(JFK))
        for vad in ("on", "off"):
            with self.subTest(vad=vad):
                result = transcript(both, "--vad", vad, "--beam", "1", "-l", "en")
                self.assertLessEqual(distance(words(result["text"]), words(SAID + " " + SAID)), 4, result["text"])
                starts = [s["start"] for s in result["segments"]]
                self.assertEqual(starts, sorted(starts))
                self.assertTrue(any(abs(start - 13) < 1.2 for start in starts), starts)
                self.assertLessEqual(result["segments"][-1]["end"], 24.0)

    def test_same_bytes_for_any_threads_and_in_any_batch(self):
        long = self.folder / "long.wav"
        write_wav(long, (samples(JFK) + bytes(32000)) * 6)
        results = []
        for args in (["--threads", "1"], ["--threads", "2"], ["--threads", "4"], ["--batch", "1"], ["--batch", "3"]):
            result = transcript(long, "--vad", "on", "-m", "base", "--beam", "1", *args)
            del result["processing_time"]
            results.append(result)
        self.assertGreater(len(results[0]["segments"]), 5)
        for other in results[1:]:
            self.assertEqual(results[0], other)

    def test_standard_input_and_formats(self):
        data = JFK.read_bytes()
        text = run("transcribe", "-", "--beam", "1", data=data)
        self.assertEqual(text.stdout.count(b"\n"), 1)
        self.assertEqual(text.errors, "")
        srt = run("transcribe", "-", "--beam", "1", "--format", "srt", data=data).stdout.decode()
        self.assertRegex(srt, r"^1\n00:00:0\d,\d{3} --> 00:00:\d\d,\d{3}\nAnd so")
        vtt = run("transcribe", JFK, "--beam", "1", "--format", "vtt").stdout.decode()
        self.assertRegex(vtt, r"^WEBVTT\n\n00:00:0\d\.\d{3} --> ")
        tsv = run("transcribe", JFK, "--beam", "1", "--format", "tsv").stdout.decode()
        self.assertRegex(tsv, r"^start\tend\ttext\n\d+\t\d+\tAnd so")
        verbose = json.loads(run("transcribe", JFK, "--beam", "1", "--format", "verbose_json").stdout)
        self.assertIn("tokens", verbose["segments"][0])

    def test_no_words_where_there_is_no_speech(self):
        silence = self.folder / "silence.wav"
        write_wav(silence, bytes(2 * 16000 * 5))
        result = transcript(silence)
        self.assertEqual((result["text"], [n["code"] for n in result["notes"]]), ("", ["no_speech"]))
        done = run("transcribe", silence)
        self.assertEqual((done.returncode, done.stdout), (0, b"\n"))
        self.assertIn("no speech", done.errors)

    def test_a_prompt_sets_the_spelling(self):
        result = transcript(JFK, "--prompt", "my fellow AMERICANS", "--beam", "1", "-l", "english")
        self.assertEqual(" ".join(words(result["text"])), SAID)

    def test_example_program(self):
        done = run(JFK, program=os.path.join(os.environ["EXAMPLES"], "transcribe"))
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertIn("ask not what your country", done.stdout.decode())
        self.fails(run(program=os.path.join(os.environ["EXAMPLES"], "transcribe")), 2, "usage")


@unittest.skipUnless(JFK.exists(), "no clip")
@installed("tiny.en")
class English(Case):
    def test_knows_english_only(self):
        self.assertEqual(" ".join(words(transcript(JFK, "-m", "tiny.en", "--beam", "1")["text"])), SAID)
        self.fails(run("transcribe", JFK, "-m", "tiny.en", "-l", "de"), 6, "English")
        self.fails(run("transcribe", JFK, "-m", "tiny.en", "--task", "translate"), 6, "translate")
