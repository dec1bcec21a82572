//! Errors as the OpenAPI document describes them: one type for each status, to be named among the `responses` of a route.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Header, Object, Ref, RefOr, Response, ResponseBuilder, Type};

use super::{Code, MEDIA_TYPE, Problem, ProblemDocument};

macro_rules! problem_responses {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal, $code:ident, $about:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [($status.to_owned(), Ref::from_response_name(stringify!($name)).into())].into()
                }
            }
        )+

        /// Returns the description of every one of them, by name.
        pub(crate) fn described() -> [(&'static str, Response); [$($status),+].len()] {
            [$((stringify!($name), describe(Code::$code, $about))),+]
        }
    };
}

problem_responses! {
    /// 400: the request cannot be read.
    BadRequest = "400", MalformedJson, "The request or its JSON cannot be read";
    /// 401: the credentials are missing or not valid.
    Unauthorized = "401", AuthenticationRequired, "The credentials are missing or not valid";
    /// 403: the caller may not do this.
    Forbidden = "403", Forbidden, "The caller may not do this";
    /// 404: there is no such resource, or none that the caller may know of.
    NotFound = "404", NotFound, "There is no such resource, or none that the caller may know of";
    /// 408: the body did not arrive in time.
    RequestTimeout = "408", RequestTimeout, "The body did not arrive in time";
    /// 409: the state of a resource does not allow it.
    Conflict = "409", EmailTaken, "The state of a resource does not allow it; `code` names what stands in the way";
    /// 413: the body is too large.
    PayloadTooLarge = "413", PayloadTooLarge, "The body is larger than 16 KiB";
    /// 415: the body is not sent as JSON, or is compressed.
    UnsupportedMediaType = "415", UnsupportedMediaType, "The body is not sent as `application/json`, or has a `Content-Encoding`";
    /// 422: a value of the request cannot be accepted.
    Unprocessable = "422", ValidationFailed, "A value of the request cannot be accepted; `errors` names where";
    /// 428: a proof of work is needed first; `proof_of_work` says what to compute.
    WorkRequired = "428", ProofOfWorkRequired, "A proof of work is needed first; `proof_of_work` says what to compute";
    /// 429: throttled; `Retry-After` says for how long.
    TooManyRequests = "429", TooManyAttempts, "Throttled; `Retry-After` says for how long";
    /// 500: an error of the service itself.
    InternalError = "500", InternalError, "An error of the service itself; `request_id` finds it in the log";
    /// 503: something the service depends on is missing; `Retry-After` says when to try again.
    Unavailable = "503", Unavailable, "Something the service depends on does not respond; nothing was half done";
}

/// Returns the description of the responses of one status, with this code as the example.
fn describe(code: Code, about: &str) -> Response {
    let problem = match code {
        Code::ValidationFailed => Problem::invalid("/email", "must be an e-mail address"),
        _ => Problem::new(code),
    };
    let example = serde_json::to_value(problem.document(Some("0b5a7e1c4f9d2836a7c1e5f0b2d4968c"))).ok();
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(<ProblemDocument<'_> as utoipa::ToSchema>::name())))
        .example(example);
    let described = ResponseBuilder::new()
        .description(about)
        .content(MEDIA_TYPE, content.build())
        .header("X-Request-Id", text("The id under which this request is found in the logs"));
    match code {
        Code::AuthenticationRequired => {
            described.header("WWW-Authenticate", text("The challenge (RFC 6750 section 3)"))
        }
        Code::TooManyAttempts | Code::Unavailable => {
            described.header("Retry-After", text("Seconds to wait before the next try"))
        }
        _ => described,
    }
    .build()
}

fn text(about: &str) -> Header {
    HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(about)).build()
}
