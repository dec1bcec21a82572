//! The token that says that an order was approved: a JWS of the keys that sign access tokens, of another type and for another
//! audience, so that it is never taken for one, nor one for it. Whoever has the JWKS can check it; that it was not redeemed yet,
//! the service alone can say.

use portcullis_store::{APPROVED_FOR, Approval, ApprovalDecision};
use serde::Serialize;
use serde_json::Value;

use super::views::order_tag;
use crate::Identity;
use crate::error::Error;
use crate::sign_in::login::unix_seconds;

/// The type in the header of such a token.
pub(crate) const TYPE: &str = "approval+jwt";
/// What comes behind the audience of access tokens.
const AUDIENCE: &str = "/execution";

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: String,
    sub: String,
    jti: String,
    iat: u64,
    exp: u64,
    authorization_details: Value,
    details_digest: String,
    order_tag: String,
    acr: &'a str,
    auth_time: u64,
}

impl Identity {
    /// Returns the token of an approval that was approved. It says the same whenever it is made; that of an elliptic curve is
    /// signed anew each time.
    pub(super) fn approval_token(
        &self,
        approval: &Approval,
        decision: &ApprovalDecision,
    ) -> Result<String, Error> {
        let broken = || Error::Internal("a stored approval is no JSON");
        let claims = Claims {
            iss: &self.settings.issuer,
            aud: format!("{}{AUDIENCE}", self.settings.audience),
            sub: approval.owner.to_string(),
            jti: approval.id.to_string(),
            iat: unix_seconds(decision.at),
            exp: unix_seconds(decision.at + APPROVED_FOR),
            authorization_details: serde_json::from_str(&approval.details).map_err(|_| broken())?,
            details_digest: super::views::encoded(&approval.digest),
            order_tag: order_tag(approval.id),
            acr: decision.acr.as_deref().unwrap_or_default(),
            auth_time: unix_seconds(decision.at),
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| broken())?;
        self.keyring.signing()?.sign_approval(&payload)
    }
}
