"""Text to speech."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

from sonant import errors
from sonant._base import EngineBase, Model
from sonant._binding import PRIORITY, Options, choice, ffi, lib, number
from sonant._binding import text as to_str
from sonant._sessions import Session, Stream
from sonant.types import Mark, Note, Speech, SpeechChunk, Voice

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
    """The text is SSML; None: where it begins with "<speak"."""
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
    """"interactive", "realtime" or "batch"."""


def _speak_options(
    *,
    voice: str | int | os.PathLike[str] | Voice | None = None,
    language: str | None = None,
    speed: float | None = None,
    emotion: str | None = None,
    vocoder: str | None = None,
    seed: int | None = None,
    pitch: float | None = None,
    energy: float | None = None,
    noise: float | None = None,
    noise_duration: float | None = None,
    pause: float | None = None,
    temperature: float | None = None,
    dropout: bool | None = None,
    ssml: bool | None = None,
    normalise: bool | None = None,
    check: bool | None = None,
    inspect: bool | None = None,
    verify: bool | None = None,
    verify_model: str | None = None,
    retries: int | None = None,
    priority: str | None = None,
) -> Options:
    """An sn_tts_options. In C 0 stands for a default, here for itself."""
    options = Options("sn_tts_options")
    for name, factor in (("speed", speed), ("pitch", pitch), ("energy", energy)):
        if factor is not None and number(name, factor) == 0:
            raise errors.ArgumentError(f"{name} is 0; it may be 0.25 to 4")
    for name, least in (("noise", noise), ("noise_duration", noise_duration), ("temperature", temperature), ("retries", retries)):
        if least is not None and number(name, least) < 0:
            raise errors.ArgumentError(f"{name} is {least}; it may be 0 or more")
    options.set_text(voice=_voice(voice), language=language, emotion=emotion, vocoder=vocoder, verify_model=verify_model)
    options.set_number(speed=speed, pitch=pitch, energy=energy, pause=pause)
    options.set_number(noise=noise or _none(noise), noise_duration=noise_duration or _none(noise_duration))
    options.set_number(temperature=temperature or _none(temperature))
    options.set_whole(seed=seed, retries=retries or _none(retries))
    options.set_switch(dropout=dropout, ssml=ssml, normalise=normalise, check=check, inspect=inspect, verify=verify)
    if priority is not None:
        options.pointer.priority = choice("priority", priority, PRIORITY)
    return options


def _none(value: float | None) -> int | None:
    """What C takes for "none at all" where 0 is the default."""
    return None if value is None else -1


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


def _owned(pointer: Any, count: int) -> NDArray[np.float32]:
    """C's samples as an array that frees them."""
    import numpy as np

    held = ffi.gc(pointer, lib.free, count * 4)
    return np.frombuffer(ffi.buffer(held, count * 4), np.float32) if count else _silence()


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
    """The engine's part for it."""

    def speak_stream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        model: Model | str | None = None,
        precision: str | None = None,
        cancel: threading.Event | None = None,
        **options: Unpack[SpeakOptions],
    ) -> SpeechStream:
        """Speaks, and gives the speech while it is made: the first chunk is short, and comes after some tens of milliseconds.

            for chunk in engine.speak_stream("Good morning."):
                play(chunk.samples, chunk.sample_rate)

        text: a text, of any length; or its pieces, as a language model writes them (an iterable, or in asyncio an asynchronous one):
        clauses are spoken as soon as they are whole, also while the next piece is waited for. Pieces come from a thread of their own, or
        from a task; what they raise ends the stream and comes out of it. Which pieces are spoken together depends on time then, so that
        the samples are not the same each time.

        What is given goes through by `for` or `async for`, and has `close`, `cancel` (from any thread) and `result`, facts of the whole.
        It ends early when it is closed or dropped.

        Raises what `speak` raises, a wrong option at once, and what is wrong with the text while the speech is gone through."""
        filled = _speak_options(**options)
        stream, waits = SpeechStream, False
        source: Iterable[bytes] | AsyncIterable[bytes]
        if isinstance(text, str):
            source = _cut(_encoded(text))
        elif isinstance(text, AsyncIterable):
            source, waits = _pieces_async(text), True
        elif isinstance(text, Iterable) and not isinstance(text, (bytes, bytearray, memoryview)):
            source, waits = _pieces(text), not isinstance(text, (list, tuple))
        else:
            raise TypeError(f"text must be a str or an iterable of pieces of text, not {type(text).__name__}")
        if not isinstance(text, str):
            filled.pointer.stream = lib.SN_ON
        session = SpeechSession(self._model(model, "speak", precision), filled)
        return stream(session, source, waits=waits, interval=HURRY, cancel=cancel)
