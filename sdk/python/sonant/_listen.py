"""Live captions: a session that hears a speaker who is still speaking."""

from __future__ import annotations

import select
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._arrays import DEFAULT_RATE, byte_format, checked_rate, is_array, is_samples, mono
from sonant._base import EngineBase, Model
from sonant._binding import Options, check_cancel, ffi, lib, text
from sonant._samples import Reader
from sonant._sessions import Session, Stream
from sonant._signature import spelled
from sonant._transcribe import SessionOptions, note_of, segment_of, stt_options, words_of
from sonant.types import Commit, Event, Language, Partial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer, Unpack

    Chunk = NDArray[np.floating[Any]] | NDArray[np.signedinteger[Any]] | Buffer
    """[frames] or [frames, channels] of float, int16 or int32; or bytes, cut anywhere."""

__all__ = ["ListenOptions", "Listener", "Listening"]

BLOCK = 1 << 14
"""Samples handed to the engine at once."""


class ListenOptions(SessionOptions, total=False):
    """How to listen: what `SessionOptions` say, and this. What is left out or None is the default in brackets. Live, where
    decoding is greedy, min_silence is 400 ms and min_speech 100 ms."""

    rate: int | None
    """Hz of arrays and of bytes without a container, 1000 to 768000 (16000)."""
    format: str | None
    """Of bytes: "pcm16" (little endian), "float32", "g711_ulaw", "g711_alaw", or a container: "webm", "opus", "ogg", "mp3", "flac", "wav",
    "auto" ("pcm16")."""
    channels: int | None
    """Of bytes without a container, 1 to 8; they are averaged (1)."""
    model: Model | str | None
    """A name or a loaded model (the default model that transcribes)."""
    live: bool | None
    """False: no `Partial` and `Commit`; each `Segment` as it is decoded, in windows, as `transcribe` does it; for any model (True)."""
    partial_interval: int | None
    """Live: milliseconds of new speech between two partials; below 0: none (320)."""


OPTIONS = tuple(ListenOptions.__annotations__)


def _event(e: Any) -> Event:
    """What C lends until the next call, as values."""
    if e.kind == lib.SN_EVENT_PARTIAL:
        return Partial(text(e.text), e.position)
    if e.kind == lib.SN_EVENT_COMMIT:
        return Commit(text(e.text), words_of(e.words, e.word_count), e.position)
    if e.kind == lib.SN_EVENT_LANGUAGE:
        return Language(text(e.language), e.language_confidence, e.position)
    if e.kind == lib.SN_EVENT_SEGMENT:
        return segment_of(e.segment)
    return note_of(e.note)


