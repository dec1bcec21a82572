"""The claims of an access token, once they may be believed (RFC 9068 section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from portcullis.errors import Rejection, TokenRejected

MAX_LEEWAY = 5
"""Seconds by which the issuer's clock may differ, as for the service itself: more would outlive revocation."""

_LARGEST = 2**64


@dataclass(frozen=True)
class Expectations:
    """What a token must say besides being signed."""

    issuer: str
    audience: str
    leeway: int = MAX_LEEWAY

    def __post_init__(self) -> None:
        if not 0 <= self.leeway <= MAX_LEEWAY:
            raise ValueError(f"leeway is 0 to {MAX_LEEWAY} seconds")


@dataclass(frozen=True)
class Claims:
    """What the issuer vouches for. Only a verifier makes them."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    jti: str
    roles: tuple[str, ...]
    session_id: str
    auth_time: int
    amr: tuple[str, ...]
    epoch: int = 0
    """The session epoch: how often everything of the account had been revoked when the session was last let on."""
    email: str | None = None
    nbf: int | None = None
    kid: str = ""
    """The key that signed it; of the header, and no claim."""

    @classmethod
    def read(cls, payload: dict[str, Any], expected: Expectations, now: float, kid: str) -> Claims:
        """Return the claims of a payload whose signature is valid. Raise `TokenRejected` if one is not as expected."""
        _expect(_text(payload, "token_type") == "access")
        claims = cls(
            iss=_text(payload, "iss"),
            aud=_audience(payload, expected.audience),
            sub=_text(payload, "sub"),
            iat=_time(payload, "iat"),
            exp=_time(payload, "exp"),
            jti=_text(payload, "jti"),
            roles=_list(payload, "roles"),
            session_id=_text(payload, "session_id"),
            auth_time=_time(payload, "auth_time"),
            amr=_list(payload, "amr"),
            epoch=_time(payload, "epoch") if "epoch" in payload else 0,
            email=_text(payload, "email") if "email" in payload else None,
            nbf=_time(payload, "nbf") if "nbf" in payload else None,
            kid=kid,
        )
        _expect(claims.iss == expected.issuer, Rejection.ISSUER)
        claims.check_times(expected.leeway, now)
        return claims

    def check_times(self, leeway: int, now: float) -> None:
        """Raise `TokenRejected` if the time of the token is over or has not come (RFC 7519 sections 4.1.4 to 4.1.6)."""
        _expect(self.exp > self.iat)
        _expect(now < self.exp + leeway, Rejection.EXPIRED)
        _expect(max(self.iat, self.nbf or 0) <= now + leeway, Rejection.NOT_YET_VALID)


def _expect(is_met: bool, otherwise: Rejection = Rejection.CLAIM) -> None:
    if not is_met:
        raise TokenRejected(otherwise)


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    _expect(isinstance(value, str) and value != "")
    return cast("str", value)


def _time(payload: dict[str, Any], name: str) -> int:
    value = payload.get(name)
    _expect(type(value) is int and 0 <= value < _LARGEST)  # `True` is an `int`, too
    return cast("int", value)


def _list(payload: dict[str, Any], name: str) -> tuple[str, ...]:
    value = payload.get(name)
    _expect(isinstance(value, list) and all(isinstance(item, str) for item in value))
    return tuple(cast("list[str]", value))


def _audience(payload: dict[str, Any], wanted: str) -> str:
    named = [payload["aud"]] if isinstance(payload.get("aud"), str) else _list(payload, "aud")
    _expect(wanted in named, Rejection.AUDIENCE)
    return wanted
