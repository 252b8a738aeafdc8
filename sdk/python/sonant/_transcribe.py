"""Files and samples to text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from sonant import errors
from sonant._base import EngineBase, Model
from sonant._binding import PRIORITY, Call, Cancel, Options, Progress, check, check_zeros, choice, ffi, lib, message_buffer, number, text
from sonant._many import check_jobs, in_order
from sonant._progress import following
from sonant._samples import Bytes, File, Samples, as_source, resampled
from sonant._segments import Segments
from sonant._signature import spelled
from sonant._values import set_vad
from sonant.types import Attempt, Note, Outcome, Segment, Transcript, Word

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SessionOptions", "TranscribeOptions", "Transcribing", "note_of", "segment_of", "stt_options", "words_of"]

RATE = 16000
"""Hz, that models hear."""
RETRY_BELOW = 0.6
"""Confidence below which the retry models try where min_confidence is not given."""


class SessionOptions(TypedDict, total=False):
    """How a model listens. What is left out or None stays at the engine's default, which is in brackets."""

    language: str | None
    """A code or English name, or "auto" ("auto": heard)."""
    task: str | None
    """"transcribe", or "translate" into English."""
    prompt: str | None
    """Text that the audio is taken to follow: names, style. At most 4096 bytes."""
    hotwords: str | Sequence[str] | None
    """Words and phrases that are made likelier where they fit the sound; in one text they are separated by commas."""
    beam_size: int | None
    """1 (greedy) to 16 (5)."""
    temperature: float | None
    """First temperature, 0 to 1 (0)."""
    fallback: bool | None
    """Repeat doubtful windows at higher temperatures (on)."""
    seed: int | None
    """Of sampling at temperatures above 0 (0)."""
    timestamps: bool | None
    """Times within a window of 30 s (on); off: one segment a window."""
    words: bool | None
    """Times of words (where the model has them)."""
    vad: bool | None
    """Decode only speech, windows in batches (where silero-vad is installed)."""
    vad_threshold: float | None
    """Probability from which on it is speech, above 0 and below 1 (0.5)."""
    vad_min_speech: int | None
    """ms; shorter stretches are dropped (0)."""
    vad_min_silence: int | None
    """ms; a shorter silence does not end a stretch of speech (160)."""
    vad_pad: int | None
    """ms of silence kept on both sides of speech (400)."""
    batch: int | None
    """Windows decoded together with vad (the model's `windows`)."""
    condition: bool | None
    """Without vad: give each window the text before it (on)."""
    previous_tokens: int | None
    """Most tokens of that text (half the model's context)."""
    denoise: bool | None
    """Take noise out before anything else hears the audio (off)."""
    guards: bool | None
    """Against loops, text on silence, echoes of the prompt (on)."""
    punctuate: bool | None
    """Write marks and capitals for models that write none (on there)."""
    punctuation: str | None
    """A model for that (an installed one, else rules)."""
    priority: str | None
    """"interactive", "realtime" or "batch": which of several calls is computed first ("interactive")."""
    share: int | None
    """Calls of one share (a customer) take turns as if they were one (each is its own)."""


class TranscribeOptions(SessionOptions, total=False):
    """How a model listens to audio that is there as a whole: `SessionOptions` and these."""

    min_confidence: float | None
    """0 to 1: below it the retry models try (0.6 with retry_models)."""
    retry_models: Sequence[str] | None
    """At most 8 names of models that try in this order; the most confident result is kept, `attempts` names all."""
    start: float | None
    """Seconds at which to begin; times stay those of the whole audio (0)."""
    length: float | None
    """Seconds to hear (all)."""


TEXTS = ("language", "task", "prompt", "punctuation")
SWITCHES = ("fallback", "timestamps", "words", "vad", "condition", "denoise", "guards", "punctuate")
WHOLES = {"beam_size": "beam", "seed": "seed", "batch": "batch", "previous_tokens": "previous_tokens", "share": "share"}
NUMBERS = {"temperature": "temperature", "min_confidence": "min_confidence", "start": "from", "length": "length"}
ZERO_IS_NONE = {
    "beam_size": "1 to 16",
    "batch": "1 or more",
    "previous_tokens": "1 or more",
    "length": "above 0",
    "partial_interval": "a number of ms, or below 0 for no partials",
    "channels": "1 to 8",
}


