"""Text to speech."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

from sonant import errors
from sonant._base import EngineBase, Model
from sonant._binding import PRIORITY, Call, Cancel, Options, Progress, choice, ffi, lib, number, owned
from sonant._binding import text as to_str
from sonant._many import check_jobs, in_order
from sonant._progress import following
from sonant._sessions import Session, Stream
from sonant._signature import spelled
from sonant.types import Mark, Note, Outcome, Speech, SpeechChunk, Voice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

__all__ = ["SpeakOptions", "Speaking", "SpeechStream"]

PIECE = 4096
"""Bytes of text that are pushed at once: the first sound does not wait for the last word."""
HURRY = 0.1
"""Seconds after which a session that is fed slowly is asked again: a clause that waits is spoken before the listener runs out of speech."""


class SpeakOptions(TypedDict, total=False):
    """How to speak. What is None or missing is the model's or the engine's own."""

    voice: str | int | os.PathLike[str] | Voice | None
    """A speaker of the model by name or number, a voice of the bank, or the path of an embedding (.npy) or preset (.npz)."""
    language: str | None
    """Of the text: a code or an English name."""
    speed: float | None
    """0.25 to 4; 1: the voice's own."""
    emotion: str | None
    """One of the model's."""
    vocoder: str | None
    """A name, a directory, or "griffin-lim", for models that make mel spectrograms."""
    seed: int | None
    """Of the model's noise; None is 0. The same seed gives the same samples."""
    pitch: float | None
    """0.25 to 4 times what the model predicts."""
    energy: float | None
    """0.25 to 4 times what the model predicts."""
    noise: float | None
    """Of the voice, 0 to 2; 0: none."""
    noise_duration: float | None
    """Of its rhythm, 0 to 2; 0: none."""
    pause: float | None
    """Seconds of silence between sentences, 0 to 10."""
    temperature: float | None
    """Of sampled tokens, 0 to 2; 0: the likeliest token always."""
    dropout: bool | None
    """Of prenets that draw it while speaking."""
    ssml: bool | None
    """The text is SSML; None: where it begins with "<speak" or "<?xml"."""
    normalise: bool | None
    """Read numbers, dates, units and abbreviations as words; None: yes."""
    check: bool | None
    """True: rate the speech (`quality_score`); False: do not look at it either. None: bad sentences are spoken again."""
    inspect: bool | None
    """Streams: look at each sentence before it is given out, and speak a bad one again."""
    verify: bool | None
    """Read each sentence back, speak it again where words differ, and tell the `word_error_rate`."""
    verify_model: str | None
    """That reads back."""
    retries: int | None
    """How often a bad sentence is spoken again at most, 0 to 8; None: once."""
    priority: str | None
    """"interactive", "realtime" or "batch": which of several calls is computed first."""
    share: int | None
    """Calls of one share (a customer) take turns as if they were one."""


TEXTS = ("language", "emotion", "vocoder", "verify_model")
NUMBERS = ("speed", "pitch", "energy", "pause")
NONE_AT_ZERO = ("noise", "noise_duration", "temperature", "retries")
"""In C 0 is the default of these, and what is below 0 stands for none."""
SWITCHES = ("dropout", "ssml", "normalise", "check", "inspect", "verify")


def tts_options(given: SpeakOptions) -> Options:
    """The options as an sn_tts_options.

    Raises TypeError (an unknown option, a wrong type), ArgumentError (a value that C cannot hold, or that means something else there)."""
    wishes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in SpeakOptions.__annotations__:
            raise TypeError(f"there is no option {name!r}; options are {', '.join(SpeakOptions.__annotations__)}")
    for name in ("speed", "pitch", "energy"):
        if name in wishes and number(name, wishes[name]) == 0:
            raise errors.ArgumentError(f"{name} is {wishes[name]}; it may be 0.25 to 4")
    for name in NONE_AT_ZERO:
        if name in wishes and number(name, wishes[name]) < 0:
            raise errors.ArgumentError(f"{name} is {wishes[name]}; it may be 0 or more")
        if name in wishes and wishes[name] == 0:
            wishes[name] = -1
    options = Options("sn_tts_options")
    options.set_text(voice=_voice(wishes.get("voice")), **{name: wishes.get(name) for name in TEXTS})
    options.set_number(**{name: wishes.get(name) for name in (*NUMBERS, *NONE_AT_ZERO[:3])})
    options.set_whole(**{name: wishes.get(name) for name in ("seed", "retries", "share")})
    options.set_switch(**{name: wishes.get(name) for name in SWITCHES})
    if "priority" in wishes:
        options.pointer.priority = choice("priority", wishes["priority"], PRIORITY)
    return options


def _voice(voice: Any) -> Any:
    if isinstance(voice, Voice):
        return voice.name
    return str(voice) if isinstance(voice, int) and not isinstance(voice, bool) else voice


