"""faster-whisper's interface on Sonant's engine: a program changes its import, and no CTranslate2 is needed.

    from sonant.faster_whisper import WhisperModel          # was: from faster_whisper import WhisperModel

    model = WhisperModel("base", compute_type="int8")
    segments, info = model.transcribe("meeting.mp3", beam_size=5, word_timestamps=True)
    print(info.language, info.language_probability)
    for segment in segments:                                # computed while they are gone through
        print(f"[{segment.start:.2f} -> {segment.end:.2f}] {segment.text}")

Arguments, defaults and result fields are faster-whisper's 1.2. `transcribe` returns when the language is known; the engine then works about
half a minute ahead of the loop over the segments. An argument that the engine does not have is named in a `UserWarning` with the reason,
once a call, where its value is not the default. What is different on purpose: guards against loops and text on silence are on; `seek` is
the segment's start in hundredths of a second; `all_language_probs` holds the language that was heard, and no others; with `vad_filter` the
engine's own defaults hold where `vad_parameters` leaves something open.
"""

# ruff: noqa: PLR0917, RUF001 - the arguments and marks are those of programs that exist

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant import types as heard_types
from sonant._words import spaced
from sonant.audio import Audio
from sonant.engine import Engine, Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BatchedInferencePipeline",
    "Segment",
    "TranscriptionInfo",
    "TranscriptionOptions",
    "VadOptions",
    "WhisperModel",
    "Word",
    "available_models",
    "decode_audio",
    "download_model",
    "format_timestamp",
]

RATE = 16000
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
PREPENDED, APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
DETECTOR = "silero-vad"
BLOCK = 30 * RATE
"""Samples that are handed over at once."""

SIZES = {
    **{size: f"openai/whisper-{size}" for size in ("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium")},
    "large-v1": "openai/whisper-large",
    **{size: f"openai/whisper-{size}" for size in ("large-v2", "large-v3", "large-v3-turbo")},
    "large": "openai/whisper-large-v3",
    "turbo": "openai/whisper-large-v3-turbo",
    **{
        size: f"distil-whisper/{size}"
        for size in ("distil-large-v2", "distil-medium.en", "distil-small.en", "distil-large-v3", "distil-large-v3.5")
    },
}
PRECISIONS = {
    "default": "auto",
    "auto": "auto",
    "float32": "f32",
    "bfloat16": "bf16",
    "float16": "bf16",
    "int8": "int8",
    "int8_float32": "int8",
    "int8_float16": "int8",
    "int8_bfloat16": "int8",
    "int16": "f32",
}

_REFERENCE = "the engine decodes with the reference's thresholds"
_LACKING: dict[str, tuple[Any, str]] = {
    "best_of": (5, "above temperature 0 the engine draws one candidate"),
    "patience": (1, "the engine's beam ends as the reference's with patience 1"),
    "length_penalty": (1, "the engine compares candidates by their mean log probability"),
    "repetition_penalty": (1, "the engine's guards end loops"),
    "no_repeat_ngram_size": (0, "the engine's guards end loops"),
    "compression_ratio_threshold": (2.4, _REFERENCE),
    "log_prob_threshold": (-1.0, _REFERENCE),
    "no_speech_threshold": (0.6, _REFERENCE),
    "prompt_reset_on_temperature": (0.5, _REFERENCE),
    "prefix": (None, "the engine begins every window itself; give initial_prompt"),
    "suppress_blank": (True, "the engine always does as the reference"),
    "suppress_tokens": ([-1], "the engine suppresses the reference's tokens"),
    "max_initial_timestamp": (1.0, "the engine begins every window within the first second"),
    "prepend_punctuations": (PREPENDED, "the engine has the reference's marks"),
    "append_punctuations": (APPENDED, "the engine has the reference's marks"),
    "multilingual": (False, "the engine takes one language for the whole recording"),
    "max_new_tokens": (None, "the engine stops where the model ends its text"),
    "chunk_length": (None, "the model's windows are 30 s"),
    "hallucination_silence_threshold": (None, "the engine's guards take out text on silence"),
    "language_detection_threshold": (0.5, "the engine hears the language in the first window with speech"),
    "language_detection_segments": (1, "the engine hears the language in the first window with speech"),
}


