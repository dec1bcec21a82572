//! `/v1/users/me`: a person's own account. `identity::profile` decides.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{
    BadRequest, Conflict, Forbidden, TooManyRequests, Unauthorized, Unprocessable,
};
use portcullis_http::{AnyCaller, AppState, Client, Json, Problem, SignedInCaller, User, lasting, texts};
use portcullis_identity::{Password, PersonName, PhoneNumber, ProfileUpdate};
use serde::Deserialize;
use serde_with::rust::double_option;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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

/// The confirmation that the account is to be erased.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
struct EraseAccountRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password)]
    password: Password,
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
/// Ends every session and erases the account. Its e-mail address can be registered again.
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
    state.identity.erase_account(&caller, &body.password, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
