"""Rating, analysing, converting and enhancing, in this process: that it is what the program says, and what bad input gets."""

import concurrent.futures
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import wave

import numpy as np
import pytest
from conftest import JFK, TINY, needs_model

import sonant

SONANT = os.environ["SONANT"]
RATE = 16000
WHISPER = str(TINY / "whisper")


def program(*args):
    """What the program says in JSON."""
    done = subprocess.run([SONANT, *map(str, args), "--format", "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def clip():
    """The samples of a short clip: [frames] int16."""
    with wave.open(str(JFK)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def voice(seconds=6):
    return clip()[: seconds * RATE].astype(np.float32) / 32768


def noisy(level=0.02):
    speech = voice()
    return speech + np.random.default_rng(1).normal(0, level, len(speech)).astype(np.float32)


def stereo_wav(samples):
    """The bytes of a wav file of two channels: [frames] float32, the right one half as loud."""
    both = (np.stack([samples, samples / 2], axis=1) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(both))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", len(both))
        + both
    )


def beyond(value, said, digits):
    assert value == pytest.approx(said, abs=0.51 * 10**-digits), (value, said)


QUALITY = {
    "score": 3,
    "snr": 2,
    "noise_floor": 2,
    "loudness": 2,
    "loudness_range": 2,
    "peak": 2,
    "true_peak": 2,
    "rms": 2,
    "dc": 6,
    "clipping": 8,
}


def same_quality(quality, said):
    assert (quality.sample_rate, quality.channels) == (said["sample_rate"], said["channels"])
    for name, digits in {**QUALITY, "duration": 3, "silence": 4, "bandwidth": 0}.items():
        beyond(getattr(quality, name), said[name], digits)
    assert [(p.code, p.message) for p in quality.problems] == [(p["code"], p["message"]) for p in said["problems"]]
    assert (quality.clipped_runs, quality.windows_possible) == (said["clipped_runs"], said["windows_possible"])
    assert (quality.speech is None) == (said["speech"] is None)
    assert (quality.scores is None) == (said["dnsmos"] is None)
    for name in ("overall", "signal", "background", "p808") if said["dnsmos"] else ():
        beyond(getattr(quality.scores, name), said["dnsmos"][name], 4)


# ---- quality ----


def test_quality_is_what_the_program_says(engine):
    same_quality(engine.quality(JFK), program("quality", JFK))


def test_a_path_bytes_a_file_and_samples_have_the_same_quality(engine):
    of_path = engine.quality(JFK, scores=False)
    assert of_path == engine.quality(JFK.read_bytes(), scores=False) == engine.quality(io.BytesIO(JFK.read_bytes()), scores=False)
    assert of_path == engine.quality(clip(), rate=RATE, scores=False)
    assert of_path.scores is None and 10 < of_path.duration < 12


@needs_model("dnsmos")
def test_scores_hear_noise(engine):
    clean, spoilt = (engine.quality(samples, rate=RATE, personalised=True, windows=1) for samples in (voice(), noisy(0.05)))
    assert clean.scores.background > spoilt.scores.background + 0.5
    assert clean.personalised.overall > 1 and clean.scores.windows == 1


def test_clipping_is_a_problem(engine):
    quality = engine.quality(np.clip(8 * voice(), -1, 1), rate=RATE, scores=False)
    assert "clipped" in [problem.code for problem in quality.problems] and quality.clipped_runs > 10 and quality.clipping > 0.001
    silent = engine.quality(np.zeros(2 * RATE, dtype=np.float32), rate=RATE, scores=False)
    assert silent.problems[0].code == "silent" and silent.silence == 1


# ---- analysis ----


def test_an_analysis_is_what_the_program_says(engine, tmp_path):
    ours, said = engine.analyze(JFK, language=False), program("analyze", JFK, "--language", "off")
    same_quality(ours.quality, said["quality"])
    assert ours.format == said["format"] == "wav" and ours.language == "" and ours.transcript is None
    for name, value, digits in (
        ("crest", ours.crest, 2),
        ("crossings", ours.crossings, 1),
        ("centroid", ours.centroid, 0),
        ("rolloff", ours.rolloff, 0),
        ("median", ours.pitch_median, 1),
        ("low", ours.pitch_low, 1),
        ("high", ours.pitch_high, 1),
        ("share", ours.pitched, 4),
    ):
        beyond(value, {**said, **said["spectrum"], **said["pitch"]}[name], digits)
    assert len(ours.bands) == len(said["spectrum"]["bands"]) and len(ours.speech) == len(said["speech"])
    for mine, theirs in zip(ours.speech, said["speech"], strict=True):
        beyond(mine.start, theirs["start"], 3)
        beyond(mine.end, theirs["end"], 3)
    assert ours.points and ours.point_interval * len(ours.points) == pytest.approx(ours.quality.duration, abs=2 * ours.point_interval)
    assert max(point.high for point in ours.points) == pytest.approx(np.abs(clip()).max() / 32768, abs=0.05)


def test_words_of_samples_and_a_picture(engine, tmp_path):
    picture = tmp_path / "jfk.png"
    ours = engine.analyze(voice(), rate=RATE, words=True, language=True, model=WHISPER, plot=picture, width=640, height=480)
    assert ours.transcript is not None and ours.transcript.model == "whisper" and ours.language
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (640, 480)


def test_a_model_that_is_loaded_may_tell_the_language(engine):
    with engine.load(WHISPER) as model:
        assert engine.analyze(JFK.read_bytes(), language=True, model=model).language


# ---- conversion ----


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus", "pcm"])
def test_all_formats_there_and_back(engine, tmp_path, form):
    samples, path = voice(), tmp_path / ("out." + form)
    to_file, to_bytes = engine.convert(samples, path, rate=RATE), engine.convert(samples, rate=RATE, format=form)
    assert to_file.format == to_bytes.format == form and to_file.audio is None and path.stat().st_size == len(to_bytes.audio)
    assert (to_file.sample_rate, to_file.channels, to_file.input_rate) == (RATE, 1, RATE) and to_file.duration == pytest.approx(6)
    if form == "pcm":
        again = np.frombuffer(to_bytes.audio, dtype="<i2") / 32768
    else:
        again = np.frombuffer(engine.convert(to_bytes.audio, format="pcm", bits=32).audio, dtype="<f4")
    again = again[: len(samples)]
    assert len(again) > 0.97 * len(samples)
    if form in ("wav", "flac", "pcm"):
        assert np.abs(again - samples).max() <= 1 / 32768
    else:
        assert np.sqrt(np.mean(again**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.05)


def test_floats_pass_unchanged_even_beyond_full_scale(engine):
    samples = 3 * voice(1)
    done = engine.convert(samples, rate=RATE, format="pcm", bits=32)
    assert np.array_equal(np.frombuffer(done.audio, dtype="<f4"), samples) and done.clipped == 0
    assert engine.convert(samples, rate=RATE).clipped > 0


def test_a_part_at_another_rate_and_loudness(engine, tmp_path):
    path = tmp_path / "part.flac"
    done = engine.convert(JFK, path, start=1, end=4, sample_rate=8000, bits=24, loudness=-23)
    assert (done.duration, done.sample_rate, done.bits) == (pytest.approx(3), 8000, 24)
    assert engine.quality(path, scores=False).loudness == pytest.approx(-23, abs=0.5)
    raised = engine.convert(JFK, gain=-6.0)
    assert raised.gain == pytest.approx(-6) and raised.audio[:4] == b"RIFF"


def test_a_file_in_place(engine, tmp_path):
    path = tmp_path / "same.wav"
    path.write_bytes(JFK.read_bytes())
    assert engine.convert(path, path, end=2.0).duration == pytest.approx(2)
    assert engine.quality(path, scores=False).duration == pytest.approx(2)


def test_two_channels_are_averaged_and_said(engine):
    done = engine.convert(stereo_wav(voice(2)), format="pcm")
    assert (done.input_channels, done.channels) == (2, 1) and "2 channels were averaged" in done.note
    assert np.abs(np.frombuffer(done.audio, dtype="<i2") / 32768 - 0.75 * voice(2)).max() < 1e-3


# ---- enhancement ----


@needs_model("deepfilternet3")
def test_noise_is_lowered(engine, tmp_path):
    done = engine.enhance(noisy(), rate=RATE, denoise=True, normalise=False)
    assert done.noise_reduction > 6 and done.after.noise_floor < done.before.noise_floor - 6 and done.denoiser
    assert [stage.name for stage in done.stages] == ["declip", "highpass", "denoise", "compress", "loudness", "limit"]
    assert done.audio.sample_rate == RATE and done.audio.samples.dtype == np.float32 and len(done.audio.samples) == 6 * RATE
    assert done.audio.samples.flags.writeable and done.audio.samples.flags.c_contiguous
    quiet = slice(0, RATE // 4)
    assert np.std(done.audio.samples[quiet]) < 0.5 * np.std(noisy()[quiet])


def test_clipped_peaks_are_repaired_and_the_loudness_is_set(engine):
    done = engine.enhance(np.clip(3 * voice(), -1, 1), rate=RATE, denoise=False, loudness=-20)
    assert done.clipped >= done.repaired > 0 and done.before.score is None and done.denoiser == ""
    assert done.after.loudness == pytest.approx(-20, abs=0.5) and done.after.true_peak <= -0.9


def test_a_file_of_two_channels_to_memory_is_what_comes_to_a_file(engine, tmp_path):
    path = tmp_path / "out.wav"
    data = stereo_wav(voice(3))
    to_file, to_memory = engine.enhance(data, path, denoise=False), engine.enhance(data, denoise=False)
    written = np.frombuffer(engine.convert(path, format="pcm", bits=32).audio, dtype="<f4")
    assert np.abs(written - to_memory.audio.samples).max() <= 1 / 32768 and to_file.audio is None
    for name in ("after", "before", "gain", "note", "input_rate", "input_channels", "duration", "stages"):
        assert getattr(to_file, name) == getattr(to_memory, name), name
    assert to_memory.input_channels == 2 and "averaged" in to_memory.note


def test_enhancement_at_another_rate(engine):
    done = engine.enhance(voice(2), rate=RATE, denoise=False, compress=True, highpass=False, declip=False, sample_rate=22050, ceiling=-3.0)
    assert (done.sample_rate, done.audio.sample_rate, done.input_rate) == (22050, 22050, RATE) and len(done.audio.samples) == 2 * 22050


# ---- progress, cancelling ----

TOOLS = {
    "quality": lambda engine, source, **more: engine.quality(source, rate=RATE, scores=False, **more),
    "analyze": lambda engine, source, **more: engine.analyze(source, rate=RATE, language=False, **more),
    "convert": lambda engine, source, **more: engine.convert(source, rate=RATE, **more),
    "enhance": lambda engine, source, **more: engine.enhance(source, rate=RATE, denoise=False, **more),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_progress_of_all(engine, tool, capsys):
    seen = []
    TOOLS[tool](engine, voice(), progress=lambda *state: seen.append(state))
    assert seen and max(done for done, _ in seen) == pytest.approx(6, abs=2) and all(total == pytest.approx(6) for _, total in seen)
    TOOLS[tool](engine, voice(), progress=True)
    assert f"{tool}: 100%" in capsys.readouterr().err


def test_a_bar_without_tqdm_says_what_to_install(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(sonant.DependencyError, match="pip install tqdm"):
        engine.convert(JFK, progress=True)


def test_an_error_of_a_progress_function_is_its_own(engine):
    """Even where it is one of the system."""

    def stop(_done, _total):
        raise BlockingIOError(11, "mine")

    with pytest.raises(BlockingIOError, match="mine"):
        engine.convert(JFK.read_bytes(), progress=stop)


def test_many_at_once_are_as_one_alone(engine):
    def work(index):
        samples = voice(2 + index % 3)
        return engine.quality(samples, rate=RATE, scores=False), engine.enhance(samples, rate=RATE, denoise=False).audio.samples.tobytes()

    alone = [work(index) for index in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == alone


@pytest.mark.parametrize("tool", TOOLS)
def test_what_ends_a_call_leaves_nothing(engine, tool, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cancelled = threading.Event()
    cancelled.set()

    def stop(_done, _total):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        TOOLS[tool](engine, voice(), progress=stop)
    with pytest.raises(sonant.CancelledError):
        TOOLS[tool](engine, voice(), cancel=cancelled)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_an_enhancement(engine):
    """The signal comes while the samples of half an hour are heard."""
    seen = []

    def signals(done, _total):
        seen.append(done)
        if done > 60:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        engine.enhance(np.tile(clip(), 160), rate=RATE, denoise=False, progress=signals)
    assert 60 < seen[-1] < 70
    assert engine.quality(voice(1), rate=RATE, scores=False).duration == pytest.approx(1)


# ---- bad input ----


def test_temporary_files_do_not_stay(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine.analyze(JFK.read_bytes(), language=False)
    engine.convert(JFK.read_bytes(), end=1.0)
    engine.enhance(JFK.read_bytes(), denoise=False)
    for tool in (engine.analyze, engine.convert, engine.enhance):
        with pytest.raises(sonant.FormatError, match="'the audio' is text, not audio"):
            tool(b"these are some words")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_is_missing_is_said(engine, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such")
    with pytest.raises(sonant.IoError, match=r"temporary file in /no/such could not be written: No such file"):
        engine.convert(JFK.read_bytes())


@pytest.mark.parametrize("tool", ["quality", "analyze", "convert", "enhance"])
@pytest.mark.parametrize(
    ("source", "rate", "kind", "words"),
    [
        ("/no/such.wav", None, FileNotFoundError, "/no/such.wav"),
        (5, None, TypeError, "not int"),
        ("-", None, ValueError, "standard input"),
        (str(JFK), 16000, ValueError, "rate=16000 is for arrays"),
        (b"", None, sonant.FormatError, ""),
        (np.zeros((2, 3, 4), dtype=np.float32), 16000, ValueError, "shape"),
        (np.full(16000, np.nan, dtype=np.float32), 16000, sonant.FormatError, "nan"),
        (np.zeros(16000, dtype=np.float32), 5, ValueError, "5 Hz"),
        (np.zeros(0, dtype=np.float32), 16000, sonant.FormatError, "no samples"),
    ],
)
def test_bad_sources(engine, tool, source, rate, kind, words):
    with pytest.raises(kind, match=words):
        getattr(engine, tool)(source, rate=rate)


@pytest.mark.parametrize(
    ("tool", "options", "kind", "words"),
    [
        ("quality", {"windows": 5000}, ValueError, "5000 windows"),
        ("quality", {"windows": 0}, ValueError, "windows is 0; it may be 1 to 1024"),
        ("quality", {"scores": 3}, ValueError, "scores is 3; it may be"),
        ("quality", {"scores": True, "model": "nonsense"}, FileNotFoundError, "nonsense"),
        ("quality", {"vad_threshold": 7}, ValueError, "threshold of 7"),
        ("quality", {"vad_pad": 20000}, ValueError, "vad_pad is 20000"),
        ("analyze", {"width": 640, "height": 1, "plot": "/tmp/no.png"}, ValueError, "640 x 1 pixels"),
        ("analyze", {"width": 2**40, "plot": "/tmp/no.png"}, ValueError, "width is 1099511627776"),
        ("analyze", {"width": 640}, ValueError, "plot= names none"),
        ("analyze", {"plot": "/no/such/picture.png"}, OSError, "/no/such/picture.png"),
        ("analyze", {"words": True, "model": "nonsense"}, FileNotFoundError, "nonsense"),
        ("convert", {"format": "aac"}, ValueError, "aac can be read but not written; wav"),
        ("convert", {"out": "/no/such/out.wav"}, OSError, "/no/such"),
        ("convert", {"out": "-"}, ValueError, "standard output belongs to the program"),
        ("convert", {"out": io.BytesIO()}, TypeError, "out must be text, not BytesIO"),
        ("convert", {"bits": 8}, ValueError, "samples of 8 bits"),
        ("convert", {"bits": 0}, ValueError, "bits is 0; it may be 16, 24 or 32"),
        ("convert", {"sample_rate": 5}, ValueError, "5 Hz"),
        ("convert", {"sample_rate": 1.5}, TypeError, "sample_rate must be a whole number, not float"),
        ("convert", {"gain": 100}, ValueError, "gain of 100 dB"),
        ("convert", {"gain": float("nan")}, ValueError, "gain of nan dB"),
        ("convert", {"gain": 3, "loudness": -20}, ValueError, "not both"),
        ("convert", {"start": 60}, ValueError, "it ends at"),
        ("convert", {"start": 3, "end": 2}, ValueError, "from 3 to 2 s is empty"),
        ("convert", {"progress": 5}, TypeError, "progress must be a function"),
        ("enhance", {"loudness": 0}, ValueError, "loudness is 0; it may be -40 to -5 LUFS"),
        ("enhance", {"loudness": -50}, ValueError, "loudness of -50 LUFS"),
        ("enhance", {"ceiling": 3}, ValueError, "ceiling of 3 dBTP"),
        ("enhance", {"attenuation_limit": 0}, ValueError, "attenuation_limit is 0"),
        ("enhance", {"sample_rate": 1000000}, ValueError, "1000000 Hz"),
        ("enhance", {"format": "wav"}, ValueError, "out= names none"),
        ("enhance", {"out": "/tmp/x.doc"}, ValueError, "doc"),
    ],
)
def test_bad_options(engine, tool, options, kind, words):
    with pytest.raises(kind, match=words):
        getattr(engine, tool)(voice(1), rate=RATE, **options)


def test_a_closed_engine():
    engine = sonant.Engine(threads=1)
    engine.close()
    for tool in (engine.quality, engine.analyze, engine.convert, engine.enhance):
        with pytest.raises(sonant.ClosedError):
            tool(JFK)
