"""Times of models' parts: every kind of model has its piece of work."""
import json

from cli import TINY, Case, installed, run


class Bench(Case):
    def parts(self, model):
        done = run("bench", "-p", model, "--dtype", "f32", "--runs", "2", "--json", "--no-cache")
        self.assertEqual(0, done.returncode, done.errors)
        measures = {m["name"].rsplit(", load")[-1] or "load": m for m in json.loads(done.stdout)["measures"]}
        for m in measures.values():
            self.assertTrue(0 < m["best"] and m["runs"] >= 2, m)
        return set(measures) - {"load"}

    def test_models_that_speak_and_hear(self):
        self.assertEqual({"encoder, one window", "decoder step"}, self.parts(TINY / "whisper"))
        self.assertEqual({"letters of 11 s"}, self.parts(TINY / "wav2vec2-base"))
        self.assertEqual({"first audio", "3.2 s of speech"}, self.parts(TINY / "vits-dp"))
        self.assertEqual({"vocoder, 3200 frames"}, self.parts(TINY / "speecht5-hifigan"))

    def test_models_beside_them(self):
        self.assertEqual({"a window of up to 128 tokens"}, self.parts(TINY / "bert-punctuation"))
        self.assertEqual({"3 s of a voice"}, self.parts(TINY / "xvector"))

    @installed("silero-vad", "dnsmos", "deepfilternet3")
    def test_models_for_audio(self):
        self.assertEqual({"10 s of audio"}, self.parts("silero-vad"))
        self.assertEqual({"10 s of audio"}, self.parts("deepfilternet3"))
        self.assertEqual({"a window of 9 s"}, self.parts("dnsmos"))
