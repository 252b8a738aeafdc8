"""Streams: server-sent events, speech while it is made, live captions. What is sent and what comes, without a connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sonant import errors
from sonant._arrays import byte_format, checked_rate, is_samples, mono
from sonant._client_errors import LostError
from sonant._client_steps import Emit, Feed, Flow, Leave, Read, Receive, Script, Server, Watch
from sonant._client_wire import UNREADABLE, Request, note, problem_error, reads, samples_of, segment, silence, word
from sonant.types import Commit, Event, Language, Note, Partial, Speech, SpeechChunk

__all__ = ["EventParser", "Source", "listening", "speaking", "speaking_whole"]

T = TypeVar("T")
F = TypeVar("F")

TEXT = 4096
"""Characters of a message."""
AUDIO = 32 << 10
"""Bytes of a message."""
MOST = 64 << 20
"""Bytes of an event that comes, so that one which never ends does not fill the memory."""


@dataclass
class Source(Generic[T, F]):
    """A stream, and what is known of it at its end."""

    flow: Flow[T]
    result: Callable[[], F]


# ---- server-sent events ----


class EventParser:
    """Bytes of a stream to its events, (name, value). An "error" event is raised."""

    def __init__(self) -> None:
        self._text = b""
        self.done: Any = None
        """The value of the event "done"."""

    def feed(self, data: bytes) -> Iterator[tuple[str, Any]]:
        *whole, self._text = (self._text + data).split(b"\n\n")
        if len(self._text) > MOST:
            raise errors.FormatError(f"the server sent an event of more than {MOST} bytes")
        for block in whole:
            name, value = _event(block)
            if name == "error":
                raise problem_error(value)
            if name == "done":
                self.done = value
            yield name, value

    def end(self, url: str) -> Any:
        """What "done" said. Raises LostError where it did not come."""
        if self.done is None:
            raise LostError(f"the stream from {url} ended before it was done; the server may have stopped")
        return self.done


def _event(block: bytes) -> tuple[str, Any]:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    try:
        name, value = fields.get(b"event", b"message").decode(), json.loads(fields[b"data"])
    except (*UNREADABLE, KeyError) as error:
        raise errors.FormatError(f"the server sent an event that cannot be read: {block[:200]!r}") from error
    if not isinstance(value, dict):
        raise errors.FormatError(f"the server sent an event that is no object: {block[:200]!r}")
    return name, value


# ---- speech ----


class _Speech:
    """What is known of speech that comes in pieces of 16-bit samples."""

    def __init__(self) -> None:
        self.rate, self.sentence, self.samples = 0, 0, 0
        self.odd = b""
        self.notes: list[Note] = []
        self.facts: Mapping[str, Any] = {}

    def chunk(self, data: bytes) -> SpeechChunk | None:
        """Pieces may end inside a sample."""
        data = self.odd + data
        whole = len(data) & ~1
        self.odd = data[whole:]
        if not whole:
            return None
        self.samples += whole // 2
        return SpeechChunk(samples_of(data[:whole]), self.rate, sentence=self.sentence)

    def result(self) -> Speech:
        """Facts, without samples."""
        facts = self.facts
        return Speech(
            silence(),
            self.rate,
            model=facts.get("model", ""),
            dtype=facts.get("dtype", ""),
            voice=facts.get("voice", ""),
            processing_time=facts.get("processing_time", 0.0),
            first_audio=facts.get("first_audio", 0.0),
            sentences=facts.get("sentences", 0),
            notes=tuple(self.notes),
            request_id=facts.get("request_id", ""),
            spoken=self.samples / self.rate if self.rate else 0.0,
        )


def speaking_whole(server: Server, request: Request, watch: Watch) -> Source[SpeechChunk, Speech]:
    """A whole text, over HTTP."""
    speech = _Speech()

    def flow() -> Flow[SpeechChunk]:
        yield watch
        reply = yield from server.open(request)
        headers = reply.headers
        try:
            speech.rate = int(headers["x-sample-rate"])
        except (KeyError, ValueError):
            raise errors.FormatError(f"{server.url} sent speech without its sample rate") from None
        speech.facts = {"model": headers.get("x-model", ""), "voice": headers.get("x-voice", ""), "request_id": reply.request_id}
        while data := (yield Read(reply)):
            chunk = speech.chunk(data)
            if chunk is not None:
                yield Emit(chunk)

    return Source(flow(), speech.result)


def speaking(server: Server, start: dict[str, Any], pieces: Any, watch: Watch) -> Source[SpeechChunk, Speech]:
    """Pieces of text as they are written, over a WebSocket."""
    speech = _Speech()

    def begin() -> Iterator[str]:
        yield json.dumps({"type": "start", **start})

    def end() -> Iterator[str]:
        yield json.dumps({"type": "finish"})

    @reads
    def message(value: Any) -> SpeechChunk | None:
        if isinstance(value, bytes):
            return speech.chunk(value)
        if value["type"] == "ready":
            speech.rate = value["sample_rate"]
        elif value["type"] == "sentence":
            speech.sentence = value["index"]
        elif value["type"] == "mark":
            return SpeechChunk(silence(), speech.rate, sentence=speech.sentence, mark=value["name"])
        elif value["type"] == "note":
            speech.notes.append(note(value))
        elif value["type"] == "done":
            speech.facts = value
        return None

    return Source(_talk(server, Script("/tts/stream", pieces, begin, _text_messages, end, message), watch), speech.result)


def _text_messages(piece: Any) -> Iterator[str]:
    if not isinstance(piece, str):
        raise TypeError(f"text must be a str, not {type(piece).__name__}")
    try:
        piece.encode()
    except UnicodeEncodeError as error:
        bad = f"U+{ord(piece[error.start]):04X} at character {error.start}"
        raise errors.FormatError(f"the text has half of a surrogate pair, {bad}, which is no character") from None
    for at in range(0, len(piece), TEXT):
        yield json.dumps({"type": "text", "text": piece[at : at + TEXT]})


# ---- live captions ----


class _Ears:
    """Chunks of sound as messages: the first one says what they are."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.rate, self.format, self.start = checked_rate(start.pop("sample_rate", None)), start.pop("format", None), start
        self.kind = "bytes" if self.format is not None or "channels" in start else ""
        self.begun = False

    def begin(self) -> Iterator[str]:
        if self.kind == "bytes":
            yield from self._begin(self.format or "pcm16")

    def _begin(self, format: str) -> Iterator[str]:
        if not self.begun:
            self.begun = True
            yield json.dumps({"type": "start", **self.start, "format": format, "sample_rate": self.rate})

    def messages(self, chunk: Any) -> Iterator[str | bytes]:
        if is_samples(chunk):
            kind, format = "arrays", "float32"
        elif byte_format(chunk) is not None:
            kind, format = "bytes", self.format or "pcm16"
        else:
            raise TypeError(f"a chunk must be an array of samples or bytes, not {type(chunk).__name__}")
        if self.kind not in ("", kind):
            raise TypeError(f"the chunks so far were {self.kind}, and this one is {kind}; a stream has one kind")
        self.kind = kind
        yield from self._begin(format)
        if kind == "bytes":
            view = memoryview(bytes(chunk))
        elif 0 in getattr(chunk, "shape", ()):
            return
        else:
            view = memoryview(mono(chunk).astype("<f4", copy=False).tobytes())
        for at in range(0, len(view), AUDIO):
            yield bytes(view[at : at + AUDIO])

    def end(self) -> Iterator[str]:
        yield from self._begin(self.format or "pcm16")
        yield json.dumps({"type": "finish"})


