//! Errors as the OpenAPI document describes them: one type for each status, to be named among the `responses` of a route.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Ref, RefOr, Response};

macro_rules! problem_responses {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [($status.to_owned(), Ref::from_response_name("Problem").into())].into()
                }
            }
        )+
    };
}

problem_responses! {
    /// 401: the credentials are missing or not valid.
    Unauthorized = "401";
    /// 403: the caller may not do this.
    Forbidden = "403";
    /// 404: there is no such resource, or none that the caller may know of.
    NotFound = "404";
    /// 409: the state of a resource does not allow it.
    Conflict = "409";
    /// 422: a value of the request cannot be accepted.
    Unprocessable = "422";
    /// 429: throttled; `Retry-After` says for how long.
    TooManyRequests = "429";
    /// 503: something the service depends on is missing; `Retry-After` says when to try again.
    Unavailable = "503";
}
