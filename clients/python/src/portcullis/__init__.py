"""Sign-in, permissions and broker credentials for the services of a trading platform that has Portcullis.

`Verifier` believes access tokens and API keys, `EdgeProof` the edge, `ServiceClient` asks the identity service;
`portcullis.fastapi` and `portcullis.starlette` bring them to routes.
"""

from portcullis.approvals import Approval, ApprovalClaims, Redemption
from portcullis.caller import AccessToken, ApiKey, Caller, Credential, credential_of
from portcullis.claims import Claims
from portcullis.credentials import (
    AccountStatus,
    BrokerCredentials,
    Fallback,
    FreezeState,
    ProviderDecision,
    ProviderHealth,
    TradingAccount,
)
from portcullis.edge import EdgeProof, Seen, SeenHere
from portcullis.effects import Clock
from portcullis.errors import (
    AccountDisabled,
    AlreadyRedeemed,
    AmbiguousCredentials,
    ApiError,
    ApiKeyRejected,
    ApprovalOver,
    ApprovalPending,
    CredentialsMissing,
    DetailsMismatch,
    FeedBehind,
    Frozen,
    InsufficientAuthentication,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NothingToCancel,
    NotThroughTheEdge,
    PermissionRefused,
    PortcullisError,
    ReauthorisationNeeded,
    Refused,
    Rejection,
    ServiceTokenRejected,
    ServiceUnavailable,
    SessionRevoked,
    Throttled,
    TokenRejected,
    Unavailable,
)
from portcullis.policy import Decision, Grant, Permission, Policy, PolicyError
from portcullis.revocations import Revocations
from portcullis.secret import Secret
from portcullis.service import CANCEL_ORDERS, AsyncServiceClient, Retries, ServiceClient
from portcullis.verifier import AsyncVerifier, Verifier

__all__ = [
    "CANCEL_ORDERS",
    "AccessToken",
    "AccountDisabled",
    "AccountStatus",
    "AlreadyRedeemed",
    "AmbiguousCredentials",
    "ApiError",
    "ApiKey",
    "ApiKeyRejected",
    "Approval",
    "ApprovalClaims",
    "ApprovalOver",
    "ApprovalPending",
    "AsyncServiceClient",
    "AsyncVerifier",
    "BrokerCredentials",
    "Caller",
    "Claims",
    "Clock",
    "Credential",
    "CredentialsMissing",
    "Decision",
    "DetailsMismatch",
    "EdgeProof",
    "Fallback",
    "FeedBehind",
    "FreezeState",
    "Frozen",
    "Grant",
    "InsufficientAuthentication",
    "InvalidRequest",
    "NotAllowed",
    "NotFound",
    "NotThroughTheEdge",
    "NothingToCancel",
    "Permission",
    "PermissionRefused",
    "Policy",
    "PolicyError",
    "PortcullisError",
    "ProviderDecision",
    "ProviderHealth",
    "ReauthorisationNeeded",
    "Redemption",
    "Refused",
    "Rejection",
    "Retries",
    "Revocations",
    "Secret",
    "Seen",
    "SeenHere",
    "ServiceClient",
    "ServiceTokenRejected",
    "ServiceUnavailable",
    "SessionRevoked",
    "Throttled",
    "TokenRejected",
    "TradingAccount",
    "Unavailable",
    "Verifier",
    "credential_of",
]