def listening(server: Server, start: dict[str, Any], chunks: Any, watch: Watch) -> Source[Event, None]:
    """Sound as it is recorded, over a WebSocket. start: its fields."""
    ears = _Ears(dict(start))
    return Source(_talk(server, Script("/stt/stream", chunks, ears.begin, ears.messages, ears.end, event), watch), lambda: None)


@reads
def event(value: Any) -> Event | None:
    kind = value["type"]
    if kind == "partial":
        return Partial(value["text"], value["position"])
    if kind == "commit":
        return Commit(value["text"], tuple(word(w) for w in value.get("words", ())), value["position"])
    if kind == "segment":
        return segment(value, tuple(word(w) for w in value.get("words", ())))
    if kind == "language":
        return Language(value["language"], value["confidence"], value["position"])
    return note(value) if kind == "note" else None


def _talk(server: Server, script: Script[T], watch: Watch) -> Flow[T]:
    """Sends and receives at the same time, until the server is done."""
    yield watch
    socket = yield from server.connect(script.path)
    yield Feed(socket, script)
    done = False
    while not done:
        message = _message((yield Receive(socket)))
        value = script.take(message)
        if value is not None:
            yield Emit(value)
        done = not isinstance(message, bytes) and message["type"] == "done"
    yield Leave(socket)


def _message(message: str | bytes) -> Any:
    """Bytes, or the object of a text. Raises what an "error" message tells: one that is not fatal for the server ends the stream here."""
    if isinstance(message, bytes):
        return message
    try:
        value = json.loads(message)
        kind = value["type"]
    except (*UNREADABLE, KeyError, TypeError):
        raise errors.FormatError(f"the server sent a message that cannot be read: {message[:200]!r}") from None
    if kind == "error":
        raise problem_error(value)
    return value
