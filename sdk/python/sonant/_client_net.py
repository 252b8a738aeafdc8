"""How steps travel: httpx and websockets, in one event loop."""

from __future__ import annotations

import asyncio
import collections
import logging
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from sonant import errors
from sonant._client_errors import LostError, UnreachableError
from sonant._client_steps import Connect, Feed, Leave, Pause, Read, Receive, Script, Send, Step
from sonant._client_wire import Reply, Request

if TYPE_CHECKING:
    import httpx

__all__ = ["Place", "Transport", "check_packages"]

KEPT = 8.0
"""Seconds for which an idle connection is kept: fewer than the server's, so that no request meets one that is just being closed."""
CLOSE = 1.0
"""Seconds that a WebSocket waits for the server's farewell."""
LOCAL = ("127.0.0.1", "localhost", "::1")
WEBSOCKETS = 15
"""The oldest version of the package whose connections take a proxy."""
MOST = 1 << 30
"""Bytes of a reply that is kept whole, so that a server which never ends does not fill the memory."""
MOST_PROBLEM = 1 << 20
"""Bytes of a refusal that are read."""
MOST_MESSAGE = 64 << 20
"""Bytes of a message of a WebSocket."""
MOST_UNREAD = 64 << 20
"""Bytes of messages of a WebSocket that wait for the caller: 25 minutes of speech. From there on nothing is read from the connection until
some are taken, so that the server waits, too."""
MOST_FRAMES = 4
"""That the package websockets keeps itself while nothing is read."""
PING = 20.0
"""Seconds between two signs of life that a WebSocket gives and asks for: fewer than those behind which the server asks itself."""
SILENCE = 60.0
"""Seconds without any word behind which the server is gone: as many as it allows us."""


