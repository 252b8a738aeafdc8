"""Who does the steps of `_client_steps`: `Client` from any thread, on an event loop that a thread of its own runs; `AsyncClient` in the
caller's loop. What a caller gives to be called is called on the caller's thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sonant import errors
from sonant._client_body import Form
from sonant._client_net import Place, Transport
from sonant._client_steps import Apart, Emit, Send, Step, Steps, Watch
from sonant._client_talk import Source

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncRunner", "AsyncStream", "Runner", "Stream"]

R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F")

TICK = 0.1
"""Seconds after which a caller who waits looks whether it was cancelled, and is told what was sent."""


class _Watcher:
    """What is looked at while steps are done."""

    def __init__(self) -> None:
        self.watch, self.told, self.cancelled = Watch(), 0, False
        self.form: Form | None = None

    def begin(self, step: Step) -> None:
        self.form = step.request.form if isinstance(step, Send) else None

    def look(self) -> None:
        """On the caller's thread. What a progress function raises ends the call."""
        if self.cancelled or (self.watch.cancel is not None and self.watch.cancel.is_set()):
            raise errors.CancelledError("cancelled by the caller")
        if self.watch.sent is not None and self.form is not None and self.form.sent != self.told:
            self.told = self.form.sent
            self.watch.sent(self.told, self.form.size)


# ---- from any thread ----


class Runner:
    """An event loop on a thread of its own, with what is connected there. Starts with the first call."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._pid, self._lock = os.getpid(), threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: Transport | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def run(self, steps: Steps[R]) -> R:
        """All steps; gives what they return."""
        opened, watcher = AsyncExitStack(), _Watcher()
        try:
            came: Any = None
            while True:
                step = steps.send(came) if not isinstance(came, BaseException) else steps.throw(came)
                came = self.step(step, opened, watcher)
        except StopIteration as end:
            result: R = end.value
            return result
        finally:
            steps.close()
            self.finish(opened)

    def step(self, step: Step, opened: AsyncExitStack, watcher: _Watcher) -> Any:
        """What came of it, or the Error that it raised, which the steps may mend."""
        if isinstance(step, Watch):
            watcher.watch = step
            return None
        if isinstance(step, Apart):
            return step.work()
        transport = self._started()
        watcher.begin(step)
        try:
            return self.wait(transport.do(step, opened), watcher)
        except errors.CancelledError:
            raise
        except errors.Error as error:
            return error

    def wait(self, work: Coroutine[Any, Any, R], watcher: _Watcher) -> R:
        """On this thread, until the loop has done it; Ctrl-C and what `look` raises break it off."""
        future = self._hand_over(work)
        if future is None:
            raise errors.ClosedError("the client is closed")
        try:
            while not future.done():
                concurrent.futures.wait([future], TICK)
                watcher.look()
            return future.result()
        except concurrent.futures.CancelledError:
            raise errors.ClosedError("the client was closed during the call") from None
        finally:
            future.cancel()

    def finish(self, opened: AsyncExitStack) -> None:
        """Closes what steps left open, without waiting for it."""
        self._hand_over(opened.aclose())

    def _hand_over(self, work: Coroutine[Any, Any, R]) -> concurrent.futures.Future[R] | None:
        """To the loop; None where that has ended. What is handed over before `close`, `close` ends."""
        if self._pid == os.getpid():
            with self._lock:
                if self._loop is not None and not self._closed:
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        return None

    def _started(self) -> Transport:
        if self._pid != os.getpid():
            raise errors.ClosedError(f"the client is of process {self._pid}, and this is its fork {os.getpid()}: make a client here")
        with self._lock:
            if self._closed:
                raise errors.ClosedError("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="sonant-client", daemon=True).start()
                self._transport = Transport(self.place)
            assert self._transport is not None
            return self._transport

    def close(self) -> None:
        """Calls under way raise ClosedError. More than once is nothing."""
        if self._pid != os.getpid():
            return
        with self._lock:
            loop, transport, done = self._loop, self._transport, self._closed
            self._closed = True
        if done or loop is None or transport is None:
            return
        asyncio.run_coroutine_threadsafe(_end(transport), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def __del__(self) -> None:
        """Dropped without `close`: connections and thread end all the same, and nobody waits for that."""
        if self._loop is None or self._transport is None or self._closed or self._pid != os.getpid() or sys.is_finalizing():
            return
        asyncio.run_coroutine_threadsafe(_end(self._transport, self._loop), self._loop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _end(transport: Transport, stop: asyncio.AbstractEventLoop | None = None) -> None:
    """Nothing is left behind: every task of the loop ends, and at last the loop, where it is told to."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await transport.close()
    if stop is not None:
        stop.call_soon(stop.stop)


