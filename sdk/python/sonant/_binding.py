"""What all of the in-process engine stands on: errors from codes, options from keywords, handles with a life, calls that can be broken off.

cffi lets go of the interpreter's lock in every call of the library. A one-call helper asks its caller ten times a second whether it may
go on (`Call`); that is where Python sees a Ctrl-C, a cancelled task, and what a progress function raised.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._native import ffi as ffi
from sonant._native import lib as lib
from sonant._threads import begin, is_left_behind, over
from sonant._values import Cancel as Cancel
from sonant._values import Progress as Progress
from sonant._values import check_cancel as check_cancel
from sonant._values import check_zeros as check_zeros
from sonant._values import number as number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SWITCH = {None: lib.SN_DEFAULT, False: lib.SN_OFF, True: lib.SN_ON}
PRECISION = {
    None: lib.SN_AUTO,
    "auto": lib.SN_AUTO,
    "f32": lib.SN_PRECISION_F32,
    "bf16": lib.SN_PRECISION_BF16,
    "int8": lib.SN_PRECISION_INT8,
}
TASK = {
    "transcribe": lib.SN_TASK_TRANSCRIBE,
    "speak": lib.SN_TASK_SPEAK,
    "vad": lib.SN_TASK_VAD,
    "vocode": lib.SN_TASK_VOCODE,
    "embed": lib.SN_TASK_EMBED,
    "denoise": lib.SN_TASK_DENOISE,
    "score": lib.SN_TASK_SCORE,
    "punctuate": lib.SN_TASK_PUNCTUATE,
}
TASK_NAME = {value: name for name, value in TASK.items()}
PRIORITY = {"interactive": lib.SN_PRIORITY_INTERACTIVE, "realtime": lib.SN_PRIORITY_REALTIME, "batch": lib.SN_PRIORITY_BATCH}


def text(pointer: Any) -> str:
    """A C string; NULL is empty."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def texts(pointer: Any, count: int) -> tuple[str, ...]:
    """An array of C strings; NULL is empty."""
    return () if pointer == ffi.NULL else tuple(text(pointer[i]) for i in range(count))


def owned(held: Any, count: int) -> NDArray[np.float32]:
    """The samples that `float **held` points to, as an array that frees them; they are taken out of it. [count]"""
    import numpy as np

    if held[0] == ffi.NULL:
        return np.zeros(0, np.float32)
    pointer, held[0] = held[0], ffi.NULL  # in this order an interrupt frees nothing twice
    kept = ffi.gc(pointer, lib.free, count * 4)
    return np.frombuffer(ffi.buffer(kept, count * 4), np.float32)


def message_buffer() -> Any:
    """The `char *err` of a call."""
    return ffi.new("char[]", lib.SN_ERRLEN)


def pass_remarks() -> None:
    """Hands the library's remarks to the logger "sonant". Its handlers run here, on a thread that has just ended a call, and never on one
    of the engine; one that fails does not fail the call."""
    import logging

    logger = logging.getLogger("sonant")
    if not logger.hasHandlers():
        logger.addHandler(logging.NullHandler())
    levels = {
        lib.SN_LOG_ERROR: logging.ERROR,
        lib.SN_LOG_WARN: logging.WARNING,
        lib.SN_LOG_INFO: logging.INFO,
        lib.SN_LOG_DEBUG: logging.DEBUG,
    }
    buffer = ffi.new("char[]", 1024)
    while (level := lib.sonant_remark(buffer, len(buffer))) >= 0:
        with contextlib.suppress(Exception):
            logger.log(levels[level], "%s", text(buffer))


def check(result: int, err: Any) -> int:
    """The result where it is none of an error, else the exception."""
    if lib.sonant_remarks:
        pass_remarks()
    if result < 0:
        raise errors.from_value(result, text(err))
    return result


def choice(what: str, value: Any, choices: Mapping[Any, int]) -> int:
    """The number of a named choice."""
    try:
        return choices[value]
    except (KeyError, TypeError):
        known = ", ".join(repr(name) for name in choices if name is not None)
        raise errors.ArgumentError(f"{what} is {value!r}; it may be {known}") from None


