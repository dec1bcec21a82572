"""What a decision needs from outside, as values.

The rules of this package are generators that yield an effect and are sent its result. `portcullis.drivers` performs effects,
once with threads and once with asyncio, so that every rule is written once and does no I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Return Unix seconds: what the times in tokens are compared with."""

    def elapsed(self) -> float:
        """Return seconds from any beginning, never backwards: what ages are measured with."""


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time()

    def elapsed(self) -> float:
        """Return seconds since some beginning."""
        return time.monotonic()


@dataclass(frozen=True)
class Request:
    """A request to the identity service. Its headers may be secret and are not printed."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = 1 << 16


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class NoReply:
    """There was none. `was_sent` tells whether the service may have acted on the request."""

    was_sent: bool
    reason: str


@dataclass(frozen=True)
class Send:
    """Send a request. The result is a `Reply` or a `NoReply`."""

    request: Request


@dataclass(frozen=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Alone:
    """Perform these steps while nobody else performs some of this name.

    With `waits` others wait for their turn; otherwise the steps are left out while somebody is at it.
    """

    name: str
    steps: Callable[[], Steps[None]]
    waits: bool = True


Effect = Send | Pause | Alone
Steps = Generator[Effect, Any, T]
