"""What can go wrong between a client and its server, beside what the server says itself. Python's own classes for it fit, too."""

from __future__ import annotations

from sonant import errors

__all__ = ["DeniedError", "IncompatibleError", "LostError", "UnreachableError"]


class UnreachableError(errors.IoError, ConnectionError):
    """No connection came about: nothing was sent."""


class LostError(errors.IoError, ConnectionError):
    """The connection broke after something was sent: the server may have done what was asked."""


class DeniedError(errors.ArgumentError, PermissionError):
    """The server wants another key (HTTP status 401 or 403)."""

    status = 401


class IncompatibleError(errors.UnsupportedError):
    """What answers is no Sonant server, or one whose API does not fit this client."""
