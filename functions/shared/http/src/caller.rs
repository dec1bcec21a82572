//! Who is calling, by the access token of the request.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use portcullis_identity::Caller;

use crate::{AppState, Code, Problem};

/// A person with a live session. Taking it as an argument is what protects a handler.
#[derive(Debug, Clone)]
pub struct SignedInCaller(pub Caller);

impl FromRequestParts<AppState> for SignedInCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers).ok_or(Code::AuthenticationRequired)?;
        Ok(Self(state.identity.authenticate(token).await?))
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750, section 2.1), if there is exactly one such header.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_header_one_token() {
        let headers = |values: &[&'static str]| {
            values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect::<HeaderMap>()
        };
        assert_eq!(bearer_token(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer_token(&headers(&["bearer  abc"])), Some("abc"));
        for none in [&[][..], &["Basic abc"], &["Bearer"], &["abc"], &["Bearerabc"]] {
            assert_eq!(bearer_token(&headers(none)), None);
        }
        let mut twice = headers(&["Bearer abc"]);
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer def"));
        assert_eq!(bearer_token(&twice), None);
    }
}
