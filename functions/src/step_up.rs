//! The proof in requests that ask a person who is signed in for one more.

use portcullis_http::{Object, Problem};
use portcullis_identity::{Password, PresentedCode, StepUp};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::passkeys::credentials::AssertionCredential;

/// A confirmation by the account's owner: the password, a code or a passkey, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
pub(crate) struct StepUpRequest {
    /// The account's password.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
    /// The `ceremony_token` of `/v1/auth/passkey/options`, where a passkey is the proof.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

impl StepUpRequest {
    /// Returns the proof; fails where there is none, or more than one.
    pub(crate) fn proof(self) -> Result<StepUp, Problem> {
        proof((self.password, self.code), (self.ceremony_token, self.credential))
    }
}

/// Returns the proof of a request that has other members beside it, of which a passkey has two: a token and what an
/// authenticator signed. Fails where there is none, or more than one.
pub(crate) fn proof(
    (password, code): (Option<Password>, Option<PresentedCode>),
    passkey: (Option<SecretString>, Option<Object<AssertionCredential>>),
) -> Result<StepUp, Problem> {
    match (password, code, passkey) {
        (Some(password), None, (None, None)) => Ok(StepUp::Password(password)),
        (None, Some(code), (None, None)) => Ok(StepUp::Code(code)),
        (None, None, (Some(ceremony_token), Some(Object(credential)))) => {
            passkey_proof(ceremony_token, &credential)
        }
        _ => {
            let detail = "either `password`, `code`, or `ceremony_token` and `credential` are needed";
            Err(Problem::invalid("", detail))
        }
    }
}

/// Returns a passkey as a proof; fails where what was shown is not in base64url.
pub(crate) fn passkey_proof(
    ceremony_token: SecretString,
    credential: &AssertionCredential,
) -> Result<StepUp, Problem> {
    Ok(StepUp::Passkey(Box::new(credential.presented(ceremony_token)?)))
}
