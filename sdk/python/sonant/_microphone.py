"""Sound of a microphone, by sounddevice."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._arrays import checked_rate
from sonant._binding import number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["microphone"]

MIN_BLOCK, MAX_BLOCK = 0.001, 10.0


def microphone(rate: int = 16000, device: int | str | None = None, block: float = 0.02) -> Iterator[NDArray[np.float32]]:
    """What a microphone hears, for `Engine.listen`: chunks [frames] float32 of `block` seconds, without end. It is opened when the first
    chunk is asked for, and closed with the iterator.

    rate: Hz that the device is asked for. device: a number or a part of a name of sounddevice's list; None: the system's.

    Raises DependencyError (sounddevice or PortAudio is missing), TypeError, ArgumentError, and IoError where the device fails."""
    hertz, seconds = checked_rate(rate), number("block", block)
    if not MIN_BLOCK <= seconds <= MAX_BLOCK:
        raise errors.ArgumentError(f"block is {block} s; it may be {MIN_BLOCK} to {MAX_BLOCK} s")
    try:
        import sounddevice
    except ImportError:
        raise errors.DependencyError('a microphone needs the package sounddevice: pip install "sonant[microphone]"') from None
    except OSError as error:
        raise errors.DependencyError(f"sounddevice does not find PortAudio ({error}): apt install libportaudio2") from error
    return _chunks(sounddevice, hertz, device, max(1, round(hertz * seconds)))


def _chunks(sounddevice: Any, rate: int, device: int | str | None, frames: int) -> Iterator[NDArray[np.float32]]:
    try:
        with sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32", device=device, blocksize=frames) as stream:
            told = False
            while True:
                samples, lost = stream.read(frames)
                if lost and not told:
                    told = True
                    logging.getLogger("sonant").warning("samples of the microphone were lost, because they were not read in time")
                yield samples[:, 0]
    except (sounddevice.PortAudioError, ValueError) as error:
        raise errors.IoError(f"the microphone {'of the system' if device is None else repr(device)} cannot be read: {error}") from error
