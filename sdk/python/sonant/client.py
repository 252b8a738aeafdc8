"""A server's client: the engine's methods over the network, with the same results and the same errors.

    from sonant import Client

    with Client("http://127.0.0.1:8765") as client:
        print(client.transcribe("meeting.wav").text)
        client.speak("Good morning.").save("morning.wav")

Needs `pip install 'sonant[client]'`, and no engine in this process.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sonant import errors
from sonant._client_calls import Calls
from sonant._client_errors import DeniedError, IncompatibleError, LostError, UnreachableError
from sonant._client_net import Place, check_packages
from sonant._client_options import LiveOptions, SpeakOptions, SpeakStreamOptions, TranscribeOptions
from sonant._client_run import AsyncRunner, AsyncStream, Runner, Stream
from sonant._client_steps import Policy, Steps
from sonant._client_talk import Source
from sonant._client_types import Job, JobItem
from sonant._many import AHEAD, check_jobs, in_order
from sonant._progress import following
from sonant._signature import spelled
from sonant._values import Cancel, Progress, number
from sonant.types import Outcome, Speech, Transcript

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "Client",
    "DeniedError",
    "IncompatibleError",
    "Job",
    "JobItem",
    "LiveOptions",
    "LostError",
    "SpeakOptions",
    "SpeakStreamOptions",
    "Stream",
    "TranscribeOptions",
    "UnreachableError",
]

DEFAULT_URL = "http://127.0.0.1:8765"

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F")


class _ClientBase:
    """What both clients know."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = 600.0,
        connect_timeout: float = 10.0,
        retries: int = 4,
        retry_time: float = 60.0,
        verify: bool | str | ssl.SSLContext = True,
    ) -> None:
        """url: of the server; None: $SONANT_URL, else http://127.0.0.1:8765. api_key: None: $SONANT_API_KEY, else none.

        timeout: seconds for which a server that works may say nothing; None: any time. connect_timeout: seconds for a connection.
        retries: how often at most something is asked again that was refused because the server is busy (429, 503) or that could not
        connect, with pauses that grow, or that the server asks for (Retry-After); retry_time: most seconds of pauses of one call.
        verify: of a server's certificate: True: by the system's authorities; the path of a PEM file of others; False: not at all.

        Nothing is sent yet. A connection that breaks after something was sent is tried again only where it read something: the server may
        have done the rest.

        Raises DependencyError (says what to install), TypeError, ArgumentError, IoError (a PEM file that cannot be read)."""
        check_packages()
        self._place = Place(
            url if url is not None else os.environ.get("SONANT_URL") or DEFAULT_URL,
            api_key if api_key is not None else os.environ.get("SONANT_API_KEY") or None,
            timeout,
            connect_timeout,
            verify,
        )
        if not 0 <= number("retries", retries, int) <= 100:
            raise errors.ArgumentError(f"retries is {retries}; it may be 0 to 100")
        if not number("retry_time", retry_time) >= 0:
            raise errors.ArgumentError(f"retry_time is {retry_time}; it may be 0 or more seconds")
        self._calls = Calls(self._place.url, Policy(int(retries), float(retry_time)))
        self._begin(self._place)

    def _begin(self, place: Place) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Of the server."""
        return self._place.url

    @property
    def server_version(self) -> str:
        """Of the server; empty before it was asked for something."""
        return self._calls.version


def _method(name: str, call: Callable[..., Any], result: str, done: Callable[..., Any]) -> Any:
    """A method that does a call, with the call's own documentation and signature. result: its annotation."""
    functools.update_wrapper(done, call)
    signature = inspect.signature(call)
    done.__qualname__, done.__module__ = f"{name}.{call.__name__}", __name__
    annotation = str(signature.return_annotation)
    inner = annotation.partition("[")[2].rpartition("]")[0]
    done.__signature__ = signature.replace(return_annotation=result.format(inner))  # type: ignore[attr-defined]
    return done


def _plain(call: Callable[Concatenate[Calls, P], Steps[R]]) -> Callable[Concatenate[Client, P], R]:
    def done(self: Client, *args: P.args, **options: P.kwargs) -> R:
        return self._runner.run(call(self._calls, *args, **options))

    method: Callable[Concatenate[Client, P], R] = _method("Client", call, "{}", done)
    return method


