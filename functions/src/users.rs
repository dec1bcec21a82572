//! `/v1/users/me`: a person's own account. `identity::profile` decides.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{
    BadRequest, Conflict, Forbidden, TooManyRequests, Unauthorized, Unprocessable,
};
use portcullis_http::{
    AnyCaller, AppState, Client, Json, Object, Problem, SignedInCaller, User, lasting, texts,
};
use portcullis_identity::{Password, PersonName, PhoneNumber, ProfileUpdate, StepUp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_with::rust::double_option;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::passkeys::credentials::AssertionCredential;
use crate::step_up::passkey_proof;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(me, update, erase))
}

/// The changes to the account. Members that are absent stay as they are.
#[expect(clippy::option_option, reason = "null and absent mean different things")]
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Asha Rao", "phone": "+91 98765 43210"}))]
struct UpdateProfileRequest {
    /// The new name. A person has one, so it cannot be removed.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = texts::PersonName, required = false)]
    name: Option<PersonName>,
    /// The new telephone number; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    #[schema(value_type = Option<texts::PhoneNumber>)]
    phone: Option<Option<PhoneNumber>>,
}

/// The confirmation that the account is to be erased: the password or a passkey, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
struct EraseAccountRequest {
    /// The account's password.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// The `ceremony_token` of `/v1/auth/passkey/options`, where a passkey is the proof.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

impl EraseAccountRequest {
    /// Returns the proof; fails where there is none, or more than one. A code is none here: the function that erases accounts
    /// has no right to open second factors.
    fn proof(self) -> Result<StepUp, Problem> {
        match (self.password, self.ceremony_token, self.credential) {
            (Some(password), None, None) => Ok(StepUp::Password(password)),
            (None, Some(token), Some(Object(credential))) => passkey_proof(token, &credential),
            _ => {
                let detail = "either `password`, or `ceremony_token` and `credential` are needed";
                Err(Problem::invalid("", detail))
            }
        }
    }
}

/// Read the own account
///
/// Returns the caller's account. An API key needs the scope `profile:read`.
#[utoipa::path(
    get, path = "/v1/users/me", operation_id = "get_own_profile", tag = "users", security(("access_token" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The caller's account", body = User),
        BadRequest, Unauthorized, Forbidden,
    ),
)]
async fn me(State(state): State<AppState>, AnyCaller(caller): AnyCaller) -> Result<Json<User>, Problem> {
    caller.require_as_key(&state.identity.settings.policy, "profile", "read")?;
    let account = caller.into_account();
    let last_login = state.identity.last_login(&account).await?;
    Ok(Json(User::of(&state, account, last_login)))
}

/// Change the own account
///
/// Sets the name, sets or removes the telephone number, and returns the account.
#[utoipa::path(
    patch, path = "/v1/users/me", operation_id = "update_own_profile", tag = "users", security(("access_token" = [])), request_body = UpdateProfileRequest,
    responses(
        (status = 200, description = "The account as it is now", body = User),
        Unauthorized, Unprocessable, TooManyRequests,
    ),
)]
async fn update(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<UpdateProfileRequest>,
) -> Result<Json<User>, Problem> {
    let update = ProfileUpdate { name: body.name, phone: body.phone };
    let last_login = state.identity.last_login(&caller.account).await?;
    let account = state.identity.update_profile(&caller, update, &client.into()).await?;
    Ok(Json(User::of(&state, account, last_login)))
}

/// Erase the own account
///
/// Takes the password or a passkey, ends every session and erases the account. Its e-mail address can be registered again.
#[utoipa::path(
    delete, path = "/v1/users/me", operation_id = "erase_own_account", tag = "users", security(("access_token" = [])), request_body = EraseAccountRequest,
    responses((status = 204, description = "The account and all that belongs to it are gone"), Unauthorized, Forbidden, Conflict, TooManyRequests),
)]
async fn erase(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<EraseAccountRequest>,
) -> Result<StatusCode, Problem> {
    let proof = body.proof()?;
    Box::pin(state.identity.erase_account(&caller, &proof, &client.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}