class _Input:
    """Chunks of one kind, to blocks of mono float32 at 16 kHz. It holds one chunk at a time, so a fast source fills no memory."""

    def __init__(self, rate: int, format: str | None, channels: int | None) -> None:
        self._rate, self._format, self._channels = rate, format or "pcm16", channels
        self._reader: Reader | None = None
        """Of bytes, and of arrays at another rate."""
        self._kind = ""
        self._chunk: Any = None
        """What is left of it: samples, or bytes for the reader."""
        self._block: Any = None
        self._buffer: Any = None
        self._finishing = self._told = self._ended = False
        if format is not None or channels is not None:
            self.begin("bytes")

    @property
    def busy(self) -> bool:
        return self._chunk is not None

    @property
    def ended(self) -> bool:
        """No block will come any more."""
        return self._ended

    @property
    def wanted(self) -> tuple[int, int]:
        """A decoder's descriptor, and what to wait for on it: nothing while the engine has no room."""
        descriptor = -1 if self._reader is None or self._ended else self._reader.descriptor
        if descriptor < 0 or self._block is not None:
            return descriptor, 0
        return descriptor, select.EPOLLIN | (select.EPOLLOUT if self.busy else 0)

    def begin(self, kind: str) -> None:
        """What the chunks will be: the first one says it, or that there is a format. Raises what sn_reader_open returns, and TypeError."""
        import numpy as np

        if self._kind not in ("", kind):
            raise TypeError(f"the chunks so far were {self._kind}, and this one is {kind}; a stream has one kind")
        if self._kind:
            return
        if kind == "bytes":
            self._reader = Reader(self._format, sample_rate=self._rate, channels=self._channels)
        elif self._rate != DEFAULT_RATE:
            self._reader = Reader("float32", sample_rate=self._rate)
        if self._reader is not None:
            self._buffer = np.empty(BLOCK, dtype=np.float32)
        self._kind = kind

    def take(self, chunk: Any) -> None:
        """Raises TypeError, ArgumentError (shape), FormatError (NaN)."""
        if is_samples(chunk):
            if is_array(chunk) and 0 in getattr(chunk, "shape", ()):
                return
            chunk = mono(chunk)
            self.begin("arrays")
            if self._reader is not None:
                chunk = memoryview(chunk).cast("B")
        elif byte_format(chunk) is not None:
            self.begin("bytes")
            view = memoryview(chunk)
            chunk = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        else:
            raise TypeError(f"a chunk must be an array of samples or bytes, not {type(chunk).__name__}")
        self._chunk = chunk if len(chunk) and not self._ended else None

    def settle(self) -> None:
        """The caller may use its memory again."""
        if self._block is not None and self._reader is None:
            self._block = self._block.copy()
        if self._chunk is not None:
            self._chunk = self._chunk.copy() if self._reader is None else memoryview(bytes(self._chunk))

    def block(self) -> Any:
        """[samples], until `drop`; None: none now. Raises what sn_reader_pull returns."""
        if self._block is None:
            self._block = self._cut() if self._reader is None else self._read(self._reader)
        return self._block

    def drop(self) -> None:
        self._block = None

    def finish(self) -> None:
        self._finishing = True

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _cut(self) -> Any:
        chunk = self._chunk
        if chunk is None:
            self._ended = self._finishing
            return None
        self._chunk = chunk[BLOCK:] if len(chunk) > BLOCK else None
        return chunk[:BLOCK]

    def _read(self, reader: Reader) -> Any:
        target = ffi.from_buffer("float[]", self._buffer, require_writable=True)
        while not self._ended:
            count = reader.pull(target, BLOCK)
            if count:
                return self._buffer[:count]
            if count is None:
                self._ended, self._chunk = True, None  # what follows the end of a container is nothing
            elif self._chunk is not None:
                taken = reader.push(ffi.from_buffer(self._chunk), len(self._chunk))
                if not taken:
                    return None
                self._chunk = self._chunk[taken:] if taken < len(self._chunk) else None
            elif self._finishing and not self._told:
                self._told = True
                reader.finish()
            else:
                return None
        return None


class _Ears(Session[Event]):
    """The session behind a listener."""

    kind = "stt"

    def __init__(self, model: Model, options: Options, source: _Input) -> None:
        self._input, self._finishing, self._finished = source, False, False
        self._event = ffi.new("sn_event *")
        super().__init__(model, options)
        self._epoll = select.epoll()
        self._epoll.register(self._signal, select.EPOLLIN)
        self.descriptor = self._epoll.fileno()  # a decoder's descriptor is watched beside the engine's
        self._watched = (-1, 0)

    def push(self, piece: Any) -> bool:
        with self.turn() as stt:
            if self._finishing:
                raise errors.ClosedError("samples were pushed after the listener was finished")
            self._advance(stt)
            if self._input.busy:
                return False
            self._input.take(piece)
            self._advance(stt)
            self._input.settle()
            return True

    def finish(self) -> None:
        with self.turn() as stt:
            self._finishing = True
            self._input.finish()
            self._advance(stt)

    def pull(self) -> Event | None:
        with self.turn() as stt:
            self._advance(stt)
            result = self.check(lib.sn_stt_pull(stt, self._event, self.err))
            self.ended = result == lib.SN_END
            return _event(self._event) if result == lib.SN_OK else None

    def close(self) -> None:
        super().close()
        if not self._handle.forked:  # where the lock may be held by nobody who lives
            with self._lock:
                self._input.close()

    def _advance(self, stt: Any) -> None:
        """Moves what was pushed on to the engine, as far as there is room."""
        while (block := self._input.block()) is not None:
            samples = ffi.from_buffer("float[]", block)
            if self.check(lib.sn_stt_push(stt, samples, len(block), self.err)) == lib.SN_AGAIN:
                break
            self._input.drop()
        if self._finishing and not self._finished and self._input.ended:
            self._finished = True
            self.check(lib.sn_stt_finish(stt, self.err))
        self._watch()

    def _watch(self) -> None:
        before, wanted = self._watched, self._input.wanted
        if wanted == before:
            return
        if before[1]:
            self._epoll.unregister(before[0])
        if wanted[1]:
            self._epoll.register(*wanted)
        self._watched = wanted


