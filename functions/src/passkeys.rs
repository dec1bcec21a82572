//! `/v1/passkeys` and `/v1/auth/passkey/…`: a person's own passkeys, and signing in with one. `identity::passkeys` decides.

pub(crate) mod credentials;
pub(crate) mod options;
mod passwordless;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use portcullis_http::responses::{
    BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, Client, Code, Json, List, Object, PathId, Problem, SessionResponse, SignedInCaller,
    TokenDelivery, object, rfc3339, texts,
};
use portcullis_identity::{
    Caller, DeviceName, EnrolledSignIn, NewPasskey, Passkey, PasskeyId, PasskeyLogin, PasskeyName, Password,
    PresentedCode,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::credentials::{AssertionCredential, RegistrationCredential};
use self::options::{PasskeyCreationResponse, PasskeyRequestResponse};
use crate::mfa::shown;
use crate::path_parameters::PasskeyPath;
use crate::step_up::{StepUpRequest, proof};

/// How long a browser may remember on which pages passkeys may be used.
const CACHE: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=300");

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(begin_sign_in))
        .routes(routes!(sign_in))
        .routes(routes!(begin_creation))
        .routes(routes!(list, add))
        .routes(routes!(rename, remove))
        .routes(routes!(related_origins))
        .merge(passwordless::routes())
}

/// The second request of a sign-in with a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "ceremony_token": "pkg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "credential": AssertionCredential::example()
}))]
struct PasskeySignInRequest {
    /// The `ceremony_token` of the response with the options.
    #[schema(value_type = String)]
    ceremony_token: SecretString,
    /// What the browser returned, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(deserialize_with = "object")]
    credential: AssertionCredential,
    /// Whether the browser keeps the session after it is closed.
    #[serde(default)]
    persist_session: bool,
    /// A name for the device, shown in the list of sessions.
    #[schema(value_type = Option<texts::DeviceName>)]
    device_name: Option<DeviceName>,
    /// The `device_token` of an earlier sign-in from this device, for programs; browsers have a cookie for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
    /// How the refresh token is returned: `cookie` for browsers, `body` for programs.
    #[serde(default)]
    token_delivery: TokenDelivery,
}

/// A passkey that an authenticator made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "ceremony_token": "pkc_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "name": "Phone",
    "credential": {
        "id": "Cm9Xc1dU4qN2vB8kJ7yLwQ",
        "rawId": "Cm9Xc1dU4qN2vB8kJ7yLwQ",
        "type": "public-key",
        "response": {
            "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0",
            "attestationObject": "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YQ",
            "transports": ["internal", "hybrid"]
        }
    }
}))]
struct AddPasskeyRequest {
    /// The `ceremony_token` of the response with the options.
    #[schema(value_type = String)]
    ceremony_token: SecretString,
    /// What the browser returned, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(deserialize_with = "object")]
    credential: RegistrationCredential,
    /// A name for the passkey: 1 to 100 characters.
    #[schema(value_type = Option<texts::PasskeyName>)]
    name: Option<PasskeyName>,
    /// The `session_token` of a sign-in that has to wait for its first factor, in place of an access token: the one that the
    /// ceremony was begun with.
    #[schema(value_type = Option<String>)]
    session_token: Option<SecretString>,
    /// The `device_token` of an earlier sign-in from this device, for programs that complete a sign-in; browsers have a cookie
    /// for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
}

/// A passkey that was added, and what it completed.
#[derive(Debug, Serialize, ToSchema)]
struct AddedPasskeyResponse {
    /// The passkey's members.
    #[serde(flatten)]
    passkey: PasskeyItem,
    /// Ten codes for the day it is lost, where a `session_token` was sent: each signs in once, after the password. No other
    /// response contains them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["mzxw6-ytboi"]))]
    backup_codes: Option<Vec<String>>,
    /// The session that waited for it, where a `session_token` was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionResponse>,
}

