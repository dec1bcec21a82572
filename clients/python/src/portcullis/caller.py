"""Who sends a request, once it is proven, and the credentials that prove it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from portcullis.errors import AmbiguousCredentials, ApiKeyRejected, CredentialsMissing, Rejection, TokenRejected
from portcullis.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcullis.claims import Claims
    from portcullis.policy import Grant

Method = Literal["access_token", "api_key"]


@dataclass(frozen=True)
class Caller:
    """A person with an access token, or a program with an API key of a person."""

    user_id: str
    roles: tuple[str, ...]
    method: Method
    email: str | None = None
    session_id: str | None = None
    """`None` for an API key."""
    scopes: tuple[Grant, ...] | None = None
    """What an API key is narrowed to; `None` for an access token."""
    claims: Claims | None = field(default=None, repr=False)
    """The claims of the token that was verified here; `None` for an API key and behind the edge."""
    request_id: str | None = None
    client_address: str | None = None
    """The client's address as the edge saw it; `None` without an edge."""
    approval_id: str | None = None
    """The approval that the edge spent for the order in the body; `None` where it asked for none."""
    approval_order_tag: str | None = None
    """What that order is to be tagged with at the broker."""

    @classmethod
    def of_token(cls, claims: Claims) -> Caller:
        """Return the caller that a verified token speaks for."""
        return cls(
            user_id=claims.sub,
            roles=claims.roles,
            method="access_token",
            email=claims.email,
            session_id=claims.session_id,
            claims=claims,
        )


@dataclass(frozen=True)
class AccessToken:
    """An access token as it came."""

    text: Secret


@dataclass(frozen=True)
class ApiKey:
    """An API key as it came."""

    text: Secret


Credential = AccessToken | ApiKey


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> Credential:
    """Return the one credential of a request, from its raw headers in the form of ASGI.

    Raise `CredentialsMissing` without one and `AmbiguousCredentials` with two. A header that came twice is never read: the
    next reader might take the other one.
    """
    pairs = list(headers)
    authorization = [value for name, value in pairs if name.lower() == b"authorization"]
    keys = [value for name, value in pairs if name.lower() == b"x-api-key"]
    has_token = len(authorization) > 1 or any(_scheme(value) == b"bearer" for value in authorization)
    has_key = len(keys) > 1 or any(keys)
    if has_token and has_key:
        raise AmbiguousCredentials("send either an access token or an API key, not both")
    if has_token:
        return AccessToken(_token(authorization))
    if has_key:
        return ApiKey(_key(keys))
    raise CredentialsMissing("this request needs an access token or an API key")


def _scheme(value: bytes) -> bytes:
    return value.split(b" ", 1)[0].lower()


def _token(values: list[bytes]) -> Secret:
    if len(values) > 1:
        raise AmbiguousCredentials("the header Authorization came twice")
    _, _, token = values[0].partition(b" ")
    if not token.strip(b" ").isascii() or not token.strip(b" "):
        raise TokenRejected(Rejection.MALFORMED)
    return Secret(token.strip(b" ").decode("ascii"))


def _key(values: list[bytes]) -> Secret:
    if len(values) > 1:
        raise AmbiguousCredentials("the header X-API-Key came twice")
    if not values[0].isascii():
        raise ApiKeyRejected
    return Secret(values[0].decode("ascii"))
