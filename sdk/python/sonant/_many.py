"""Many inputs, worked on side by side, given back in their order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Generic, TypeVar

from sonant import errors
from sonant._progress import following
from sonant._threads import AnyOf, Worker
from sonant._values import Cancel, Progress, number
from sonant.types import Outcome

__all__ = ["DEFAULT_JOBS", "check_jobs", "in_order"]

DEFAULT_JOBS = 4
MAX_JOBS = 256
AHEAD = 2
"""Inputs for each job that are taken at most before the first of them is given back."""

R = TypeVar("R")


def check_jobs(jobs: int | None) -> int:
    """How many; raises TypeError, ArgumentError."""
    count = DEFAULT_JOBS if jobs is None else int(number("jobs", jobs, int))
    if not 1 <= count <= MAX_JOBS:
        raise errors.ArgumentError(f"jobs is {count}; it may be 1 to {MAX_JOBS}")
    return count


class _Task(Generic[R]):
    def __init__(self, source: Any) -> None:
        self.source, self.done = source, threading.Event()
        self.value: R | None = None
        self.error: BaseException | None = None


class _Pool(Generic[R]):
    """Threads that work on tasks until it is stopped; started as they are needed."""

    def __init__(self, work: Callable[[Any, Cancel], R], jobs: int, cancel: Cancel | None) -> None:
        self.own = threading.Event()
        self.stop = AnyOf(self.own, cancel)
        self.work, self.jobs, self.workers = work, jobs, list[Worker]()
        self.tasks: queue.SimpleQueue[_Task[R] | None] = queue.SimpleQueue()
        self.waiting: deque[_Task[R]] = deque()

    def add(self, source: Any) -> None:
        self.waiting.append(_Task(source))
        self.tasks.put(self.waiting[-1])
        if len(self.workers) < min(self.jobs, len(self.waiting)):
            self.workers.append(Worker("sonant-job", self.serve, self.end))
            self.workers[-1].start()

    @property
    def full(self) -> bool:
        """The first is to be given back before more is added: it is done, or too many wait."""
        return len(self.waiting) >= AHEAD * self.jobs or (bool(self.waiting) and self.waiting[0].done.is_set())

    def take(self) -> Outcome[R]:
        """The first, when it is done."""
        task = self.waiting.popleft()
        task.done.wait()
        if task.error is None:
            return Outcome(task.source, task.value)
        if not isinstance(task.error, Exception) or (isinstance(task.error, errors.CancelledError) and self.stop.is_set()):
            raise task.error
        return Outcome(task.source, None, task.error)

    def serve(self) -> None:
        while (task := self.tasks.get()) is not None:
            try:
                if self.stop.is_set():
                    raise errors.CancelledError("cancelled before it began")
                task.value = self.work(task.source, self.stop)
            except BaseException as error:
                task.error = error
            task.done.set()

    def end(self) -> None:
        self.own.set()
        for _ in self.workers:
            self.tasks.put(None)


def in_order(
    work: Callable[[Any, Cancel], R],
    inputs: Iterable[Any],
    jobs: int,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Outcome[R]]:
    """work(input, stop) of each input, on `jobs` threads; it ends when stop is set. Inputs are taken, and progress (of inputs) is
    called, on the thread that iterates. A `cancel` that is set raises CancelledError there; what is not an Exception comes out as it is."""
    return _give(_Pool(work, jobs, cancel), inputs, progress)


def _give(pool: _Pool[R], inputs: Iterable[Any], progress: Progress | bool | None) -> Iterator[Outcome[R]]:
    total, done = float(len(inputs)) if isinstance(inputs, Sized) else 0.0, 0
    try:
        with following(progress, "inputs", "input") as moved:
            for outcome in _outcomes(pool, inputs):
                done += 1
                if moved is not None:
                    moved(done, total)
                yield outcome
    finally:
        pool.end()
        for worker in pool.workers:
            worker.finish()


def _outcomes(pool: _Pool[R], inputs: Iterable[Any]) -> Iterator[Outcome[R]]:
    for given in inputs:
        pool.add(given)
        while pool.full:
            yield pool.take()
    while pool.waiting:
        yield pool.take()
