"""The two ways to perform effects: with threads and with asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
from portcullis.effects import Alone, Effect, NoReply, Pause, Reply, Request, Send
from portcullis.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from portcullis.effects import Steps

T = TypeVar("T")

MAX_WAITING: Final = 256
"""How many may wait for one fetch; the rest are told to come back."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _TooMuch(Exception):
    """A response is longer than expected, or takes longer than allowed."""


class _Body:
    """Collects a response within its bounds."""

    def __init__(self, request: Request, timeout: float) -> None:
        self._parts = bytearray()
        self._most = request.most_bytes
        self._deadline = time.monotonic() + timeout

    def add(self, part: bytes) -> None:
        self._parts += part
        if len(self._parts) > self._most or time.monotonic() > self._deadline:
            raise _TooMuch

    def reply(self, response: httpx.Response) -> Reply:
        return Reply(response.status_code, response.headers, bytes(self._parts))


def _arguments(request: Request, timeout: float) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "json": request.json,
        "params": dict(request.params) or None,
        "timeout": timeout,
        "follow_redirects": False,
    }


def _no_reply(error: Exception) -> NoReply:
    return NoReply(not isinstance(error, _NOT_SENT), type(error).__name__)


class _Turn:
    """Whose turn it is, and how many wait for theirs."""

    def __init__(self, lock: threading.Lock | asyncio.Lock) -> None:
        self.lock = lock
        self.waiting = 0

    def queue(self) -> None:
        if self.waiting >= MAX_WAITING:
            raise Unavailable("too many wait for the identity service")
        self.waiting += 1


class Threads:
    """Performs effects in the thread that asks; safe for any number of threads."""

    def __init__(
        self, client: httpx.Client | None, timeout: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client or httpx.Client()
        self._is_own = client is None
        self._timeout = timeout
        self._sleep = sleep
        self._turns: dict[str, _Turn] = defaultdict(lambda: _Turn(threading.Lock()))
        self._turns_lock = threading.Lock()

    def run(self, steps: Steps[T]) -> T:
        """Return what the steps come to."""
        result: object = None
        while True:
            try:
                effect = steps.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            result = self._perform(effect)

    def close(self) -> None:
        """Close the client, unless it was given."""
        if self._is_own:
            self._client.close()

    def _perform(self, effect: Effect) -> object:
        if isinstance(effect, Send):
            return self._send(effect.request)
        if isinstance(effect, Pause):
            self._sleep(effect.seconds)
        else:
            self._alone(effect)
        return None

    def _alone(self, effect: Alone) -> None:
        with self._turns_lock:
            turn = self._turns[effect.name]
            if effect.waits:
                turn.queue()
        try:
            if not turn.lock.acquire(blocking=effect.waits):  # type: ignore[call-arg]
                return
        finally:
            if effect.waits:
                with self._turns_lock:
                    turn.waiting -= 1
        try:
            self.run(effect.steps())
        finally:
            turn.lock.release()

    def _send(self, request: Request) -> Reply | NoReply:
        body = _Body(request, self._timeout)
        try:
            with self._client.stream(**_arguments(request, self._timeout)) as response:
                for part in response.iter_bytes():
                    body.add(part)
                return body.reply(response)
        except (httpx.HTTPError, _TooMuch) as error:
            return _no_reply(error)


class Tasks:
    """Performs effects in the task that asks; for the tasks of one event loop."""

    def __init__(
        self,
        client: httpx.AsyncClient | None,
        timeout: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client or httpx.AsyncClient()
        self._is_own = client is None
        self._timeout = timeout
        self._sleep = sleep
        self._turns: dict[str, _Turn] = defaultdict(lambda: _Turn(asyncio.Lock()))

    async def run(self, steps: Steps[T]) -> T:
        """Return what the steps come to."""
        result: object = None
        while True:
            try:
                effect = steps.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            result = await self._perform(effect)

    async def close(self) -> None:
        """Close the client, unless it was given."""
        if self._is_own:
            await self._client.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await self._sleep(seconds)

    async def _perform(self, effect: Effect) -> object:
        if isinstance(effect, Send):
            return await self._send(effect.request)
        if isinstance(effect, Pause):
            await self._sleep(effect.seconds)
        else:
            await self._alone(effect)
        return None

    async def _alone(self, effect: Alone) -> None:
        turn = self._turns[effect.name]
        if not effect.waits and turn.lock.locked():
            return
        turn.queue()
        try:
            await turn.lock.acquire()  # type: ignore[misc]
        finally:
            turn.waiting -= 1
        try:
            await self.run(effect.steps())
        finally:
            turn.lock.release()

    async def _send(self, request: Request) -> Reply | NoReply:
        body = _Body(request, self._timeout)
        try:
            async with self._client.stream(**_arguments(request, self._timeout)) as response:
                async for part in response.aiter_bytes():
                    body.add(part)
                return body.reply(response)
        except (httpx.HTTPError, _TooMuch) as error:
            return _no_reply(error)
