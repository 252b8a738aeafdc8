"""Live captions."""

from __future__ import annotations

from sonant._base import EngineBase

__all__ = ["Listening"]


class Listening(EngineBase):
    """The engine's part for it."""
