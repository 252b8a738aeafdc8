"""The engine in asyncio: `AsyncEngine` has the methods of `Engine` as coroutines and asynchronous iterators.

Each is made of the method of the same name, whose docstring holds. Calls run in threads of the engine's own, and a task that is cancelled
ends its call within a step of the engine. Sessions (`listen`, `speak_stream`) need no thread: the loop watches their descriptors. Functions
for progress are called in those threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from sonant import errors
from sonant._binding import number
from sonant._threads import AnyOf
from sonant.engine import Engine
from sonant.types import Event, Outcome, Segment, Speech, SpeechChunk, Transcript

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncEngine", "AsyncSegments", "AsyncSpeech", "AsyncStream", "AsyncWork"]

MAX_CALLS = 256

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
S = TypeVar("S", bound="AsyncStream[Any]")

_END: Any = object()


class AsyncStream(Generic[T]):
    """Goes through what a session gives, by `async for`. It is opened when the first is asked for, so that wrong arguments are said there.
    `aclose`, `async with`, a cancelled task, and dropping it end the engine's work within a step. One task at a time."""

    def __init__(self, engine: AsyncEngine, method: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._engine, self._stop = engine, threading.Event()
        self._open: Callable[[], Any] | None = functools.partial(method, engine.engine, *args, **options)
        self._given: Any = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._open is not None:
            opening, self._open = self._open, None
            self._given = await self._engine._run(opening, self._stop)
        if self._given is None:
            raise StopAsyncIteration
        return await self._next()

    async def _next(self) -> T:
        return await self._given.__anext__()  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Ends it, whatever it has still to do. More than once is nothing."""
        self._open = None
        if self._given is not None:
            await self._given.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()


class AsyncSpeech(AsyncStream[SpeechChunk]):
    """Speech while it is made."""

    @property
    def result(self) -> Speech:
        """Facts, without samples: of all the speech behind its end, before it of what there is so far. Raises ClosedError before the
        first."""
        if self._given is None:
            raise errors.ClosedError("nothing was spoken yet: go through the speech first")
        return self._given.result  # type: ignore[no-any-return]


class AsyncWork(AsyncStream[T]):
    """Goes through what is found in threads."""

    def __init__(self, engine: AsyncEngine, method: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        super().__init__(engine, method, args, options)
        self._loop: asyncio.AbstractEventLoop | None = None
        cancel = AnyOf(self._stop, options.get("cancel"))
        self._open = functools.partial(method, engine.engine, *args, **{**options, "cancel": cancel})
        self._turn = threading.Lock()

    async def _next(self) -> T:
        self._loop = asyncio.get_running_loop()
        item = await self._engine._run(functools.partial(self._taken, self._given), self._stop)
        if item is _END:
            raise StopAsyncIteration
        return item  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Ends it, and waits for that."""
        self._stop.set()
        self._open = None
        if self._given is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._end, self._given)

    def _taken(self, given: Any) -> Any:
        with self._turn:
            return next(given, _END)

    def _end(self, given: Any) -> None:
        with self._turn:  # a task that was cancelled left its thread behind
            given.close()

    def __del__(self) -> None:
        """Closing waits for threads, as a loop must not; and whatever runs when garbage is collected may hold the pool's lock, so that the
        loop is asked to hand it over."""
        self._stop.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(_submit, self._engine._pool, self._given.close)


