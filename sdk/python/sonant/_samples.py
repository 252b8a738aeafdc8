"""What callers give as audio, as the engine takes it: a path, the bytes of a file, or mono float32 samples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._binding import Handle, Options, check, ffi, lib, message_buffer, number, utf8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEFAULT_RATE", "Bytes", "File", "Samples", "as_samples", "as_source", "resampled"]

DEFAULT_RATE = 16000
"""Hz, of an array that comes without rate=: what models hear."""
MIN_RATE, MAX_RATE = 1000, 768000
MAX_CHANNELS = 8
MAX_SAMPLE = 1e10
"""Larger magnitudes are no sound: their power would leave float32."""
MAX_FILE_OBJECT = 1 << 30
"""Bytes that are read of a file object; a path has no such limit, because the engine reads it piece by piece."""
CHECKED = 1 << 20
"""Samples looked at together: their copy stays small."""
BYTE_FORMATS = ("B", "b", "c")


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
    1 GiB), or samples (see `as_samples`), which alone take a rate.

    Raises TypeError (none of these), ArgumentError (a rate with a file; "-"), LimitError (a file object without end), and those of
    `as_samples`."""
    source: File | Bytes
    if isinstance(given, (str, os.PathLike)):
        source = File(_path(given))
    elif _is_array(given):
        return as_samples(given, rate)
    elif isinstance(given, (bytes, bytearray)) or _byte_format(given) in BYTE_FORMATS:
        source = Bytes(_contiguous(given))
    elif _byte_format(given) is not None:
        return as_samples(given, rate)
    elif callable(getattr(given, "read", None)):
        source = Bytes(_read(given))
    else:
        kinds = "a path, bytes, a binary file, or an array of samples"
        more = ": numpy.asarray makes an array of it" if isinstance(given, (list, tuple)) else ""
        raise TypeError(f"audio must be {kinds}, not {type(given).__name__}{more}")
    if rate is not None:
        raise errors.ArgumentError(f"rate={rate!r} is for arrays of samples; a file says its own rate")
    return source


def as_samples(given: Any, rate: int | None = None) -> Samples:
    """Mono samples at their own rate. given: [frames] or [frames, channels] (1 to 8, which are averaged) of any float, int16 or int32
    type: a numpy array, what has `__array__` (a tensor), or a buffer of numbers (array.array). Whole numbers are scaled to -1..1.
    A contiguous [frames] float32 array is not copied. rate: Hz, 1000 to 768000; None: 16000.

    Raises TypeError (dtype), ArgumentError (shape, rate), FormatError (no samples; NaN, infinity: says where)."""
    import numpy as np

    hertz = DEFAULT_RATE if rate is None else number("rate", rate, int)
    if not MIN_RATE <= hertz <= MAX_RATE:
        raise errors.ArgumentError(f"a rate of {hertz} Hz is out of range; {MIN_RATE} to {MAX_RATE} Hz are read")
    try:
        array = np.asarray(given)
    except RuntimeError as error:
        raise TypeError(f"{type(given).__name__} gives no array: {error}") from error
    scale = _scale(array)
    _check_shape(array)
    if array.ndim == 2:
        array = array[:, 0] if array.shape[1] == 1 else array.mean(axis=1, dtype=np.float32)
    with np.errstate(over="ignore"):
        pcm: NDArray[np.float32] = np.require(array, np.float32, ["C", "A"])
    if scale != 1:
        pcm = pcm * np.float32(scale)
    _check_numbers(pcm)
    return Samples(pcm, hertz)


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
        check(lib.sn_reader_open(held, options.pointer, self._err), self._err)
        self._handle = Handle("reader", held, lib.sn_reader_close)
        self._finished = False

    def push(self, data: Any, size: int) -> int:
        """How many of the bytes were taken; 0: pull first, or wait for the descriptor."""
        with self._handle as reader:
            check(lib.sn_reader_push(reader, data, size, self._count, self._err), self._err)
        return int(self._count[0])

    def finish(self) -> None:
        """No more will come. More than once is nothing."""
        if not self._finished:
            self._finished = True
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


def _is_array(given: Any) -> bool:
    return hasattr(type(given), "__array__")


def _byte_format(given: Any) -> str | None:
    """The format of what has the buffer protocol, else None."""
    try:
        return memoryview(given).format.lstrip("@=<>!")
    except TypeError:
        return None


def _contiguous(given: Any) -> Any:
    return given if isinstance(given, (bytes, bytearray)) or memoryview(given).c_contiguous else bytes(given)


def _read(file: Any) -> bytes:
    pieces, size = [], 0
    while piece := file.read(min(CHECKED, MAX_FILE_OBJECT + 1 - size)):
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f'the file gives {type(piece).__name__}, not bytes; open it in binary mode ("rb")')
        pieces.append(piece)
        size += len(piece)
        if size > MAX_FILE_OBJECT:
            raise errors.LimitError(f"the file object holds more than {MAX_FILE_OBJECT} bytes; give its path, which is read piece by piece")
    return b"".join(pieces)


def _scale(array: NDArray[Any]) -> float:
    if array.dtype.kind == "f":
        return 1.0
    if array.dtype.kind == "i" and array.dtype.itemsize in (2, 4):
        return 2.0 ** (1 - 8 * array.dtype.itemsize)
    raise TypeError(f"an array of {array.dtype} is not read as samples; give float32 (-1 to 1), float64, float16, int16 or int32")


def _check_shape(array: NDArray[Any]) -> None:
    shape = list(array.shape)
    if array.ndim not in (1, 2):
        raise errors.ArgumentError(f"an array of shape {shape} is not audio: give [frames] or [frames, channels]")
    if array.size == 0:
        raise errors.FormatError(f"there are no samples in an array of shape {shape}")
    if array.ndim == 2 and shape[1] > MAX_CHANNELS:
        raise errors.ArgumentError(
            f"an array of shape {shape} looks like [channels, frames]: give its transpose (.T), [frames, channels]"
            if shape[0] <= MAX_CHANNELS
            else f"an array of shape {shape} has {shape[1]} channels; at most {MAX_CHANNELS} are read"
        )


def _check_numbers(pcm: NDArray[np.float32]) -> None:
    """The engine looks, too, but knows only of pieces."""
    for begin in range(0, len(pcm), CHECKED):
        block = pcm[begin : begin + CHECKED]
        if not (block.max() <= MAX_SAMPLE and block.min() >= -MAX_SAMPLE):
            at = begin + int((~(abs(block) <= MAX_SAMPLE)).argmax())
            raise errors.FormatError(f"the sample at frame {at} is {pcm[at]}; samples must be numbers between -1 and 1")