def check_packages() -> None:
    """Raises DependencyError where a package of the extra "client" is missing."""
    import importlib

    for name in ("httpx", "websockets.asyncio.client"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            raise errors.DependencyError(f"the client needs the package {package}: pip install 'sonant[client]'") from error
    from websockets.version import version

    if int(version.partition(".")[0]) < WEBSOCKETS:
        wanted = f"the client needs websockets {WEBSOCKETS} or later, and {version} is installed"
        raise errors.DependencyError(f"{wanted}: pip install --upgrade 'sonant[client]'")


class Place:
    """Where the server is and how it is reached."""

    def __init__(
        self, url: str, api_key: str | None, timeout: float | None, connect_timeout: float, verify: bool | str | ssl.SSLContext
    ) -> None:
        """Raises TypeError, ArgumentError (no http or https URL, a key that no header can hold, a timeout of no time), IoError."""
        parts = _parts(url)
        if api_key is not None and not isinstance(api_key, str):
            raise TypeError(f"api_key must be text, not {type(api_key).__name__}")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise errors.ArgumentError("the API key holds characters that no key has; `sonant serve keys add NAME` makes one")
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if seconds is not None and not seconds > 0:
                raise errors.ArgumentError(f"{name} is {seconds}; it may be more than 0 seconds")
        if api_key and parts.username is not None:
            raise errors.ArgumentError(f"{_shown(url)!r} was given with a user, and api_key, too; a request says one of them")
        self.address = url.rstrip("/")
        self.url = _shown(self.address)
        """What is told of it: without a password."""
        self.timeout, self.connect_timeout = timeout, connect_timeout
        self.headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.proxied = parts.hostname not in LOCAL
        self.tls = _tls(verify) if parts.scheme == "https" else None

    def unreachable(self, reason: object) -> UnreachableError:
        return UnreachableError(
            f"no server could be reached at {self.url} ({reason}); `sonant serve` starts one on this machine, "
            f"and url= or SONANT_URL names another"
        )

    def lost(self, what: str, reason: object) -> LostError:
        text = str(reason) or type(reason).__name__
        return LostError(f"the connection to {self.url} broke while {what} was under way ({text}); the server may have done it")

    def late(self, what: str) -> errors.EngineTimeoutError:
        return errors.EngineTimeoutError(f"{self.url} said nothing for {self.timeout:g} s while {what} was under way; timeout= allows more")


def _shown(url: str) -> str:
    """An address without the user and the password that may stand in it."""
    return re.sub(r"//[^/]*@", "//", url, count=1)


def _parts(url: Any) -> Any:
    if not isinstance(url, str):
        raise TypeError(f"url must be text, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise errors.ArgumentError(f"{_shown(url)!r} is no address of a server; http://127.0.0.1:8765 would be one")
    return parts


def _tls(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    """Raises IoError where the file of authorities cannot be read."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, str):
        try:
            return ssl.create_default_context(cafile=verify)
        except OSError as error:
            raise errors.IoError(f"the certificates in {verify!r} cannot be read: {error}") from error
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Transport:
    """Does steps. Of one event loop."""

    def __init__(self, place: Place) -> None:
        import httpx

        self.place = place
        self._http = httpx.AsyncClient(
            base_url=place.address,
            # pieces of a live reply are taken as they come, which compressed ones could not be
            headers={**place.headers, "User-Agent": "sonant-python", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(place.timeout, connect=place.connect_timeout, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=KEPT),
            trust_env=place.proxied,
            verify=False if place.tls is None else place.tls,
        )

    async def do(self, step: Step, opened: AsyncExitStack) -> Any:
        """What came of it. opened: closes what the step leaves open."""
        if isinstance(step, Send):
            return await self._send(step, opened)
        if isinstance(step, Read):
            return await self._read(step.reply)
        if isinstance(step, Connect):
            return await self._connect(step.path, opened)
        if isinstance(step, Feed):
            _feed(step, opened)
        if isinstance(step, Receive):
            return await step.socket.take()
        if isinstance(step, Leave):
            await step.socket.connection.close()
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        return None

    async def close(self) -> None:
        await self._http.aclose()

    # -- requests --

    async def _send(self, step: Send, opened: AsyncExitStack) -> Reply:
        import httpx

        request = step.request
        headers = {"Accept": request.accept}
        if request.form is not None:
            headers |= {"Content-Type": request.form.content_type, "Content-Length": str(request.form.size)}
        built = self._http.build_request(
            request.method,
            quote(request.path, safe="/%"),
            params=request.query or None,
            json=request.json,
            content=None if request.form is None else _off_the_loop(request.form.read()),
            headers=headers,
        )
        try:
            came = await self._http.send(built, stream=True)
            reply = Reply(came.status_code, {name.lower(): value for name, value in came.headers.items()})
            if step.live and came.is_success:
                opened.push_async_callback(came.aclose)
                reply.live = _Live(came, request)
                return reply
            try:
                reply.body = await self._whole(came, request)
            finally:
                await came.aclose()
        except httpx.TransportError as error:
            raise self._translated(error, request) from error
        except ssl.SSLError as error:  # of a handshake, which some versions of httpx let through as it is
            raise self.place.unreachable(error) from error
        return reply

    async def _whole(self, came: httpx.Response, request: Request) -> bytes:
        """The body; of a refusal its beginning."""
        pieces, size, most = [], 0, MOST if came.is_success else MOST_PROBLEM
        async for piece in came.aiter_raw():
            pieces.append(piece)
            size += len(piece)
            if size > most and came.is_success:
                raise errors.LimitError(f"{self.place.url} answers {request.method} {request.path} with more than {most} bytes")
            if size > most:
                break
        return b"".join(pieces)

    async def _read(self, reply: Reply) -> bytes:
        import httpx

        live: _Live = reply.live
        try:
            return await anext(live.pieces, b"")
        except httpx.TransportError as error:
            raise self._translated(error, live.request) from error

    def _translated(self, error: Exception, request: Request) -> errors.Error:
        import httpx

        what = f"{request.method} {request.path}"
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
            return self.place.unreachable(str(error) or f"no answer within {self.place.connect_timeout:g} s")
        return self.place.late(what) if isinstance(error, httpx.TimeoutException) else self.place.lost(what, error)

    # -- WebSockets --

    async def _connect(self, path: str, opened: AsyncExitStack) -> Any:
        from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, ProxyError

        place = self.place
        try:
            connection = await _connector()(
                "ws" + place.address[4:] + path,
                additional_headers=place.headers,
                open_timeout=place.connect_timeout,
                close_timeout=CLOSE,
                max_size=MOST_MESSAGE,
                max_queue=MOST_FRAMES,
                ping_interval=None,  # a connection that waits for its caller must not be taken for a dead one: _keep_alive
                compression=None,
                ssl=place.tls,
                proxy=True if place.proxied else None,
                user_agent_header="sonant-python",
                logger=_LOG,
            )
        except InvalidStatus as refused:
            reply = refused.response
            return Reply(reply.status_code, {name.lower(): value for name, value in reply.headers.raw_items()}, bytes(reply.body or b""))
        except TimeoutError as error:
            raise place.unreachable(f"no answer within {place.connect_timeout:g} s") from error
        except (OSError, EOFError, ProxyError, InvalidProxy) as error:
            raise place.unreachable(error) from error
        except InvalidHandshake as error:
            raise place.lost(f"the handshake of {path}", error) from error
        opened_socket = _Socket(place, path, connection)
        opened.push_async_callback(opened_socket.close)
        return opened_socket


def _connector() -> Any:
    """Goes where it was sent to and nowhere else: a redirection would take the key with it."""
    from websockets.asyncio.client import connect

    class Straight(connect):
        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    return Straight


def _without_keys(record: logging.LogRecord) -> bool:
    """Nothing is logged of headers with a key: of each one there is a line with its name and its value."""
    return not (isinstance(record.args, tuple) and any(str(part).lower().endswith("authorization") for part in record.args))


_LOG = logging.getLogger("sonant.websockets")
_LOG.addFilter(_without_keys)


class _Live:
    """A reply under way."""

    def __init__(self, came: httpx.Response, request: Request) -> None:
        self.pieces, self.request = came.aiter_raw(), request


class _Socket:
    """A WebSocket, and what came over it and waits for the caller."""

    def __init__(self, place: Place, path: str, connection: Any) -> None:
        self._place, self._path, self.connection = place, path, connection
        self.error: BaseException | None = None
        """What ended it: the connection's end, or what the feeder raised."""
        self._loop = asyncio.get_running_loop()
        self._waiting: collections.deque[str | bytes] = collections.deque()
        self._unread, self._heard = 0, self._loop.time()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._keep_alive())]

    async def take(self) -> str | bytes:
        """The next message; behind the last one raises what ended it."""
        while not self._waiting:
            if self.error is not None:
                raise self.error
            self._news.clear()
            await self._news.wait()
        message = self._waiting.popleft()
        self._unread -= sys.getsizeof(message)
        if self._unread < MOST_UNREAD and not self._room.is_set():
            self._hear()
            self._room.set()
        return message

    def fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._news.set()

    async def _read(self) -> None:
        """What comes, as long as there is room for it. Size is what a message takes in memory, so that many small ones count, too."""
        try:
            while True:
                await self._room.wait()
                message = await self.connection.recv()
                self._hear()
                self._waiting.append(message)
                self._unread += sys.getsizeof(message)
                if self._unread >= MOST_UNREAD:
                    self._room.clear()
                self._news.set()
        except Exception as error:
            lost = self._place.lost(self._path, error)
            lost.__cause__ = error
            self.fail(lost)

    async def _keep_alive(self) -> None:
        """Where nothing is read, answers are not heard either: then only the server is told of our life."""
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING)
                pong = await self.connection.ping()
                pong.add_done_callback(self._hear)
                if self._room.is_set() and self._loop.time() - self._heard >= SILENCE:
                    self.fail(self._place.lost(self._path, f"nothing was heard for {SILENCE:g} s, no answer to a ping either"))
                    self.connection.transport.abort()

    def _hear(self, *_: object) -> None:
        self._heard = self._loop.time()

    async def close(self) -> None:
        """Cut off, where it was not left before: a farewell would wait behind everything that the server did not read yet."""
        for task in self._tasks:
            task.cancel()
        self.fail(asyncio.CancelledError())
        transport = self.connection.transport
        if not transport.is_closing():
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        await self.connection.wait_closed()


