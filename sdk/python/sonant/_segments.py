"""Segments of long audio as they are found."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

from sonant import errors
from sonant._threads import AnyOf, Worker
from sonant._values import Cancel
from sonant.types import Segment, Transcript

__all__ = ["Segments"]

AHEAD = 64
"""Segments that wait to be taken, beyond which the work rests."""


class _Line:
    """What the working thread and the iterating one share. The iterator holds the line, not the other way round, so that a dropped iterator
    is found and ends the work."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: deque[Segment] = deque()
        self.stopped = threading.Event()
        self.ended = False
        self.error: BaseException | None = None
        self.info: Transcript | None = None

    def put(self, segment: Segment) -> None:
        """Rests while the line is full."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.waiting) < AHEAD or self.stopped.is_set())
            self.waiting.append(segment)
            self.changed.notify_all()

    def get(self) -> Segment | None:
        """None: the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended)
            self.changed.notify_all()
            return self.waiting.popleft() if self.waiting else None

    def stop(self) -> None:
        self.stopped.set()
        with self.changed:
            self.changed.notify_all()

    def work(self, work: Callable[[Callable[[Segment], object], Cancel], Transcript], stop: Cancel) -> None:
        try:
            self.info = work(self.put, stop)
        except BaseException as error:
            self.error = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()


class Segments(Iterator[Segment]):
    """An iterator of `Segment`s, made by `Engine.segments`. One thread at a time takes from it; close it, or use it in `with`, to
    end the work before its time."""

    def __init__(self, work: Callable[[Callable[[Segment], object], Cancel], Transcript], cancel: Cancel | None) -> None:
        self._line, self._pid, self._started, self._closed = _Line(), os.getpid(), False, False
        line, stop = self._line, AnyOf(self._line.stopped, cancel)
        self._worker = Worker("sonant-segments", lambda: line.work(work, stop), line.stop)

    @property
    def info(self) -> Transcript | None:
        """After the last segment: the transcript's facts, without text and segments. None before."""
        return self._line.info

    def __next__(self) -> Segment:
        """Raises StopIteration behind the last segment and once it is closed, and what ended the work early. A Ctrl-C ends the work."""
        if self._closed:
            raise StopIteration
        if self._pid != os.getpid():
            raise errors.ClosedError(
                f"the segments are made in process {self._pid}, and this is its fork {os.getpid()}: open an engine here"
            )
        if not self._started:
            self._started = True
            self._worker.start()
        try:
            segment = self._line.get()
        except BaseException:
            self._closed = True
            self._line.stop()
            raise
        if segment is not None:
            return segment
        self._closed = True
        self._worker.finish()
        if self._line.error is not None:
            raise self._line.error
        raise StopIteration

    def close(self) -> None:
        """Ends the work within a step and waits for that. More than once is nothing."""
        self._closed = True
        self._line.stop()
        if self._pid == os.getpid():
            self._worker.finish()

    def __enter__(self) -> Segments:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self._line.stop()
