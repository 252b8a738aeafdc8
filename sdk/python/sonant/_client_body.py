"""What a client uploads: files from the disk piece by piece, bytes, arrays as wav, and the form around them.

Everything here can be read again from its beginning, so that a refused request can be repeated.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from sonant import errors
from sonant._arrays import byte_format, checked_rate, is_samples, mono
from sonant.audio import Audio

__all__ = ["Form", "Upload", "replacing", "upload_of", "wav_bytes"]

PIECE = 256 << 10
"""Bytes that are read and sent together."""
MAX_UNSEEKABLE = 1 << 30
"""Bytes of a file object that cannot be read twice: it is kept in memory."""

MAX_WAV = (1 << 32) - 64
KINDS: dict[int, type[errors.Error]] = {errno.ENOENT: errors.NotFoundError, errno.ENOSPC: errors.NoSpaceError}
"""What an error of the system means."""
FLOAT, INTEGER = 3, 1
"""Kinds of samples in a wav header."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    name: str
    size: int
    read: Callable[[], Iterator[bytes]]
    """Its bytes from the beginning, in pieces."""


def upload_of(given: Any, rate: int | None = None) -> Upload:
    """given: a path (read while it is sent), the bytes of a file, a binary file (from where it stands to its end), an `Audio`, or samples,
    which alone take a rate: [frames] or [frames, channels], which are averaged. [frames] of int16 go as they are, everything else as
    float32 (of int32 the lowest 8 bits and of float64 what float32 lacks are lost, as in the engine).

    Raises TypeError, ArgumentError, NotFoundError, IoError, FormatError (no samples, NaN), LimitError."""
    if isinstance(given, Audio):
        if rate is not None:
            raise errors.ArgumentError(f"rate={rate!r} is for arrays of samples; an Audio has its own, {given.sample_rate} Hz")
        given, rate = given.samples, given.sample_rate
    if is_samples(given):
        return _of_bytes("samples.wav", wav_bytes(given, checked_rate(rate)))
    if rate is not None:
        raise errors.ArgumentError(f"rate={rate!r} is for arrays of samples; a file says its own rate")
    if isinstance(given, (str, os.PathLike)):
        return _of_path(os.fspath(given))
    if byte_format(given) is not None:
        return _of_bytes("audio", memoryview(given).cast("B"))
    if callable(getattr(given, "read", None)):
        return _of_file(given)
    kinds = "a path, bytes, a binary file, or an array of samples"
    more = ": numpy.asarray makes an array of it" if isinstance(given, (list, tuple)) else ""
    raise TypeError(f"audio must be {kinds}, not {type(given).__name__}{more}")


def wav_bytes(array: Any, rate: int) -> bytes:
    """Samples as a wav file: int16 in 16 bits, everything else as float32. Raises as `upload_of` does."""
    import numpy as np

    samples = np.asarray(array)
    kind, dtype, width = INTEGER, "<i2", 2
    if samples.dtype != np.int16 or samples.ndim != 1 or not len(samples):
        samples, kind, dtype, width = mono(array), FLOAT, "<f4", 4
    data = samples.astype(dtype, copy=False).tobytes()
    if len(data) >= MAX_WAV:
        raise errors.LimitError(f"{len(data)} bytes of samples do not fit a wav file; write them to a flac file and give its path")
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, 1, rate, rate * width, width, 8 * width)
    return struct.pack("<4sI4s", b"RIFF", 12 + len(head) + len(data), b"WAVE") + head + struct.pack("<4sI", b"data", len(data)) + data


def _of_bytes(name: str, data: Any) -> Upload:
    def read() -> Iterator[bytes]:
        view = memoryview(data)
        for begin in range(0, len(view), PIECE):
            yield bytes(view[begin : begin + PIECE])

    return Upload(name, len(data), read)


def _of_path(path: Any) -> Upload:
    if path == "-":
        raise errors.ArgumentError('"-" is no path here, because standard input belongs to the program: read it yourself, or say "./-"')
    name = os.path.basename(os.fsdecode(path))
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise errors.NotFoundError(f"there is no file {os.fsdecode(path)!r}") from None
    except OSError as error:
        raise errors.IoError(f"{os.fsdecode(path)!r} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(facts.st_mode):
        raise errors.ArgumentError(f"{os.fsdecode(path)!r} is a directory, not an audio file")
    if not stat.S_ISREG(facts.st_mode):
        with _opened(path) as file:
            return _of_bytes(name, _whole(file))

    def read() -> Iterator[bytes]:
        with _opened(path) as file:
            yield from _pieces(file, facts.st_size)

    return Upload(name, facts.st_size, read)


def _opened(path: Any) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise errors.IoError(f"{os.fsdecode(path)!r} cannot be read: {error.strerror}") from error


def _of_file(file: Any) -> Upload:
    name = os.path.basename(str(getattr(file, "name", "") or "")) or "audio"
    if isinstance(file, io.TextIOBase):
        raise TypeError('the file gives text, not bytes; open it in binary mode ("rb")')
    if not (callable(getattr(file, "seekable", None)) and file.seekable()):
        return _of_bytes(name, _whole(file))
    begin = file.tell()
    size = file.seek(0, os.SEEK_END) - begin

    def read() -> Iterator[bytes]:
        file.seek(begin)
        return _pieces(file, size)

    file.seek(begin)
    return Upload(name, size, read)


def _whole(file: Any) -> bytes:
    data = bytearray()
    while piece := file.read(PIECE):
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f'the file gives {type(piece).__name__}, not bytes; open it in binary mode ("rb")')
        data += piece
        if len(data) > MAX_UNSEEKABLE:
            raise errors.LimitError(f"the file object holds more than {MAX_UNSEEKABLE} bytes; give its path, which is read piece by piece")
    return bytes(data)


def _pieces(file: Any, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes: so many were announced."""
    while size:
        piece = file.read(min(PIECE, size))
        if not piece:
            raise errors.IoError(f"the file became shorter while it was sent: {size} bytes are missing")
        size -= len(piece)
        yield bytes(piece)


class Form:
    """A multipart form, whose length is known before it is sent."""

    def __init__(self, fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, Upload]]) -> None:
        """Both are pairs of a field's name and its value; names may come more than once."""
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[bytes | Upload] = []
        for name, value in fields:
            self._parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, upload in files:
            kind = "Content-Type: application/octet-stream"
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{_quoted(upload.name)}"\r\n{kind}\r\n\r\n'
            self._parts += [head.encode("utf-8", "replace"), upload, b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        self.size = sum(part.size if isinstance(part, Upload) else len(part) for part in self._parts)
        self.sent = 0
        """Bytes that were read so far."""

    def read(self) -> Iterator[bytes]:
        """Its bytes, from the beginning."""
        self.sent = 0
        for part in self._parts:
            for piece in part.read() if isinstance(part, Upload) else (part,):
                yield piece
                self.sent += len(piece)


def _quoted(name: str) -> str:
    """A file's name inside quotation marks, as browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes its place when all of it was written; else nothing is left. Raises NotFoundError (no such folder), NoSpaceError,
    IoError."""
    name = os.fspath(path)
    part = os.path.join(os.path.dirname(name), f".{os.path.basename(name)}.{uuid.uuid4().hex[:8]}")
    try:
        with open(part, "xb") as file:
            try:
                yield file
                file.flush()
                os.replace(part, name)
            except BaseException:
                os.unlink(part)
                raise
    except OSError as error:
        if isinstance(error, errors.Error):
            raise
        kind = KINDS.get(error.errno or 0, errors.IoError)
        raise kind(f"{name!r} cannot be written: {error.strerror}") from error