def stt_options(given: SessionOptions, names: Iterable[str] = TranscribeOptions.__annotations__) -> Options:
    """The options as a sn_stt_options. names: that the caller takes.

    Raises TypeError (an unknown option, a wrong type), ArgumentError (a value that C cannot hold, or that means something else there)."""
    wishes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in names:
            raise TypeError(f"there is no option {name!r}; options are {', '.join(names)}")
    check_zeros(ZERO_IS_NONE, wishes)
    options = Options("sn_stt_options")
    options.set_text(**{name: wishes.get(name) for name in TEXTS})
    options.set_switch(**{name: wishes.get(name) for name in SWITCHES})
    options.set_whole(**{field: number(name, wishes[name], int) for name, field in WHOLES.items() if name in wishes})
    options.set_number(**{field: number(name, wishes[name]) for name, field in NUMBERS.items() if name in wishes})
    options.set_text(hotwords=_hotwords(wishes.get("hotwords")))
    if "priority" in wishes:
        options.pointer.priority = choice("priority", wishes["priority"], PRIORITY)
    set_vad(options.pointer.vad_settings, wishes)
    _set_retries(options, wishes)
    return options


def _hotwords(given: Any) -> Any:
    if given is None or isinstance(given, (str, bytes)):
        return given
    if not isinstance(given, Iterable):
        raise TypeError(f"hotwords must be text or a list of texts, not {type(given).__name__}")
    words = list(given)
    for word in words:
        if not isinstance(word, str) or "," in word:
            raise errors.ArgumentError(f"{word!r} is no hotword: a list of them holds texts without commas")
    return ",".join(words)


def _set_retries(options: Options, wishes: dict[str, Any]) -> None:
    models = wishes.get("retry_models", ())
    if isinstance(models, (str, bytes)) or not isinstance(models, Iterable):
        raise TypeError(f"retry_models must be a list of names of models, not {type(models).__name__}")
    names = list(models)
    if len(names) > lib.SN_MAX_RETRIES:
        raise errors.ArgumentError(f"there are {len(names)} retry_models; at most {lib.SN_MAX_RETRIES} may try")
    if names:
        options.set_texts("retry_models", "retry_model_count", names)
        options.set_number(min_confidence=wishes.get("min_confidence", RETRY_BELOW))


def words_of(words: Any, count: int) -> tuple[Word, ...]:
    """Of a C array, which may be NULL where count is 0."""
    return tuple(Word(text(w.text), w.start, w.end, w.confidence) for w in (words[i] for i in range(count)))


def segment_of(s: Any) -> Segment:
    return Segment(
        id=s.id,
        start=s.start,
        end=s.end,
        text=text(s.text),
        tokens=tuple(ffi.unpack(s.tokens, s.token_count)) if s.token_count else (),
        token_logprobs=tuple(ffi.unpack(s.token_logprobs, s.token_count)) if s.token_logprobs != ffi.NULL else None,
        temperature=s.temperature,
        avg_logprob=s.avg_logprob,
        compression_ratio=s.compression_ratio,
        no_speech_prob=s.no_speech_prob,
        confidence=s.confidence,
        words=words_of(s.words, s.word_count),
    )


def note_of(n: Any) -> Note:
    return Note(text(n.code), text(n.message))


def transcript_of(t: Any) -> Transcript:
    return Transcript(
        text=text(t.text),
        language=text(t.language),
        language_confidence=t.language_confidence,
        avg_confidence=t.avg_confidence,
        duration=t.duration,
        processing_time=t.processing_time,
        model=text(t.model),
        dtype=text(t.dtype),
        task=text(t.task),
        segments=tuple(segment_of(t.segments[i]) for i in range(t.segment_count)),
        notes=tuple(note_of(t.notes[i]) for i in range(t.note_count)),
        attempts=tuple(
            Attempt(text(a.model), text(a.dtype), a.confidence, bool(a.kept)) for a in (t.attempts[i] for i in range(t.attempt_count))
        ),
    )


