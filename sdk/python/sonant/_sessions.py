"""Sessions of the engine, and how Python waits for them.

With `ready` set no call of the C API on a session waits: what cannot go on returns SN_AGAIN, and when it may, a thread of the engine counts
up an event descriptor (`sonant_wake`, which is C). Python sleeps on that descriptor, so that Ctrl-C works, the interpreter's lock is free,
and asyncio can watch it like a socket. `Session` is one timeline of the engine; `Stream` goes through what it gives while it is fed.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sonant import errors
from sonant._binding import Cancel, Handle, Options, check, check_cancel, ffi, lib, message_buffer

if TYPE_CHECKING:
    import asyncio

    from typing_extensions import Self

    from sonant._base import Model

__all__ = ["Session", "Stream"]

T = TypeVar("T")

_NONE: Any = object()
"""No piece."""
TICK = 0.1
"""Seconds after which somebody who sleeps looks whether `cancel` was set."""


class Session(Generic[T]):
    """One timeline of the engine. No call on it waits; threads may share it, their calls take turns. A thread may close it in its
    own turn, since garbage that is collected then may be a stream of it.

    A subclass says its `kind` and has `push`, `finish` and `pull`."""

    kind: ClassVar[str]
    """"stt" or "tts"."""

    def __init__(self, model: Model, options: Options) -> None:
        """options: an sn_stt_options or sn_tts_options, into which `ready` is written. Raises what opening such a session does."""
        self._signal = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """What the engine counts up."""
        self.descriptor = self._signal
        """Readable when it is worth asking again; a subclass may have one that watches more."""
        options.pointer.ready = lib.sonant_wake
        options.pointer.ready_payload = ffi.cast("void *", self._signal)
        self.ended = False
        """Everything was pulled."""
        self.err = message_buffer()
        self._lock, self._options = threading.RLock(), options
        close, descriptor = getattr(lib, f"sn_{self.kind}_close"), self._signal

        def free(held: Any) -> None:
            close(held)
            os.close(descriptor)  # only now does nobody write to it any more

        held = ffi.new(f"sn_{self.kind} **")
        self._cancel = getattr(lib, f"sn_{self.kind}_cancel")
        self._handle = Handle("session", held, free, model.engine._handle)
        try:
            with model._handle as pointer:
                check(getattr(lib, f"sn_{self.kind}_open")(held, pointer, options.pointer, self.err), self.err)
        except BaseException:
            self._handle.close()
            raise
        with model.engine._models_lock:
            model.engine._sessions.add(self)

    def push(self, piece: Any) -> bool:
        """Hands over a piece of the input. False: nothing was taken; pull, wait, and push the same again."""
        raise NotImplementedError

    def finish(self) -> None:
        """No more input will come."""
        raise NotImplementedError

    def pull(self) -> T | None:
        """What is ready; None: nothing, or all was pulled (`ended`)."""
        raise NotImplementedError

    @contextmanager
    def turn(self) -> Iterator[Any]:
        """The session's pointer for one call. What it lends must be copied before the turn ends."""
        with self._handle as pointer, self._lock:  # in this order: in a forked child the lock may be held by nobody who lives
            yield pointer

    def check(self, result: int) -> int:
        """The result of a call that was given `err`; an error is raised. A call that `close` overtook says so, and not "cancelled"."""
        if result == lib.SN_E_CANCELLED and self._handle.closed:
            raise errors.ClosedError("the session is closed")
        return check(result, self.err)

    def wake(self) -> None:
        """Makes `wait` return, from any thread."""
        with self._handle:
            os.eventfd_write(self._signal, 1)

    def clear(self) -> None:
        """Forgets what was told so far: before the pull that a `wait` may follow."""
        with self._handle, suppress(BlockingIOError):
            os.eventfd_read(self._signal)

    def wait(self, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Sleeps until it is worth asking again, or for `timeout` seconds. Raises CancelledError when `cancel` is set."""
        with self._handle:
            poll = select.poll()
            poll.register(self.descriptor, select.POLLIN)
            left = timeout
            while True:
                if cancel is not None and cancel.is_set():
                    raise errors.CancelledError("cancelled by the caller")
                step = left if cancel is None or (left is not None and left <= TICK) else TICK
                if poll.poll(None if step is None else step * 1000):
                    return
                if left is not None:
                    left -= step or 0.0
                    if left <= 0:
                        return

    async def wait_async(self, timeout: float | None = None) -> None:
        """The same in asyncio's loop; one task at a time."""
        import asyncio

        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        with self._handle:
            timer = None if timeout is None else loop.call_later(timeout, woken.set)  # wait_for of Python 3.11 may lose a cancelling
            loop.add_reader(self.descriptor, woken.set)
            try:
                await woken.wait()
            finally:
                loop.remove_reader(self.descriptor)
                if timer is not None:
                    timer.cancel()

    def cancel(self) -> None:
        """Ends the session within a step of the engine; a pull then raises CancelledError. From any thread."""
        with self._handle as pointer:
            self._cancel(pointer)

    def close(self) -> None:
        """Ends it, whatever it has still to do; who waits in another thread is woken, and told that it is closed."""
        with suppress(errors.ClosedError), self._handle as pointer:
            self._handle.close()
            self._cancel(pointer)
            os.eventfd_write(self._signal, 1)
        self._handle.close()


class _Gate:
    """An event for one thread that waits. It can be set anywhere, also by garbage that is collected in the thread that waits: other than
    threading's, it has no lock of its own that this thread could hold then."""

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()

    def set(self) -> None:
        with suppress(RuntimeError):  # it is open
            self._closed.release()

    def clear(self) -> None:
        self._closed.acquire(blocking=False)

    def wait(self) -> None:
        """And closes it again."""
        self._closed.acquire()


class _Feed:
    """What a stream and the thread or task that feeds it know of each other. The feeder does not hold the stream, which can be dropped."""

    def __init__(self, room: Any) -> None:
        self.room = room
        """A gate, or an Event of asyncio: a push may go on."""
        self.stopped = False
        self.error: BaseException | None = None


class Stream(Generic[T]):
    """Goes through what a session gives, by `for` or by `async for`, while it is fed. One thread or task at a time.

    It ends early by `close` (or `with`, or when it is dropped), by `cancel`, and by whatever is raised in it: the engine then stops
    within a step. A source that is waiting for its next piece at that time is left when it gives that piece."""

    def __init__(
        self,
        session: Session[T],
        source: Iterable[Any] | AsyncIterable[Any],
        *,
        waits: bool,
        interval: float | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """source: pieces for `session.push`. waits: it may wait for its next piece, so that a thread of its own goes through it (an
        asynchronous one: a task); else pieces are pushed when there is nothing to pull. interval: seconds after which the session is
        asked again while it is being fed, though it told nothing. cancel: from any thread.

        What the source raises ends the stream, and comes out of it."""
        self.session = session
        self._source, self._waits, self._interval, self._cancel = source, waits, interval, check_cancel(cancel)
        self._pieces: Iterator[Any] | None = None
        self._piece: Any = _NONE
        self._feed: _Feed | None = None
        self._task: asyncio.Task[None] | None = None
        self._fed = self._over = False

    # -- what comes out --

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        try:
            if self._feed is None and self._waits:
                self._start_thread()
            while not self._has_ended():
                item = self._step()
                if item is not None:
                    return item
                if not self._push_one() and not self._has_ended():
                    self.session.wait(None if self._fed else self._interval, self._cancel)
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._over:
            raise StopAsyncIteration
        try:
            if self._feed is None and isinstance(self._source, AsyncIterable):
                self._start_task()
            elif self._feed is None and self._waits:
                self._start_thread()
            while not self._has_ended():
                item = self._step()
                if item is not None:
                    return item
                if not self._push_one() and not self._has_ended():
                    await self.session.wait_async(self._pause())
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopAsyncIteration

    def _pause(self) -> float | None:
        """Seconds that asyncio sleeps: it cannot wait for an event of threading."""
        pauses = [p for p in (None if self._fed else self._interval, None if self._cancel is None else TICK) if p is not None]
        return min(pauses, default=None)

    def _has_ended(self) -> bool:
        """Everything was pulled, and who fed the session has said how that went: it ends before a `finish` that fails returns."""
        if not self.session.ended or (self._feed is not None and not self._feed.stopped):
            return False
        self._raise_fed()
        return True

    def _raise_fed(self) -> None:
        if self._feed is not None and self._feed.error is not None:
            error, self._feed.error = self._feed.error, None
            raise error

    def _step(self) -> T | None:
        if self._cancel is not None and self._cancel.is_set():
            raise errors.CancelledError("cancelled by the caller")
        self.session.clear()
        self._raise_fed()
        item = self.session.pull()
        if self._feed is not None:
            self._feed.room.set()
        return item

    # -- what goes in --

    def _push_one(self) -> bool:
        """Pushes the next piece where no feeder does; False: there is none, or the session takes none now."""
        if self._feed is not None:
            self._fed = self._feed.stopped
            return False
        if self._fed or self.session.ended:
            return False
        if self._pieces is None:
            self._pieces = iter(self._source)  # type: ignore[arg-type]
        if self._piece is _NONE:
            self._piece = next(self._pieces, _NONE)
        if self._piece is _NONE:
            self._fed = True
            self.session.finish()
            return True
        taken = self.session.push(self._piece)
        if taken:
            self._piece = _NONE
        return taken

    def _start_thread(self) -> None:
        self._feed = _Feed(_Gate())
        threading.Thread(target=_feed_thread, args=(self.session, self._source, self._feed), name="sonant-feed", daemon=True).start()

    def _start_task(self) -> None:
        import asyncio

        self._feed = _Feed(asyncio.Event())
        self._task = asyncio.get_running_loop().create_task(_feed_task(self.session, self._source, self._feed))

    # -- its end --

    def cancel(self) -> None:
        """From any thread: the next step raises CancelledError."""
        self.session.cancel()

    def close(self) -> None:
        """Ends the session, whatever it has still to do, and lets go of the source. More than once is nothing."""
        self._over = True
        self._source, self._pieces, self._piece = (), None, _NONE
        if self._feed is not None:
            self._feed.stopped = True
            if self._task is not None:
                with suppress(RuntimeError):  # the loop has ended, and the task with it
                    self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            else:
                self._feed.room.set()
        self.session.close()

    async def aclose(self) -> None:
        """The same, and waits until a task that fed it is gone."""
        import asyncio

        self.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self.close()


def _failed(session: Session[Any], feed: _Feed, error: BaseException | None) -> None:
    """The feeder is done: by an error, or by the source's end."""
    if not feed.stopped:
        feed.error, feed.stopped = error, True
        with suppress(errors.ClosedError):
            session.wake()


def _feed_thread(session: Session[Any], source: Any, feed: _Feed) -> None:
    try:
        for piece in source:
            feed.room.clear()
            while not feed.stopped and not session.push(piece):
                feed.room.wait()
            if feed.stopped:
                break
            session.wake()
        else:
            session.finish()
    except BaseException as error:
        _failed(session, feed, error)
    else:
        _failed(session, feed, None)


async def _feed_task(session: Session[Any], source: Any, feed: _Feed) -> None:
    try:
        async for piece in source:
            feed.room.clear()
            while not feed.stopped and not session.push(piece):
                await feed.room.wait()
                feed.room.clear()
            session.wake()
        session.finish()
    except BaseException as error:
        _failed(session, feed, error)
    else:
        _failed(session, feed, None)