def _feed(step: Feed, opened: AsyncExitStack) -> None:
    """By a task, or where the source may make its caller wait, by a thread of its own."""
    pieces = step.script.pieces
    if isinstance(pieces, (list, tuple)):
        pieces = _each(pieces)
    if isinstance(pieces, AsyncIterable):
        opened.callback(asyncio.ensure_future(_feed_async(step.socket, step.script, pieces)).cancel)
    else:
        arguments = (step.socket, step.script, pieces, asyncio.get_running_loop())
        threading.Thread(target=_feed_thread, args=arguments, name="sonant-feed", daemon=True).start()


async def _each(pieces: list[Any] | tuple[Any, ...]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


async def _say(on: _Socket, messages: Any) -> None:
    """Nothing more is said to a server that is gone: what it said last tells why."""
    from websockets.exceptions import ConnectionClosed

    try:
        for message in messages:
            await on.connection.send(message)
    except ConnectionClosed:
        pass


async def _feed_async(on: _Socket, script: Script[Any], pieces: AsyncIterable[Any]) -> None:
    try:
        await _say(on, script.begin())
        async for piece in pieces:
            await _say(on, script.messages(piece))
        await _say(on, script.end())
    except Exception as error:
        on.fail(error)


def _feed_thread(on: _Socket, script: Script[Any], pieces: Iterable[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Until the source ends or the socket is closed; a source that waits just then is left when it gives its next piece."""

    def say(messages: Any) -> None:
        asyncio.run_coroutine_threadsafe(_say(on, messages), loop).result()

    try:
        say(script.begin())
        for piece in pieces:
            if on.error is not None:
                break
            say(script.messages(piece))
        else:
            say(script.end())
    except BaseException as error:
        with suppress(RuntimeError):  # the loop has ended, and with it the stream
            loop.call_soon_threadsafe(on.fail, error)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


async def _off_the_loop(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Files are read on another thread, so that the loop does not wait for the disk."""
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