/// The proof that a passkey is to be made, or the sign-in that waits for a factor.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
struct BeginPasskeyRequest {
    /// The `session_token` of a sign-in that has to wait for its first factor, in place of an access token and of a proof.
    #[schema(value_type = Option<String>)]
    session_token: Option<SecretString>,
    /// The account's password; of an account with a second factor a `code` or a passkey is needed.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
    /// The `ceremony_token` of `/v1/auth/passkey/options`, where another passkey is the proof.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

/// Who has a passkey made.
enum Maker {
    /// Somebody who is signed in.
    SignedIn(Box<Caller>),
    /// Somebody whose sign-in waits for a first factor.
    Waiting(SecretString),
}

impl Maker {
    /// Returns who it is: of an access token and the token of a sign-in there is exactly one. Fails like any request that
    /// takes an access token.
    async fn of(
        state: &AppState,
        headers: &HeaderMap,
        session_token: Option<SecretString>,
    ) -> Result<Self, Problem> {
        match session_token {
            None => {
                let SignedInCaller(caller) = SignedInCaller::of(state, headers).await?;
                Ok(Self::SignedIn(Box::new(caller)))
            }
            Some(_) if headers.contains_key(AUTHORIZATION) => {
                let detail = "Send either an access token or a `session_token`, not both.";
                Err(Problem::new(Code::BadRequest).with_detail(detail))
            }
            Some(session_token) => Ok(Self::Waiting(session_token)),
        }
    }
}

/// Another name for a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Key on the desk"}))]
struct RenamePasskeyRequest {
    /// The name of the passkey: 1 to 100 characters.
    #[schema(value_type = texts::PasskeyName)]
    name: PasskeyName,
}

/// A passkey of the caller, without its key.
#[derive(Debug, Serialize, ToSchema)]
struct PasskeyItem {
    /// The id of the passkey, opaque.
    #[schema(example = "psk_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    passkey_id: String,
    /// What its owner calls it.
    name: String,
    /// When it was made (RFC 3339, UTC).
    created_at: String,
    /// When it last signed in (RFC 3339, UTC); `null` before the first time.
    last_used_at: Option<String>,
    /// Whether it has been copied to another device or a backup, as it last said.
    backed_up: bool,
    /// How its authenticator can be reached, as the browser said when it was made.
    #[schema(example = json!(["internal", "hybrid"]))]
    transports: Vec<String>,
    /// The model of its authenticator, as a UUID that nobody has proved; all zeros where it does not say.
    #[schema(format = "uuid")]
    aaguid: String,
}

impl From<Passkey> for PasskeyItem {
    fn from(passkey: Passkey) -> Self {
        Self {
            passkey_id: passkey.id.to_string(),
            name: passkey.name,
            created_at: rfc3339(passkey.created_at),
            last_used_at: passkey.last_used_at.map(rfc3339),
            backed_up: passkey.backed_up,
            transports: passkey.transports,
            aaguid: hyphenated(passkey.aaguid),
        }
    }
}

/// Returns a UUID as RFC 9562 writes it.
fn hyphenated(uuid: [u8; 16]) -> String {
    let mut digits = format!("{:032x}", u128::from_be_bytes(uuid));
    for place in [20, 16, 12, 8] {
        digits.insert(place, '-');
    }
    digits
}

/// The pages that may use the passkeys of this domain (WebAuthn Level 3, section 5.11).
#[derive(Debug, Serialize, ToSchema)]
struct RelatedOrigins {
    /// The origins of the pages, as browsers write them.
    #[schema(example = json!(["https://app.example.com"]))]
    origins: Vec<String>,
}

/// Begin a sign-in with a passkey
///
/// Returns what a browser needs to ask for a passkey, the same for everybody but for the challenge: nobody's credentials are
/// listed, and the person says neither name nor address. Nothing is stored; the challenge is good for five minutes.
#[utoipa::path(
    post, path = "/v1/auth/passkey/options", operation_id = "begin_passkey_sign_in", tag = "auth",
    responses(
        (status = 200, description = "The options of the sign-in", body = PasskeyRequestResponse),
        Conflict,
    ),
)]
async fn begin_sign_in(State(state): State<AppState>) -> Result<Json<PasskeyRequestResponse>, Problem> {
    let request = state.identity.begin_passkey_sign_in()?;
    Ok(Json(PasskeyRequestResponse::of(state.identity.relying_party()?, &request)))
}

