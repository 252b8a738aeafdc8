"""Sound in memory.

Needs no engine for what the standard library can do, which is wav files of 16 bits; every other format is the engine's library's, and
imported when it is asked for.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sonant import errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Audio"]

FORMATS = ("wav", "flac", "mp3", "opus", "pcm")
BLOCK = 1 << 20
"""Samples that are written at once; between two of them a Ctrl-C is seen."""
SHOWN = 600
"""Seconds that a notebook gets at most: they lie in its file."""
PLAYERS = {
    "paplay": ("paplay",),
    "aplay": ("aplay", "-q"),
    "ffplay": ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
}
"""Programs that play a file, in the order in which they are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono sound."""

    samples: NDArray[np.float32] = field(repr=False)
    """[count] float32, -1 to 1, contiguous."""
    sample_rate: int
    """Hz."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    @classmethod
    def load(cls, source: Any, *, rate: int | None = None) -> Audio:
        """The sound of a file in any format that is read; channels are averaged. source: a path, the bytes of a file, or a binary file
        object. rate: Hz, 1000 to 768000; None: the file's own.

        Raises NotFoundError, FormatError (not audio, empty, damaged, not a number: says where), ArgumentError, TypeError, IoError,
        LimitError, DependencyError (a format for FFmpeg, which is missing; without the engine's library all but wav of 16 bits)."""
        if not _has_library():
            return _read_wave(source, rate)
        from sonant._binding import Call
        from sonant._samples import Samples, as_source
        from sonant._tools import _as_floats

        given = as_source(source)
        if isinstance(given, Samples):
            raise TypeError("Audio.load reads files; Audio(samples, sample_rate) takes samples")
        samples, _ = _as_floats(given, Call())
        audio = Audio(samples.pcm, samples.rate)
        return audio if rate is None else audio.resample(rate)

    @staticmethod
    def join(parts: Iterable[Audio]) -> Audio:
        """One after the other, such as the chunks of `Engine.speak_stream`.

        Raises ArgumentError (different rates, or nothing to join)."""
        import numpy as np

        given = list(parts)
        rates = sorted({part.sample_rate for part in given})
        if not rates:
            raise errors.ArgumentError("there is no audio to join")
        if len(rates) > 1:
            raise errors.ArgumentError(f"audio of {', '.join(map(str, rates))} Hz cannot be joined: resample it to one rate")
        return Audio(np.concatenate([part.samples for part in given]), rates[0])

    def resample(self, rate: int) -> Audio:
        """The same sound at another rate, 1000 to 768000 Hz. Raises TypeError, ArgumentError, FormatError."""
        from sonant._arrays import checked_rate

        if rate is None:
            raise TypeError("rate must be a whole number, not None")
        rate = checked_rate(rate)
        if rate == self.sample_rate or not len(self.samples):
            return Audio(self.samples, rate)
        _need_library("resampling")
        from sonant._samples import as_samples, resampled

        return Audio(resampled(as_samples(self.samples, self.sample_rate), rate).pcm, rate)

    # -- to files --

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Writes a file, which appears whole or not at all; one that is there is replaced.

        format: "wav" (16 bits), "flac", "mp3", "opus" (in ogg), or "pcm" (16 bits, little endian, no header); None: by the path's
        ending, wav where it has none. mp3 and opus take the next higher rate that they know.

        Raises ArgumentError (a format that cannot be written: lists those that can), NotFoundError (no such folder), IoError, NoSpaceError,
        FormatError (not a number), TypeError, DependencyError."""
        name = os.fspath(path)
        if not isinstance(name, str):
            raise TypeError(f"path must be a str or a path, not {type(name).__name__}")
        if name == "-":
            raise errors.ArgumentError('"-" is no path here, because standard output belongs to the program: write to_bytes() to it')
        if not _has_library():
            _check_wav(format or os.path.splitext(name)[1].lstrip(".").lower() or "wav")
            _save_wave(self, name)
            return
        from sonant._binding import check, ffi, lib, message_buffer, utf8

        err, held = message_buffer(), ffi.new("sn_writer **")
        chosen = ffi.NULL if format is None else ffi.new("char[]", utf8("format", format))
        check(lib.sn_writer_open(held, utf8("path", name), chosen, self.sample_rate, err), err)
        try:
            _write(held[0], self._pcm(), err)
        finally:
            lib.sn_writer_close(held)

    def to_bytes(self, format: str = "wav", *, rate: int | None = None, bitrate: int | None = None) -> bytes:
        """The bytes of a file, at most 2 GiB. format: as in `save`. rate: Hz of the file; None: that of the samples. bitrate: bit/s of mp3
        and opus; None: the encoder's choice.

        Raises ArgumentError, LimitError, FormatError (not a number), TypeError, DependencyError."""
        if not _has_library():
            _check_wav(format)
            return _wave_bytes(self if rate is None else self.resample(rate))
        from sonant._binding import Options, check, check_zeros, ffi, lib, message_buffer

        check_zeros({"rate": "1000 to 768000 Hz", "bitrate": "a number of bit/s"}, {"rate": rate, "bitrate": bitrate})
        options, err, held, size = Options("sn_writer_options"), message_buffer(), ffi.new("sn_writer **"), ffi.new("size_t *")
        options.set_text(format=format)
        options.set_whole(sample_rate=self.sample_rate, output_rate=rate, bitrate=bitrate)
        check(lib.sn_writer_open_memory(held, options.pointer, err), err)
        try:
            _write(held[0], self._pcm(), err)
            data = ffi.gc(lib.sn_writer_take(held[0], size), lib.free)
            return bytes(ffi.buffer(data, size[0])) if size[0] else b""
        finally:
            lib.sn_writer_close(held)

    def _pcm(self) -> NDArray[np.float32]:
        """The samples as they may be written: somebody may have made them."""
        import numpy as np

        from sonant._arrays import mono

        return mono(self.samples) if len(self.samples) else np.zeros(0, np.float32)

    # -- to ears --

    def play(self, wait: bool = True) -> None:
        """Plays it: by the package sounddevice where it is installed, else by the first of paplay, aplay and ffplay that works.

        wait: until it has been played; a Ctrl-C stops it. False: it plays on by itself, and a failure is not told.

        Raises DependencyError (none of them is there), IoError (none of them could play it)."""
        if not len(self.samples):
            return
        failures: list[str] = []
        if self._play_by_sounddevice(wait, failures):
            return
        import shutil

        found = [name for name in PLAYERS if shutil.which(name)]
        if not found and not failures:
            raise errors.DependencyError(
                "nothing here plays sound: install sounddevice (pip), paplay (pulseaudio-utils), aplay (alsa-utils) or ffplay (ffmpeg)"
            )
        data = self.to_bytes()
        for name in found:
            if _play_by_program(PLAYERS[name], data, wait, failures):
                return
        raise errors.IoError("the sound could not be played: " + "; ".join(failures))

    def _play_by_sounddevice(self, wait: bool, failures: list[str]) -> bool:
        try:
            import sounddevice
        except (ImportError, OSError):  # OSError: it is there, but PortAudio is not
            return False
        try:
            sounddevice.play(self._pcm(), self.sample_rate)
            if wait:
                sounddevice.wait()
        except sounddevice.PortAudioError as error:
            failures.append(f"sounddevice: {error}")
            return False
        except BaseException:
            sounddevice.stop()
            raise
        return True

    def _repr_html_(self) -> str:
        """A player for notebooks. Of long sound it has the first minutes."""
        import base64

        shown = Audio(self.samples[: SHOWN * self.sample_rate], self.sample_rate)
        label = f"{self.duration:.2f} s, {self.sample_rate} Hz"
        if len(shown.samples) < len(self.samples):
            label = f"the first {shown.duration:.0f} s of {label}"
        if not len(shown.samples):
            return f"<div>no samples; {label}</div>"
        data = base64.b64encode(shown.to_bytes()).decode()
        return f'<div><audio controls="controls" preload="metadata" src="data:audio/wav;base64,{data}"></audio> <span>{label}</span></div>'


def _has_library() -> bool:
    try:
        import sonant._native  # noqa: F401
    except ImportError:
        return False
    return True


def _need_library(what: str) -> None:
    if not _has_library():
        raise errors.DependencyError(f"{what} needs the engine's library, which this installation of the package lacks: pip install sonant")


def _write(writer: Any, pcm: NDArray[np.float32], err: Any) -> None:
    from sonant._binding import check, ffi, lib

    for at in range(0, len(pcm), BLOCK):
        block = pcm[at : at + BLOCK]
        check(lib.sn_writer_write(writer, ffi.from_buffer("float[]", block), len(block), err), err)
    check(lib.sn_writer_finish(writer, err), err)


def _play_by_program(command: tuple[str, ...], data: bytes, wait: bool, failures: list[str]) -> bool:
    """The file lies in memory, and the player has it by its descriptor: nothing is left behind, whoever ends first."""
    import subprocess

    file = os.memfd_create("sonant.wav")
    try:
        with open(file, "wb", closefd=False) as out:
            out.write(data)
        player = subprocess.Popen(
            [*command, f"/dev/fd/{file}"], pass_fds=(file,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    finally:
        os.close(file)
    if not wait:
        threading.Thread(target=player.communicate, name="sonant-play", daemon=True).start()
        return True
    try:
        _, said = player.communicate()
    except BaseException:
        player.kill()
        player.communicate()
        raise
    if player.returncode:
        failures.append(f"{command[0]}: {said.decode(errors='replace').strip() or f'exit status {player.returncode}'}")
    return player.returncode == 0


# -- without the engine's library --


def _check_wav(format: Any) -> None:
    if format not in FORMATS:
        raise errors.ArgumentError(f"format is {format!r}; it may be {', '.join(FORMATS)}")
    if format != "wav":
        _need_library(f"writing {format}")


def _wave_bytes(audio: Audio) -> bytes:
    """Cut to 16 bits as the library cuts them, so that what was read of such a file is written as it was."""
    import wave

    import numpy as np

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, audio.sample_rate, 0, "NONE", ""))
        file.writeframes(np.clip(np.floor(audio._pcm() * np.float32(32768)), -32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _save_wave(audio: Audio, path: str) -> None:
    data, part = _wave_bytes(audio), f"{path}.{os.getpid()}.part"
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, path)
    except FileNotFoundError as error:
        raise errors.NotFoundError(f"there is no folder for {path!r}") from error
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise errors.IoError(f"{path!r} cannot be written: {error.strerror}") from error


def _read_wave(source: Any, rate: int | None) -> Audio:
    import wave

    import numpy as np

    data: Any = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
    if not isinstance(data, (str, os.PathLike)) and not callable(getattr(data, "read", None)):
        raise TypeError(f"audio must be a path, bytes or a binary file, not {type(data).__name__}")
    try:
        with wave.open(os.fspath(data) if isinstance(data, os.PathLike) else data, "rb") as file:
            channels, width, own, frames = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            pcm = file.readframes(frames)
    except FileNotFoundError as error:
        raise errors.NotFoundError(f"there is no file {source!r}") from error
    except OSError as error:
        raise errors.IoError(f"{source!r} cannot be read: {error.strerror}") from error
    except (wave.Error, EOFError) as error:
        raise errors.DependencyError(f"without the engine's library only wav files are read, and this is none: {error}") from error
    if width != 2:
        _need_library(f"a wav file of {8 * width} bits")
    mono = np.frombuffer(pcm[: len(pcm) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels).mean(axis=1, dtype=np.float32)
    audio = Audio(mono / np.float32(32768), own)
    return audio if rate is None else audio.resample(rate)
