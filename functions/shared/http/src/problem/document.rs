//! The body of a problem, and how it is described to readers of the OpenAPI document.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::Code;

/// Problem details (RFC 9457 section 3) with the members of this product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// The kind of problem, as a URN. It is the same in every deployment, and there is nothing to download behind it.
    #[serde(rename = "type")]
    #[schema(example = "urn:portcullis:problem:not_found")]
    pub kind: String,
    /// A short summary of the kind of problem.
    pub title: &'a str,
    /// The HTTP status of the response.
    #[schema(example = 404)]
    pub status: u16,
    /// An explanation of this occurrence, for people.
    pub detail: &'a str,
    /// The stable code of the error, for programs.
    pub code: Code,
    /// The id of the request, as in the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = String)]
    pub request_id: Option<&'a str>,
    /// The values that cannot be used; only with status 422.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
    /// The token for `/v1/auth/password/rotate`; only with the code `password_expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_token: Option<&'a str>,
    /// What to compute before the request is sent again; only with the code `proof_of_work_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub proof_of_work: Option<&'a ProofOfWork>,
}

/// A puzzle. Find any `counter` for which the SHA-256 digest of the text `challenge:counter` begins with `bits` zero bits,
/// and send that text as `proof_of_work` within 5 minutes. It works once, for the same route and e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProofOfWork {
    /// The text to be continued with a colon and the counter.
    pub challenge: String,
    /// How many zero bits the digest must begin with.
    #[schema(example = 18)]
    pub bits: u8,
}

/// One value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The place of the value in the body, as a JSON Pointer (RFC 6901). For a header or a query parameter, a slash and its
    /// name.
    #[schema(example = "/email")]
    pub pointer: String,
    /// An explanation of what is accepted. It never repeats the value, which may be a password.
    #[schema(value_type = String, example = "must be a string")]
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// Returns the error about the value at `pointer`, which is empty for the whole body.
    pub fn new(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}
