"""ONNX Runtime that is too old, that fails, that lacks its device or its memory: the cause is told, and nothing is taken for done."""
import os
import pathlib
import unittest

from cli import AUDIO, TINY, Case, installed, run, write_npy

JFK = AUDIO / "jfk.wav"
SHIM = os.environ.get("ORT_SHIM")
BROKEN = {"FAIL": "RunWithBinding", "TEXT": "something broke"}
HEARING = ["transcribe", JFK, "-m", TINY / "whisper", "--no-cache", "--dtype", "f32", "--beam", "1", "--no-fallback", "--vad", "off"]


@unittest.skipUnless(SHIM, "ONNX Runtime is not here")
class Faults(Case):
    def by(self, *args, home=None, data=None, **shim):
        """Runs the program with an ONNX Runtime that goes wrong: see tests/units/ort_shim.c."""
        env = {"ORT_SHIM_REAL": os.environ["SONANT_ONNXRUNTIME"], "SONANT_ONNXRUNTIME": SHIM, "SONANT_HOME": str(self.folder / "home")} | (home or {})
        return run(*args, data=data, env=env | {f"ORT_SHIM_{key}": value for key, value in shim.items()})

    def by_installed(self, *args, **shim):
        """The same with the models that are installed."""
        return self.by(*args, home={"SONANT_HOME": os.environ.get("SONANT_HOME", "")}, **shim)

    def speak(self, backend, *args, **shim):
        file = self.folder / "out.wav"
        file.unlink(missing_ok=True)
        done = self.by("speak", "hello there", "-o", file, "-m", TINY / "vits-sdp", "--no-cache", "--seed", "3", "--check", "off", "--retries", "-1",
                       "--backend", backend, *args, **shim)
        self.assertEqual(done.returncode == 0, file.exists())
        return done

    def test_the_shim_works_where_nothing_fails(self):
        self.assertEqual(0, self.speak("ort").returncode)
        self.assertEqual(0, self.by(*HEARING, "--backend", "ort").returncode)

    def test_too_old(self):
        self.fails(self.speak("ort", OLD="1"), 14, "too old: version 1.17 or later")

    def test_a_program_that_has_started_it_before(self):
        self.assertEqual(0, self.speak("ort", STARTED="1").returncode)

    def test_a_run_that_fails_is_no_result(self):
        for first in (1, 2):
            self.fails(self.speak("ort", FAIL=f"RunWithBinding:{first}", TEXT="something broke"), 70, "something broke")
            self.fails(self.by(*HEARING, "--backend", "ort", FAIL=f"RunWithBinding:{first}", TEXT="something broke"), 70, "something broke")

    def test_no_kind_of_model_passes_over_a_run_that_fails(self):
        for name in ("bert-punctuation", "fastpitch-coqui", "fastspeech2-coqui", "hifigan-coqui", "multiband-melgan", "tacotron2-coqui",
                     "tacotron2-coqui-forward", "vits-mms", "wav2vec2-base", "waveglow", "whisper", "xvector", "yourtts"):
            with self.subTest(name=name):
                done = self.by("bench", "-p", TINY / name, "--runs", "1", "--no-cache", "--backend", "ort", **BROKEN)
                self.fails(done, 70, "something broke")

    def test_what_is_made_in_two_parts(self):
        voice = self.folder / "voice.npy"
        write_npy(voice, [0.1] * 16)
        for options in (["-m", TINY / "bark"], ["-m", TINY / "speecht5", "--vocoder", TINY / "speecht5-hifigan", "--voice", voice]):
            for first in (1, 2, 3):
                with self.subTest(model=options[1].name, first=first):
                    done = self.by("speak", "hello", "-o", self.folder / "two.wav", *options, "--no-cache", "--check", "off", "--retries", "-1",
                                   "--backend", "ort", FAIL=f"RunWithBinding:{first}", TEXT="something broke")
                    self.fails(done, 70, "something broke")
                    self.assertFalse((self.folder / "two.wav").exists())

    def test_marks_of_a_classifier(self):
        args = ["transcribe", JFK, "-m", TINY / "wav2vec2-base", "--no-cache", "--backend", "ort", "--punctuation", TINY / "bert-punctuation"]
        self.assertEqual(0, self.by(*args).returncode)
        self.fails(self.by(*args, **BROKEN), 70, "something broke")

    def test_a_voice_of_zeros_is_not_kept(self):
        done = self.by("voices", "add", "anna", JFK, "-m", TINY / "yourtts", "--no-cache", "--backend", "ort", **BROKEN)
        self.fails(done, 70, "something broke")
        self.assertEqual(b"[]", self.by("voices", "list", "--format", "json").stdout.strip())

    @installed("deepfilternet3")
    def test_noise_stays_where_nothing_took_it_out(self):
        out = self.folder / "out.wav"
        for args in (["enhance", JFK, "-o", out, "--denoise", "on"], [*HEARING, "--denoise"]):
            self.fails(self.by_installed(*args, "--backend", "ort", **BROKEN), 70, "deepfilter", "something broke")
        self.assertFalse(out.exists())

    @installed("silero-vad", "dnsmos")
    def test_a_quality_that_was_not_heard(self):
        self.fails(self.by_installed("quality", JFK, "--backend", "ort", **BROKEN), 70, "silero", "something broke")
        done = self.by_installed("quality", JFK, "--backend", "ort", GRAPH="dnsmos", **BROKEN)
        self.fails(done, 70, "dnsmos", "something broke")

    @installed("silero-vad")
    def test_speech_that_was_not_found(self):
        done = self.by_installed(*HEARING[:-2], "--vad", "on", "--backend", "ort", **BROKEN)
        self.fails(done, 70, "silero", "something broke")

    @installed("openai/whisper-base", "silero-vad")
    def test_live_captions_end_with_the_cause(self):
        sound = JFK.read_bytes()[44:]
        for graph in ("silero.16k", "whisper.encoder", "whisper.decoder"):
            done = self.by_installed("listen", "-m", "base", "-l", "en", "--backend", "ort", data=sound, GRAPH=graph, **BROKEN)
            self.fails(done, 70, graph, "something broke")

    def test_memory_of_the_device(self):
        for text in ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", "CUDA failure 2: out of memory", "Failed to allocate memory for a buffer"):
            self.fails(self.speak("ort", FAIL="RunWithBinding", TEXT=text), 7, text)
            self.fails(self.speak("ort", FAIL="CreateSessionFromArray", TEXT=text), 7, text)

    def test_a_graph_that_is_refused(self):
        self.fails(self.speak("ort", FAIL="CreateSessionFromArray", TEXT="no kernel for Frobnicate"), 70, "no kernel for Frobnicate")

    def test_no_device(self):
        self.fails(self.speak("ort:cuda", DEVICE="1", FAIL="CreateSessionFromArray", TEXT="CUDA failure 100: no CUDA-capable device is detected"), 14,
                   "no CUDA-capable device is detected; it needs a device, its driver")

    def test_a_device_of_an_older_version_is_told_what_it_knows(self):
        self.assertEqual(0, self.speak("ort:cuda", DEVICE="1.17").returncode)
        self.assertEqual(0, self.speak("ort:cuda", DEVICE="1").returncode)

    def caches(self, model, *args):
        """Folders that TensorRT is told to keep engines in."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        done = self.by("bench", "-p", model, "--runs", "1", "--no-cache", "--backend", "ort:tensorrt", *args, DEVICE="1", LOG=str(log))
        self.assertEqual(0, done.returncode, done.errors)
        told = [line.split("=", 1) for line in log.read_text().splitlines()]
        return {value for key, value in told if key == "trt_engine_cache_path"}, {value for key, value in told if key == "trt_fp16_enable"}

    def test_each_graph_has_an_engine_cache_of_its_own(self):
        first, half = self.caches(TINY / "vits-sdp")
        self.assertEqual({"1"}, half)
        again, half = self.caches(TINY / "vits-sdp", "--dtype", "f32")
        self.assertEqual({"0"}, half)  # float32 was asked for
        self.assertTrue(first and not first & again)
        self.assertEqual(first, self.caches(TINY / "vits-sdp")[0])
        changed = self.folder / "changed"
        changed.mkdir()
        for file in (TINY / "vits-sdp").iterdir():
            data = bytearray(file.read_bytes())
            if file.suffix == ".safetensors":
                data[-4:] = data[-8:-4]  # one weight
            (changed / file.name).write_bytes(data)
        self.assertNotEqual(first, self.caches(changed)[0])
        self.assertTrue(all(pathlib.Path(folder).is_dir() for folder in first))

    def test_a_broken_engine_cache_says_where_it_is(self):
        done = self.speak("ort:tensorrt", DEVICE="1", FAIL="CreateSessionFromArray", TEXT="could not deserialize engine")
        self.fails(done, 70, "could not deserialize engine")
        folder = pathlib.Path(done.errors.split("kept in ")[1].split(" is broken")[0])
        self.assertTrue(folder.is_dir() and folder.parent.name == "onnxruntime-cache")

    def test_a_folder_without_the_library(self):
        done = run(*HEARING, "--backend", "ort", env={"SONANT_ONNXRUNTIME": str(self.folder)})
        self.fails(done, 14, "libonnxruntime.so*: no such file")
        (self.folder / "libonnxruntime.so.1.99").symlink_to(os.environ["SONANT_ONNXRUNTIME"])
        self.assertEqual(0, run(*HEARING, "--backend", "ort", env={"SONANT_ONNXRUNTIME": str(self.folder)}).returncode)