class Stream(Generic[T, F]):
    """What a server sends while it works, by `for`. One thread at a time.

    It ends early by `close` (or `with`, or when it is dropped), by `cancel`, and by whatever is raised in it: the server then stops."""

    def __init__(self, runner: Runner, source: Source[T, F]) -> None:
        self._runner, self._source, self._flow = runner, source, source.flow
        self._opened, self._watcher = AsyncExitStack(), _Watcher()
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        came: Any = None
        try:
            while True:
                step = self._flow.throw(came) if isinstance(came, BaseException) else self._flow.send(came)
                if isinstance(step, Emit):
                    return step.value
                came = self._runner.step(step, self._opened, self._watcher)
        except BaseException:
            self.close()
            raise

    @property
    def result(self) -> F:
        """What is known of the whole: behind its end all, before it what there is so far."""
        return self._source.result()

    @property
    def info(self) -> F:
        """The same, as the engine's `segments` call it."""
        return self._source.result()

    def cancel(self) -> None:
        """From any thread: the one that waits in the stream gets CancelledError."""
        self._watcher.cancelled = True

    def close(self) -> None:
        """Ends it. More than once is nothing."""
        if not self._over:
            self._over = True
            self._flow.close()
            self._runner.finish(self._opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self.close()


# ---- in the caller's loop ----


class AsyncRunner:
    """What is connected in one event loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._transport: Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    async def run(self, steps: Steps[R]) -> R:
        """All steps; gives what they return. A cancelled task closes what is open."""
        watcher = _Watcher()
        try:
            async with AsyncExitStack() as opened:
                came: Any = None
                while True:
                    step = steps.send(came) if not isinstance(came, BaseException) else steps.throw(came)
                    came = await self.step(step, opened, watcher)
        except StopIteration as end:
            result: R = end.value
            return result
        finally:
            steps.close()

    async def step(self, step: Step, opened: AsyncExitStack, watcher: _Watcher) -> Any:
        """As `Runner.step`."""
        if isinstance(step, Watch):
            watcher.watch = step
            return None
        if isinstance(step, Apart):
            return await asyncio.to_thread(step.work)
        transport = self._started()
        watcher.begin(step)
        work = asyncio.ensure_future(transport.do(step, opened))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=TICK)
                watcher.look()
            return work.result()
        except errors.CancelledError:
            raise
        except errors.Error as error:
            return error
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    def _started(self) -> Transport:
        if self._closed:
            raise errors.ClosedError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._loop, self._transport = loop, Transport(self.place)
        if self._loop is not loop:
            raise errors.ArgumentError("the AsyncClient was used in another event loop before: make one for each loop")
        return self._transport

    async def close(self) -> None:
        """More than once is nothing. In another loop than the one of the connections there is nothing to be closed any more."""
        self._closed = True
        transport, self._transport = self._transport, None
        if transport is not None and self._loop is asyncio.get_running_loop():
            await transport.close()


class AsyncStream(Generic[T, F]):
    """What a server sends while it works, by `async for`. One task at a time.

    It ends early by `aclose` (or `async with`), by `cancel`, and by whatever is raised in it, a cancelled task among it: the server then
    stops."""

    def __init__(self, runner: AsyncRunner, source: Source[T, F]) -> None:
        self._runner, self._source, self._flow = runner, source, source.flow
        self._opened, self._watcher = AsyncExitStack(), _Watcher()
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._over:
            raise StopAsyncIteration
        came: Any = None
        try:
            while True:
                step = self._flow.throw(came) if isinstance(came, BaseException) else self._flow.send(came)
                if isinstance(step, Emit):
                    return step.value
                came = await self._runner.step(step, self._opened, self._watcher)
        except StopIteration:
            await self.aclose()
            raise StopAsyncIteration from None
        except BaseException:
            await self.aclose()
            raise

    @property
    def result(self) -> F:
        """What is known of the whole: behind its end all, before it what there is so far."""
        return self._source.result()

    @property
    def info(self) -> F:
        """The same, as the engine's `segments` call it."""
        return self._source.result()

    def cancel(self) -> None:
        """From any thread: the task that waits in the stream gets CancelledError of sonant."""
        self._watcher.cancelled = True

    async def aclose(self) -> None:
        """Ends it. More than once is nothing."""
        if not self._over:
            self._over = True
            self._flow.close()
            await self._opened.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()
