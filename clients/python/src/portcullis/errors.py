"""Every error of this package: tokens that are refused, and what the identity service answers.

A client's fault and an outage are never the same class: `Refused` becomes 4xx, `Unavailable` becomes 503.
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class PortcullisError(Exception):
    """The root of all of them."""


class Rejection(str, Enum):
    """Why a token is refused: a text for the client, which quotes nothing of the token."""

    TOO_LARGE = "the token is too long"
    MALFORMED = "the token is malformed"
    WRONG_TYPE = "the token is not an access token"
    ALGORITHM = "the signature algorithm is not allowed"
    UNKNOWN_KEY = "the issuer has no such key"
    SIGNATURE = "the signature is not valid"
    ISSUER = "the token was issued by somebody else"
    AUDIENCE = "the token is meant for somebody else"
    EXPIRED = "the token has expired"
    NOT_YET_VALID = "the token is not valid yet"
    CLAIM = "a claim is missing or not acceptable"
    REVOKED = "the session has ended"


class Refused(PortcullisError):
    """Whoever sends this request must not do what it asks for.

    `status`, `code` and `challenge` are what the response says (RFC 9457, RFC 6750 section 3).
    """

    status = 401
    code = "invalid_token"
    error: str | None = "invalid_token"

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description

    def challenge(self, realm: str) -> str:
        """Return the value of `WWW-Authenticate`. Every description is one of ours and has no quotation mark."""
        parameters = [f'realm="{realm}"']
        if self.error is not None:
            parameters += [f'error="{self.error}"', f'error_description="{self.description}"']
        return "Bearer " + ", ".join(parameters)


class CredentialsMissing(Refused):
    """The request brings no credential. RFC 6750 section 3.1 has no error code for it."""

    code = "authentication_required"
    error = None


class TokenRejected(Refused):
    """The token is not one of ours, or not good now."""

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SessionRevoked(TokenRejected):
    """The session of the token has ended: only signing in again helps."""

    code = "session_revoked"

    def __init__(self) -> None:
        super().__init__(Rejection.REVOKED)


class ApiKeyRejected(Refused):
    """The API key is not one of ours, or not good now."""

    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__("the API key is not valid")


class AmbiguousCredentials(Refused):
    """The request brings two credentials, which could speak for two callers."""

    status = 400
    code = "bad_request"
    error = "invalid_request"


class PermissionRefused(Refused):
    """The caller is known, and may not do this."""

    status = 403
    code = "forbidden"
    error = "insufficient_scope"

    def __init__(self, description: str, scope: str | None = None) -> None:
        super().__init__(description)
        self.scope = scope

    def challenge(self, realm: str) -> str:
        """Return the challenge with the permission that is lacking."""
        challenge = super().challenge(realm)
        return challenge if self.scope is None else f'{challenge}, scope="{self.scope}"'


class InsufficientAuthentication(Refused):
    """The caller has not proved who they are as surely, or as lately, as this needs (RFC 9470 section 3)."""

    code = "insufficient_user_authentication"
    error = "insufficient_user_authentication"

    def __init__(self, acr: str | None = None, max_age: int | None = None) -> None:
        super().__init__("a stronger or newer sign-in is needed")
        self.acr = acr
        self.max_age = max_age

    def challenge(self, realm: str) -> str:
        """Return the challenge with what the sign-in has to be."""
        needed = [] if self.acr is None else [f'acr_values="{self.acr}"']
        needed += [] if self.max_age is None else [f'max_age="{self.max_age}"']
        return ", ".join([super().challenge(realm), *needed])


class NotThroughTheEdge(Refused):
    """The request has no valid proof of the edge, or one that was used before."""

    status = 403
    code = "edge_required"

    def challenge(self, realm: str) -> str:  # noqa: ARG002
        """Return nothing: no credential of the client would help."""
        return ""


class Unavailable(PortcullisError):
    """Nobody can tell at the moment: no keys, no answer, or revocations that are too old to decide on."""

    def __init__(self, description: str, retry_after: float = 1.0) -> None:
        super().__init__(description)
        self.retry_after = retry_after


class FeedBehind(Unavailable):
    """It is not known whether the session has ended, and the service chose to refuse then (`fail_closed`)."""


class ApiError(PortcullisError):
    """The identity service refused a request, by RFC 9457."""

    def __init__(self, status: int, code: str, detail: str, request_id: str | None = None) -> None:
        super().__init__(f"{code}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.errors: list[dict[str, Any]] = []


class ServiceTokenRejected(ApiError):
    """The service's own token is not valid: deploy the current one."""


