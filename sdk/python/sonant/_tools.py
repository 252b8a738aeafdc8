"""What else is done with audio."""

from __future__ import annotations

from sonant._base import EngineBase

__all__ = ["Tools"]


class Tools(EngineBase):
    """The engine's part for it."""
