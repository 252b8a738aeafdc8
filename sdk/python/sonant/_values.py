"""Values that callers give to the engine and to the client alike. Needs no engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Cancel", "Progress", "check_cancel", "number"]

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
    return kind(value)