def _replaced(self: Any) -> dict[str, Any]:
    warnings.warn(f"{type(self).__name__}._asdict() is deprecated: use dataclasses.asdict", DeprecationWarning, stacklevel=2)
    return asdict(self)


@dataclass
class Word:
    """A word; its text has the space that stands before it."""

    start: float
    end: float
    word: str
    probability: float

    _asdict = _replaced


@dataclass
class Segment:
    """A stretch of speech, about a sentence."""

    id: int
    """1, 2, ..."""
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] | None
    temperature: float | None

    _asdict = _replaced


@dataclass
class VadOptions:
    """Where speech is looked for; milliseconds."""

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_duration_ms: int = 0
    max_speech_duration_s: float = float("inf")
    min_silence_duration_ms: int = 2000
    speech_pad_ms: int = 400


@dataclass
class TranscriptionOptions:
    """What `transcribe` was asked for."""

    beam_size: int = 5
    best_of: int = 5
    patience: float = 1
    length_penalty: float = 1
    repetition_penalty: float = 1
    no_repeat_ngram_size: int = 0
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    compression_ratio_threshold: float | None = 2.4
    condition_on_previous_text: bool = True
    prompt_reset_on_temperature: float = 0.5
    temperatures: list[float] = field(default_factory=lambda: list(STEPS))
    initial_prompt: str | Iterable[int] | None = None
    prefix: str | None = None
    suppress_blank: bool = True
    suppress_tokens: list[int] | None = field(default_factory=lambda: [-1])
    without_timestamps: bool = False
    max_initial_timestamp: float = 1.0
    word_timestamps: bool = False
    prepend_punctuations: str = PREPENDED
    append_punctuations: str = APPENDED
    multilingual: bool = False
    max_new_tokens: int | None = None
    clip_timestamps: Any = "0"
    hallucination_silence_threshold: float | None = None
    hotwords: str | None = None


@dataclass
class TranscriptionInfo:
    """What is known of a recording before its segments are."""

    language: str
    language_probability: float
    duration: float
    duration_after_vad: float
    all_language_probs: list[tuple[str, float]] | None
    transcription_options: TranscriptionOptions
    vad_options: VadOptions | None
    notes: list[str] = field(default_factory=list)
    """What the engine remarks while segments are gone through, such as why there are none."""