/// Sign in with a passkey
///
/// Returns a session. The authenticator has verified its user, so that neither password nor code is asked for. A challenge is
/// good for one session. The error is the same for a credential that is unknown, removed or another person's, for a signature
/// that is wrong, and for a disabled account. One whose signature counter fell is refused, and its owner is told: there may be
/// a copy of it.
#[utoipa::path(
    post, path = "/v1/auth/passkey/verify", operation_id = "sign_in_with_passkey", tag = "auth", request_body = PasskeySignInRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = SessionResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn sign_in(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<PasskeySignInRequest>,
) -> Result<(HeaderMap, Json<SessionResponse>), Problem> {
    let login = PasskeyLogin {
        shown: body.credential.presented(body.ceremony_token)?,
        persistent: body.persist_session,
        device_name: body.device_name,
        token_in_body: body.token_delivery == TokenDelivery::Body,
    };
    let origin = client.with_device(body.device_token).into();
    let session = Box::pin(state.identity.sign_in_with_passkey(&login, &origin)).await?;
    SessionResponse::of(&state, session)
}

/// Begin a new passkey
///
/// Takes a proof, the password, a code or another passkey, and returns what a browser needs to have a passkey made. It is added
/// with `POST /v1/passkeys`, in the same session, within five minutes. A sign-in that waits for its first factor sends its
/// `session_token` in place of access token and proof.
#[utoipa::path(
    post, path = "/v1/passkeys/options", operation_id = "begin_passkey", tag = "passkeys", security(("access_token" = []), ()),
    request_body = BeginPasskeyRequest,
    responses(
        (status = 200, description = "The options of the passkey", body = PasskeyCreationResponse),
        BadRequest, Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn begin_creation(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json<BeginPasskeyRequest>, Problem>,
) -> Result<Json<PasskeyCreationResponse>, Problem> {
    let waiting = body.as_ref().ok().and_then(|Json(body)| body.session_token.clone());
    // Whoever is nobody is not told what is wrong with the body.
    let maker = Maker::of(&state, &headers, waiting).await?;
    let Json(body) = body?;
    let typed = (body.password, body.code);
    let creation = match maker {
        Maker::SignedIn(caller) => {
            let proof = proof(typed, (body.ceremony_token, body.credential))?;
            Box::pin(state.identity.begin_passkey(&caller, &proof, &client.into())).await?
        }
        Maker::Waiting(token) => Box::pin(state.identity.begin_first_passkey(&token, &client.into())).await?,
    };
    Ok(Json(PasskeyCreationResponse::of(state.identity.relying_party()?, creation)))
}

/// List the own passkeys
///
/// Returns all of them, newest first: an account has twenty at most.
#[utoipa::path(
    get, path = "/v1/passkeys", operation_id = "list_passkeys", tag = "passkeys", security(("access_token" = [])),
    responses(
        (status = 200, description = "The caller's passkeys", body = List<PasskeyItem>),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<List<PasskeyItem>>, Problem> {
    let passkeys = state.identity.list_passkeys(&caller).await?;
    Ok(Json(List::of(passkeys, None::<String>)))
}

/// Add a passkey
///
/// Returns the passkey, which signs in from now on. Sent again with the same credential, it returns the same passkey. Password
/// and codes stay as they are. A sign-in that waits for its first factor sends its `session_token` in place of an access token,
/// and gets backup codes and its session.
#[utoipa::path(
    post, path = "/v1/passkeys", operation_id = "add_passkey", tag = "passkeys", security(("access_token" = []), ()),
    request_body = AddPasskeyRequest,
    responses(
        (status = 201, description = "The new passkey, and what it completed", body = AddedPasskeyResponse, headers(("Set-Cookie" = String, description = "the refresh token of the session"))),
        BadRequest, Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn add(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json<AddPasskeyRequest>, Problem>,
) -> Result<(StatusCode, HeaderMap, Json<AddedPasskeyResponse>), Problem> {
    let waiting = body.as_ref().ok().and_then(|Json(body)| body.session_token.clone());
    let maker = Maker::of(&state, &headers, waiting).await?;
    let Json(body) = body?;
    let credential = body.credential.read()?;
    let new = NewPasskey { ceremony_token: body.ceremony_token, credential, name: body.name };
    let (headers, added) = match maker {
        Maker::SignedIn(caller) => {
            let passkey = Box::pin(state.identity.add_passkey(&caller, &new, &client.into())).await?;
            let passkey = passkey.into();
            (HeaderMap::new(), AddedPasskeyResponse { passkey, backup_codes: None, session: None })
        }
        Maker::Waiting(token) => {
            let origin = client.with_device(body.device_token).into();
            let added = Box::pin(state.identity.add_first_passkey(&token, &new, &origin)).await?;
            AddedPasskeyResponse::completing(&state, added)?
        }
    };
    Ok((StatusCode::CREATED, headers, Json(added)))
}

impl AddedPasskeyResponse {
    /// Returns the response to a passkey that completed a sign-in, with the headers of the session.
    fn completing(
        state: &AppState,
        (passkey, enrolled): (Passkey, EnrolledSignIn),
    ) -> Result<(HeaderMap, Self), Problem> {
        let backup_codes = Some(shown(&enrolled.backup_codes));
        let (headers, Json(session)) = SessionResponse::of(state, enrolled.session)?;
        Ok((headers, Self { passkey: passkey.into(), backup_codes, session: Some(session) }))
    }
}

/// Rename a passkey
///
/// Returns the passkey with its new name.
#[utoipa::path(
    patch, path = "/v1/passkeys/{id}", operation_id = "rename_passkey", tag = "passkeys", security(("access_token" = [])),
    params(PasskeyPath), request_body = RenamePasskeyRequest,
    responses(
        (status = 200, description = "The passkey as it is now", body = PasskeyItem),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn rename(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<PasskeyId>,
    Json(body): Json<RenamePasskeyRequest>,
) -> Result<Json<PasskeyItem>, Problem> {
    Ok(Json(state.identity.rename_passkey(&caller, id, &body.name, &client.into()).await?.into()))
}

/// Remove a passkey
///
/// Takes a proof, the password, a code or a passkey. The passkey signs in no more; its authenticator still shows it until the person
/// removes it there. The last one stays where a role of the account needs a factor and there is no other.
#[utoipa::path(
    delete, path = "/v1/passkeys/{id}", operation_id = "remove_passkey", tag = "passkeys", security(("access_token" = [])),
    params(PasskeyPath), request_body = StepUpRequest,
    responses(
        (status = 204, description = "The passkey signs in no more"),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn remove(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<PasskeyId>,
    Json(body): Json<StepUpRequest>,
) -> Result<StatusCode, Problem> {
    Box::pin(state.identity.remove_passkey(&caller, id, &body.proof()?, &client.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pages that may use passkeys (WebAuthn Level 3)
///
/// Returns the origins of the pages on which passkeys of this domain may be made and used. Browsers read it at the domain that
/// passkeys are bound to.
#[utoipa::path(
    get, path = "/.well-known/webauthn", operation_id = "get_related_origins", tag = "keys",
    responses(
        (status = 200, description = "The origins of the pages", body = RelatedOrigins),
        NotFound,
    ),
)]
async fn related_origins(
    State(state): State<AppState>,
) -> Result<([(HeaderName, &'static str); 1], Json<RelatedOrigins>), Problem> {
    let relying_party = state.identity.relying_party().map_err(|_| Code::NotFound)?;
    Ok(([CACHE], Json(RelatedOrigins { origins: relying_party.origins().to_vec() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_written_as_a_uuid() {
        assert_eq!(hyphenated([0; 16]), "00000000-0000-0000-0000-000000000000");
        let icloud = 0xfbfc_3007_154e_4ecc_8c0b_6e02_0557_d7bd_u128.to_be_bytes();
        assert_eq!(hyphenated(icloud), "fbfc3007-154e-4ecc-8c0b-6e020557d7bd");
    }
}