class NotAllowed(ApiError):
    """`SERVICES` does not give this service that right, or the caller lacks the permission."""


class Frozen(ApiError):
    """The owner, or an administrator, stopped every reading of the credentials. Stop trading for them; do not try again."""


class NothingToCancel(ApiError):
    """No freeze stands by which orders were to be cancelled: it was lifted, or asked for no cancelling."""


class ReauthorisationNeeded(ApiError):
    """The owner has to log in at the broker, or to replace the credentials, before they can be used."""


class AccountDisabled(ApiError):
    """The trading account, or its owner's account, is switched off."""


class ApprovalPending(ApiError):
    """The person who is asked for an approval has not decided yet. Ask again later."""


class ApprovalOver(ApiError):
    """An approval was refused, its time is over, or it was ended. Do not place the order."""


class AlreadyRedeemed(ApprovalOver):
    """An approval was spent already. Somebody has placed its order, or is about to."""


class DetailsMismatch(ApiError):
    """Something else was approved than this order. Nothing was spent; do not place the order."""


class NotFound(ApiError):
    """There is no such thing, or none that the service may know of."""


class InvalidRequest(ApiError):
    """The request has values that cannot be used; `errors` names them."""


class Throttled(ApiError):
    """Too many requests for now, also after waiting as long as was asked and allowed."""

    retry_after: float | None = None


class ServiceUnavailable(ApiError, Unavailable):
    """The service or the broker did not answer, also after the retries that were safe."""

    def __init__(
        self, status: int, code: str, detail: str, request_id: str | None = None, retry_after: float = 1.0
    ) -> None:
        ApiError.__init__(self, status, code, detail, request_id)
        self.retry_after = retry_after


_BY_CODE: dict[str, type[ApiError]] = {
    "authentication_required": ServiceTokenRejected,
    "invalid_service_token": ServiceTokenRejected,
    "forbidden": NotAllowed,
    "edge_required": NotAllowed,
    "credentials_frozen": Frozen,
    "nothing_to_cancel": NothingToCancel,
    "no_broker_session": ReauthorisationNeeded,
    "credential_unavailable": ReauthorisationNeeded,
    "trading_account_disabled": AccountDisabled,
    "approval_pending": ApprovalPending,
    "approval_over": ApprovalOver,
    "already_redeemed": AlreadyRedeemed,
    "details_mismatch": DetailsMismatch,
    "too_many_approvals": Throttled,
    "not_found": NotFound,
    "validation_failed": InvalidRequest,
    "bad_request": InvalidRequest,
    "malformed_json": InvalidRequest,
    "too_many_attempts": Throttled,
}


def from_problem(status: int, problem: object, retry_after: float | None = None) -> ApiError:
    """Return the error for a response that is none of success; its body may be anything."""
    members = problem if isinstance(problem, dict) else {}
    code, detail = str(members.get("code", "unknown")), str(members.get("detail", f"status {status}"))
    request_id = members.get("request_id")
    request_id = request_id if isinstance(request_id, str) else None
    if status >= 500:
        return ServiceUnavailable(status, code, detail, request_id, retry_after or 1.0)
    kind = _BY_CODE.get(code, Throttled if status == 429 else ApiError)
    error = kind(status, code, detail, request_id)
    errors = members.get("errors")
    error.errors = errors if isinstance(errors, list) else []
    if isinstance(error, Throttled):
        error.retry_after = retry_after
    return error
