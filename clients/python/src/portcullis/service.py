"""What a service asks of the identity service, for threads and for asyncio.

A request is sent again only where that does no harm: after no connection at all, after 429 and 503, which did nothing, and
for readings also after a response that was lost. `Retry-After` is honoured as far as `most_wait` allows; otherwise the pause
doubles, with jitter, so that the services of a platform do not come back in step.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from portcullis import strict_json
from portcullis.approvals import Approval, Order, Redemption, read_approval, read_redemption
from portcullis.credentials import (
    AccountStatus,
    BrokerCredentials,
    Fallback,
    FreezeState,
    ProviderDecision,
    TradingAccount,
    read_accounts,
    read_credentials,
    read_decision,
    read_fallback,
    read_freeze,
    read_provider_decision,
    read_session_end,
    read_status,
    read_validity,
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
CANCEL_ORDERS: Final = "cancel-orders"
"""The purpose with which a service that has the right `trading:cancel` reads the session of an account that is frozen."""
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

    def request_approval(self, user_id: str, order: Order, expires_in: int | None, key: str | None) -> Steps[Approval]:
        body: dict[str, Any] = {"authorization_details": [dict(order)], "user_id": user_id}
        if expires_in is not None:
            body["expires_in"] = expires_in
        request = self._as_service("/v1/approvals", body, key=key or _new_key())
        # The same request again asks once, whatever became of its answer.
        return read_approval((yield from self._send(request, is_reading=True)))

    def approval(self, approval_id: str) -> Steps[Approval]:
        request = self._as_service(f"/v1/approvals/{quote(approval_id, safe='')}", method="GET")
        return read_approval((yield from self._send(request, is_reading=True)))

    def wait_for_approval(self, approval_id: str, timeout: float, every: float) -> Steps[Approval]:
        waited = 0.0
        while True:
            approval = yield from self.approval(approval_id)
            if approval.status != "pending" or waited + every > timeout:
                return approval
            yield Pause(every)
            waited += every

    def redeem_approval(
        self, approval_id: str, order: Order, user_id: str | None, key: str | None
    ) -> Steps[Redemption]:
        path = f"/v1/internal/approvals/{quote(approval_id, safe='')}/redeem"
        owner = {} if user_id is None else {"user_id": user_id}
        body = {"authorization_details": [dict(order)]} | owner
        request = self._as_service(path, body, key=key or _new_key())
        return read_redemption((yield from self._send(request, is_reading=True)))

    def freeze_state(self, account_id: str) -> Steps[FreezeState]:
        path = f"/v1/internal/trading-accounts/{quote(account_id, safe='')}/freeze"
        request = self._as_service(path, None, method="GET")
        return read_freeze((yield from self._send(request, is_reading=True)))

    def acknowledge_freeze(self, account_id: str, cancelled: int, failed: int) -> Steps[str]:
        path = f"/v1/internal/trading-accounts/{quote(account_id, safe='')}/freeze/ack"
        request = self._as_service(path, {"cancelled": cancelled, "failed": failed})
        # Said twice it is on record twice, and does no other harm.
        return read_session_end((yield from self._send(request, is_reading=True)))

    def verify_postback(self, account_id: str, order_id: str, order_timestamp: str, checksum: str) -> Steps[bool]:
        path = f"/v1/internal/trading-accounts/{quote(account_id, safe='')}/postbacks/verify"
        body = {"order_id": order_id, "order_timestamp": order_timestamp, "checksum": checksum}
        return read_validity((yield from self._send(self._as_service(path, body), is_reading=True)))

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

    def check(
        self, permission: str, user: Secret | str, service: str | None, notional: str | None, *, is_key: bool
    ) -> Steps[Decision]:
        given = {"permission": permission, "service": service, "notional": notional}
        body = {name: value for name, value in given.items() if value is not None}
        return read_decision((yield from self._check(body, user, is_key=is_key)))

    def check_with_provider(
        self, permission: str, provider: str, fallbacks: tuple[str, ...], user: Secret | str, *, is_key: bool
    ) -> Steps[ProviderDecision]:
        body = {"permission": permission, "provider": provider, "fallbacks": list(fallbacks)}
        return read_provider_decision((yield from self._check(body, user, is_key=is_key)))

    def _check(self, body: dict[str, Any], user: Secret | str, *, is_key: bool) -> Steps[Any]:
        headers = {"X-API-Key": secret(user).open()} if is_key else _bearer(user)
        request = Request("POST", f"{self._url}/v1/authz/check", headers, body)
        return (yield from self._send(request, is_reading=True))

    def fallback(self, primary: str, fallbacks: tuple[str, ...], access_token: Secret | str) -> Steps[Fallback]:
        params = {"primary": primary, "fallbacks": ",".join(fallbacks)}
        request = Request("GET", f"{self._url}/v1/providers/fallback", _bearer(access_token), params=params)
        return read_fallback((yield from self._send(request, is_reading=True)))

    def accounts(self, access_token: Secret | str) -> Steps[tuple[TradingAccount, ...]]:
        request = Request("GET", f"{self._url}/v1/trading-accounts", _bearer(access_token))
        return read_accounts((yield from self._send(request, is_reading=True)))

    def begin_session(
        self, account_id: str, request_token: str, state: str | None, access_token: Secret | str
    ) -> Steps[AccountStatus]:
        url = f"{self._url}/v1/trading-accounts/{quote(account_id, safe='')}/session"
        body = {"request_token": request_token} | ({} if state is None else {"state": state})
        request = Request("POST", url, _bearer(access_token), body)
        return read_status((yield from self._send(request, is_reading=False)))

    def verify_account(self, account_id: str, access_token: Secret | str) -> Steps[AccountStatus]:
        url = f"{self._url}/v1/trading-accounts/{quote(account_id, safe='')}/verify"
        return read_status((yield from self._send(Request("POST", url, _bearer(access_token)), is_reading=True)))

    def _as_service(
        self,
        path: str,
        body: Any = None,
        request_id: str | None = None,
        *,
        key: str | None = None,
        method: str = "POST",
    ) -> Request:
        if self._token is None:
            raise ValueError("this needs the token of a service")
        headers = {"X-Service-Token": self._token.open()}
        if request_id is not None:
            headers["X-Request-Id"] = request_id
        if key is not None:
            headers["Idempotency-Key"] = key
        return Request(method, self._url + path, headers, body)

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


def _new_key() -> str:
    return secrets.token_hex(16)


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

    def request_approval(
        self, user_id: str, order: Order, *, expires_in: int | None = None, idempotency_key: str | None = None
    ) -> Approval:
        """Ask a person to approve an order. Name the request to be able to send it again from another process.

        Raise `Frozen`, `AccountDisabled`, `NotAllowed`, `NotFound`, `InvalidRequest` or `Throttled`.
        """
        return self._threads.run(self._requests.request_approval(user_id, order, expires_in, idempotency_key))

    def approval(self, approval_id: str) -> Approval:
        """Return an approval that this service asked for, as it is now."""
        return self._threads.run(self._requests.approval(approval_id))

    def wait_for_approval(self, approval_id: str, *, timeout: float = 300.0, every: float = 1.0) -> Approval:
        """Return an approval once it is not pending any more, or as it is after `timeout` seconds."""
        return self._threads.run(self._requests.wait_for_approval(approval_id, timeout, every))

    def redeem_approval(
        self, approval_id: str, order: Order, *, user_id: str | None = None, idempotency_key: str | None = None
    ) -> Redemption:
        """Spend an approval for the order that is about to be placed. Place it if, and only if, this returns.

        Give `user_id` where you know who orders: the approval of anybody else is `NotFound` then, and stays unspent.

        Raise `DetailsMismatch`, `AlreadyRedeemed`, `ApprovalPending`, `ApprovalOver`, `NotAllowed` or `NotFound`.
        """
        return self._threads.run(self._requests.redeem_approval(approval_id, order, user_id, idempotency_key))

    def freeze_state(self, account_id: str) -> FreezeState:
        """Return whether the credentials of a trading account are frozen. Needs `freeze:read` or `trading:cancel`."""
        return self._threads.run(self._requests.freeze_state(account_id))

    def acknowledge_freeze(self, account_id: str, *, cancelled: int, failed: int = 0) -> str:
        """Say what became of the orders that a freeze delegated, and return how the session at the broker ended.

        Read the session for that with `credentials(account_id, purpose=CANCEL_ORDERS)`. The word is `ended`, `none` where it
        was over, `unconfirmed`, or `kept` where some `failed`: the session goes on until the time for cancelling is over.
        """
        return self._threads.run(self._requests.acknowledge_freeze(account_id, cancelled, failed))

    def verify_postback(self, account_id: str, *, order_id: str, order_timestamp: str, checksum: str) -> bool:
        """Return whether the broker of a trading account made the checksum of a postback. Needs `postback:verify`.

        It vouches for the order and the time alone: ask the broker for the rest.
        """
        steps = self._requests.verify_postback(account_id, order_id, order_timestamp, checksum)
        return self._threads.run(steps)

    def report_outcome(
        self, provider: str, *, ok: bool, response_time_ms: float | None = None, error: str | None = None
    ) -> None:
        """Count the outcome of a call to a provider. `error` is an HTTP status or a word, such as `timeout`."""
        self._threads.run(
            self._requests.report_outcome(provider, ok=ok, response_time_ms=response_time_ms, error=error)
        )

    def check(
        self, permission: str, *, access_token: Secret | str, service: str | None = None, notional: str | None = None
    ) -> Decision:
        """Return whether a person may do this, by the roles as they are now.

        Of an order, say at which `service` and what it comes to at most (`notional`): `APPROVAL_REQUIRED` is where a role
        wants it approved.
        """
        return self._threads.run(self._requests.check(permission, access_token, service, notional, is_key=False))

    def check_api_key(
        self, permission: str, *, api_key: Secret | str, service: str | None = None, notional: str | None = None
    ) -> Decision:
        """Return whether a program may do this, by the roles of its key's owner as they are now. See `check`."""
        return self._threads.run(self._requests.check(permission, api_key, service, notional, is_key=True))

    def check_with_provider(
        self, permission: str, provider: str, *fallbacks: str, access_token: Secret | str
    ) -> ProviderDecision:
        """Return whether a person may do this with a provider, by the roles and the provider's health as they are now.

        Ask so before an order where the policy has `healthy_provider`; for a program, `check_api_key_with_provider`.
        """
        steps = self._requests.check_with_provider(permission, provider, fallbacks, access_token, is_key=False)
        return self._threads.run(steps)

    def check_api_key_with_provider(
        self, permission: str, provider: str, *fallbacks: str, api_key: Secret | str
    ) -> ProviderDecision:
        """Return whether a program may do this with a provider; see `check_with_provider`."""
        steps = self._requests.check_with_provider(permission, provider, fallbacks, api_key, is_key=True)
        return self._threads.run(steps)

    def fallback(self, primary: str, *fallbacks: str, access_token: Secret | str) -> Fallback:
        """Return in which order to try providers."""
        return self._threads.run(self._requests.fallback(primary, fallbacks, access_token))

    def trading_accounts(self, *, access_token: Secret | str) -> tuple[TradingAccount, ...]:
        """Return a person's own trading accounts: ask before you read credentials for somebody who names an account."""
        return self._threads.run(self._requests.accounts(access_token))

    def begin_broker_session(
        self, account_id: str, *, request_token: str, access_token: Secret | str, state: str | None = None
    ) -> AccountStatus:
        """Exchange what a login at the broker led back with for a session. It works once.

        That is a `request_token`, `code`, `auth_code` or `tokenId`, and at some brokers a `state` beside it.
        """
        steps = self._requests.begin_session(account_id, request_token, state, access_token)
        return self._threads.run(steps)

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

    async def request_approval(
        self, user_id: str, order: Order, *, expires_in: int | None = None, idempotency_key: str | None = None
    ) -> Approval:
        """Ask a person to approve an order. See `ServiceClient.request_approval`."""
        return await self._tasks.run(self._requests.request_approval(user_id, order, expires_in, idempotency_key))

    async def approval(self, approval_id: str) -> Approval:
        """Return an approval that this service asked for, as it is now."""
        return await self._tasks.run(self._requests.approval(approval_id))

    async def wait_for_approval(self, approval_id: str, *, timeout: float = 300.0, every: float = 1.0) -> Approval:
        """Return an approval once it is not pending any more, or as it is after `timeout` seconds."""
        return await self._tasks.run(self._requests.wait_for_approval(approval_id, timeout, every))

    async def redeem_approval(
        self, approval_id: str, order: Order, *, user_id: str | None = None, idempotency_key: str | None = None
    ) -> Redemption:
        """Spend an approval for the order that is about to be placed. See `ServiceClient.redeem_approval`."""
        return await self._tasks.run(self._requests.redeem_approval(approval_id, order, user_id, idempotency_key))

    async def freeze_state(self, account_id: str) -> FreezeState:
        """Return whether the credentials of a trading account are frozen. Needs `freeze:read` or `trading:cancel`."""
        return await self._tasks.run(self._requests.freeze_state(account_id))

    async def acknowledge_freeze(self, account_id: str, *, cancelled: int, failed: int = 0) -> str:
        """Say what became of the orders that a freeze delegated, and return how the session at the broker ended.

        Read the session for that with `credentials(account_id, purpose=CANCEL_ORDERS)`. The word is `ended`, `none` where it
        was over, `unconfirmed`, or `kept` where some `failed`: the session goes on until the time for cancelling is over.
        """
        return await self._tasks.run(self._requests.acknowledge_freeze(account_id, cancelled, failed))

    async def verify_postback(self, account_id: str, *, order_id: str, order_timestamp: str, checksum: str) -> bool:
        """Return whether the broker of a trading account made the checksum of a postback. Needs `postback:verify`.

        It vouches for the order and the time alone: ask the broker for the rest.
        """
        steps = self._requests.verify_postback(account_id, order_id, order_timestamp, checksum)
        return await self._tasks.run(steps)

    async def report_outcome(
        self, provider: str, *, ok: bool, response_time_ms: float | None = None, error: str | None = None
    ) -> None:
        """Count the outcome of a call to a provider. `error` is an HTTP status or a word, such as `timeout`."""
        steps = self._requests.report_outcome(provider, ok=ok, response_time_ms=response_time_ms, error=error)
        await self._tasks.run(steps)

    async def check(
        self, permission: str, *, access_token: Secret | str, service: str | None = None, notional: str | None = None
    ) -> Decision:
        """Return whether a person may do this, by the roles as they are now.

        Of an order, say at which `service` and what it comes to at most (`notional`): `APPROVAL_REQUIRED` is where a role
        wants it approved.
        """
        return await self._tasks.run(self._requests.check(permission, access_token, service, notional, is_key=False))

    async def check_api_key(
        self, permission: str, *, api_key: Secret | str, service: str | None = None, notional: str | None = None
    ) -> Decision:
        """Return whether a program may do this, by the roles of its key's owner as they are now. See `check`."""
        return await self._tasks.run(self._requests.check(permission, api_key, service, notional, is_key=True))

    async def check_with_provider(
        self, permission: str, provider: str, *fallbacks: str, access_token: Secret | str
    ) -> ProviderDecision:
        """Return whether a person may do this with a provider, by the roles and the provider's health as they are now.

        Ask so before an order where the policy has `healthy_provider`; for a program, `check_api_key_with_provider`.
        """
        steps = self._requests.check_with_provider(permission, provider, fallbacks, access_token, is_key=False)
        return await self._tasks.run(steps)

    async def check_api_key_with_provider(
        self, permission: str, provider: str, *fallbacks: str, api_key: Secret | str
    ) -> ProviderDecision:
        """Return whether a program may do this with a provider; see `check_with_provider`."""
        steps = self._requests.check_with_provider(permission, provider, fallbacks, api_key, is_key=True)
        return await self._tasks.run(steps)

    async def fallback(self, primary: str, *fallbacks: str, access_token: Secret | str) -> Fallback:
        """Return in which order to try providers."""
        return await self._tasks.run(self._requests.fallback(primary, fallbacks, access_token))

    async def trading_accounts(self, *, access_token: Secret | str) -> tuple[TradingAccount, ...]:
        """Return a person's own trading accounts: ask before you read credentials for somebody who names an account."""
        return await self._tasks.run(self._requests.accounts(access_token))

    async def begin_broker_session(
        self, account_id: str, *, request_token: str, access_token: Secret | str, state: str | None = None
    ) -> AccountStatus:
        """Exchange what a login at the broker led back with for a session. It works once.

        That is a `request_token`, `code`, `auth_code` or `tokenId`, and at some brokers a `state` beside it.
        """
        steps = self._requests.begin_session(account_id, request_token, state, access_token)
        return await self._tasks.run(steps)

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
