"""What the identity service tells services: broker credentials, sessions at brokers, health of providers, decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portcullis.errors import ReauthorisationNeeded, ServiceUnavailable
from portcullis.policy import Decision
from portcullis.secret import Secret


@dataclass(frozen=True)
class BrokerCredentials:
    """The credentials of a trading account, for one use. Read them again for the next: the owner may have frozen them."""

    account_id: str
    broker: str
    user_id_broker: str
    api_key: Secret
    api_secret: Secret | None = None
    """`None` for a service that may read sessions alone."""
    access_token: Secret | None = None
    """The session at the broker; `None` without one."""
    lease_id: str | None = None
    """The lease that the reading is in, which the owner sees; `None` where there is none."""
    lease_expires_at: str | None = None
    """Until when a reading for the same purpose costs no decryption (RFC 3339)."""
    order_ips: tuple[str, ...] = ()
    """The addresses that orders have to be sent from, one or two; empty where the owner named none."""

    def session(self) -> Secret:
        """Return the access token of the session at the broker. Raise `ReauthorisationNeeded` without one."""
        if self.access_token is None:
            detail = "There is no session at the broker; its owner has to log in there."
            raise ReauthorisationNeeded(409, "no_broker_session", detail)
        return self.access_token


@dataclass(frozen=True)
class ProviderDecision:
    """Whether something may be done with a provider. `fallback` is the first healthy one of the others that were named."""

    decision: Decision
    provider_status: str | None = None
    """The health of the provider; `None` where the decision did not depend on it."""
    fallback: str | None = None


@dataclass(frozen=True)
class TradingAccount:
    """A trading account of a person, without its credentials. `status` is `active` when it can be used."""

    account_id: str
    broker: str
    user_id_broker: str
    status: str
    label: str | None = None


@dataclass(frozen=True)
class AccountStatus:
    """What the broker said of a trading account. `login_url` is where its owner has to log in, and has the API key in it."""

    status: str
    checked_at: str
    reason: str | None = None
    login_url: Secret | None = None


@dataclass(frozen=True)
class FreezeState:
    """Whether the owner of a trading account froze their broker credentials, or an administrator did."""

    is_frozen: bool
    frozen_at: str | None = None
    """Since when (RFC 3339)."""
    frozen_by: str | None = None
    """`self`, `admin` or `everybody`, the one that reaches furthest."""
    until: str | None = None
    """When that freeze ends by itself (RFC 3339); `None` for one that has to be lifted."""
    cancel_until: str | None = None
    """Until when a service that cancels orders may still read the session (RFC 3339); `None` where none may."""


@dataclass(frozen=True)
class ProviderHealth:
    """How a provider does: `healthy`, `degraded` or `unhealthy`."""

    name: str
    status: str
    consecutive_failures: int
    response_time_ms: int | None = None
    marked_until: str | None = None
    mark_reason: str | None = None
    is_broker: bool = False
    """Whether accounts at it can be linked; others are sources of data."""


@dataclass(frozen=True)
class Fallback:
    """Providers in the order in which to try them."""

    recommended: str | None
    chain: tuple[ProviderHealth, ...]


def _member(body: object, name: str, kind: type[Any]) -> Any:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, kind):
        raise ServiceUnavailable(502, "unexpected_response", f"the response has no {name}")
    return value


def _optional(body: Any, name: str, kind: type[Any]) -> Any:
    return None if body.get(name) is None else _member(body, name, kind)


def _secret(body: Any, name: str) -> Secret | None:
    text = _optional(body, name, str)
    return None if text is None else Secret(text)


def _texts(body: Any, name: str) -> tuple[str, ...]:
    found = _optional(body, name, list) or []
    if not all(isinstance(one, str) for one in found):
        raise ServiceUnavailable(502, "unexpected_response", f"the response has no {name}")
    return tuple(found)


def read_credentials(body: Any) -> BrokerCredentials:
    """Read `CredentialsResponse`."""
    return BrokerCredentials(
        account_id=_member(body, "account_id", str),
        broker=_member(body, "broker", str),
        user_id_broker=_member(body, "user_id_broker", str),
        api_key=Secret(_member(body, "api_key", str)),
        api_secret=_secret(body, "api_secret"),
        access_token=_secret(body, "access_token"),
        lease_id=_optional(body, "lease_id", str),
        lease_expires_at=_optional(body, "lease_expires_at", str),
        order_ips=_texts(body, "order_ips"),
    )


def read_accounts(body: Any) -> tuple[TradingAccount, ...]:
    """Read a list of `TradingAccountResponse`."""
    if not isinstance(body, list):
        raise ServiceUnavailable(502, "unexpected_response", "the response is no list")
    return tuple(_read_account(one) for one in body)


def _read_account(body: Any) -> TradingAccount:
    return TradingAccount(
        account_id=_member(body, "account_id", str),
        broker=_member(body, "broker", str),
        user_id_broker=_member(body, "user_id_broker", str),
        status=_member(body, "status", str),
        label=_optional(body, "label", str),
    )


def read_status(body: Any) -> AccountStatus:
    """Read `CredentialVerificationResponse`."""
    return AccountStatus(
        status=_member(body, "status", str),
        checked_at=_member(body, "checked_at", str),
        reason=_optional(body, "reason", str),
        login_url=_secret(body, "login_url"),
    )


def read_freeze(body: Any) -> FreezeState:
    """Read `TradingStateResponse`. A state that is not known here is taken for a freeze."""
    return FreezeState(
        is_frozen=_member(body, "status", str) != "active",
        frozen_at=_optional(body, "frozen_at", str),
        frozen_by=_optional(body, "frozen_by", str),
        until=_optional(body, "until", str),
        cancel_until=_optional(body, "cancel_until", str),
    )


def read_session_end(body: Any) -> str:
    """Read `AcknowledgeFreezeResponse`: how the session ended."""
    return str(_member(body, "session", str))


def read_validity(body: Any) -> bool:
    """Read `VerifyPostbackResponse`."""
    return bool(_member(body, "valid", bool))


def read_fallback(body: Any) -> Fallback:
    """Read `FallbackResponse`."""
    chain = tuple(_read_health(one) for one in _member(body, "chain", list))
    return Fallback(_optional(body, "recommended", str), chain)


def _read_health(body: Any) -> ProviderHealth:
    return ProviderHealth(
        name=_member(body, "name", str),
        status=_member(body, "status", str),
        consecutive_failures=_member(body, "consecutive_failures", int),
        response_time_ms=_optional(body, "response_time_ms", int),
        marked_until=_optional(body, "marked_until", str),
        mark_reason=_optional(body, "mark_reason", str),
        is_broker=bool(_optional(body, "is_broker", bool)),
    )


def read_provider_decision(body: Any) -> ProviderDecision:
    """Read `CheckPermissionResponse` of a request that names a provider."""
    return ProviderDecision(
        read_decision(body), _optional(body, "provider_status", str), _optional(body, "fallback", str)
    )


def read_decision(body: Any) -> Decision:
    """Read `CheckPermissionResponse`. A word that is not known here grants nothing."""
    is_allowed, reason = _member(body, "allowed", bool), _member(body, "reason", str)
    if is_allowed:
        return Decision.GRANTED
    try:
        return Decision(reason)
    except ValueError:
        return Decision.NOT_GRANTED_BY_ROLES
