"""What else is done with audio: rated, looked at, converted, made better to listen to."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._base import EngineBase, Model, name_of
from sonant._binding import Call, Cancel, Options, Progress, check_zeros, ffi, lib, number, owned, text, utf8
from sonant._files import as_path, private_folder
from sonant._progress import following
from sonant._samples import Bytes, File, Samples, as_source
from sonant._transcribe import note_of, transcript_of
from sonant._values import set_vad
from sonant.audio import Audio
from sonant.types import Analysis, AnalysisPoint, Band, Conversion, Enhancement, EnhanceStage, Interval, Levels, Problem, Quality, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Tools"]

ZERO_IS_NONE = {
    "windows": "1 to 1024, or below 0 for all of them",
    "width": "480 to 8192",
    "height": "360 to 8192",
    "sample_rate": "a number of Hz",
    "bits": "16, 24 or 32",
    "bitrate": "a number of bit/s",
    "end": "above 0, in seconds",
    "loudness": "-40 to -5 LUFS",
    "attenuation_limit": "1 to 100 dB; denoise=False takes nothing out",
    "ceiling": "-20 to -0.1 dBTP",
}
PIXELS = 1 << 20
"""Far beyond what is drawn, and within what C can be told."""


class Tools(EngineBase):
    """The engine's part for rating, analysing, converting and enhancing audio.

    source, in all of them: a path; the bytes of a file; a binary file object; or samples with `rate`, a [frames] or [frames, channels]
    array (see `transcribe`). Channels are averaged. progress: called with seconds done and in all (0: not known), or True: a bar of tqdm.
    cancel: an event; when it is set the call ends. Options that are None have the engine's default.

    A function that raises, a Ctrl-C and a set event end the call within a step. All raise, besides what they name, NotFoundError (file,
    model), FormatError (not audio, empty, not a number: says where), ArgumentError (an option out of range), TypeError, DependencyError (a
    format for FFmpeg, which is missing), IoError, LimitError, CancelledError, ClosedError, EngineMemoryError."""

    def quality(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: Model | str | None = None,
        scores: bool | None = None,
        personalised: bool | None = None,
        windows: int | None = None,
        vad_threshold: float | None = None,
        vad_min_speech: int | None = None,
        vad_min_silence: int | None = None,
        vad_pad: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Quality:
        """What audio is like, measured and as listeners would rate it (DNSMOS). Memory does not grow with its length.

        model: that scores. scores: None: where a model is installed; True: NotFoundError where none is; False: only measure.
        personalised: and the scores that count other voices as noise. windows: most windows of 9.01 s that are rated (52, all of a
        minute), 1 to 1024; below 0: all. vad_threshold: probability from which on it is speech (0.5); vad_min_speech, vad_min_silence,
        vad_pad: ms (250, 100, 30)."""
        options, given = Options("sn_quality_options"), as_source(source, rate)
        _set_quality(options, options.pointer, scores=scores, personalised=personalised, windows=windows, model=name_of(model))
        set_vad(
            options.pointer.vad,
            {"vad_threshold": vad_threshold, "vad_min_speech": vad_min_speech, "vad_min_silence": vad_min_silence, "vad_pad": vad_pad},
        )
        found = ffi.new("sn_quality *")
        with following(progress, "quality") as moved, self._handle as engine:
            call = Call(moved, cancel)
            call.fill(options)
            call.end(_rate(found, engine, given, options.pointer, call.err))
        return _quality(found)

    def analyze(
        self,
        source: Any,
        *,
        rate: int | None = None,
        plot: str | os.PathLike[str] | None = None,
        width: int | None = None,
        height: int | None = None,
        title: str | None = None,
        language: bool | None = None,
        words: bool | None = None,
        model: Model | str | None = None,
        scores: bool | None = None,
        personalised: bool | None = None,
        windows: int | None = None,
        score_model: Model | str | None = None,
        vad_threshold: float | None = None,
        vad_min_speech: int | None = None,
        vad_min_silence: int | None = None,
        vad_pad: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Analysis:
        """A look at audio: levels, loudness, spectrum, pitch, speech, language, words. Memory does not grow with its length.

        plot: a path, to which a PNG of width x height pixels (1600 x 900; at least 480 x 360, at most 8192) is drawn: waveform, spectrogram
        with pitch, speech, words, and above them the title (the file's name). language: whether it is told; None: where a multilingual
        Whisper is installed. words: transcribe, too (off). model: that tells and transcribes. scores (off), personalised, windows,
        score_model, vad_...: as of `quality`.

        Raises NoSpaceError for the picture."""
        options, given = Options("sn_analysis_options"), as_source(source, rate)
        rating = options.pointer.quality
        _set_quality(options, rating, scores=scores, personalised=personalised, windows=windows, model=name_of(score_model))
        set_vad(
            rating.vad,
            {"vad_threshold": vad_threshold, "vad_min_speech": vad_min_speech, "vad_min_silence": vad_min_silence, "vad_pad": vad_pad},
        )
        options.set_switch(language=language, words=words)
        options.set_text(model=name_of(model))
        picture = _Picture(plot, width, height, _title(given) if title is None else title)
        held = ffi.new("sn_analysis **")
        with following(progress, "analyze") as moved, as_path(given) as path, self._handle as engine:
            call = Call(moved, cancel)
            rating.progress, rating.payload = lib.sonant_progress, call.payload
            try:
                call.end(lib.sn_analyze_file(held, engine, path, options.pointer, call.err))
                picture.draw(held[0], call)
                return _analysis(held[0])
            finally:
                lib.sn_analysis_free(held)

    def convert(
        self,
        source: Any,
        out: str | os.PathLike[str] | None = None,
        *,
        rate: int | None = None,
        format: str | None = None,
        sample_rate: int | None = None,
        bits: int | None = None,
        bitrate: int | None = None,
        start: float | None = None,
        end: float | None = None,
        gain: float | None = None,
        loudness: float | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Conversion:
        """Converts audio to a file, which may be the source itself; out None: to bytes (`audio` of the result). Mono.

        format: "wav", "flac", "mp3", "opus", "pcm" (bare samples); None: by the ending of `out`, else wav. sample_rate: Hz, 1000 to
        768000 (the input's). bits: 16, 24 or 32 (float), as the format has them (16). bitrate: bit/s of mp3 and opus. start, end: seconds
        of the part that is taken. gain: dB, -60 to 60. loudness: LUFS, -40 to -5, to which it is brought by EBU R128, true peaks below
        -1 dBTP; not together with gain.

        Raises NoSpaceError. Nothing is left behind when it fails."""
        options, given = Options("sn_convert_options"), as_source(source, rate)
        _no_zeros(sample_rate=sample_rate, bits=bits, bitrate=bitrate, end=end, loudness=loudness)
        options.set_text(format=format)
        options.set_whole(sample_rate=sample_rate, bits=bits, bitrate=bitrate)
        options.set_number(start=start, end=end, gain=gain, loudness=loudness)
        with ExitStack() as stack:
            call = Call(stack.enter_context(following(progress, "convert")), cancel)
            stack.enter_context(self._handle)
            path = stack.enter_context(as_path(given))
            if out is not None:
                return _convert(path, _target(out), options, call)
            target = os.path.join(stack.enter_context(private_folder()), "out")
            facts = _convert(path, os.fsencode(target), options, call)
            with open(target, "rb") as file:
                return _with_audio(facts, file.read())

    def enhance(
        self,
        source: Any,
        out: str | os.PathLike[str] | None = None,
        *,
        rate: int | None = None,
        format: str | None = None,
        denoise: bool | None = None,
        attenuation_limit: float | None = None,
        normalise: bool | None = None,
        loudness: float | None = None,
        ceiling: float | None = None,
        compress: bool | None = None,
        declip: bool | None = None,
        highpass: bool | None = None,
        scores: bool | None = None,
        sample_rate: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Enhancement:
        """Makes a recording of speech better to listen to, in a file, which may be the source itself; out None: `audio` of the result is
        an `Audio`. Mono, 8000 to 192000 Hz.

        format: of `out`, as of `convert`. denoise: None: where a model is installed and the recording is noisy; True: NotFoundError where
        none is. attenuation_limit: dB by which noise is lowered at most, 1 to 100, which is without a limit (24). normalise: bring the
        loudness to its target (on), loudness: LUFS, -40 to -5 (-16). ceiling: of true peaks, dBTP, -20 to -0.1 (-1). compress: even out
        the level (off). declip: repair clipped peaks (on). highpass: take off what is below 60 Hz (on). scores: rate input and result by
        DNSMOS (off). sample_rate: of the result, Hz (the input's). progress: of the present pass, of those of the input.

        Raises NoSpaceError. Nothing is left behind when it fails."""
        options, given = Options("sn_enhance_options"), as_source(source, rate)
        _no_zeros(attenuation_limit=attenuation_limit, loudness=loudness, ceiling=ceiling, sample_rate=sample_rate)
        if format is not None and out is None:
            raise errors.ArgumentError(f"format={format!r} is for a file, and out= names none; without it the result is an Audio")
        options.set_switch(denoise=denoise, normalise=normalise, compress=compress, declip=declip, highpass=highpass, scores=scores)
        options.set_number(attenuation_limit=attenuation_limit, loudness=loudness, ceiling=ceiling)
        options.set_whole(sample_rate=sample_rate)
        with following(progress, "enhance") as moved, self._handle as engine:
            call = Call(moved, cancel)
            call.fill(options)
            if out is None:
                return _enhance_samples(engine, given, options.pointer, call)
            facts, kind = ffi.new("sn_enhancement *"), ffi.NULL if format is None else utf8("format", format)
            with as_path(given) as path:
                call.end(lib.sn_enhance_file(facts, engine, path, _target(out), kind, options.pointer, call.err))
            return _enhancement(facts)


# ---- options ----


def _no_zeros(**values: Any) -> None:
    check_zeros({name: ZERO_IS_NONE[name] for name in values}, values)


def _target(out: Any) -> bytes:
    path = utf8("out", out)
    if path == b"-":
        raise errors.ArgumentError('out is "-", but standard output belongs to the program; leave out= away for bytes, or say "./-"')
    return path


def _set_quality(owner: Options, rating: Any, *, model: str | None, windows: Any, **switches: bool | None) -> None:
    """Fills a sn_quality_options, which may be inside another struct; the owner keeps the text alive."""
    _no_zeros(windows=windows)
    part = owner.keep(Options("sn_quality_options"))
    part.set_switch(**switches)
    part.set_whole(windows=windows)
    part.set_text(model=model)
    for name in ("scores", "personalised", "windows", "model"):
        setattr(rating, name, getattr(part.pointer, name))


class _Picture:
    """What is to be drawn of an analysis; no path: nothing."""

    def __init__(self, path: Any, width: Any, height: Any, title: str) -> None:
        _no_zeros(width=width, height=height)
        if path is None and (width, height) != (None, None):
            raise errors.ArgumentError("width and height are of a picture, and plot= names none")
        self.path = None if path is None else utf8("plot", path)
        self.width, self.height = _pixels("width", width), _pixels("height", height)
        self.title = utf8("title", title)

    def draw(self, analysis: Any, call: Call) -> None:
        if self.path is not None:
            call.end(lib.sn_analysis_plot(analysis, self.path, self.width, self.height, self.title, call.err))


def _pixels(name: str, value: Any) -> int:
    pixels: int = 0 if value is None else number(name, value, int)
    if abs(pixels) > PIXELS:
        raise errors.ArgumentError(f"{name} is {value}; it may be {ZERO_IS_NONE[name]}")
    return pixels


def _title(source: File | Bytes | Samples) -> str:
    return os.fsdecode(os.path.basename(source.path)) if isinstance(source, File) else ""


# ---- calls ----


def _rate(found: Any, engine: Any, source: File | Bytes | Samples, options: Any, err: Any) -> int:
    if isinstance(source, File):
        return int(lib.sn_quality_file(found, engine, source.path, options, err))
    if isinstance(source, Bytes):
        data = ffi.from_buffer(source.data)
        return int(lib.sn_quality_memory(found, engine, data, len(data), options, err))
    return int(lib.sn_quality_pcm(found, engine, source.pointer, len(source.pcm), source.rate, options, err))


def _convert(path: bytes, out: bytes, options: Options, call: Call) -> Conversion:
    facts = ffi.new("sn_conversion *")
    call.fill(options)
    call.end(lib.sn_convert_file(facts, path, out, options.pointer, call.err))
    return _conversion(facts)


def _as_floats(source: File | Bytes, call: Call) -> tuple[Samples, Conversion]:
    """The samples of a file at its own rate."""
    import numpy as np

    options = Options("sn_convert_options")
    options.set_text(format="pcm")
    options.set_whole(bits=32)
    with as_path(source) as path, private_folder() as folder:
        target = os.path.join(folder, "samples")
        facts = _convert(path, os.fsencode(target), options, call)
        return Samples(np.fromfile(target, dtype="<f4").astype(np.float32, copy=False), facts.input_rate), facts


def _enhance_samples(engine: Any, source: File | Bytes | Samples, options: Any, call: Call) -> Enhancement:
    """To memory, with all the bits there are."""
    read = None
    if not isinstance(source, Samples):
        source, read = _as_floats(source, call)
    facts, held, count = ffi.new("sn_enhancement *"), ffi.new("float **"), ffi.new("size_t *")
    try:
        call.end(lib.sn_enhance_pcm(held, count, facts, engine, source.pointer, len(source.pcm), source.rate, options, call.err))
        return _enhancement(facts, owned(held, count[0]), read)
    finally:
        lib.free(held[0])


# ---- results ----


def _scores(s: Any) -> Scores | None:
    return Scores(s.overall, s.signal, s.background, s.p808, s.windows) if s.windows else None


def _quality(q: Any) -> Quality:
    return Quality(
        duration=q.duration,
        sample_rate=q.sample_rate,
        channels=q.channels,
        score=q.score,
        scores=_scores(q.scores),
        snr=q.snr,
        noise_floor=q.noise_floor,
        loudness=q.loudness,
        loudness_range=q.loudness_range,
        peak=q.peak,
        true_peak=q.true_peak,
        rms=q.rms,
        dc=q.dc,
        clipping=q.clipping,
        silence=q.silence,
        bandwidth=q.bandwidth,
        speech=q.speech if q.speech >= 0 else None,
        problems=tuple(Problem(text(p.code), text(p.message)) for p in (q.problems[i] for i in range(q.problem_count))),
        personalised=_scores(q.personalised),
        windows_possible=q.windows_possible,
        clipped_runs=q.clipped_runs,
    )


def _analysis(a: Any) -> Analysis:
    points = ffi.unpack(a.points, a.point_count) if a.point_count else []
    return Analysis(
        quality=_quality(a.quality),
        format=text(a.format),
        crest=a.crest,
        crossings=a.crossings,
        centroid=a.centroid,
        rolloff=a.rolloff,
        bands=tuple(Band(a.bands[i].center, a.bands[i].level) for i in range(a.band_count)),
        pitch_median=a.pitch_median,
        pitch_low=a.pitch_low,
        pitch_high=a.pitch_high,
        pitched=a.pitched,
        speech=tuple(Interval(a.speech[i].start, a.speech[i].end) for i in range(a.speech_count)),
        language=text(a.language),
        language_confidence=a.language_confidence,
        points=tuple(AnalysisPoint(p.low, p.high, p.level, p.pitch, p.speech) for p in points),
        point_interval=a.point_interval,
        transcript=transcript_of(a.transcript) if a.transcript != ffi.NULL else None,
        notes=tuple(note_of(a.notes[i]) for i in range(a.note_count)),
        processing_time=a.processing_time,
    )


def _conversion(f: Any) -> Conversion:
    return Conversion(
        duration=f.duration,
        format=text(f.format),
        sample_rate=f.sample_rate,
        channels=f.channels,
        bits=f.bits,
        gain=f.gain,
        peak=f.peak,
        limited=f.limited,
        clipped=f.clipped,
        input_format=text(f.input_format),
        input_rate=f.input_rate,
        input_channels=f.input_channels,
        note=text(f.note),
        processing_time=f.processing_time,
    )


def _with_audio(facts: Conversion, audio: bytes) -> Conversion:
    from dataclasses import replace

    return replace(facts, audio=audio)


def _levels(v: Any) -> Levels:
    return Levels(v.loudness, v.range, v.true_peak, v.rms, v.noise_floor, v.snr, v.score or None)


def _enhancement(f: Any, samples: NDArray[np.float32] | None = None, read: Conversion | None = None) -> Enhancement:
    """read: what reading a file said, where its samples were enhanced."""
    return Enhancement(
        duration=f.duration,
        sample_rate=f.sample_rate,
        before=_levels(f.before),
        after=_levels(f.after),
        repaired=f.repaired,
        noise_reduction=f.noise_reduction,
        gain=f.gain,
        compression=f.compression,
        limited=f.limited,
        denoiser=text(f.denoiser),
        stages=tuple(EnhanceStage(text(s.name), bool(s.done), text(s.message)) for s in f.stages),
        note=text(f.note) if read is None else read.note,
        processing_time=f.processing_time + (0.0 if read is None else read.processing_time),
        audio=None if samples is None else Audio(samples, f.sample_rate),
        clipped=f.clipped,
        input_rate=f.input_rate,
        input_channels=f.input_channels if read is None else read.input_channels,
    )
