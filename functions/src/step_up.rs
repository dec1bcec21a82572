//! The proof in requests that ask a person who is signed in for one more.

use portcullis_http::Problem;
use portcullis_identity::{Password, PresentedCode, StepUp};
use serde::Deserialize;
use utoipa::ToSchema;

/// A confirmation by the account's owner: the password or a code, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
pub(crate) struct StepUpRequest {
    /// The account's password.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
}

impl StepUpRequest {
    /// Returns the proof; fails where there is none, or more than one.
    pub(crate) fn proof(self) -> Result<StepUp, Problem> {
        proof(self.password, self.code)
    }
}

/// Returns the proof of a request that has other members beside it; fails where there is none, or more than one.
pub(crate) fn proof(password: Option<Password>, code: Option<PresentedCode>) -> Result<StepUp, Problem> {
    match (password, code) {
        (Some(password), None) => Ok(StepUp::Password(password)),
        (None, Some(code)) => Ok(StepUp::Code(code)),
        _ => Err(Problem::invalid("", "either `password` or `code` is needed, not both")),
    }
}