def utf8(what: str, value: Any) -> bytes:
    """Text or a path for C."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        try:
            value = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            bad = f"U+{ord(value[error.start]):04X} at character {error.start}"
            raise errors.ArgumentError(f"{what} has half of a surrogate pair, {bad}, which is no character") from None
    if not isinstance(value, bytes):
        raise TypeError(f"{what} must be text, not {type(value).__name__}")
    if b"\0" in value:
        raise errors.ArgumentError(f"{what} holds a NUL character at byte {value.index(0)}; text must have none")
    return value


class Options:
    """A C struct of options that keeps alive what it points to. Fields that are None stay at their default."""

    def __init__(self, kind: str) -> None:
        self.pointer = ffi.new(f"{kind} *")
        self._kept: list[Any] = []

    def set_text(self, **fields: Any) -> None:
        for name, value in fields.items():
            if value is not None:
                kept = ffi.new("char[]", utf8(name, value))
                self._kept.append(kept)
                setattr(self.pointer, name, kept)

    def set_number(self, **fields: Any) -> None:
        for name, value in fields.items():
            if value is not None:
                self._set(name, number(name, value))

    def set_whole(self, **fields: Any) -> None:
        for name, value in fields.items():
            if value is not None:
                self._set(name, number(name, value, int))

    def set_switch(self, **fields: bool | None) -> None:
        for name, value in fields.items():
            setattr(self.pointer, name, choice(name, value, SWITCH))

    def set_texts(self, name: str, count: str, values: Any) -> None:
        """An array of strings and its length."""
        kept = [ffi.new("char[]", utf8(name, value)) for value in values]
        array = ffi.new("char *[]", kept)
        self._kept += [kept, array]
        setattr(self.pointer, name, array)
        setattr(self.pointer, count, len(kept))

    def keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _set(self, name: str, value: Any) -> None:
        try:
            setattr(self.pointer, name, value)
        except OverflowError:
            raise errors.ArgumentError(f"{name} is {value}, which does not fit") from None


class Handle:
    """A C object that threads share: `with handle as pointer` borrows it; closed, it is freed when nobody borrows it any more.

    It is made before what it holds is opened, so that an interrupt right behind the opening leaves nothing behind. Its lock may be taken
    again by the thread that has it: garbage that is collected meanwhile closes handles, this one among them.

    The threads of an engine do not live in a forked child, so that there every call is an error, and nothing is freed.
    """

    __slots__ = ("_closed", "_free", "_freed", "_held", "_lock", "_parent", "_pid", "_users", "_what")

    def __init__(self, what: str, held: Any, free: Callable[[Any], object], parent: Handle | None = None) -> None:
        """held: the `T **` that an opening function fills next; `free` takes it, filled or not. parent: closed with it, this is, too."""
        self._what, self._held, self._free, self._parent = what, held, free, parent
        self._pid, self._users, self._lock = os.getpid(), 0, threading.RLock()
        self._freed = self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed or (self._parent is not None and self._parent.closed)

    @property
    def forked(self) -> bool:
        """It is another process's."""
        return self._pid != os.getpid()

    def __enter__(self) -> Any:
        if self.forked:
            raise errors.ClosedError(f"the {self._what} is of process {self._pid}, and this is its fork {os.getpid()}: open an engine here")
        with self._lock:
            self._users += 1
        if self.closed:  # asked only now that nobody else frees it
            self.__exit__()
            raise errors.ClosedError(f"the {self._what} is closed")
        return self._held[0]

    def __exit__(self, *_: object) -> None:
        if not self.forked:
            with self._lock:
                self._users -= 1
            self._let_go()

    def close(self) -> None:
        """No new calls; those under way end first. More than once is nothing."""
        if not self.forked:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        """Frees it, once, when it is closed and nobody borrows it any more."""
        with self._lock:
            last = self._closed and self._users == 0 and not self._freed
            self._freed = self._freed or last
        if last:
            self._free(self._held)

    def __del__(self) -> None:
        """Who borrows it now is garbage, too: a coroutine that was left where it waited."""
        if not getattr(self, "_freed", True) and not self.forked:
            self._freed = self._closed = True
            self._free(self._held)


class Call:
    """A call of a one-call helper: passes progress on, and breaks it off.

    `cancel` is set from any thread; a progress function that raises, and Ctrl-C, end the call, and what was raised comes out of `end`.
    """

    def __init__(self, progress: Progress | None = None, cancel: Cancel | None = None) -> None:
        self.progress, self.cancel = progress, check_cancel(cancel)
        self.error: BaseException | None = None
        self.segment: Callable[[Any], object] | None = None
        self.state: Callable[[Any], object] | None = None
        self.part: Callable[[str, float], object] | None = None
        self.err = message_buffer()
        self.thread = threading.current_thread()
        self._handle = ffi.new_handle(self)
        begin(self)

    def fill(self, options: Options) -> Options:
        """Into a struct that has `progress` and `payload`."""
        options.pointer.progress = lib.sonant_progress
        options.pointer.payload = self._handle
        options.keep(self)
        return options

    @property
    def payload(self) -> Any:
        return self._handle

    def tick(self, seconds: float, total: float) -> int:
        """1: break off."""
        stop = self.stopped()
        if not stop and self.progress is not None:
            self.progress(seconds, total)
        return int(stop)

    def stopped(self) -> bool:
        """It is to end, or has failed."""
        return self.error is not None or (self.cancel is not None and self.cancel.is_set()) or is_left_behind()

    def end(self, result: int) -> int:
        """What the helper returned, or what went wrong, the caller's own error first."""
        over(self)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return check(result, self.err)


def _failed(_kind: object, error: BaseException, traceback: Any) -> None:
    """A callback raised: the error waits for the end of the call."""
    call = ffi.from_handle(traceback.tb_frame.f_locals["payload"])
    if call.error is None:
        call.error = error


@ffi.def_extern(error=1, onerror=_failed)  # type: ignore[untyped-decorator]
def sonant_progress(payload: Any, seconds: float, total: float) -> int:
    call: Call = ffi.from_handle(payload)
    return call.tick(seconds, total)


@ffi.def_extern(error=1, onerror=_failed)  # type: ignore[untyped-decorator]
def sonant_pull_progress(payload: Any, state: Any) -> int:
    call: Call = ffi.from_handle(payload)
    stop = call.tick(state.bytes, state.total)
    if not stop and call.state is not None:
        call.state(state)
    return stop


@ffi.def_extern(error=1, onerror=_failed)  # type: ignore[untyped-decorator]
def sonant_part(payload: Any, part: Any, share: float) -> int:
    call: Call = ffi.from_handle(payload)
    stop = call.stopped()
    if not stop and call.part is not None:
        call.part(text(part), share)
    return int(stop)


@ffi.def_extern(onerror=_failed)  # type: ignore[untyped-decorator]
def sonant_segment(payload: Any, segment: Any) -> None:
    call: Call = ffi.from_handle(payload)
    if call.segment is not None and call.error is None:
        call.segment(segment)


lib.sn_log_set(lib.SN_LOG_DEBUG, ffi.addressof(lib, "sonant_log"), ffi.NULL)
