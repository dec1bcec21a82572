"""The claims of an access token, once they may be believed (RFC 9068 section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from portcullis.errors import Rejection, TokenRejected

MAX_LEEWAY = 5
"""Seconds by which the issuer's clock may differ, as for the service itself: more would outlive revocation."""

ASSURANCE = ("aal1", "aal2", "phr")
"""The values of `acr`, the weakest first: a password, a password and a code, a passkey with user verification."""

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
    acr: str = ASSURANCE[0]
    """How surely the person proved who they are: one of `ASSURANCE`, the weakest where a token says nothing known."""
    epoch: int = 0
    """The session epoch: how often everything of the account had been revoked when the session was last let on."""
    email: str | None = None
    nbf: int | None = None
    kid: str = ""
    """The key that signed it; of the header, and no claim."""

    @classmethod
    def read(cls, payload: dict[str, Any], expected: Expectations, now: float, kid: str) -> Claims:
        """Return the claims of a payload whose signature is valid. Raise `TokenRejected` if one is not as expected."""
        expect(read_text(payload, "token_type") == "access")
        claims = cls(
            iss=read_text(payload, "iss"),
            aud=read_audience(payload, expected.audience),
            sub=read_text(payload, "sub"),
            iat=read_time(payload, "iat"),
            exp=read_time(payload, "exp"),
            jti=read_text(payload, "jti"),
            roles=_list(payload, "roles"),
            session_id=read_text(payload, "session_id"),
            auth_time=read_time(payload, "auth_time"),
            amr=_list(payload, "amr"),
            acr=_assurance(payload),
            epoch=read_time(payload, "epoch") if "epoch" in payload else 0,
            email=read_text(payload, "email") if "email" in payload else None,
            nbf=read_time(payload, "nbf") if "nbf" in payload else None,
            kid=kid,
        )
        expect(claims.iss == expected.issuer, Rejection.ISSUER)
        claims.check_times(expected.leeway, now)
        return claims

    def proves(self, acr: str | None = None, max_age: int | None = None, *, now: float) -> bool:
        """Return whether the sign-in is as sure as `acr`, and its last proof at most `max_age` seconds old (RFC 9470)."""
        is_sure = acr is None or ASSURANCE.index(self.acr) >= ASSURANCE.index(acr)
        return is_sure and (max_age is None or now - self.auth_time <= max_age)

    def check_times(self, leeway: int, now: float) -> None:
        """Raise `TokenRejected` if the time of the token is over or has not come (RFC 7519 sections 4.1.4 to 4.1.6)."""
        check_times((self.iat, self.exp), leeway, now)
        expect((self.nbf or 0) <= now + leeway, Rejection.NOT_YET_VALID)


def check_times(times: tuple[int, int], leeway: int, now: float) -> None:
    """Raise `TokenRejected` if a token that begins and ends then is not good now."""
    begins, ends = times
    expect(ends > begins)
    expect(now < ends + leeway, Rejection.EXPIRED)
    expect(begins <= now + leeway, Rejection.NOT_YET_VALID)


def expect(is_met: bool, otherwise: Rejection = Rejection.CLAIM) -> None:
    """Raise `TokenRejected` unless this is so."""
    if not is_met:
        raise TokenRejected(otherwise)


def read_text(payload: dict[str, Any], name: str) -> str:
    """Return a claim that is a text. Raise `TokenRejected` for any other, and for none."""
    value = payload.get(name)
    expect(isinstance(value, str) and value != "")
    return cast("str", value)


def read_time(payload: dict[str, Any], name: str) -> int:
    """Return a claim in whole seconds. Raise `TokenRejected` for any other, and for none."""
    value = payload.get(name)
    expect(type(value) is int and 0 <= value < _LARGEST)  # `True` is an `int`, too
    return cast("int", value)


def _assurance(payload: dict[str, Any]) -> str:
    """Return the `acr`; one that is not known here says nothing, because an issuer may be newer than its verifiers."""
    named = payload.get("acr", ASSURANCE[0])
    expect(isinstance(named, str))
    return named if named in ASSURANCE else ASSURANCE[0]


def _list(payload: dict[str, Any], name: str) -> tuple[str, ...]:
    value = payload.get(name)
    expect(isinstance(value, list) and all(isinstance(item, str) for item in value))
    return tuple(cast("list[str]", value))


def read_audience(payload: dict[str, Any], wanted: str) -> str:
    """Return the audience that is wanted. Raise `TokenRejected` where the token is not for it."""
    named = [payload["aud"]] if isinstance(payload.get("aud"), str) else _list(payload, "aud")
    expect(wanted in named, Rejection.AUDIENCE)
    return wanted
