//! What the routes of approvals answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_http::{AppState, ApprovalMethodWord, ApprovalStateWord, Code, Problem, Word, rfc3339};
use portcullis_identity::{
    ApprovalChallenge, ApprovalState, ApprovalStatus, ApprovalView, Assertion, Decided, Redeemed,
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::order::OrderDetails;
use crate::passkeys::options::RequestOptions;

/// An approval that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestedApproval {
    /// The id of the approval, opaque.
    #[schema(example = "apr_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    approval_id: String,
    /// What has become of it: `pending`.
    status: ApprovalStateWord,
    /// SHA-256 of the canonical form (RFC 8785) of `authorization_details`, in base64url.
    #[schema(example = "2vM0bS8uJ2mL6cT9eS4aGdPiOoXyQh7UkbZ0n5rR1xq")]
    details_digest: String,
    /// What the person reads, in words.
    display: String,
    /// What the order is to be tagged with at the broker: 20 letters and digits.
    #[schema(example = "7d0c8f21b7e5d4a39c10")]
    order_tag: String,
    /// When the person has to have decided (RFC 3339, UTC).
    expires_at: String,
}

impl From<ApprovalView> for RequestedApproval {
    fn from(view: ApprovalView) -> Self {
        Self {
            approval_id: view.approval.id.to_string(),
            status: Word(view.state),
            details_digest: view.details_digest(),
            order_tag: view.order_tag(),
            display: view.approval.display,
            expires_at: rfc3339(view.approval.expires_at),
        }
    }
}

/// An approval, and what has become of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalItem {
    /// What was asked for.
    #[serde(flatten)]
    asked: RequestedApproval,
    /// What is to be approved.
    #[schema(value_type = Vec<OrderDetails>)]
    authorization_details: Value,
    /// Who asked: `self`, `key:` and the id of an API key, or `service:` and the name of a service.
    #[schema(example = "service:trading")]
    asked_by: String,
    /// When (RFC 3339, UTC).
    created_at: String,
    /// When it was decided (RFC 3339, UTC); `null` before that.
    decided_at: Option<String>,
    /// When a service redeemed it (RFC 3339, UTC); `null` before that.
    redeemed_at: Option<String>,
    /// What proves that the person approved this order, where they did with a passkey; `null` otherwise.
    evidence: Option<Evidence>,
}

/// What an authenticator signed: an assertion of WebAuthn, with the key to verify it by. Its challenge ends with the digest of
/// the order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Evidence {
    /// The id of the passkey.
    #[serde(rename = "passkey_id")]
    passkey_id: String,
    /// Its public key: a `COSE_Key`, in base64url.
    #[serde(rename = "public_key")]
    public_key: String,
    /// What the browser said of the ceremony: JSON, in base64url.
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    /// What the authenticator said of itself, in base64url.
    authenticator_data: String,
    /// The signature over both, in base64url.
    signature: String,
}

impl From<Assertion> for Evidence {
    fn from(assertion: Assertion) -> Self {
        Self {
            passkey_id: assertion.passkey.to_string(),
            public_key: BASE64URL.encode(assertion.public_key),
            client_data_json: BASE64URL.encode(assertion.client_data_json),
            authenticator_data: BASE64URL.encode(assertion.authenticator_data),
            signature: BASE64URL.encode(assertion.signature),
        }
    }
}

impl ApprovalItem {
    /// Returns an approval as its owner sees it; fails where its details are no JSON.
    pub(super) fn of(view: ApprovalView) -> Result<Self, Problem> {
        let details = serde_json::from_str(&view.approval.details).map_err(|_| Code::InternalError)?;
        let decision = view.approval.decision.clone();
        Ok(Self {
            authorization_details: details,
            asked_by: view.approval.asked_by.clone(),
            created_at: rfc3339(view.approval.created_at),
            redeemed_at: view.approval.redemption.as_ref().map(|redemption| rfc3339(redemption.at)),
            decided_at: decision.as_ref().map(|decision| rfc3339(decision.at)),
            evidence: decision.and_then(|decision| decision.assertion).map(Evidence::from),
            asked: view.into(),
        })
    }
}

/// What a person needs to approve an order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalChallengeResponse {
    /// The ways in which the caller can approve it, the surest first.
    methods: Vec<ApprovalMethodWord>,
    /// The token to send with what the browser returns; absent for somebody without a passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceremony_token: Option<String>,
    /// The options for `navigator.credentials.get`, as `PublicKeyCredential.parseRequestOptionsFromJSON` reads them; absent for
    /// somebody without a passkey.
    #[serde(rename = "publicKey", skip_serializing_if = "Option::is_none")]
    public_key: Option<RequestOptions>,
    /// How long there is to decide, in seconds.
    expires_in: u64,
}

impl ApprovalChallengeResponse {
    /// Returns what a browser needs; fails where there can be no passkeys, and somebody has one.
    pub(super) fn of(state: &AppState, challenge: ApprovalChallenge) -> Result<Self, Problem> {
        let (mut ceremony_token, mut public_key) = (None, None);
        if let Some((token, signed)) = &challenge.ceremony {
            let relying_party = state.identity.relying_party()?;
            ceremony_token = Some(token.secret().expose_secret().to_owned());
            public_key = Some(RequestOptions::of(relying_party, signed, challenge.expires_in));
        }
        Ok(Self {
            methods: challenge.methods.into_iter().map(Word).collect(),
            ceremony_token,
            public_key,
            expires_in: challenge.expires_in.as_secs(),
        })
    }
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DecisionResponse {
    /// What was decided: `approved` or `denied`.
    status: ApprovalStateWord,
    /// A signed token (`approval+jwt`) that says what was approved, and by whom; absent where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_token: Option<String>,
    /// How long the token is valid, and the approval can be redeemed, in seconds; absent where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

impl From<Decided> for DecisionResponse {
    fn from(decided: Decided) -> Self {
        let is_denied = decided.status == ApprovalStatus::Denied;
        Self {
            status: Word(if is_denied { ApprovalState::Denied } else { ApprovalState::Approved }),
            expires_in: decided.token.is_some().then_some(decided.expires_in.as_secs()),
            approval_token: decided.token,
        }
    }
}

/// An approval that is spent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedemptionResponse {
    /// The person who approved the order.
    #[schema(example = "usr_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    user_id: String,
    /// When they did (RFC 3339, UTC).
    approved_at: String,
    /// When the approval was redeemed (RFC 3339, UTC): now, or when this very request was sent first.
    redeemed_at: String,
    /// How surely the person proved who they are: `aal2` with a code, `phr` with a passkey.
    #[schema(example = "phr")]
    acr: String,
    /// What the order is to be tagged with at the broker: 20 letters and digits.
    #[schema(example = "7d0c8f21b7e5d4a39c10")]
    order_tag: String,
}

impl From<Redeemed> for RedemptionResponse {
    fn from(redeemed: Redeemed) -> Self {
        Self {
            user_id: redeemed.owner.to_string(),
            approved_at: rfc3339(redeemed.approved_at),
            redeemed_at: rfc3339(redeemed.redeemed_at),
            acr: redeemed.acr,
            order_tag: redeemed.order_tag,
        }
    }
}