def _stream(call: Callable[Concatenate[Calls, P], Source[T, F]]) -> Callable[Concatenate[Client, P], Stream[T, F]]:
    def done(self: Client, *args: P.args, **options: P.kwargs) -> Stream[T, F]:
        return Stream(self._runner, call(self._calls, *args, **options))

    method: Callable[Concatenate[Client, P], Stream[T, F]] = _method("Client", call, "Stream[{}]", done)
    return method


def _awaited(call: Callable[Concatenate[Calls, P], Steps[R]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    async def done(self: AsyncClient, *args: P.args, **options: P.kwargs) -> R:
        return await self._runner.run(call(self._calls, *args, **options))

    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]] = _method("AsyncClient", call, "{}", done)
    return method


def _async_stream(call: Callable[Concatenate[Calls, P], Source[T, F]]) -> Callable[Concatenate[AsyncClient, P], AsyncStream[T, F]]:
    def done(self: AsyncClient, *args: P.args, **options: P.kwargs) -> AsyncStream[T, F]:
        return AsyncStream(self._runner, call(self._calls, *args, **options))

    method: Callable[Concatenate[AsyncClient, P], AsyncStream[T, F]] = _method("AsyncClient", call, "AsyncStream[{}]", done)
    return method


class Client(_ClientBase):
    """A server, asked from any thread. Close it, or use it in `with`.

    Its connections live on a thread of their own. A Ctrl-C, a set `cancel` event, and what a function that is called raises, end a call
    within a tenth of a second, and the server stops. In a forked child it is closed: make another one there."""

    _runner: Runner

    def _begin(self, place: Place) -> None:
        self._runner = Runner(place)

    transcribe = _plain(Calls.transcribe)
    segments = _stream(Calls.segments)
    listen = _stream(Calls.listen)
    speak = _plain(Calls.speak)
    speak_stream = _stream(Calls.speak_stream)
    quality = _plain(Calls.quality)
    analyze = _plain(Calls.analyze)
    convert = _plain(Calls.convert)
    enhance = _plain(Calls.enhance)
    submit_transcribe = _plain(Calls.submit_transcribe)
    submit_speak = _plain(Calls.submit_speak)
    job = _plain(Calls.job)
    jobs = _plain(Calls.jobs)
    wait = _plain(Calls.wait)
    results = _stream(Calls.results)
    cancel_job = _plain(Calls.cancel_job)
    models = _plain(Calls.models)
    loaded = _plain(Calls.loaded)
    load = _plain(Calls.load)
    unload = _plain(Calls.unload)
    set_default = _plain(Calls.set_default)
    pull = _plain(Calls.pull)
    voices = _plain(Calls.voices)
    add_voice = _plain(Calls.add_voice)
    remove_voice = _plain(Calls.remove_voice)
    health = _plain(Calls.health)
    config = _plain(Calls.config)
    metrics = _plain(Calls.metrics)
    usage = _plain(Calls.usage)

    @spelled(TranscribeOptions)
    def transcribe_many(
        self,
        sources: Iterable[Any],
        *,
        rate: int | None = None,
        model: str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Iterator[Outcome[Transcript]]:
        """Transcribes sources side by side, `jobs` requests at a time (4), and gives an `Outcome` of each in their order, as
        `Engine.transcribe_many` does. Closing the iterator ends what is under way. For thousands of files see `submit_transcribe`."""

        def work(source: Any, stop: Cancel) -> Transcript:
            return self.transcribe(source, rate=rate, model=model, cancel=stop, **options)

        return in_order(work, sources, check_jobs(jobs), progress, cancel)

    @spelled(SpeakOptions)
    def speak_many(
        self,
        texts: Iterable[str],
        *,
        model: str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Iterator[Outcome[Speech]]:
        """Speaks texts side by side, `jobs` requests at a time (4), and gives an `Outcome` of each in their order. Closing the iterator
        ends what is under way. For thousands of texts see `submit_speak`."""

        def work(text: str, stop: Cancel) -> Speech:
            return self.speak(text, model=model, cancel=stop, **options)

        return in_order(work, texts, check_jobs(jobs), progress, cancel)

    @property
    def closed(self) -> bool:
        return self._runner.closed

    def close(self) -> None:
        """Calls under way end with ClosedError. More than once is nothing."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


class AsyncClient(_ClientBase):
    """A server, asked from one event loop: the methods of `Client` as coroutines and asynchronous streams. A cancelled task closes its
    request, and the server stops. What a task gives to be called is called in its loop."""

    _runner: AsyncRunner

    def _begin(self, place: Place) -> None:
        self._runner = AsyncRunner(place)

    transcribe = _awaited(Calls.transcribe)
    segments = _async_stream(Calls.segments)
    listen = _async_stream(Calls.listen)
    speak = _awaited(Calls.speak)
    speak_stream = _async_stream(Calls.speak_stream)
    quality = _awaited(Calls.quality)
    analyze = _awaited(Calls.analyze)
    convert = _awaited(Calls.convert)
    enhance = _awaited(Calls.enhance)
    submit_transcribe = _awaited(Calls.submit_transcribe)
    submit_speak = _awaited(Calls.submit_speak)
    job = _awaited(Calls.job)
    jobs = _awaited(Calls.jobs)
    wait = _awaited(Calls.wait)
    results = _async_stream(Calls.results)
    cancel_job = _awaited(Calls.cancel_job)
    models = _awaited(Calls.models)
    loaded = _awaited(Calls.loaded)
    load = _awaited(Calls.load)
    unload = _awaited(Calls.unload)
    set_default = _awaited(Calls.set_default)
    pull = _awaited(Calls.pull)
    voices = _awaited(Calls.voices)
    add_voice = _awaited(Calls.add_voice)
    remove_voice = _awaited(Calls.remove_voice)
    health = _awaited(Calls.health)
    config = _awaited(Calls.config)
    metrics = _awaited(Calls.metrics)
    usage = _awaited(Calls.usage)

    @spelled(TranscribeOptions)
    def transcribe_many(
        self,
        sources: Iterable[Any] | AsyncIterable[Any],
        *,
        rate: int | None = None,
        model: str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> AsyncIterator[Outcome[Transcript]]:
        """As `Client.transcribe_many`, an asynchronous iterator. sources may be asynchronous, too."""

        def work(source: Any) -> Coroutine[Any, Any, Transcript]:
            return self.transcribe(source, rate=rate, model=model, cancel=cancel, **options)

        return _in_order(work, sources, check_jobs(jobs), progress)

    @spelled(SpeakOptions)
    def speak_many(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        model: str | None = None,
        jobs: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> AsyncIterator[Outcome[Speech]]:
        """As `Client.speak_many`, an asynchronous iterator. texts may be asynchronous, too."""

        def work(text: str) -> Coroutine[Any, Any, Speech]:
            return self.speak(text, model=model, cancel=cancel, **options)

        return _in_order(work, texts, check_jobs(jobs), progress)

    @property
    def closed(self) -> bool:
        return self._runner.closed

    async def close(self) -> None:
        """More than once is nothing."""
        await self._runner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close()


async def _in_order(
    work: Callable[[Any], Coroutine[Any, Any, R]], inputs: Iterable[Any] | AsyncIterable[Any], jobs: int, progress: Progress | bool | None
) -> AsyncIterator[Outcome[R]]:
    """Outcomes in the order of the inputs, of tasks that run side by side, `jobs` at a time."""
    room, waiting = asyncio.Semaphore(jobs), deque[asyncio.Task[Outcome[R]]]()
    total, done = float(len(inputs)) if isinstance(inputs, Sized) else 0.0, 0

    async def outcome(given: Any) -> Outcome[R]:
        async with room:
            try:
                return Outcome(given, await work(given))
            except errors.CancelledError:
                raise
            except Exception as error:
                return Outcome(given, None, error)

    with following(progress, "inputs", "input") as moved:
        try:
            async for given in _each(inputs):
                waiting.append(asyncio.ensure_future(outcome(given)))
                if len(waiting) < AHEAD * jobs:
                    continue
                result, done = await waiting.popleft(), done + 1
                if moved is not None:
                    moved(done, total)
                yield result
            while waiting:
                result, done = await waiting.popleft(), done + 1
                if moved is not None:
                    moved(done, total)
                yield result
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _each(inputs: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(inputs, AsyncIterable):
        async for one in inputs:
            yield one
    else:
        for one in inputs:
            yield one
