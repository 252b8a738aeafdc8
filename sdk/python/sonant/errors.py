"""What can go wrong. Written by tools/errors.py from the list of results in sonant.h; change that one.

Every exception of the engine and of the client is an `Error`; where Python has a class for it, it is that one, too, so that
`except ValueError` and `except sonant.Error` both do what they say.
"""

from __future__ import annotations


class Error(Exception):
    """Something went wrong; `str(error)` is a sentence that says what, with which value, and what would be right."""

    code: str = "SN_E_INTERNAL"
    """The name in the C API."""
    value: int = -15
    """The number in the C API."""
    status: int = 500
    """The HTTP status of the server for it."""
    exit_status: int = 70
    """The exit status of the program for it."""
    request_id: str = ""
    """Of the request, where a server said it."""
    retry_after: float | None = None
    """Seconds after which a server asks to try again."""


class ArgumentError(Error, ValueError):
    """Invalid argument."""

    code = "SN_E_ARGUMENT"
    value = -1
    status = 400
    exit_status = 2


class NotFoundError(Error, FileNotFoundError):
    """Not found."""

    code = "SN_E_NOT_FOUND"
    value = -2
    status = 404
    exit_status = 3


class FormatError(Error):
    """Malformed or unreadable input."""

    code = "SN_E_FORMAT"
    value = -3
    status = 422
    exit_status = 4


class ModelError(Error):
    """Unusable model files."""

    code = "SN_E_MODEL"
    value = -4
    status = 500
    exit_status = 5


class UnsupportedError(Error):
    """The model cannot do this."""

    code = "SN_E_UNSUPPORTED"
    value = -5
    status = 422
    exit_status = 6


class EngineMemoryError(Error, MemoryError):
    """Out of memory."""

    code = "SN_E_MEMORY"
    value = -6
    status = 503
    exit_status = 7


class IoError(Error, OSError):
    """Input or output failed."""

    code = "SN_E_IO"
    value = -7
    status = 500
    exit_status = 8


class NoSpaceError(Error, OSError):
    """No space left."""

    code = "SN_E_NO_SPACE"
    value = -8
    status = 507
    exit_status = 9


class LimitError(Error):
    """A limit was exceeded."""

    code = "SN_E_LIMIT"
    value = -9
    status = 413
    exit_status = 10


class BusyError(Error):
    """Too busy."""

    code = "SN_E_BUSY"
    value = -10
    status = 429
    exit_status = 11


class CancelledError(Error):
    """Cancelled."""

    code = "SN_E_CANCELLED"
    value = -11
    status = 499
    exit_status = 12


class EngineTimeoutError(Error, TimeoutError):
    """Timed out."""

    code = "SN_E_TIMEOUT"
    value = -12
    status = 504
    exit_status = 13


class DependencyError(Error):
    """A needed program or library is missing."""

    code = "SN_E_DEPENDENCY"
    value = -13
    status = 501
    exit_status = 14


class ClosedError(Error):
    """Already closed or finished."""

    code = "SN_E_CLOSED"
    value = -14
    status = 409
    exit_status = 15


class InternalError(Error):
    """Internal error."""

    code = "SN_E_INTERNAL"
    value = -15
    status = 500
    exit_status = 70


CLASSES: dict[str, type[Error]] = {
    "SN_E_ARGUMENT": ArgumentError,
    "SN_E_NOT_FOUND": NotFoundError,
    "SN_E_FORMAT": FormatError,
    "SN_E_MODEL": ModelError,
    "SN_E_UNSUPPORTED": UnsupportedError,
    "SN_E_MEMORY": EngineMemoryError,
    "SN_E_IO": IoError,
    "SN_E_NO_SPACE": NoSpaceError,
    "SN_E_LIMIT": LimitError,
    "SN_E_BUSY": BusyError,
    "SN_E_CANCELLED": CancelledError,
    "SN_E_TIMEOUT": EngineTimeoutError,
    "SN_E_DEPENDENCY": DependencyError,
    "SN_E_CLOSED": ClosedError,
    "SN_E_INTERNAL": InternalError,
}
"""Every class by its name in the C API."""

BY_VALUE: dict[int, type[Error]] = {kind.value: kind for kind in CLASSES.values()}


def from_value(value: int, message: str) -> Error:
    """The exception for a result of the C API."""
    kind = BY_VALUE.get(value, InternalError)
    return kind(message or f"error {value}")


def from_reply(status: int, code: str, message: str) -> Error:
    """The exception for a server's reply: of its code, else of the first class that has its HTTP status."""
    kind = CLASSES.get(code)
    if kind is None:
        kind = next((k for k in CLASSES.values() if k.status == status), None)
    if kind is None:
        kind = ArgumentError if 400 <= status < 500 else InternalError
    return kind(message or f"HTTP status {status}")
