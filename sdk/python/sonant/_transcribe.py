"""Files and samples to text."""

from __future__ import annotations

from sonant._base import EngineBase

__all__ = ["Transcribing"]


class Transcribing(EngineBase):
    """The engine's part for it."""
