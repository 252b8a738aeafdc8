"""Text to speech."""

from __future__ import annotations

from sonant._base import EngineBase

__all__ = ["Speaking"]


class Speaking(EngineBase):
    """The engine's part for it."""
