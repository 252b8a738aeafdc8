"""Sources as paths, for what in C reads files only."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sonant import errors
from sonant._samples import Bytes, File, Samples

__all__ = ["as_path", "private_folder"]

MAX_WAV = (1 << 32) - 64
"""Bytes of samples that the header of a wav file can say."""


@contextmanager
def private_folder() -> Iterator[str]:
    """A folder of this user's own, which is gone afterwards, whatever happens."""
    with _told():
        folder = tempfile.TemporaryDirectory(prefix="sonant-", ignore_cleanup_errors=True)
    with folder as path:
        yield path


@contextmanager
def as_path(source: File | Bytes | Samples) -> Iterator[bytes]:
    """A path that C can read: the source's own, or a temporary file's. Errors then speak of "the audio".

    Raises NoSpaceError, IoError, LimitError (more samples than a wav file holds)."""
    if isinstance(source, File):
        yield source.path
        return
    with private_folder() as folder:
        path = os.path.join(folder, "audio" + ending(source))
        with _told(), open(path, "wb") as file:
            file.writelines([source.data] if isinstance(source, Bytes) else [wav_header(source), source.pcm.data])
        try:
            yield os.fsencode(path)
        except errors.Error as error:
            error.args = (str(error).replace(path, "the audio"),)
            raise


def ending(source: Bytes | Samples) -> str:
    """How the file's name must end for the engine to see what it is: arrays of numpy are told by that alone."""
    start = b"" if isinstance(source, Samples) else bytes(memoryview(source.data).cast("B")[:6])
    return ".wav" if isinstance(source, Samples) else ".npy" if start == b"\x93NUMPY" else ".npz" if start[:4] == b"PK\3\4" else ""


def wav_header(samples: Samples) -> bytes:
    """Of 32-bit floats, so that no value changes."""
    size, rate = samples.pcm.nbytes, samples.rate
    if size > MAX_WAV:
        raise errors.LimitError(f"{len(samples.pcm)} samples are more than the {MAX_WAV // 4} that fit here; give a file's path")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, rate, 4 * rate, 4, 32)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


@contextmanager
def _told() -> Iterator[None]:
    """What the system says of a temporary file, as the engine would say it."""
    try:
        yield
    except OSError as error:
        kind: Any = errors.NoSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else errors.IoError
        raise kind(f"a temporary file in {tempfile.gettempdir()} could not be written: {error.strerror or error}") from error
