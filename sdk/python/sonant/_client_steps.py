"""The client's logic without a connection: generators that yield what is to be done next and are sent what came of it.

`Client` and `AsyncClient` do the steps; what is asked, when it is asked again, and what a reply means stands here once.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import sonant
from sonant import errors
from sonant._client_errors import IncompatibleError, LostError, UnreachableError
from sonant._client_wire import Reply, Request, failure, json_of, problem_of, shown
from sonant._values import check_cancel

if TYPE_CHECKING:
    from sonant._values import Cancel, Progress

__all__ = [
    "Apart",
    "Connect",
    "Emit",
    "Feed",
    "Flow",
    "Leave",
    "Pause",
    "Policy",
    "Read",
    "Receive",
    "Script",
    "Send",
    "Server",
    "Step",
    "Steps",
    "Watch",
]

R = TypeVar("R")
T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds before the second try and at most, where the server asks for nothing else; half of it is left to chance."""


@dataclass(frozen=True)
class Watch:
    """Ten times a second from now on: a set `cancel` ends the call, and `sent` is called with the bytes of a form that are sent and that
    there are."""

    cancel: Cancel | None = None
    sent: Progress | None = None

    def __post_init__(self) -> None:
        """Raises TypeError for what is no event."""
        check_cancel(self.cancel)


@dataclass(frozen=True)
class Send:
    """A request. Comes back: a Reply, whose body is read unless it is to be `live` and is a success."""

    request: Request
    live: bool = False


@dataclass(frozen=True)
class Read:
    """The next piece of a live reply. Comes back: bytes, b"" at the end."""

    reply: Reply


@dataclass(frozen=True)
class Connect:
    """A WebSocket. Comes back: the transport's own connection, or the Reply that refused it."""

    path: str


@dataclass(frozen=True)
class Script(Generic[T]):
    """What is said over a WebSocket, and what comes of what is heard."""

    path: str
    pieces: Iterable[Any] | AsyncIterable[Any]
    """What the caller gives, as it comes."""
    begin: Callable[[], Iterable[str | bytes]]
    """Messages before the first piece."""
    messages: Callable[[Any], Iterable[str | bytes]]
    """Of a piece."""
    end: Callable[[], Iterable[str | bytes]]
    """Behind the last piece."""
    take: Callable[[Any], T | None]
    """A message, bytes or an object, to a value for the caller."""


@dataclass(frozen=True)
class Feed:
    """From now on the script's messages go out, as its pieces come. What pieces or messages raise, a `Receive` raises."""

    socket: Any
    script: Script[Any]


@dataclass(frozen=True)
class Receive:
    """The next message of a WebSocket. Comes back: text, or bytes."""

    socket: Any


@dataclass(frozen=True)
class Leave:
    """A WebSocket that has said all it had to say is closed. One that is still at work when its steps end is cut off."""

    socket: Any


@dataclass(frozen=True)
class Pause:
    """Seconds of nothing."""

    seconds: float


@dataclass(frozen=True)
class Apart(Generic[T]):
    """What may take its time without a connection, such as reading what is to be sent: no event loop waits for it. Comes back: what it
    gives."""

    work: Callable[[], T]


@dataclass(frozen=True)
class Emit(Generic[T]):
    """A value for the caller, of a stream."""

    value: T


Step: TypeAlias = "Apart[Any] | Watch | Send | Read | Connect | Feed | Receive | Leave | Pause"
Steps: TypeAlias = Generator[Step, Any, R]
Flow: TypeAlias = Generator["Step | Emit[T]", Any, None]


@dataclass(frozen=True)
class Policy:
    """When something is asked again."""

    retries: int
    """Most times, after the first."""
    retry_time: float
    """Most seconds of pauses, all together."""

    def pause(self, tried: int, waited: float, error: errors.Error) -> float | None:
        """Seconds until the next try; None: there is none. tried: how often it was asked again already."""
        if tried >= self.retries:
            return None
        grown: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2**tried) * random.uniform(0.5, 1.0)
        pause = grown if error.retry_after is None else error.retry_after + grown / 4
        return pause if waited + pause <= self.retry_time else None


class Server:
    """What one client knows of its server, and how it asks.

    Never asked again is what the server may have done already, unless doing it twice is the same as once: a connection that broke after
    something was sent is tried again for GET only. What is refused (429, 503) was not done; where something would be changed, only Sonant
    itself is believed that, and not a proxy."""

    def __init__(self, url: str, policy: Policy) -> None:
        self.url, self.policy = url, policy
        self.version = ""
        """Of the server; empty: not asked yet."""

    def ask(self, request: Request) -> Steps[Reply]:
        """A reply with success. The first question of all asks who is there."""
        yield from self._meet()
        reply: Reply = yield from self._again(Send(request), request)
        return reply

    def ask_json(self, request: Request) -> Steps[dict[str, Any]]:
        """The object of a JSON reply."""
        reply = yield from self.ask(request)
        return json_of(reply, self.url)

    def open(self, request: Request) -> Steps[Reply]:
        """A reply with success whose body is still to be read."""
        yield from self._meet()
        reply: Reply = yield from self._again(Send(request, live=True), request)
        return reply

    def connect(self, path: str) -> Steps[Any]:
        """A WebSocket."""
        yield from self._meet()
        came = yield from self._again(Connect(path), Request("GET", path))
        if isinstance(came, Reply):
            raise failure(came, self.url)
        return came

    def _again(self, step: Send | Connect, request: Request) -> Steps[Any]:
        tried, waited = 0, 0.0
        while True:
            try:
                came = yield step
            except (UnreachableError, LostError) as failed:
                error: errors.Error = failed
                again = isinstance(failed, UnreachableError) or request.method == "GET"
            else:
                if not isinstance(came, Reply) or came.status < 300:
                    return came
                error = failure(came, self.url)
                again = isinstance(error, errors.BusyError) and (not request.changes or problem_of(came) is not None)
            pause = self.policy.pause(tried, waited, error) if again else None
            if pause is None:
                raise error
            yield Pause(pause)
            tried, waited = tried + 1, waited + pause

    def _meet(self) -> Steps[None]:
        if self.version:
            return
        request = Request("GET", "/audio/health")
        reply = yield from self._again(Send(request), request)
        self.version = check_version(_health_of(reply, self.url), self.url)


def _health_of(reply: Reply, url: str) -> Mapping[str, Any]:
    try:
        health = json_of(reply, url)
    except errors.Error:
        health = {}
    if not isinstance(health.get("version"), str) or "models" not in health:
        raise IncompatibleError(
            f"{url} is no Sonant server: GET /audio/health gave {reply.content_type or 'no type'}, {shown(reply.body)}; "
            f"`sonant serve` starts one"
        )
    return health


def check_version(health: Mapping[str, Any], url: str) -> str:
    """The server's version, where this client speaks with it: the same major number, and below 1.0 the same minor one."""
    theirs, ours = str(health["version"]), sonant.__version__
    if _line(theirs) != _line(ours):
        rule = "the first two numbers are the same" if ours.startswith("0.") else "the first number is the same"
        raise IncompatibleError(
            f"the server at {url} is Sonant {theirs} and this client is {ours}: they fit where {rule}; install the same version"
        )
    return theirs


def _line(version: str) -> tuple[str, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return (version,)
    return (numbers[1],) if numbers[1] != "0" else (numbers[1], numbers[2])
