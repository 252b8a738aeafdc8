"""Values that callers give to the engine and to the client alike. Needs no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Protocol

from sonant import errors

__all__ = ["Cancel", "Progress", "check_cancel", "check_zeros", "number", "set_vad"]

Progress = Callable[[float, float], object]
"""Seconds done, seconds in all (0: not known). What it raises ends the call and comes out of it."""


class Cancel(Protocol):
    """What says that a call is to end: a `threading.Event`, or whatever else answers."""

    def is_set(self) -> bool: ...


def check_cancel(cancel: Cancel | None) -> Cancel | None:
    """The same; raises TypeError for what cannot answer."""
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise TypeError(f"cancel must be an event, such as threading.Event(), not {type(cancel).__name__}")
    return cancel


def number(what: str, value: Any, kind: type = float) -> Any:
    """A number for C; a wrong type or one that C cannot hold is said by name."""
    if isinstance(value, bool) or not hasattr(value, "__float__" if kind is float else "__index__"):
        raise TypeError(f"{what} must be {'a number' if kind is float else 'a whole number'}, not {type(value).__name__}")
    try:
        return kind(value)
    except OverflowError:
        raise errors.ArgumentError(f"{what} is too large for a number of 64 bits") from None


def check_zeros(right: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """A zero that C would take for its default is said to be wrong. right: what the options that have no zero may be."""
    for name, values in right.items():
        value = given.get(name)
        if isinstance(value, Real) and value == 0 and not isinstance(value, bool):
            raise errors.ArgumentError(f"{name} is {value}; it may be {values}, and None is the default")


def set_vad(settings: Any, wishes: Mapping[str, Any]) -> None:
    """Fills an sn_vad_settings from vad_threshold (0..1) and vad_min_speech, vad_min_silence, vad_pad (ms). In times zero means none, which
    is below zero in C; what is not there or None stays at its default."""
    check_zeros({"vad_threshold": "above 0 and at most 1"}, wishes)
    if wishes.get("vad_threshold") is not None:
        settings.threshold = number("vad_threshold", wishes["vad_threshold"])
    for field in ("min_speech", "min_silence", "pad"):
        if wishes.get("vad_" + field) is not None:
            value = number("vad_" + field, wishes["vad_" + field], int)
            if not 0 <= value <= 10000:
                raise errors.ArgumentError(f"vad_{field} is {value}; it may be 0 to 10000 ms")
            setattr(settings, field, value or -1)