class Transcribing(EngineBase):
    """The engine's part that writes down what is said."""

    @spelled(TranscribeOptions)
    def transcribe(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: Model | str | None = None,
        on_segment: Callable[[Segment], object] | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Transcript:
        """A whole transcription.

        source: a path; the bytes of a file; a binary file object (at most 1 GiB); an `Audio`; or samples, a [frames] or [frames, channels]
        array of float32 (-1 to 1), float64, float16, int16 or int32. A contiguous [frames] float32 array of 16 kHz is read where it lies,
        and must not change meanwhile. rate: Hz of an array (16000). model: a `Model`, a name, or None: the default one, which stays loaded.
        on_segment: called with each `Segment` as it is found. progress: called with seconds done and in all (0: not known), or True: a
        bar of tqdm. cancel: an event; when it is set the call ends. options: see `TranscribeOptions`.

        All three are asked or called on this thread. What a function raises, a Ctrl-C and a set event end the call within a step, and
        other calls do not notice. An engine that is closed meanwhile lets the call finish.

        Raises NotFoundError (file, model), FormatError (not audio, empty, not a number: says where), ArgumentError, TypeError,
        UnsupportedError (the model cannot do it), DependencyError (a format for FFmpeg, which is missing), IoError, LimitError,
        CancelledError, ClosedError, EngineMemoryError."""
        filled = stt_options(options)
        with following(progress, "transcribe") as moved:
            call = Call(moved, cancel)
            call.segment = _receiver(on_segment)
            return _transcribe(self._model(model, "transcribe", language=options.get("language")), as_source(source, rate), filled, call)

    @spelled(TranscribeOptions)
    def segments(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: Model | str | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Segments:
        """An iterator of the `Segment`s as they are found, for audio of any length: memory does not grow with it. Arguments and errors as
        in `transcribe`.

        The work begins with the first `next`, on a thread of its own, where progress is called; it rests while 64 segments wait to be
        taken. Closing the iterator (`close`, `with`, or dropping it) ends the work within a step. After the last segment its `info` is a
        `Transcript` without text and segments: language, duration, notes and so on."""
        filled, given = stt_options(options), as_source(source, rate)
        chosen = self._model(model, "transcribe", language=options.get("language"))
        filled.pointer.keep = lib.SN_OFF

        def work(take: Callable[[Segment], object], stop: Cancel) -> Transcript:
            with following(progress, "transcribe") as moved:
                call = Call(moved, stop)
                call.segment = _receiver(take)
                return _transcribe(chosen, given, filled, call)

        return Segments(work, cancel)

    @spelled(TranscribeOptions)
    def transcribe_many(
        self,
        sources: Iterable[Any],
        *,
        rate: int | None = None,
        model: Model | str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Iterator[Outcome[Transcript]]:
        """Transcribes sources side by side, and gives an `Outcome` of each in their order: its `value` is the `Transcript`, or its `error`
        says why there is none; `get()` gives the one or raises the other. An error of one source is no error of the others.

        sources: as of `transcribe`; taken as they are needed, at most twice `jobs` ahead. jobs: 1 to 256 (4). progress: of sources, of how
        many (0: not known). Closing the iterator ends what is under way. Other arguments as in `transcribe`.

        Raises at once what is wrong with model and options; in the iteration CancelledError, and what `sources` raises."""
        if isinstance(sources, (str, bytes, os.PathLike)):
            raise TypeError(f"sources must be an iterable of sources, not one {type(sources).__name__}; transcribe() takes one")
        chosen = self._model(model, "transcribe", language=options.get("language"))
        _check(chosen, stt_options(options))

        def work(source: Any, stop: Cancel) -> Transcript:
            return _transcribe(chosen, as_source(source, rate), stt_options(options), Call(None, stop))

        return in_order(work, sources, check_jobs(jobs), progress, cancel)


def _receiver(take: Callable[[Segment], object] | None) -> Callable[[Any], object] | None:
    if take is None:
        return None
    if not callable(take):
        raise TypeError(f"on_segment must be a function of a segment, not {type(take).__name__}")
    return lambda segment: take(segment_of(segment))


def _check(model: Model, options: Options) -> None:
    """Raises what opening a session does."""
    held, err = ffi.new("sn_stt **"), message_buffer()
    try:
        with model._handle as pointer:
            check(lib.sn_stt_open(held, pointer, options.pointer, err), err)
    finally:
        lib.sn_stt_close(held)


def _transcribe(model: Model, source: File | Bytes | Samples, options: Options, call: Call) -> Transcript:
    """On this thread, with the interpreter's lock let go."""
    held = ffi.new("sn_transcript **")
    call.fill(options)
    if call.segment is not None:
        options.pointer.segment = lib.sonant_segment
    try:
        with model._handle as pointer:
            call.end(_run(held, pointer, source, options.pointer, call.err))
            return transcript_of(held[0])
    finally:
        lib.sn_transcript_free(held)


def _run(held: Any, model: Any, source: File | Bytes | Samples, options: Any, err: Any) -> int:
    if isinstance(source, File):
        return int(lib.sn_transcribe_file(held, model, source.path, options, err))
    if isinstance(source, Bytes):
        data = ffi.from_buffer(source.data)
        return int(lib.sn_transcribe_memory(held, model, data, len(data), options, err))
    heard = resampled(source, RATE)
    return int(lib.sn_transcribe_pcm(held, model, heard.pointer, len(heard.pcm), options, err))
