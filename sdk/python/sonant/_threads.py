"""Threads of the package that end with what they work for, at the latest before the interpreter does."""

from __future__ import annotations

import atexit
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from sonant._values import Cancel, check_cancel

__all__ = ["AnyOf", "Worker", "begin", "is_left_behind", "over"]

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
_calls: dict[int, weakref.ref[Any]] = {}
_ends: list[threading.Thread] = []
"""Who ends the interpreter, once it ends."""


def begin(call: Any) -> None:
    """A call of the library is under way on `call.thread`, until `over` or until nobody holds it any more."""
    key = id(call)
    _calls[key] = weakref.ref(call, lambda _: _calls.pop(key, None))


def over(call: Any) -> None:
    """On the call's thread. It goes no further when the interpreter ends: without one it would crash where it comes back for the lock."""
    _calls.pop(id(call), None)
    while is_left_behind():
        time.sleep(3600)


def is_left_behind() -> bool:
    """The interpreter ends without waiting for this thread, a daemon of the program's own."""
    thread = threading.current_thread()
    return bool(_ends) and thread not in _ends and not isinstance(thread, Worker)


def _is_awaited(call: Any) -> bool:
    return call is not None and call.thread not in _ends and call.thread.is_alive()


@atexit.register
def _end_all() -> None:
    """Later the interpreter would stop them where they stand, and what waits for them would wait for good."""
    _ends.append(threading.current_thread())
    running = [worker for worker in list(_workers) if worker.is_alive()]
    for worker in running:
        worker.stop()
    for worker in running:
        worker.join(LAST_WAIT)
    end = time.monotonic() + LAST_WAIT
    while any(_is_awaited(call()) for call in list(_calls.values())) and time.monotonic() < end:
        time.sleep(0.001)