def _encoded(piece: Any) -> bytes:
    """Text in UTF-8."""
    if not isinstance(piece, str):
        raise TypeError(f"text must be a str, not {type(piece).__name__}")
    try:
        return piece.encode()
    except UnicodeEncodeError as error:
        bad = f"U+{ord(piece[error.start]):04X} at character {error.start}"
        raise errors.FormatError(f"the text has half of a surrogate pair, {bad}, which is no character") from None


def _cut(data: bytes) -> Iterator[bytes]:
    """Pieces of at most PIECE bytes and whole characters."""
    at = 0
    while at < len(data):
        end = min(at + PIECE, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[at:end]
        at = end


def _pieces(source: Iterable[str]) -> Iterator[bytes]:
    for piece in source:
        yield from _cut(_encoded(piece))


async def _pieces_async(source: AsyncIterable[str]) -> AsyncIterator[bytes]:
    async for piece in source:
        for part in _cut(_encoded(piece)):
            yield part


def _silence() -> NDArray[np.float32]:
    import numpy as np

    return np.zeros(0, np.float32)


def _chunk(audio: Any) -> SpeechChunk:
    """A copy of what a session lends."""
    import numpy as np

    samples = np.frombuffer(ffi.buffer(audio.pcm, audio.count * 4), np.float32).copy() if audio.count else _silence()
    mark = None if audio.mark == ffi.NULL else to_str(audio.mark)
    return SpeechChunk(samples, audio.sample_rate, sentence=audio.sentence, mark=mark)


def _speech(samples: NDArray[np.float32], facts: Any, more: tuple[Note, ...] = ()) -> Speech:
    """An sn_speech."""
    return Speech(
        samples,
        facts.sample_rate,
        spoken=facts.duration,
        model=to_str(facts.model),
        dtype=to_str(facts.dtype),
        voice=to_str(facts.voice),
        vocoder=to_str(facts.vocoder),
        processing_time=facts.processing_time,
        first_audio=facts.first_audio,
        sentences=facts.sentences,
        quality_score=facts.quality or None,
        word_error_rate=None if facts.word_error_rate < 0 else facts.word_error_rate,
        attempts=facts.attempts,
        notes=tuple(Note(to_str(n.code), to_str(n.message)) for n in facts.notes[0 : facts.note_count]) + more,
        marks=tuple(Mark(to_str(m.name), m.time) for m in facts.marks[0 : min(facts.mark_count, len(facts.marks))]),
    )


class SpeechSession(Session[SpeechChunk]):
    """A session that speaks: pieces of text in UTF-8 go in, chunks of speech come out."""

    kind = "tts"

    def __init__(self, model: Model, options: Options) -> None:
        self._facts = ffi.new("sn_speech *")
        self._notes: tuple[Note, ...] = ()
        self._spoken = False
        super().__init__(model, options)

    def push(self, piece: bytes) -> bool:
        with self.turn() as tts:
            return bool(self.check(lib.sn_tts_push(tts, piece, len(piece), self.err)) == lib.SN_OK)

    def finish(self) -> None:
        with self.turn() as tts:
            self.check(lib.sn_tts_finish(tts, self.err))

    def pull(self) -> SpeechChunk | None:
        """Behind the last chunk it waits for the rating, where one was asked for."""
        with self.turn() as tts:
            if not self._spoken:
                audio = ffi.new("sn_audio *")
                result = self.check(lib.sn_tts_pull(tts, audio, self.err))
                if result == lib.SN_OK:
                    return _chunk(audio)
                self._spoken = result == lib.SN_END
            if self._spoken:
                self._rate(tts)
            return None

    def _rate(self, tts: Any) -> None:
        """The speech is there, whatever became of its rating."""
        try:
            self.ended = self.check(lib.sn_tts_check(tts, self._facts, self.err)) != lib.SN_AGAIN
        except errors.CancelledError:
            raise
        except errors.Error as error:
            self._notes = (Note("not_rated", f"the speech was not rated: {error}"),)
            self.ended = True

    @property
    def result(self) -> Speech:
        """What is known now; of a session that was closed, what was known then."""
        if not self.ended:
            with suppress(errors.ClosedError), self.turn() as tts:
                lib.sn_tts_result(tts, self._facts)
        return _speech(_silence(), self._facts, self._notes)

    def close(self) -> None:
        if not self.ended:
            with suppress(errors.ClosedError), self.turn() as tts:
                lib.sn_tts_result(tts, self._facts)
        super().close()


class SpeechStream(Stream[SpeechChunk]):
    """Speech while it is made: gives `SpeechChunk`s, by `for` or `async for`."""

    session: SpeechSession

    @property
    def result(self) -> Speech:
        """Facts, without samples: of all the speech behind its end, before it of what there is so far."""
        return self.session.result


class Speaking(EngineBase):
    """The engine's part that says what is written."""

    @spelled(SpeakOptions)
    def speak(
        self,
        text: str,
        *,
        model: Model | str | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Speech:
        """Speaks a text: the samples ([count] float32, which own their memory) and facts of it.

        text: at most 512 KiB in UTF-8; control characters are left out. model: a `Model`, a name, or None: the default one, which stays
        loaded. progress: called with seconds of speech made and 0, or True: a bar of tqdm. cancel: an event; when it is set the call
        ends. options: see `SpeakOptions`. What a progress function raises, a Ctrl-C and a set event end the call within a step.

        Raises ArgumentError (nothing to speak: says why; an option out of range), FormatError (half of a surrogate pair, malformed SSML),
        LimitError (too long), UnsupportedError (a language, emotion or control that the model lacks: lists what it has), NotFoundError
        (model, voice, vocoder), TypeError, DependencyError (the phonemizer is missing), CancelledError, ClosedError,
        EngineMemoryError."""
        filled, data = tts_options(options), _encoded(text)
        with following(progress, "speak") as moved:
            return _speak(self._model(model, "speak", language=options.get("language")), data, filled, Call(moved, cancel))

    @spelled(SpeakOptions)
    def speak_stream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        model: Model | str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> SpeechStream:
        """Speaks, and gives the speech while it is made: the first chunk is short, and comes after some tens of milliseconds.

            for chunk in engine.speak_stream("Good morning."):
                play(chunk.samples, chunk.sample_rate)

        text: a text of any length; or its pieces, as a language model writes them (an iterable, or in asyncio an asynchronous one):
        clauses are spoken as soon as they are whole, also while the next piece is waited for. A thread of its own (in asyncio a task)
        goes through the pieces; what they raise ends the stream and comes out of it. Which pieces are spoken together depends on time, so
        that the samples are not the same each time. Other arguments as in `speak`.

        What is given is gone through by `for` or `async for`. It has `close` (as has `with`, and dropping it does the same), `cancel` (from
        any thread) and `result`: facts of the whole.

        Raises what `speak` raises: at once what is wrong with an option, and while it is gone through what is wrong with the text."""
        filled = tts_options(options)
        source: Iterable[bytes] | AsyncIterable[bytes]
        if isinstance(text, str):
            source, waits = _cut(_encoded(text)), False
        elif isinstance(text, AsyncIterable):
            source, waits = _pieces_async(text), True
        elif isinstance(text, Iterable) and not isinstance(text, (bytes, bytearray, memoryview)):
            source, waits = _pieces(text), not isinstance(text, (list, tuple))
        else:
            raise TypeError(f"text must be a str or an iterable of pieces of text, not {type(text).__name__}")
        filled.pointer.stream = lib.SN_OFF if isinstance(text, str) else lib.SN_ON
        session = SpeechSession(self._model(model, "speak", language=options.get("language")), filled)
        return SpeechStream(session, source, waits=waits, interval=HURRY, cancel=cancel)

    @spelled(SpeakOptions)
    def speak_many(
        self,
        texts: Iterable[str],
        *,
        model: Model | str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Iterator[Outcome[Speech]]:
        """Speaks texts side by side, and gives an `Outcome` of each in their order: its `value` is the `Speech`, or its `error` says why
        there is none; `get()` gives the one or raises the other. An error of one text is no error of the others.

        texts: taken as they are needed, at most twice `jobs` ahead. jobs: 1 to 256 (4). progress: of texts, of how many (0: not known).
        Closing the iterator ends what is under way. Other arguments as in `speak`.

        Raises at once what is wrong with model and options; in the iteration CancelledError, and what `texts` raises."""
        if isinstance(texts, (str, bytes)):
            raise TypeError("texts must be an iterable of texts, not one text; speak() takes one")
        chosen = self._model(model, "speak", language=options.get("language"))
        SpeechSession(chosen, tts_options(options)).close()

        def work(text: Any, stop: Cancel) -> Speech:
            return _speak(chosen, _encoded(text), tts_options(options), Call(None, stop))

        return in_order(work, texts, check_jobs(jobs), progress, cancel)


def _speak(model: Model, data: bytes, options: Options, call: Call) -> Speech:
    """On this thread, with the interpreter's lock let go."""
    pcm, count, facts = ffi.new("float **"), ffi.new("size_t *"), ffi.new("sn_speech *")
    call.fill(options)
    try:
        with model._handle as pointer:
            result = lib.sn_speak_pcm(pcm, count, pointer, data, len(data), options.pointer, facts, call.err)
        call.end(result)
        return _speech(owned(pcm, count[0]), facts)
    finally:
        lib.free(pcm[0])
