"""What callers give as audio, as the engine takes it: a path, the bytes of a file, or mono float32 samples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._arrays import DEFAULT_RATE, byte_format, checked_rate, is_samples, mono
from sonant._binding import Handle, Options, check, ffi, lib, message_buffer, utf8
from sonant.audio import Audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEFAULT_RATE", "Bytes", "File", "Samples", "as_samples", "as_source", "resampled"]

MAX_FILE_OBJECT = 1 << 30
"""Bytes that are read of a file object; a path has no such limit, because the engine reads it piece by piece."""
PIECE = 1 << 20
"""Bytes that are read of it at once."""


@dataclass(frozen=True, slots=True)
class File:
    """A path for C."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes of a file, with the buffer protocol."""

    data: Any


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Mono samples: [frames] float32, contiguous, finite. They are the caller's own memory where its dtype and layout allow."""

    pcm: NDArray[np.float32]
    rate: int

    @property
    def pointer(self) -> Any:
        """`const float *`; keep it while C reads."""
        return ffi.from_buffer("float[]", self.pcm)


def as_source(given: Any, rate: int | None = None) -> File | Bytes | Samples:
    """A path (text, os.PathLike), the bytes of a file (bytes, bytearray, memoryview, mmap), a binary file object (read to its end, at most
    1 GiB), an `Audio` (speech that was made), or samples (see `as_samples`), which alone take a rate.

    Raises TypeError (none of these), ArgumentError (a rate with a file; "-"), LimitError (a file object without end), and those of
    `as_samples`."""
    source: File | Bytes | Samples
    if isinstance(given, (str, os.PathLike)):
        source = File(_path(given))
    elif is_samples(given):
        return as_samples(given, rate)
    elif byte_format(given) is not None:
        source = Bytes(_contiguous(given))
    elif callable(getattr(given, "read", None)):
        source = Bytes(_read(given))
    elif isinstance(given, Audio):
        source = as_samples(given.samples, given.sample_rate)
    else:
        kinds = "a path, bytes, a binary file, or an array of samples"
        more = ": numpy.asarray makes an array of it" if isinstance(given, (list, tuple)) else ""
        raise TypeError(f"audio must be {kinds}, not {type(given).__name__}{more}")
    if rate is not None:
        raise errors.ArgumentError(f"rate={rate!r} is for arrays of samples; {type(given).__name__} has a rate of its own")
    return source


def as_samples(given: Any, rate: int | None = None) -> Samples:
    """Mono samples at their own rate. given: [frames] or [frames, channels] (1 to 8, which are averaged) of any float, int16 or int32
    type: a numpy array, what has `__array__` (a tensor), or a buffer of numbers (array.array). Whole numbers are scaled to -1..1.
    A contiguous [frames] float32 array is not copied. rate: Hz, 1000 to 768000; None: 16000.

    Raises TypeError (dtype), ArgumentError (shape, rate), FormatError (no samples; NaN, infinity: says where)."""
    return Samples(mono(given), checked_rate(rate))


def resampled(samples: Samples, rate: int) -> Samples:
    """The samples at another rate, by the engine's resampler; the same ones where they have it.

    Raises what sn_reader_open and sn_reader_pull return."""
    import numpy as np

    if samples.rate == rate:
        return samples
    with Reader("float32", sample_rate=samples.rate, output_rate=rate) as reader:
        out = np.empty(len(samples.pcm) * rate // samples.rate + 4096, dtype=np.float32)
        data, at, have = samples.pcm.view(np.uint8), 0, 0
        source, size = ffi.from_buffer(data), data.size
        while have < len(out):
            while at < size and (taken := reader.push(source + at, size - at)):
                at += taken
            if at == size:
                reader.finish()
            target = ffi.from_buffer("float[]", out, require_writable=True)
            got = reader.pull(target + have, len(out) - have)
            if got is None:
                break
            have += got
    return Samples(out[:have], rate)


class Reader:
    """A stream of audio to mono float32 (sn_reader): push bytes cut anywhere, pull samples. One thread at a time."""

    def __init__(self, format: str, *, sample_rate: int | None = None, channels: int | None = None, output_rate: int | None = None) -> None:
        """format: "float32", "pcm16", "g711_ulaw", "g711_alaw" (bare samples, which need sample_rate and channels), a container ("webm",
        "opus", "mp3", "flac", "wav") or "auto".

        Raises ArgumentError, DependencyError (a container, and the helper is missing), IoError, EngineMemoryError."""
        options = Options("sn_reader_options")
        options.set_text(format=format)
        options.set_whole(sample_rate=sample_rate, channels=channels, output_rate=output_rate)
        self._err, self._count, held = message_buffer(), ffi.new("size_t *"), ffi.new("sn_reader **")
        self._handle = Handle("reader", held, lib.sn_reader_close)
        check(lib.sn_reader_open(held, options.pointer, self._err), self._err)
        self.finished = False

    def push(self, data: Any, size: int) -> int:
        """How many of the bytes were taken; 0: pull first, or wait for the descriptor."""
        with self._handle as reader:
            check(lib.sn_reader_push(reader, data, size, self._count, self._err), self._err)
        return int(self._count[0])

    def finish(self) -> None:
        """No more will come. More than once is nothing."""
        if not self.finished:
            self.finished = True
            with self._handle as reader:
                check(lib.sn_reader_finish(reader, self._err), self._err)

    def pull(self, pcm: Any, most: int) -> int | None:
        """How many samples were written; 0: push more, or wait for the descriptor; None: the end."""
        with self._handle as reader:
            result = check(lib.sn_reader_pull(reader, pcm, most, self._count, self._err), self._err)
        return None if result == lib.SN_END else int(self._count[0])

    @property
    def descriptor(self) -> int:
        """To be polled: readable when a pull, writable when a push may go on; -1: bare samples, which need no waiting."""
        with self._handle as reader:
            return int(lib.sn_reader_descriptor(reader))

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _path(given: Any) -> bytes:
    path = utf8("the path", given)
    if path == b"-":
        raise errors.ArgumentError('"-" is no path here, because standard input belongs to the program: read it yourself, or say "./-"')
    return path


def _contiguous(given: Any) -> Any:
    return given if isinstance(given, (bytes, bytearray)) or memoryview(given).c_contiguous else bytes(given)


def _read(file: Any) -> bytes:
    pieces, size = [], 0
    while piece := file.read(min(PIECE, MAX_FILE_OBJECT + 1 - size)):
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f'the file gives {type(piece).__name__}, not bytes; open it in binary mode ("rb")')
        pieces.append(piece)
        size += len(piece)
        if size > MAX_FILE_OBJECT:
            raise errors.LimitError(f"the file object holds more than {MAX_FILE_OBJECT} bytes; give its path, which is read piece by piece")
    return b"".join(pieces)
