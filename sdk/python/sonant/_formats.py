"""Transcripts as text, subtitles and JSON.

The library writes them, for the engine's transcripts and for those that came from a server: the values go back into its struct, so that
there is one writer, and the bytes are those of the program.
"""

from __future__ import annotations

from typing import Any

from sonant._binding import check, ffi, lib, message_buffer, utf8
from sonant.types import Segment, Transcript

__all__ = ["formatted"]


class _Struct:
    """A sn_transcript of plain values, which keeps alive what it points to."""

    def __init__(self, t: Transcript) -> None:
        self.kept: list[Any] = []
        self.pointer = p = self.keep(ffi.new("sn_transcript *"))
        p.text, p.language, p.task, p.model, p.dtype = (self.text(x) for x in (t.text, t.language, t.task, t.model, t.dtype))
        p.language_confidence, p.avg_confidence = t.language_confidence, t.avg_confidence
        p.duration, p.processing_time = t.duration, t.processing_time
        p.segments = segments = self.keep(ffi.new("sn_segment[]", len(t.segments)))
        p.segment_count = len(t.segments)
        for i, segment in enumerate(t.segments):
            self.fill(segments[i], segment)
        p.notes = self.keep(ffi.new("sn_note[]", [(self.text(note.code), self.text(note.message)) for note in t.notes]))
        p.note_count = len(t.notes)
        attempts = [(self.text(a.model), self.text(a.dtype), a.confidence, a.kept) for a in t.attempts]
        p.attempts, p.attempt_count = self.keep(ffi.new("sn_attempt[]", attempts)), len(attempts)

    def fill(self, s: Any, segment: Segment) -> None:
        s.id, s.start, s.end, s.text = segment.id, segment.start, segment.end, self.text(segment.text)
        s.tokens, s.token_count = self.keep(ffi.new("int32_t[]", segment.tokens)), len(segment.tokens)
        if segment.token_logprobs is not None and len(segment.token_logprobs) == len(segment.tokens):
            s.token_logprobs = self.keep(ffi.new("float[]", segment.token_logprobs))
        s.temperature, s.avg_logprob = segment.temperature, segment.avg_logprob
        s.compression_ratio, s.no_speech_prob, s.confidence = segment.compression_ratio, segment.no_speech_prob, segment.confidence
        words = [(word.start, word.end, self.text(word.word), word.confidence) for word in segment.words]
        s.words, s.word_count = self.keep(ffi.new("sn_word[]", words)), len(words)

    def text(self, value: str) -> Any:
        """C knows no NUL inside of texts and takes UTF-8 only; a server's reply may hold both."""
        return self.keep(ffi.new("char[]", value.replace("\0", "\ufffd").encode("utf-8", "replace")))

    def keep(self, thing: Any) -> Any:
        self.kept.append(thing)
        return thing


def formatted(transcript: Transcript, format: str, file: str | None = None, max_line_width: int = 0, max_line_count: int = 0) -> str:
    """The transcript in one of the formats of sn_transcript_write.

    Raises ArgumentError (an unknown format: lists them; lines out of range), TypeError, EngineMemoryError."""
    held, err = ffi.new("char **"), message_buffer()
    struct, named = _Struct(transcript), ffi.NULL if file is None else ffi.new("char[]", utf8("file", file))
    kind, options = ffi.new("char[]", utf8("format", format)), ffi.new("sn_transcript_options *")
    options.format, options.file, options.line_width, options.line_count = kind, named, max_line_width, max_line_count
    try:
        check(lib.sn_transcript_write(held, ffi.NULL, struct.pointer, options, err), err)
        return bytes(ffi.string(held[0])).decode("utf-8", "replace")
    finally:
        lib.free(held[0])
