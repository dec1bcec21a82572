//! Who is calling: a person with an access token, a program with an API key, or a service with its token.

use axum::extract::{FromRequestParts, MatchedPath};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use portcullis_identity::{Admin, Caller, Principal, Service};
use secrecy::SecretString;

use crate::{AppState, Client, Code, Problem};

const API_KEY: &str = "x-api-key";
pub(crate) const SERVICE_TOKEN: &str = "x-service-token";

/// A person with a live session. Taking it as an argument is what protects a handler.
#[derive(Debug, Clone)]
pub struct SignedInCaller(pub Caller);

impl FromRequestParts<AppState> for SignedInCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Self::of(state, &parts.headers).await
    }
}

impl SignedInCaller {
    /// Returns who shows the access token in these headers, for routes that take another credential in its place.
    pub async fn of(state: &AppState, headers: &HeaderMap) -> Result<Self, Problem> {
        let token = bearer_token(headers).ok_or(Code::AuthenticationRequired)?;
        Ok(Self(state.identity.authenticate(token).await?))
    }
}

/// A person with a live session whose token says that they proved who they are a short while ago. What gives lasting access,
/// or takes protection away, asks for it: a stolen token is good for what lasts as long as it does.
#[derive(Debug, Clone)]
pub struct FreshCaller(pub Caller);

impl FromRequestParts<AppState> for FreshCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let SignedInCaller(caller) = SignedInCaller::from_request_parts(parts, state).await?;
        state.identity.require_fresh_proof(&caller)?;
        Ok(Self(caller))
    }
}

/// An administrator whose token says that they proved who they are a short while ago.
#[derive(Debug, Clone)]
pub struct FreshAdmin(pub Admin);

impl FromRequestParts<AppState> for FreshAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let AdminCaller(admin) = AdminCaller::from_request_parts(parts, state).await?;
        state.identity.require_fresh_proof(&admin.0)?;
        Ok(Self(admin))
    }
}

/// An administrator with a live session. The role is read from the account and not from the token, so that one who was
/// demoted is refused at once. A refusal is recorded in the caller's audit trail.
#[derive(Debug, Clone)]
pub struct AdminCaller(pub Admin);

impl FromRequestParts<AppState> for AdminCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let SignedInCaller(caller) = SignedInCaller::from_request_parts(parts, state).await?;
        let Ok(client) = Client::from_request_parts(parts, state).await;
        // The pattern, not the path: what somebody else's account is called is no part of it.
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let request = format!("{} {path}", parts.method);
        Ok(Self(state.identity.require_admin(caller, &request, &client.into()).await?))
    }
}

/// A person with a live session, or a program with an API key, for the routes that accept both. What a program
/// may do is less than what its owner may: ask [`Principal::require`].
#[derive(Debug, Clone)]
pub struct AnyCaller(pub Principal);

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match (shows_token(&parts.headers), has_key(&parts.headers)) {
            (true, true) => {
                let detail = "Send either an access token or an API key, not both.";
                Err(Problem::new(Code::BadRequest).with_detail(detail))
            }
            (false, true) => {
                let key = only_header(&parts.headers, API_KEY).ok_or(Code::InvalidApiKey)?;
                let holder = state.identity.authenticate_key(&key).await?;
                Ok(Self(Principal::Key(Box::new(holder))))
            }
            _ => {
                let SignedInCaller(caller) = SignedInCaller::from_request_parts(parts, state).await?;
                Ok(Self(Principal::Person(Box::new(caller))))
            }
        }
    }
}

/// What a caller shows on routes that people, programs and services share. Nothing of it is verified, so that it can be in the
/// same round as what the request is decided on.
#[derive(Debug, Clone)]
pub enum UnverifiedCredential {
    /// An access token.
    AccessToken(SecretString),
    /// An API key.
    ApiKey(SecretString),
    /// The token of a service.
    ServiceToken(SecretString),
}

impl<S: Sync> FromRequestParts<S> for UnverifiedCredential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        match (shows_token(headers), has_key(headers), headers.contains_key(SERVICE_TOKEN)) {
            (_, false, false) => {
                let token = bearer_token(headers).ok_or(Code::AuthenticationRequired)?;
                Ok(Self::AccessToken(token.into()))
            }
            (false, true, false) => {
                only_header(headers, API_KEY).map(Self::ApiKey).ok_or_else(|| Code::InvalidApiKey.into())
            }
            (false, false, true) => only_header(headers, SERVICE_TOKEN)
                .map(Self::ServiceToken)
                .ok_or_else(|| Code::InvalidServiceToken.into()),
            _ => {
                let detail = "Send one of an access token, an API key and a service token, not several.";
                Err(Problem::new(Code::BadRequest).with_detail(detail))
            }
        }
    }
}

/// A service of the platform. What it may do, its rights say: ask [`Service::require`].
#[derive(Debug, Clone)]
pub struct ServiceCaller(pub Service);

impl FromRequestParts<AppState> for ServiceCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if !parts.headers.contains_key(SERVICE_TOKEN) {
            return Err(
                Problem::new(Code::AuthenticationRequired).with_detail("This request needs a service token.")
            );
        }
        let token = only_header(&parts.headers, SERVICE_TOKEN).ok_or(Code::InvalidServiceToken)?;
        Ok(Self(state.identity.authenticate_service(&token).await?))
    }
}

/// Whether `Authorization` may hold an access token. Proxies and libraries add one of another scheme, or an empty one, to
/// requests with an API key; neither says who is calling here.
fn shows_token(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => {
            let scheme = only.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
            scheme.eq_ignore_ascii_case(b"bearer")
        }
        (first, _) => first.is_some(),
    }
}

/// Whether an API key was sent. One empty value is what a program sends that has none.
fn has_key(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(API_KEY).iter();
    values.next().is_some_and(|first| !first.is_empty() || values.next().is_some())
}

/// The value of a header that is there exactly once.
fn only_header(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value.to_str().ok()?.into())
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
        for (values, shown) in [
            (&[][..], false),
            (&[""], false),
            (&["Basic abc"], false),
            (&["Bearerabc"], false),
            (&["Bearer"], true),
            (&["bearer abc"], true),
            (&["Basic abc", "Basic abc"], true),
        ] {
            assert_eq!(shows_token(&headers(values)), shown, "{values:?}");
        }
        let mut twice = headers(&["Bearer abc"]);
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer def"));
        assert_eq!(bearer_token(&twice), None);
    }
}