class Listener:
    """A live session for programs with a loop of their own (windows, servers), made by `Engine.listener`. No call waits but `events`.

        with engine.listener(rate=48000) as listener:
            selector.register(listener, EVENT_READ)   # readable while `pull` may give something
            ...
            listener.push(samples)                    # False: no room now, nothing was taken
            while (event := listener.pull()) is not None:
                show(event)
            listener.finish()                         # no more samples; events go on until `ended`

    Threads may share it. `async for event in listener` does what `events` does in asyncio's loop.
    """

    def __init__(self, session: Session[Event]) -> None:
        self._session = session

    @property
    def ended(self) -> bool:
        """It was finished, and every event was pulled."""
        return self._session.ended

    def push(self, samples: Chunk) -> bool:
        """Hands over samples or bytes of any size; they are copied. False: nothing was taken, because 30 s of sound wait for the engine, or
        512 events for `pull`: pull what is there, and push the same again.

        Raises TypeError, ArgumentError (shape), FormatError (NaN, damaged bytes), ClosedError (after `finish` or `close`), CancelledError,
        and the error that ended the session."""
        return self._session.push(samples)

    def finish(self) -> None:
        """No more samples will come. Raises ClosedError, CancelledError, and the error that ended the session."""
        self._session.finish()

    def pull(self) -> Event | None:
        """The next event; None: nothing is ready, or all was pulled (`ended`).

        Raises ClosedError, CancelledError, FormatError (damaged bytes), and the error that ended the session."""
        session = self._session
        event = session.pull()
        if event is None and not session.ended:
            session.clear()
            event = session.pull()  # what came before the clearing told nobody
            if event is not None or session.ended:
                session.wake()
        return event

    def events(self) -> Iterator[Event]:
        """Waits for events, until all were pulled. Raises what `pull` raises."""
        while not self._session.ended:
            event = self.pull()
            if event is not None:
                yield event
            elif not self._session.ended:
                self._session.wait()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self._session.ended:
            event = self.pull()
            if event is not None:
                yield event
            elif not self._session.ended:
                await self._session.wait_async()

    def fileno(self) -> int:
        """A descriptor for select, epoll or a loop's `add_reader`: readable while `pull` may give something, and at the end."""
        return self._session.descriptor

    def cancel(self) -> None:
        """Ends the session within a step of the engine; `pull` then raises CancelledError. From any thread."""
        self._session.cancel()

    def close(self) -> None:
        """Ends it, whatever it has still to do. More than once is nothing."""
        self._session.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


class Listening(EngineBase):
    """The engine's part for it."""

    @spelled(ListenOptions)
    def listen(
        self, chunks: Iterable[Chunk] | AsyncIterable[Chunk], *, cancel: threading.Event | None = None, **options: Unpack[ListenOptions]
    ) -> Stream[Event]:
        """Hears a speaker who is still speaking.

        chunks: an iterable of samples as they come, of any length: arrays [frames] or [frames, channels] of float, int16 or int32, or bytes
        (16-bit little endian, else format=) cut anywhere; rate=: Hz (16000). A thread goes through it, so that events come while it waits
        for its next chunk (in asyncio, through an asynchronous one, a task); at most 30 s of sound wait for the engine. cancel: an event;
        when it is set the stream ends with CancelledError. options: see `ListenOptions`.

        Gives `Partial` (what the words seem to be; each takes the place of the one before), `Commit` (text that will not change any
        more), `Language`, `Note`, and for each utterance a `Segment`, whose text is that of its commits joined. What chunks raises comes
        out of it. Closed early (`close`, `with`), interrupted, or dropped, it ends the engine's work within a step.

        Raises TypeError, ArgumentError, UnsupportedError (a model that does not listen live; what the model lacks), NotFoundError,
        FormatError (NaN, damaged bytes), DependencyError (a container, and the helper is missing), ClosedError."""
        if not isinstance(chunks, (Iterable, AsyncIterable)) or isinstance(chunks, (str, bytes, bytearray)) or hasattr(chunks, "__array__"):
            raise TypeError(f"chunks must be an iterable of arrays or bytes, such as a list of them, not {type(chunks).__name__}")
        check_cancel(cancel)
        return Stream(self._ears(options), chunks, waits=not isinstance(chunks, (list, tuple)), cancel=cancel)

    @spelled(ListenOptions)
    def listener(self, **options: Unpack[ListenOptions]) -> Listener:
        """A live session that is pushed to and pulled from, for programs with a loop of their own; see `Listener`. options: as `listen`.

        Raises what `listen` raises."""
        return Listener(self._ears(options))

    def _ears(self, given: ListenOptions) -> _Ears:
        live = given.get("live") is not False
        options = stt_options(given, OPTIONS)
        options.set_switch(live=live)
        options.set_whole(partial_interval=given.get("partial_interval"))
        source = _Input(checked_rate(given.get("rate")), given.get("format"), given.get("channels"))
        return _Ears(self._model(given.get("model"), "transcribe", language=given.get("language")), options, source)
