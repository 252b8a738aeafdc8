"""What only a server has: jobs."""

from __future__ import annotations

from dataclasses import dataclass

from sonant.errors import Error
from sonant.types import Speech, Transcript

__all__ = ["Job", "JobItem"]


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that the server has accepted: it is on the server's disk, and survives a restart."""

    id: str
    kind: str
    """"transcribe" or "synthesize"."""
    state: str
    """"queued", "running", "done" or "cancelled"."""
    created: str
    items: int
    done: int
    failed: int
    progress: float
    """0 to 1."""
    finished: str = ""
    waiting: str = ""
    """Why it does not go on just now."""

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.state in ("done", "cancelled")


@dataclass(frozen=True, slots=True)
class JobItem:
    """One item of a job: what came of it, or what went wrong."""

    index: int
    name: str
    """Of the file, or as it was given."""
    state: str
    """"queued", "running", "done", "failed" or "cancelled"."""
    result: Transcript | Speech | None = None
    error: Error | None = None
