"""Times of Whisper's words on speech with a known alignment: a small part of what bench/align.py measures."""
import importlib.util
import os
import unittest

from cli import AUDIO, SOURCE, TINY, Case, installed, run, transcript, write_wav

spec = importlib.util.spec_from_file_location("align", SOURCE / "bench" / "align.py")
align = importlib.util.module_from_spec(spec)
spec.loader.exec_module(align)

SPOKEN = os.environ["SPOKEN"]
JFK = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
BASE = ("-m", "base", "-l", "en", "--words")
DELAY = 4.37


def times(result):
    return [(w["word"], w["start"]) for w in result.get("word_timestamps", [])]


class Words(Case):
    def check_order(self, result):
        last = 0
        for word in result["word_timestamps"]:
            self.assertLessEqual(last, word["start"], word)
            self.assertLessEqual(word["start"], word["end"], word)
            self.assertLessEqual(word["end"], result["duration"] + 0.001, word)
            self.assertGreater(word["confidence"], 0)
            last = word["end"]

    def make(self, name, clip):
        clip.write(self.folder / name)
        return self.folder / name

    @installed("base", "joe", "silero-vad")
    def test_spoken_sentences(self):
        clips = [align.speak(SPOKEN, align.SENTENCES[i], i + 1, align.SPEEDS[i % 3], self.folder) for i in (0, 1, 4, 8, 17, 27)]
        clip = align.join(clips, [0.7, 2.6, 0.4, 1.3, 3.2, 0.8])
        path, found = self.make("spoken.wav", clip), []
        for vad in ("on", "off"):
            result = transcript(path, *BASE, "--vad", vad)
            self.check_order(result)
            errors, silent = align.errors(clip, times(result))
            self.assertGreater(len(errors), 40)
            self.assertEqual(silent, 0)
            found += errors
        count, median, most, near = align.summary(found)
        self.assertLessEqual(median, 0.06)
        self.assertGreaterEqual(near, 0.95)

    @installed("base", "silero-vad")
    def test_behind_silence_every_word_comes_later(self):
        piece = align.recorded(AUDIO / "jfk.wav", JFK)
        late = align.Clip()
        late.silence(DELAY)
        late.add(piece.pcm, piece.known)
        for vad in ("on", "off"):
            before, after = (times(transcript(path, *BASE, "--vad", vad)) for path in (AUDIO / "jfk.wav", self.make("late.wav", late)))
            self.assertEqual([align.plain(w) for w, _ in before], [align.plain(w) for w, _ in after])
            moved = [abs(at - early - DELAY) for (_, early), (_, at) in zip(before, after)]
            if vad == "on":
                self.assertLessEqual(max(moved), 0.06, before)
            else: # another window: what the model attends to changes a little
                self.assertLessEqual(align.summary(moved)[1], 0.02)
                self.assertLessEqual(max(moved), 0.15, before)

    @installed("base", "silero-vad")
    def test_joined_clips_begin_where_their_speech_begins(self):
        piece = align.recorded(AUDIO / "jfk.wav", JFK)
        clip = align.join([piece, piece, piece], [1.3, 5.4, 0.9])
        result = transcript(self.make("joined.wav", clip), *BASE)
        self.check_order(result)
        errors, silent = align.errors(clip, times(result))
        self.assertEqual(len(errors), 3)
        self.assertLessEqual(max(map(abs, errors)), 0.2)
        self.assertEqual(silent, 0)

    @installed("base")
    def test_any_way_of_decoding_has_words(self):
        for options in (("--beam", "1"), ("--timestamps", "off"), ("--temperature", "0.4", "--no-fallback"), ("--prompt", "A speech."), ("--vad", "off")):
            result = transcript(AUDIO / "jfk.wav", *BASE, *options)
            self.check_order(result)
            self.assertEqual(" ".join(w["word"] for w in result["word_timestamps"]).split(), result["text"].split(), options)

    @installed("base")
    def test_subtitles_follow_the_words(self):
        done = run("transcribe", AUDIO / "jfk.wav", *BASE, "--format", "srt")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertGreater(done.stdout.count(b" --> "), 1)
        lines = [line for line in done.stdout.decode().splitlines() if "-->" not in line]
        self.assertLessEqual(max(map(len, lines)), 42)
        self.assertGreater(min(len(cue.split("\n", 2)[2].split()) for cue in done.stdout.decode().strip().split("\n\n")), 1)
        narrow = run("transcribe", AUDIO / "jfk.wav", *BASE, "-f", "vtt", "--max-line-width", "20", "--max-line-count", "1").stdout.decode()
        cues = narrow.strip().split("\n\n")[1:]
        self.assertTrue(all(cue.count("\n") == 1 and len(cue.split("\n")[1]) <= 20 for cue in cues), narrow)

    @installed("base")
    def test_silence_and_scraps_have_no_words(self):
        for samples in (160, 1600, 32000):
            write_wav(self.folder / "scrap.wav", bytes(2 * samples))
            self.assertEqual(transcript(self.folder / "scrap.wav", *BASE).get("word_timestamps", []), [])

    def test_checkpoints_of_any_size_have_words(self):
        for name in ("whisper", "whisper-128mel"):
            result = transcript(AUDIO / "jfk.wav", "-m", TINY / name, "-l", "en", "--words", "--vad", "off", "--no-fallback", "--guards", "off")
            if result["text"]:
                self.check_order(result)


if __name__ == "__main__":
    unittest.main()
