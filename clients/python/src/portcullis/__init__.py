"""Sign-in, permissions and broker credentials for the services of a trading platform that has Portcullis.

`Verifier` believes access tokens and API keys, `EdgeProof` the edge, `ServiceClient` asks the identity service;
`portcullis.fastapi` and `portcullis.starlette` bring them to routes.
"""

from portcullis.caller import AccessToken, ApiKey, Caller, Credential, credential_of
from portcullis.claims import Claims
from portcullis.credentials import AccountStatus, BrokerCredentials, Fallback, ProviderHealth, TradingAccount
from portcullis.edge import EdgeProof, Seen, SeenHere
from portcullis.effects import Clock
from portcullis.errors import (
    AccountDisabled,
    AmbiguousCredentials,
    ApiError,
    ApiKeyRejected,
    CredentialsMissing,
    FeedBehind,
    Frozen,
    InvalidRequest,
    NotAllowed,
    NotFound,
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
from portcullis.service import AsyncServiceClient, Retries, ServiceClient
from portcullis.verifier import AsyncVerifier, Verifier

__all__ = [
    "AccessToken",
    "AccountDisabled",
    "AccountStatus",
    "AmbiguousCredentials",
    "ApiError",
    "ApiKey",
    "ApiKeyRejected",
    "AsyncServiceClient",
    "AsyncVerifier",
    "BrokerCredentials",
    "Caller",
    "Claims",
    "Clock",
    "Credential",
    "CredentialsMissing",
    "Decision",
    "EdgeProof",
    "Fallback",
    "FeedBehind",
    "Frozen",
    "Grant",
    "InvalidRequest",
    "NotAllowed",
    "NotFound",
    "NotThroughTheEdge",
    "Permission",
    "PermissionRefused",
    "Policy",
    "PolicyError",
    "PortcullisError",
    "ProviderHealth",
    "ReauthorisationNeeded",
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
