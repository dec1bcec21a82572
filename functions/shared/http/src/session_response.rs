//! Accounts, sessions and refresh tokens in responses.

use axum::http::HeaderMap;
use http::header::SET_COOKIE;
use jiff::Timestamp;
use portcullis_identity::{Account, RefreshGrant, SignedIn};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountStatusWord, AppState, Json, Problem, Word, device_cookie};

/// The account of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// The id of the account, opaque.
    #[schema(example = "usr_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    pub user_id: String,
    /// The e-mail address in its canonical form; `null` for an account without one, which signs in with the username alone.
    pub email: Option<String>,
    /// The username to sign in with, beside the e-mail address or in its place; `null` without one.
    pub username: Option<String>,
    /// The person's name.
    pub name: String,
    /// The telephone number; `null` without one.
    pub phone: Option<String>,
    /// The names of the account's roles.
    pub roles: Vec<String>,
    /// `active` or `disabled`.
    pub status: AccountStatusWord,
    /// Whether sign-in requires a second factor.
    pub mfa_enabled: bool,
    /// Whether its owner removed the password: passkeys alone sign in.
    pub passwordless: bool,
    /// Whether the e-mail address was confirmed.
    pub email_verified: bool,
    /// When the account was created (RFC 3339, UTC).
    pub created_at: String,
    /// When the person last signed in (RFC 3339, UTC); `null` before the first time.
    pub last_login_at: Option<String>,
    /// When the password expires (RFC 3339, UTC); `null` if it does not.
    pub password_expires_at: Option<String>,
}

impl User {
    /// Returns an account as every client sees it, and when its owner last signed in.
    pub fn of(state: &AppState, account: Account, last_login_at: Option<Timestamp>) -> Self {
        Self {
            password_expires_at: state.identity.password_expires_at(&account).map(rfc3339),
            user_id: account.id.to_string(),
            email: account.address().map(str::to_owned),
            username: account.username,
            name: account.name,
            phone: account.phone,
            roles: account.roles,
            status: Word(account.status),
            mfa_enabled: account.mfa_enabled,
            passwordless: account.is_passwordless,
            email_verified: account.email_verified,
            created_at: rfc3339(account.created_at),
            last_login_at: last_login_at.map(rfc3339),
        }
    }
}

/// Returns the time as RFC 3339 in UTC.
pub fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// How a client receives its refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenDelivery {
    /// As a cookie, for browsers.
    #[default]
    Cookie,
    /// In the body, for programs.
    Body,
}

/// The status of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The person is signed in.
    Authenticated,
}

/// How an access token is sent (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum TokenType {
    /// As `Authorization: Bearer`.
    Bearer,
}

/// A new session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionResponse {
    /// Always `authenticated`.
    pub status: SessionStatus,
    /// The access token, a JWT to be sent as `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: TokenType,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// The refresh token; with `token_delivery: "body"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The device token; with `token_delivery: "body"` only. Sent with the next sign-in from this device, it makes it a known
    /// device of the owner. It grants no access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// The account that signed in.
    pub user: User,
}

impl SessionResponse {
    /// Returns the response to a finished sign-in, with the headers that belong to it; fails if a token cannot be a cookie.
    pub fn of(state: &AppState, session: SignedIn) -> Result<(HeaderMap, Json<Self>), Problem> {
        let delivery = if session.token_in_body { TokenDelivery::Body } else { TokenDelivery::Cookie };
        let (mut headers, refresh_token) = session_headers(state, &session.refresh, delivery)?;
        let device_token = match delivery {
            TokenDelivery::Body => Some(session.device.expose_secret().to_owned()),
            TokenDelivery::Cookie => {
                headers.append(SET_COOKIE, device_cookie::set(&state.settings.public_url, &session.device)?);
                None
            }
        };
        let answer = Self {
            status: SessionStatus::Authenticated,
            access_token: session.access_token,
            token_type: TokenType::Bearer,
            expires_in: session.expires_in.as_secs(),
            refresh_token,
            device_token,
            user: User::of(state, session.account, Some(session.at)),
        };
        Ok((headers, Json(answer)))
    }
}

/// Returns the headers that make a browser a known device.
pub fn device_headers(state: &AppState, token: &SecretString) -> Result<HeaderMap, Problem> {
    Ok([(SET_COOKIE, device_cookie::set(&state.settings.public_url, token)?)].into_iter().collect())
}

/// Returns the headers that hand a refresh token to a browser, or the token for the body of a program. A browser keeps the
/// cookie it has where the token is the one it sent: this response may arrive after one with a newer token.
pub fn session_headers(
    state: &AppState,
    grant: &RefreshGrant,
    delivery: TokenDelivery,
) -> Result<(HeaderMap, Option<String>), Problem> {
    let mut headers = HeaderMap::new();
    if delivery == TokenDelivery::Body {
        return Ok((headers, Some(grant.token.secret().expose_secret().to_owned())));
    }
    if grant.is_new {
        let lifetime = grant.persistent.then_some(grant.max_age);
        headers.insert(SET_COOKIE, state.refresh_cookie().set(grant.token.secret(), lifetime)?);
    }
    Ok((headers, None))
}
