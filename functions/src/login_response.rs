//! The response to a right password, at a sign-in and where an expired one was replaced.

use axum::http::HeaderMap;
use portcullis_http::{AppState, Json, Problem, SessionResponse};
use portcullis_identity::{EnrolmentChallenge, EnrolmentMethod, Login, MfaChallenge};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

/// The response to a correct password: a session, or what is missing before it begins.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LoginResponse {
    /// A session.
    Authenticated(Box<SessionResponse>),
    /// The request for a code of the second factor.
    MfaRequired(MfaRequired),
    /// The request to set up a second factor.
    EnrolmentRequired(EnrolmentRequired),
}

impl LoginResponse {
    /// Returns the response, with the headers of a session; fails if a token cannot be a cookie.
    pub(crate) fn of(state: &AppState, login: Login) -> Result<(HeaderMap, Json<Self>), Problem> {
        let missing = match login {
            Login::SignedIn(session) => {
                let (headers, Json(answer)) = SessionResponse::of(state, *session)?;
                return Ok((headers, Json(Self::Authenticated(Box::new(answer)))));
            }
            Login::MfaRequired(challenge) => Self::MfaRequired(MfaRequired::of(&challenge)),
            Login::EnrolmentRequired(challenge) => Self::EnrolmentRequired(EnrolmentRequired::of(&challenge)),
        };
        Ok((HeaderMap::new(), Json(missing)))
    }
}

/// The status of a sign-in that is not finished.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LoginStatus {
    /// A code of the second factor is required.
    MfaRequired,
}

/// How a sign-in that is not finished can be finished.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MfaMethod {
    /// Six digits of the authenticator app.
    Totp,
    /// A backup code.
    BackupCode,
    /// A passkey, with `/v1/auth/passkey/options` and `/v1/auth/passkey/verify`: it signs in by itself, and needs no
    /// `session_token`.
    Passkey,
}

/// The request for a code of the second factor, to be sent to `/v1/auth/mfa/verify`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MfaRequired {
    /// Always `mfa_required`.
    status: LoginStatus,
    /// The token to send with the code; valid for one sign-in.
    session_token: String,
    /// How the sign-in can be finished: by the kinds of codes that are accepted, or by a passkey where the account has one.
    methods: Vec<MfaMethod>,
    /// How long the token is valid, in seconds.
    expires_in: u64,
}

impl MfaRequired {
    fn of(challenge: &MfaChallenge) -> Self {
        let mut methods = Vec::with_capacity(3);
        methods.extend((!challenge.has_codes_only).then_some(MfaMethod::Totp));
        methods.push(MfaMethod::BackupCode);
        methods.extend(challenge.has_passkeys.then_some(MfaMethod::Passkey));
        Self {
            status: LoginStatus::MfaRequired,
            session_token: challenge.token.secret().expose_secret().to_owned(),
            methods,
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}

/// The status of a sign-in that waits for a second factor to be set up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EnrolmentStatus {
    /// A second factor has to be set up.
    MfaEnrolmentRequired,
}

/// A factor that can be set up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EnrolmentMethodName {
    /// An authenticator app, at `/v1/mfa/totp/setup` and `/v1/mfa/totp/enable`.
    Totp,
    /// A passkey, at `/v1/passkeys/options` and `/v1/passkeys`.
    Passkey,
}

/// The request to set up a second factor, which a role of the account requires. It ends in the session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolmentRequired {
    /// What is missing: always `mfa_enrolment_required`.
    status: EnrolmentStatus,
    /// The token to set a factor up with; it is good for nothing else.
    session_token: String,
    /// The factors that can be set up; one of them is enough.
    methods: Vec<EnrolmentMethodName>,
    /// How long the token is valid, in seconds.
    expires_in: u64,
}

impl EnrolmentRequired {
    pub(crate) fn of(challenge: &EnrolmentChallenge) -> Self {
        let name = |method: &EnrolmentMethod| match method {
            EnrolmentMethod::Totp => EnrolmentMethodName::Totp,
            EnrolmentMethod::Passkey => EnrolmentMethodName::Passkey,
        };
        Self {
            status: EnrolmentStatus::MfaEnrolmentRequired,
            session_token: challenge.token.secret().expose_secret().to_owned(),
            methods: challenge.methods.iter().map(name).collect(),
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}
