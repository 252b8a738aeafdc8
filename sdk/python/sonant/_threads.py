"""Threads of the package that end with what they work for, at the latest before the interpreter does."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable

from sonant._values import Cancel, check_cancel

__all__ = ["AnyOf", "Worker"]

LAST_WAIT = 5.0
"""Seconds that the end of the interpreter waits for a thread that was told to end."""


class AnyOf:
    """Set when one of several is."""

    def __init__(self, *events: Cancel | None) -> None:
        self.events = [event for event in events if check_cancel(event) is not None]

    def is_set(self) -> bool:
        return any(event.is_set() for event in self.events if event is not None)


class Worker(threading.Thread):
    """A thread that does not keep the interpreter alive."""

    def __init__(self, name: str, work: Callable[[], object], stop: Callable[[], object]) -> None:
        """stop: tells `work` to end, from any thread."""
        super().__init__(target=work, name=name, daemon=True)
        self.stop = stop
        _workers.add(self)

    def finish(self) -> None:
        """Waits for the end of what was told to end."""
        if self.ident is not None and self is not threading.current_thread() and not sys.is_finalizing():
            self.join()


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Later the interpreter would stop them where they stand, and what waits for them would wait for good."""
    running = [worker for worker in _workers if worker.is_alive()]
    for worker in running:
        worker.stop()
    for worker in running:
        worker.join(LAST_WAIT)
