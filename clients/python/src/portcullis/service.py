"""What a service asks of the identity service, for threads and for asyncio.

A request is sent again only where that does no harm: after no connection at all, after 429 and 503, which did nothing, and
for readings also after a response that was lost. `Retry-After` is honoured as far as `most_wait` allows; otherwise the pause
doubles, with jitter, so that the services of a platform do not come back in step.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from portcullis import strict_json
from portcullis.credentials import (
    AccountStatus,
    BrokerCredentials,
    Fallback,
    TradingAccount,
    read_accounts,
    read_credentials,
    read_decision,
    read_fallback,
    read_status,
)
from portcullis.drivers import Tasks, Threads
from portcullis.effects import NoReply, Pause, Reply, Request, Send
from portcullis.errors import ServiceUnavailable, from_problem
from portcullis.secret import Secret, secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    import httpx
    from portcullis.effects import Steps
    from portcullis.policy import Decision
    from typing_extensions import Self

T = TypeVar("T")

TIMEOUT: Final = 5.0
_PURPOSE = re.compile(r"[a-z0-9._:-]{1,64}", re.ASCII)
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503


@dataclass(frozen=True)
class Retries:
    """How often a request is sent again, and how many seconds are waited for that in all."""

    attempts: int = 3
    most_wait: float = 10.0


class _Requests:
    """Every request as steps; both clients perform them."""

    def __init__(
        self, url: str, token: Secret | str | None, retries: Retries, jitter: Callable[[], float] = random.random
    ) -> None:
        self._url = url.rstrip("/")
        self._token = None if token is None else secret(token)
        self._retries = retries
        self._jitter = jitter

    def credentials(self, account_id: str, purpose: str, request_id: str | None) -> Steps[BrokerCredentials]:
        if not _PURPOSE.fullmatch(purpose):
            raise ValueError("a purpose is one word of at most 64 of a-z 0-9 . _ : -")
        path = f"/v1/internal/trading-accounts/{quote(account_id, safe='')}/credentials"
        request = self._as_service(path, {"purpose": purpose}, request_id)
        return read_credentials((yield from self._send(request, is_reading=True)))

    def report_outcome(
        self, provider: str, *, ok: bool, response_time_ms: float | None, error: str | None
    ) -> Steps[None]:
        body: dict[str, Any] = {"ok": ok}
        if response_time_ms is not None:
            body["response_time_ms"] = response_time_ms
        if error is not None:
            body["error"] = error
        request = self._as_service(f"/v1/internal/providers/{quote(provider, safe='')}/outcomes", body)
        yield from self._send(request, is_reading=False)

    def check(self, permission: str, user: Secret | str, *, is_key: bool) -> Steps[Decision]:
        headers = {"X-API-Key": secret(user).open()} if is_key else _bearer(user)
        request = Request("POST", f"{self._url}/v1/authz/check", headers, {"permission": permission})
        return read_decision((yield from self._send(request, is_reading=True)))

    def fallback(self, primary: str, fallbacks: tuple[str, ...], access_token: Secret | str) -> Steps[Fallback]:
        params = {"primary": primary, "fallbacks": ",".join(fallbacks)}
        request = Request("GET", f"{self._url}/v1/providers/fallback", _bearer(access_token), params=params)
        return read_fallback((yield from self._send(request, is_reading=True)))

    def accounts(self, access_token: Secret | str) -> Steps[tuple[TradingAccount, ...]]:
        request = Request("GET", f"{self._url}/v1/trading-accounts", _bearer(access_token))
        return read_accounts((yield from self._send(request, is_reading=True)))

    def begin_session(self, account_id: str, request_token: str, access_token: Secret | str) -> Steps[AccountStatus]:
        url = f"{self._url}/v1/trading-accounts/{quote(account_id, safe='')}/session"
        request = Request("POST", url, _bearer(access_token), {"request_token": request_token})
        return read_status((yield from self._send(request, is_reading=False)))

    def verify_account(self, account_id: str, access_token: Secret | str) -> Steps[AccountStatus]:
        url = f"{self._url}/v1/trading-accounts/{quote(account_id, safe='')}/verify"
        return read_status((yield from self._send(Request("POST", url, _bearer(access_token)), is_reading=True)))

    def _as_service(self, path: str, body: Any, request_id: str | None = None) -> Request:
        if self._token is None:
            raise ValueError("this needs the token of a service")
        headers = {"X-Service-Token": self._token.open()}
        if request_id is not None:
            headers["X-Request-Id"] = request_id
        return Request("POST", self._url + path, headers, body)

    def _send(self, request: Request, *, is_reading: bool) -> Steps[Any]:
        """Return the body of a response of success, which may take several attempts."""
        waited = 0.0
        for attempt in range(1, self._retries.attempts + 1):
            reply: Reply | NoReply = yield Send(request)
            if isinstance(reply, Reply) and reply.status < 300:
                return _body(reply)
            pause = self._pause(reply, attempt, is_reading=is_reading)
            if pause is None or attempt == self._retries.attempts or waited + pause > self._retries.most_wait:
                raise _error(reply)
            yield Pause(pause)
            waited += pause
        raise AssertionError("a request is sent once at least")

    def _pause(self, reply: Reply | NoReply, attempt: int, *, is_reading: bool) -> float | None:
        """Return for how long to wait before the request is sent again; `None` if it must not be."""
        backoff: float = min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE) * (0.5 + self._jitter() / 2)
        if isinstance(reply, NoReply):
            return backoff if is_reading or not reply.was_sent else None
        if reply.status not in (_TOO_MANY, _UNAVAILABLE):
            return None
        # What took too long may have been done all the same.
        if not is_reading and _problem(reply).get("code") == "deadline_exceeded":
            return None
        asked = _retry_after(reply)
        return backoff if asked is None else max(asked, backoff)


def _bearer(access_token: Secret | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(access_token).open()}"}


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else None


def _problem(reply: Reply) -> dict[str, Any]:
    try:
        return strict_json.parse_object(reply.body)
    except ValueError:
        return {}


def _body(reply: Reply) -> Any:
    if not reply.body:
        return None
    try:
        return strict_json.parse(reply.body)
    except ValueError:
        raise ServiceUnavailable(502, "unexpected_response", "the response is not JSON") from None


def _error(reply: Reply | NoReply) -> Exception:
    if isinstance(reply, NoReply):
        return ServiceUnavailable(503, "no_response", f"the identity service did not respond ({reply.reason})")
    return from_problem(reply.status, _problem(reply), _retry_after(reply))


class ServiceClient:
    """Asks the identity service in the name of a service, for any number of threads. `timeout` is that of one attempt."""

    def __init__(
        self,
        url: str,
        service_token: Secret | str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries = Retries(),
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._requests = _Requests(url, service_token, retries)
        self._threads = Threads(client, timeout, sleep)

    def credentials(self, account_id: str, *, purpose: str, request_id: str | None = None) -> BrokerCredentials:
        """Read the credentials of a trading account; the reading is in its owner's audit trail.

        Raise `Frozen`, `ReauthorisationNeeded`, `NotAllowed`, `AccountDisabled` or `NotFound`.
        """
        return self._threads.run(self._requests.credentials(account_id, purpose, request_id))

    def report_outcome(
        self, provider: str, *, ok: bool, response_time_ms: float | None = None, error: str | None = None
    ) -> None:
        """Count the outcome of a call to a provider. `error` is an HTTP status or a word, such as `timeout`."""
        self._threads.run(
            self._requests.report_outcome(provider, ok=ok, response_time_ms=response_time_ms, error=error)
        )

    def check(self, permission: str, *, access_token: Secret | str) -> Decision:
        """Return whether a person may do this, by the roles as they are now."""
        return self._threads.run(self._requests.check(permission, access_token, is_key=False))

    def check_api_key(self, permission: str, *, api_key: Secret | str) -> Decision:
        """Return whether a program may do this, by the roles of its key's owner as they are now."""
        return self._threads.run(self._requests.check(permission, api_key, is_key=True))

    def fallback(self, primary: str, *fallbacks: str, access_token: Secret | str) -> Fallback:
        """Return in which order to try providers."""
        return self._threads.run(self._requests.fallback(primary, fallbacks, access_token))

    def trading_accounts(self, *, access_token: Secret | str) -> tuple[TradingAccount, ...]:
        """Return a person's own trading accounts: ask before you read credentials for somebody who names an account."""
        return self._threads.run(self._requests.accounts(access_token))

    def begin_broker_session(self, account_id: str, *, request_token: str, access_token: Secret | str) -> AccountStatus:
        """Exchange the `request_token` of a login at the broker for a session. The token works once."""
        return self._threads.run(self._requests.begin_session(account_id, request_token, access_token))

    def verify_account(self, account_id: str, *, access_token: Secret | str) -> AccountStatus:
        """Ask the broker about the credentials of a trading account."""
        return self._threads.run(self._requests.verify_account(account_id, access_token))

    def close(self) -> None:
        """Close connections, unless the client was given."""
        self._threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncServiceClient:
    """Asks the identity service in the name of a service, for the tasks of one event loop. See `ServiceClient`."""

    def __init__(
        self,
        url: str,
        service_token: Secret | str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries = Retries(),
        client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = _Requests(url, service_token, retries)
        self._tasks = Tasks(client, timeout, sleep)

    async def credentials(self, account_id: str, *, purpose: str, request_id: str | None = None) -> BrokerCredentials:
        """Read the credentials of a trading account; the reading is in its owner's audit trail.

        Raise `Frozen`, `ReauthorisationNeeded`, `NotAllowed`, `AccountDisabled` or `NotFound`.
        """
        return await self._tasks.run(self._requests.credentials(account_id, purpose, request_id))

    async def report_outcome(
        self, provider: str, *, ok: bool, response_time_ms: float | None = None, error: str | None = None
    ) -> None:
        """Count the outcome of a call to a provider. `error` is an HTTP status or a word, such as `timeout`."""
        steps = self._requests.report_outcome(provider, ok=ok, response_time_ms=response_time_ms, error=error)
        await self._tasks.run(steps)

    async def check(self, permission: str, *, access_token: Secret | str) -> Decision:
        """Return whether a person may do this, by the roles as they are now."""
        return await self._tasks.run(self._requests.check(permission, access_token, is_key=False))

    async def check_api_key(self, permission: str, *, api_key: Secret | str) -> Decision:
        """Return whether a program may do this, by the roles of its key's owner as they are now."""
        return await self._tasks.run(self._requests.check(permission, api_key, is_key=True))

    async def fallback(self, primary: str, *fallbacks: str, access_token: Secret | str) -> Fallback:
        """Return in which order to try providers."""
        return await self._tasks.run(self._requests.fallback(primary, fallbacks, access_token))

    async def trading_accounts(self, *, access_token: Secret | str) -> tuple[TradingAccount, ...]:
        """Return a person's own trading accounts: ask before you read credentials for somebody who names an account."""
        return await self._tasks.run(self._requests.accounts(access_token))

    async def begin_broker_session(
        self, account_id: str, *, request_token: str, access_token: Secret | str
    ) -> AccountStatus:
        """Exchange the `request_token` of a login at the broker for a session. The token works once."""
        return await self._tasks.run(self._requests.begin_session(account_id, request_token, access_token))

    async def verify_account(self, account_id: str, *, access_token: Secret | str) -> AccountStatus:
        """Ask the broker about the credentials of a trading account."""
        return await self._tasks.run(self._requests.verify_account(account_id, access_token))

    async def close(self) -> None:
        """Close connections, unless the client was given."""
        await self._tasks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