class WhisperModel:
    """A Whisper model. Threads may share it."""

    def __init__(
        self,
        model_size_or_path: str,
        device: str = "auto",
        device_index: int | list[int] = 0,
        compute_type: str = "default",
        cpu_threads: int = 0,
        num_workers: int = 1,  # noqa: ARG002
        download_root: str | None = None,
        local_files_only: bool = False,
        files: dict[str, Any] | None = None,
        revision: str | None = None,
        use_auth_token: str | bool | None = None,
        **model_kwargs: Any,
    ) -> None:
        """model_size_or_path: a size ("base", "large-v3", "turbo"), a name of the hub ("openai/whisper-base",
        "Systran/faster-whisper-base"), or a directory. compute_type: "default" (what is accurate and fast here), "float32", "bfloat16"
        (also for "float16"), "int8" and its combinations. cpu_threads: 0: all CPUs. num_workers: any number of threads may transcribe at
        once as it is. download_root: the home of Sonant's models; None: the usual one. local_files_only: download nothing. revision,
        use_auth_token: of the hub.

        Raises ArgumentError (an unknown compute_type), UnsupportedError (files), NotFoundError, and what `Engine.load` and `Engine.pull`
        do."""
        if compute_type not in PRECISIONS:
            raise errors.ArgumentError(f"compute_type is {compute_type!r}; it may be {', '.join(map(repr, PRECISIONS))}")
        if files:
            raise errors.UnsupportedError("files: models are read from the disk; give their directory")
        if compute_type in ("int16", "float16"):
            _warn(f"compute_type {compute_type!r} is {'float32' if compute_type == 'int16' else 'bfloat16'} here")
        if device not in ("auto", "cpu"):
            _warn(f"device {device!r} is ignored: the engine runs on the processor")
        if device_index != 0:
            _warn(f"device_index {device_index!r} is ignored: the engine runs on the processor")
        for name in model_kwargs:
            _warn(f"{name} is ignored: it is an option of CTranslate2")
        name = _name(model_size_or_path)
        token = use_auth_token if isinstance(use_auth_token, str) else None
        self.engine = Engine(threads=cpu_threads or None, home=download_root)
        try:
            self._model = _load(self.engine, name, PRECISIONS[compute_type], local_files_only, revision, token)
        except BaseException:
            self.engine.close()
            raise
        self._local, self._token, self._has_detector = local_files_only, token, False
        many = self._model.info.detects_language
        self.model = SimpleNamespace(
            is_multilingual=many, n_mels=128 if "large-v3" in name else 80, device="cpu", compute_type=compute_type
        )
        self.feature_extractor = SimpleNamespace(sampling_rate=RATE, chunk_length=30, n_samples=BLOCK, hop_length=160, nb_max_frames=3000)
        self.frames_per_second, self.tokens_per_second, self.time_precision, self.max_length = 100, 50, 0.02, 448

    @property
    def supported_languages(self) -> list[str]:
        """Codes."""
        return list(self._model.info.languages)

    def transcribe(
        self,
        audio: Any,
        language: str | None = None,
        task: str = "transcribe",
        log_progress: bool = False,
        beam_size: int = 5,
        best_of: int = 5,
        patience: float = 1,
        length_penalty: float = 1,
        repetition_penalty: float = 1,
        no_repeat_ngram_size: int = 0,
        temperature: float | list[float] | tuple[float, ...] = STEPS,
        compression_ratio_threshold: float | None = 2.4,
        log_prob_threshold: float | None = -1.0,
        no_speech_threshold: float | None = 0.6,
        condition_on_previous_text: bool = True,
        prompt_reset_on_temperature: float = 0.5,
        initial_prompt: str | Iterable[int] | None = None,
        prefix: str | None = None,
        suppress_blank: bool = True,
        suppress_tokens: list[int] | None = [-1],  # noqa: B006
        without_timestamps: bool = False,
        max_initial_timestamp: float = 1.0,
        word_timestamps: bool = False,
        prepend_punctuations: str = PREPENDED,
        append_punctuations: str = APPENDED,
        multilingual: bool = False,
        vad_filter: bool = False,
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        max_new_tokens: int | None = None,
        chunk_length: int | None = None,
        clip_timestamps: str | list[float] = "0",
        hallucination_silence_threshold: float | None = None,
        hotwords: str | None = None,
        language_detection_threshold: float | None = 0.5,
        language_detection_segments: int = 1,
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        """A generator of segments, computed while it is gone through, and what is known before.

        audio: a path, a binary file, bytes, or an array of 16 kHz ([frames] float32). temperature: the first value, and whether there are
        more, count: the engine's steps are 0.2. vad_parameters: threshold, min_speech_duration_ms, min_silence_duration_ms, speech_pad_ms.
        clip_timestamps: "start,end,start,..." or a list of seconds. Others as in faster-whisper; see the module for what is not there.

        Raises ArgumentError, TypeError, NotFoundError, FormatError, and the like; in the generator what decoding raises."""
        asked = {name: value for name, value in locals().items() if name != "self"}
        return self._transcribe(asked, _clips(clip_timestamps), None)

    def detect_language(
        self,
        audio: Any = None,
        features: Any = None,
        vad_filter: bool = False,
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        language_detection_segments: int = 1,
        language_detection_threshold: float = 0.5,  # noqa: ARG002
    ) -> tuple[str, float, list[tuple[str, float]]]:
        """The language of the first 30 s (with speech, with `vad_filter`), its probability, and a list of both.

        Raises ArgumentError (no audio; `features`, which are the engine's own), and what `transcribe` does."""
        if audio is None or features is not None:
            raise errors.ArgumentError("audio is needed: features are the engine's own")
        asked = {"vad_filter": vad_filter, "vad_parameters": vad_parameters, "beam_size": 1}
        heard = self._listen(_samples(audio)[: BLOCK * max(1, language_detection_segments)], asked, None)
        try:
            found = heard.language()
        finally:
            heard.close()
        return found.language, found.confidence, [(found.language, found.confidence)]

    def _transcribe(
        self, asked: dict[str, Any], clips: list[tuple[float, float | None]], batch: int | None
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        _name_what_is_lacking(asked)
        many = self.model.is_multilingual
        if not many and asked["language"] not in (None, "en"):
            _warn(f"language {asked['language']!r} is ignored: the model knows English only")
        if not many:
            asked["language"] = "en"
        samples = _samples(asked["audio"])
        cut = [(start, samples[round(start * RATE) : None if end is None else round(end * RATE)]) for start, end in clips]
        pieces = [(start, piece) for start, piece in cut if len(piece)]
        if not pieces:
            raise errors.ArgumentError(
                f"clip_timestamps {asked['clip_timestamps']!r} leave nothing of {len(samples) / RATE:.3f} s of audio"
            )
        first = self._listen(pieces[0][1], asked, batch)
        found = first.language()
        detected = asked["language"] is None
        whole = clips == [(0.0, None)]
        info = TranscriptionInfo(
            language=found.language or "en",
            language_probability=found.confidence if detected else 1.0,
            duration=len(samples) / RATE,
            duration_after_vad=self._spoken(samples, asked)
            if asked["vad_filter"] and whole
            else sum(len(piece) for _, piece in pieces) / RATE,
            all_language_probs=[(found.language, found.confidence)] if detected else None,
            transcription_options=_options(asked),
            vad_options=_vad_options(asked) if asked["vad_filter"] else None,
        )
        if detected:
            asked["language"] = found.language or None
        return self._segments(first, pieces, asked, batch, info.notes), info

    def _listen(self, samples: NDArray[np.float32], asked: Mapping[str, Any], batch: int | None) -> _Heard:
        """A session that hears the samples while it is gone through."""
        if asked["vad_filter"]:
            self._need_detector()
        temperature = asked.get("temperature", STEPS)
        steps = list(temperature) if isinstance(temperature, (list, tuple)) else [temperature]
        prompt = asked.get("initial_prompt")
        stream = self.engine.listen(
            [samples[i : i + BLOCK] for i in range(0, len(samples), BLOCK)],
            live=False,
            model=self._model,
            language=asked.get("language"),
            task=asked.get("task"),
            prompt=prompt if prompt is None or isinstance(prompt, str) else self._text(prompt),
            hotwords=asked.get("hotwords"),
            beam_size=asked.get("beam_size"),
            temperature=steps[0],
            fallback=len(steps) > 1,
            condition=asked.get("condition_on_previous_text"),
            timestamps=not asked.get("without_timestamps", False),
            words=bool(asked.get("word_timestamps")),
            vad=bool(asked["vad_filter"]),
            batch=batch,
            **_vad(asked["vad_parameters"]),
        )
        return _Heard(stream)

    def _need_detector(self) -> None:
        """faster-whisper carries the model of its filter with it; here it is installed when it is asked for first."""
        if self._has_detector:
            return
        if not any(entry.installed and DETECTOR in (entry.name, *entry.aliases) for entry in self.engine.models()):
            if self._local:
                raise errors.NotFoundError(f"vad_filter needs {DETECTOR}, which is not installed: run 'sonant models pull {DETECTOR}'")
            self.engine.pull(DETECTOR, token=self._token)
        self._has_detector = True

    def _segments(
        self, heard: _Heard, pieces: list[tuple[float, NDArray[np.float32]]], asked: dict[str, Any], batch: int | None, notes: list[str]
    ) -> Iterator[Segment]:
        """Segments of one piece of audio after the other; closing the generator ends the work."""
        count, end = 0, pieces[-1][0] + len(pieces[-1][1]) / RATE
        with _bar(asked["log_progress"], end) as move:
            for number, (start, piece) in enumerate(pieces):
                if number:
                    heard = self._listen(piece, asked, batch)
                try:
                    for event in heard:
                        if isinstance(event, heard_types.Segment):
                            count += 1
                            yield _segment(event, count, start, bool(asked["word_timestamps"]))
                            move(start + event.end)
                        elif isinstance(event, heard_types.Note):
                            notes.append(event.message)
                finally:
                    heard.close()
            move(end)

    def _spoken(self, samples: NDArray[np.float32], asked: Mapping[str, Any]) -> float:
        """Seconds that the filter leaves."""
        settings = {"vad_min_speech": 0, "vad_min_silence": 160, "vad_pad": 400, **_vad(asked["vad_parameters"])}
        share = self.engine.quality(samples, rate=RATE, scores=False, **settings).speech
        return len(samples) / RATE * (1.0 if share is None else share)

    def _text(self, tokens: Iterable[int]) -> str:
        """What tokens say."""
        from sonant._binding import ffi, lib

        written, buffer = b"", ffi.new("char[]", 256)
        with self._model._handle as model:
            for token in tokens:
                size = lib.sn_model_token(model, int(token), buffer, len(buffer))
                written += ffi.buffer(buffer, min(size, len(buffer) - 1))[:]
        return written.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Gives the model and the engine's threads back; without it that happens when the object is dropped."""
        self._model.close()
        self.engine.close()


class BatchedInferencePipeline:
    """Transcribes windows of speech together: faster where a recording is longer than half a minute."""

    def __init__(self, model: WhisperModel) -> None:
        self.model = model

    def transcribe(
        self,
        audio: Any,
        language: str | None = None,
        task: str = "transcribe",
        log_progress: bool = False,
        beam_size: int = 5,
        best_of: int = 5,
        patience: float = 1,
        length_penalty: float = 1,
        repetition_penalty: float = 1,
        no_repeat_ngram_size: int = 0,
        temperature: float | list[float] | tuple[float, ...] = STEPS,
        compression_ratio_threshold: float | None = 2.4,
        log_prob_threshold: float | None = -1.0,
        no_speech_threshold: float | None = 0.6,
        condition_on_previous_text: bool = True,
        prompt_reset_on_temperature: float = 0.5,
        initial_prompt: str | Iterable[int] | None = None,
        prefix: str | None = None,
        suppress_blank: bool = True,
        suppress_tokens: list[int] | None = [-1],  # noqa: B006
        without_timestamps: bool = True,
        max_initial_timestamp: float = 1.0,
        word_timestamps: bool = False,
        prepend_punctuations: str = PREPENDED,
        append_punctuations: str = APPENDED,
        multilingual: bool = False,
        vad_filter: bool = True,
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        max_new_tokens: int | None = None,
        chunk_length: int | None = None,
        clip_timestamps: list[dict[str, float]] | None = None,
        hallucination_silence_threshold: float | None = None,
        batch_size: int = 8,
        hotwords: str | None = None,
        language_detection_threshold: float | None = 0.5,
        language_detection_segments: int = 1,
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        """As `WhisperModel.transcribe`. batch_size: windows that are decoded together, at most the model's 8. clip_timestamps: a list of
        {"start": s, "end": s}. Without timestamps a segment is a window. vad_filter off is for recordings below 30 s.

        Raises ArgumentError (a longer one without vad_filter and clip_timestamps), and what `WhisperModel.transcribe` does."""
        asked = {name: value for name, value in locals().items() if name not in ("self", "batch_size")}
        clips = [(float(clip["start"]), float(clip["end"])) for clip in clip_timestamps or []]
        asked["audio"] = samples = _samples(audio)
        if not clips and not vad_filter and len(samples) >= BLOCK:
            raise errors.ArgumentError(f"{len(samples) / RATE:.1f} s of audio need vad_filter=True or clip_timestamps")
        return self.model._transcribe(asked, list(clips) or [(0.0, None)], batch_size)


class _Heard:
    """Events of a session, whose language can be asked for before the others are gone through."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._waiting: deque[Any] = deque()

    def language(self) -> heard_types.Language:
        """Waits for it; an empty one where there was nothing to tell it from."""
        for event in self._stream:
            if isinstance(event, heard_types.Language):
                return event
            self._waiting.append(event)
        return heard_types.Language("", 0.0)

    def __iter__(self) -> Iterator[Any]:
        while self._waiting:
            yield self._waiting.popleft()
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


def available_models() -> list[str]:
    """Sizes that `WhisperModel` takes."""
    return list(SIZES)


def download_model(
    size_or_id: str,
    output_dir: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | None = None,
    revision: str | None = None,
    use_auth_token: str | bool | None = None,
) -> str:
    """Installs a model where it is not, and returns its directory. cache_dir: the home of Sonant's models; None: the usual one.

    Raises UnsupportedError (output_dir: models lie in a home), NotFoundError (with local_files_only), and what `Engine.pull` does."""
    if output_dir is not None:
        raise errors.UnsupportedError(f"output_dir {output_dir!r}: models lie in a home; give cache_dir")
    name, token = _name(size_or_id), use_auth_token if isinstance(use_auth_token, str) else None
    with Engine(threads=1, home=cache_dir) as engine:
        found = [entry for entry in engine.models() if entry.installed and name in (entry.name, *entry.aliases)]
        if found:
            return found[0].path
        if local_files_only:
            raise errors.NotFoundError(f"{name} is not installed, and local_files_only keeps it from being downloaded")
        return engine.pull(name, revision=revision, token=token).path


def decode_audio(input_file: Any, sampling_rate: int = RATE, split_stereo: bool = False) -> NDArray[np.float32]:
    """A path, bytes or a binary file as [frames] float32, channels averaged.

    Raises UnsupportedError (split_stereo), NotFoundError, FormatError, DependencyError (a format for FFmpeg, which is missing)."""
    if split_stereo:
        raise errors.UnsupportedError("split_stereo: channels are averaged")
    return Audio.load(input_file, rate=sampling_rate).samples


def format_timestamp(seconds: float, always_include_hours: bool = False, decimal_marker: str = ".") -> str:
    """ "00:01.500", with hours where there are any. Raises ArgumentError (below 0)."""
    if seconds < 0:
        raise errors.ArgumentError(f"a time of {seconds} s; it must be 0 or more")
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours:02d}:" if hours or always_include_hours else ""
    return f"{front}{minutes:02d}:{whole:02d}{decimal_marker}{milliseconds:03d}"


def _warn(message: str) -> None:
    """Of the line outside this module."""
    import sys

    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals is globals():
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, UserWarning, stacklevel=level)


def _name(size_or_id: str) -> str:
    """What the engine calls it: the weights that CTranslate2 reads are those of the originals."""
    given = os.fspath(size_or_id)
    short = given.rsplit("/", 1)[-1].removeprefix("faster-").removeprefix("whisper-").removeprefix("distil-whisper-")
    if given.startswith(("Systran/faster-whisper-", "mobiuslabsgmbh/faster-whisper-", "guillaumekln/faster-whisper-")):
        return SIZES.get(short, given)
    if given.startswith("Systran/faster-distil-whisper-"):
        return SIZES.get("distil-" + short, given)
    return SIZES.get(given, given)


def _load(engine: Engine, name: str, precision: str, local: bool, revision: str | None, token: str | None) -> Model:
    try:
        return engine.load(name, task="transcribe", precision=precision)
    except errors.NotFoundError:
        if local or os.path.isabs(name) or name.startswith("."):
            raise
        engine.pull(name, revision=revision, token=token)
        return engine.load(name, task="transcribe", precision=precision)


def _samples(audio: Any) -> NDArray[np.float32]:
    """[frames] float32 of 16 kHz. audio: a file, or samples of that rate."""
    from sonant._arrays import is_samples, mono

    return mono(audio) if is_samples(audio) else decode_audio(audio)


def _clips(given: str | list[float]) -> list[tuple[float, float | None]]:
    """Stretches of seconds; None: to the end."""
    try:
        times = [float(part) for part in (given.split(",") if isinstance(given, str) else given) if part != ""]
    except (TypeError, ValueError):
        raise errors.ArgumentError(f"clip_timestamps is {given!r}; it may be 'start,end,start,...' or a list of seconds") from None
    ends: list[float | None] = [*times[1::2]]
    clips = list(zip(times[::2], ends + [None] * (len(times) % 2), strict=True)) or [(0.0, None)]
    for start, end in clips:
        if start < 0 or (end is not None and end <= start):
            raise errors.ArgumentError(f"the clip from {start} s to {end} s of clip_timestamps holds no audio")
    return clips


def _vad(given: Mapping[str, Any] | VadOptions | None) -> dict[str, Any]:
    """Options of the engine for a voice activity filter."""
    wishes = asdict(given) if isinstance(given, VadOptions) else dict(given or {})
    names = {
        "threshold": "vad_threshold",
        "min_speech_duration_ms": "vad_min_speech",
        "min_silence_duration_ms": "vad_min_silence",
        "speech_pad_ms": "vad_pad",
    }
    lacking = {"neg_threshold": (None,), "max_speech_duration_s": (float("inf"), 30, None)}
    for name in wishes:
        if name in lacking and wishes[name] not in lacking[name]:
            _warn(f"{name}={wishes[name]!r} of vad_parameters is ignored: the engine cuts stretches at the model's 30 s")
        elif name not in names and name not in lacking:
            raise TypeError(f"{name!r} is none of vad_parameters: {', '.join([*names, *lacking])}")
    return {names[name]: value for name, value in wishes.items() if name in names}


def _vad_options(asked: Mapping[str, Any]) -> VadOptions:
    given = asked["vad_parameters"]
    return given if isinstance(given, VadOptions) else VadOptions(**{"min_silence_duration_ms": 160, **(given or {})})


def _name_what_is_lacking(asked: Mapping[str, Any]) -> None:
    for name, (usual, why) in _LACKING.items():
        if asked[name] != usual:
            _warn(f"{name}={asked[name]!r} is ignored: {why}")
    steps = asked["temperature"]
    if isinstance(steps, (list, tuple)) and any(abs(b - a - 0.2) > 1e-6 for a, b in pairwise(steps)):
        _warn(f"temperature={steps!r}: the engine begins with {steps[0]} and goes on in steps of 0.2 up to 1")


def _options(asked: Mapping[str, Any]) -> TranscriptionOptions:
    steps = asked["temperature"]
    known = TranscriptionOptions.__dataclass_fields__
    facts = {name: value for name, value in asked.items() if name in known}
    return TranscriptionOptions(**facts, temperatures=list(steps) if isinstance(steps, (list, tuple)) else [steps])


def _segment(s: heard_types.Segment, count: int, start: float, words: bool) -> Segment:
    """start: of its piece of audio."""
    return Segment(
        id=count,
        seek=round((start + s.start) * 100),
        start=round(start + s.start, 3),
        end=round(start + s.end, 3),
        text=s.text,
        tokens=list(s.tokens),
        avg_logprob=s.avg_logprob,
        compression_ratio=s.compression_ratio,
        no_speech_prob=s.no_speech_prob,
        words=[Word(round(start + w.start, 3), round(start + w.end, 3), text, w.confidence) for text, w in spaced(s)] if words else None,
        temperature=s.temperature,
    )


@contextmanager
def _bar(shown: bool, total: float) -> Iterator[Callable[[float], object]]:
    """A bar of tqdm, or nothing."""
    from sonant._progress import following

    with following(True if shown else None, "transcribe") as move:
        yield (lambda _done: None) if move is None else (lambda done: move(done, total))
