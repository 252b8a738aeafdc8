"""Models and voices on disk."""

from __future__ import annotations

from sonant._base import EngineBase

__all__ = ["Store"]


class Store(EngineBase):
    """The engine's part for it."""