def _submit(pool: ThreadPoolExecutor, function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the pool has ended
        pool.submit(function)


class AsyncSegments(AsyncWork[Segment]):
    """Segments as they are found."""

    @property
    def info(self) -> Transcript | None:
        """After the last segment: the transcript's facts, without text and segments. None before."""
        return None if self._given is None else self._given.info


def _call(method: Callable[Concatenate[Engine, P], R]) -> Callable[Concatenate[AsyncEngine, P], Coroutine[Any, Any, R]]:
    """The twin of a method that gives one thing."""
    cancels = "cancel" in (method.__kwdefaults__ or {})

    @functools.wraps(method)
    async def twin(self: AsyncEngine, /, *args: P.args, **options: P.kwargs) -> R:
        stop = threading.Event()
        more: Any = {"cancel": AnyOf(stop, options.get("cancel"))} if cancels else {}  # type: ignore[arg-type]
        return await self._run(functools.partial(method, self.engine, *args, **{**options, **more}), stop)

    return twin


def _stream(
    method: Callable[Concatenate[Engine, P], Any], kind: Callable[[AsyncEngine, Any, Any, Any], S]
) -> Callable[Concatenate[AsyncEngine, P], S]:
    """The twin of a method that gives an iterator."""

    @functools.wraps(method)
    def twin(self: AsyncEngine, /, *args: P.args, **options: P.kwargs) -> S:
        return kind(self, method, args, options)

    return twin


class AsyncEngine:
    """Speech to text and text to speech in this process, for asyncio. Event loops and threads may share it.

        async with sonant.AsyncEngine() as engine:
            result = await engine.transcribe("meeting.wav")
            async for event in engine.listen(chunks):         # an iterable, or an asynchronous one
                print(event)

    Arguments are those of the method of `Engine` with the same name; help() shows them. What a cancelled task or a timeout leaves behind
    ends within a step of the engine, and other calls do not notice.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        calls: int = 16,
        threads: int | None = None,
        home: str | None = None,
        precision: str | None = None,
        cache: bool = True,
        max_memory: int | None = None,
        backend: str | None = None,
    ) -> None:
        """engine: one to share, which stays open, instead of one of its own. calls: that are under way at once at most, 1 to 256; more
        wait. Others: as of `Engine`, for its own.

        Raises TypeError, ArgumentError, EngineMemoryError."""
        if not 1 <= number("calls", calls, int) <= MAX_CALLS:
            raise errors.ArgumentError(f"calls is {calls}; it may be 1 to {MAX_CALLS}")
        self._owns = engine is None
        self.engine = engine or Engine(threads=threads, home=home, precision=precision, cache=cache, max_memory=max_memory, backend=backend)
        self._pool = ThreadPoolExecutor(calls, thread_name_prefix="sonant-call")
        self._closed = False

    load = _call(Engine.load)
    transcribe = _call(Engine.transcribe)
    segments = _stream(Engine.segments, AsyncSegments)
    transcribe_many = _stream(Engine.transcribe_many, AsyncWork[Outcome[Transcript]])
    speak = _call(Engine.speak)
    speak_stream = _stream(Engine.speak_stream, AsyncSpeech)
    speak_many = _stream(Engine.speak_many, AsyncWork[Outcome[Speech]])
    listen = _stream(Engine.listen, AsyncStream[Event])
    listener = _call(Engine.listener)
    quality = _call(Engine.quality)
    analyze = _call(Engine.analyze)
    convert = _call(Engine.convert)
    enhance = _call(Engine.enhance)
    export = _call(Engine.export)
    quantize = _call(Engine.quantize)
    models = _call(Engine.models)
    pull = _call(Engine.pull)
    verify = _call(Engine.verify)
    remove = _call(Engine.remove)
    voices = _call(Engine.voices)
    add_voice = _call(Engine.add_voice)
    remove_voice = _call(Engine.remove_voice)
    export_voice = _call(Engine.export_voice)

    @property
    def closed(self) -> bool:
        return self._closed or self.engine.closed

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self.engine.threads

    @property
    def home(self) -> str:
        """Where models and caches lie."""
        return self.engine.home

    @property
    def cpu(self) -> str:
        """Instruction sets in use."""
        return self.engine.cpu

    async def _run(self, function: Callable[[], R], stop: threading.Event) -> R:
        """In a thread; a task that is cancelled sets `stop` and does not wait."""
        with self.engine._handle:  # in a forked child the pool has no threads
            if self._closed:
                raise errors.ClosedError("the engine is closed")
            running = asyncio.get_running_loop().run_in_executor(self._pool, function)
        try:
            return await running
        except (asyncio.CancelledError, GeneratorExit):
            stop.set()
            raise

    async def close(self) -> None:
        """Gives back models and threads; calls under way end first. More than once is nothing."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=False)
        if self._owns:
            await asyncio.get_running_loop().run_in_executor(None, self.engine.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close()
