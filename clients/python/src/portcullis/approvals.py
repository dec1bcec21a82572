"""Approvals: what a person said yes to, once, and what the token that says so claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final

from portcullis.claims import Expectations, check_times, expect, read_audience, read_text, read_time
from portcullis.errors import Rejection, ServiceUnavailable

TYPE: Final = "approval+jwt"
AUDIENCE: Final = "/execution"
"""What comes behind the audience of access tokens."""

Order = Mapping[str, str]
"""An order as it is approved: every value is a text, numbers too."""


@dataclass(frozen=True)
class Approval:
    """An approval that was asked for. `status` is `pending`, `approved`, `denied`, `redeemed`, `expired` or `ended`."""

    approval_id: str
    status: str
    details_digest: str
    display: str
    order_tag: str
    expires_at: str


@dataclass(frozen=True)
class Redemption:
    """An approval that was spent. Tag the order at the broker with `order_tag`, so that both can be found together."""

    user_id: str
    approved_at: str
    redeemed_at: str
    acr: str
    order_tag: str


@dataclass(frozen=True)
class ApprovalClaims:
    """What the token of an approval vouches for. That it was not redeemed yet, only the identity service can say."""

    iss: str
    aud: str
    sub: str
    jti: str
    """The id of the approval."""
    iat: int
    exp: int
    order: dict[str, str]
    details_digest: str
    order_tag: str
    acr: str
    auth_time: int

    @classmethod
    def read(cls, payload: dict[str, Any], expected: Expectations, now: float) -> ApprovalClaims:
        """Return the claims of a payload whose signature is valid. Raise `TokenRejected` if one is not as expected."""
        claims = cls(
            iss=read_text(payload, "iss"),
            aud=read_audience(payload, expected.audience),
            sub=read_text(payload, "sub"),
            jti=read_text(payload, "jti"),
            iat=read_time(payload, "iat"),
            exp=read_time(payload, "exp"),
            order=_order(payload),
            details_digest=read_text(payload, "details_digest"),
            order_tag=read_text(payload, "order_tag"),
            acr=read_text(payload, "acr"),
            auth_time=read_time(payload, "auth_time"),
        )
        expect(claims.iss == expected.issuer, Rejection.ISSUER)
        check_times((claims.iat, claims.exp), expected.leeway, now)
        return claims

    def is_for(self, order: Order) -> bool:
        """Return whether exactly this order was approved: the same members, letter by letter."""
        return self.order == dict(order)


def _order(payload: dict[str, Any]) -> dict[str, str]:
    details = payload.get("authorization_details")
    expect(isinstance(details, list) and len(details) == 1 and isinstance(details[0], dict))
    order: dict[str, str] = details[0]  # type: ignore[index]
    expect(order.get("type") == "order" and all(isinstance(value, str) for value in order.values()))
    return order


def read_approval(body: Any) -> Approval:
    """Return the approval in a response."""
    return Approval(**_texts(body, fields(Approval)))


def read_redemption(body: Any) -> Redemption:
    """Return the redemption in a response."""
    return Redemption(**_texts(body, fields(Redemption)))


def _texts(body: Any, members: tuple[Field[Any], ...]) -> dict[str, str]:
    try:
        found = {member.name: body[member.name] for member in members}
    except (KeyError, TypeError):
        found = {}
    if not found or not all(isinstance(value, str) for value in found.values()):
        raise ServiceUnavailable(502, "unexpected_response", "the response is not as documented")
    return found
