"""Samples that callers give, checked and made mono. Needs no engine: the client reads arrays by it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sonant import errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEFAULT_RATE", "MAX_CHANNELS", "MAX_RATE", "MIN_RATE", "byte_format", "checked_rate", "is_array", "is_samples", "mono"]

DEFAULT_RATE = 16000
"""Hz, of an array that comes without rate=: what models hear."""
MIN_RATE, MAX_RATE = 1000, 768000
MAX_CHANNELS = 8
MAX_SAMPLE = 1e10
"""Larger magnitudes are no sound: their power would leave float32."""
CHECKED = 1 << 20
"""Samples looked at together: their copy stays small."""
BYTE_FORMATS = ("B", "b", "c")


def is_array(given: Any) -> bool:
    """Whether it is an array: of numpy, or a tensor."""
    return hasattr(type(given), "__array__")


def byte_format(given: Any) -> str | None:
    """The format of what has the buffer protocol, else None."""
    try:
        return memoryview(given).format.lstrip("@=<>!")
    except TypeError:
        return None


def is_samples(given: Any) -> bool:
    """Whether it is an array of samples, or a buffer of numbers (array.array) rather than of bytes."""
    if is_array(given):
        return True
    return not isinstance(given, (bytes, bytearray)) and byte_format(given) not in (None, *BYTE_FORMATS)


def checked_rate(rate: Any) -> int:
    """Hz; None: 16000. Raises TypeError, ArgumentError."""
    if rate is None:
        return DEFAULT_RATE
    if isinstance(rate, bool) or not hasattr(rate, "__index__"):
        raise TypeError(f"rate must be a whole number, not {type(rate).__name__}")
    hertz = int(rate)
    if not MIN_RATE <= hertz <= MAX_RATE:
        raise errors.ArgumentError(f"a rate of {hertz} Hz is out of range; {MIN_RATE} to {MAX_RATE} Hz are read")
    return hertz


def mono(given: Any) -> NDArray[np.float32]:
    """[frames] float32, contiguous, finite. given: [frames] or [frames, channels] (1 to 8, which are averaged) of any float, int16 or
    int32 type; whole numbers are scaled to -1..1. A contiguous [frames] float32 array is not copied.

    Raises TypeError (dtype), ArgumentError (shape), FormatError (no samples; NaN, infinity: says where)."""
    import numpy as np

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
    return pcm


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
    import numpy as np

    for begin in range(0, len(pcm), CHECKED):
        block = pcm[begin : begin + CHECKED]
        if not (np.max(block) <= MAX_SAMPLE and np.min(block) >= -MAX_SAMPLE):
            at = begin + int(np.argmax(~(abs(block) <= MAX_SAMPLE)))
            raise errors.FormatError(f"the sample at frame {at} is {pcm[at]}; samples must be numbers between -1 and 1")
