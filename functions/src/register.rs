//! `/v1/auth/register` and `/v1/auth/email/…`: making an account, and confirming its address. `identity::register` and
//! `identity::verification` decide.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_http::responses::{Conflict, TooManyRequests, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Client, IdempotencyKey, Json, Problem, User};
use portcullis_identity::{Email, NewPerson, Password, PersonName, PhoneNumber, Registered, Username};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(verify)).routes(routes!(resend))
}

/// Who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
struct RegisterRequest {
    /// Address to sign in with.
    #[schema(value_type = String, example = "asha@example.com")]
    email: Email,
    /// 12 to 256 characters that are hard to guess.
    #[schema(value_type = String, format = Password, example = "copper lantern drifts upstream")]
    password: Password,
    /// What the person is called.
    #[schema(value_type = String, example = "Asha Rao")]
    name: PersonName,
    /// Telephone number.
    #[schema(value_type = Option<String>)]
    phone: Option<PhoneNumber>,
    /// A second name to sign in with.
    #[schema(value_type = Option<String>)]
    username: Option<Username>,
}

/// That an account cannot be used yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PendingStatus {
    /// The address is to be confirmed.
    VerificationRequired,
}

/// What is still to be done.
#[derive(Debug, Serialize, ToSchema)]
struct PendingAnswer {
    /// `verification_required`.
    status: PendingStatus,
}

const PENDING: (StatusCode, Json<PendingAnswer>) =
    (StatusCode::ACCEPTED, Json(PendingAnswer { status: PendingStatus::VerificationRequired }));

/// The proof that an address is somebody's.
#[derive(Debug, Deserialize, ToSchema)]
struct VerifyRequest {
    /// The token of the mail.
    #[schema(value_type = String)]
    token: SecretString,
}

/// Who wants the mail once more.
#[derive(Debug, Deserialize, ToSchema)]
struct ResendRequest {
    /// The address.
    #[schema(value_type = String, example = "asha@example.com")]
    email: Email,
}

/// Make an account
///
/// Where addresses are to be confirmed, the answer is 202 whether or not the address is taken; its owner is told by mail.
/// With an `Idempotency-Key` the same request may be sent again within 24 hours and gets the first answer.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "auth", request_body = RegisterRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses(
        (status = 201, body = User), (status = 202, body = PendingAnswer),
        Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn register(
    State(state): State<AppState>,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<RegisterRequest>,
) -> Result<Response, Problem> {
    let person = NewPerson {
        email: body.email,
        password: body.password,
        name: body.name,
        phone: body.phone,
        username: body.username,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    if state.identity.settings.email_verification {
        state.identity.register_unconfirmed(person, &client.into()).await?;
        return Ok(PENDING.into_response());
    }
    let Registered(account) = state.identity.register(person, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(User::of(&state, account, None))).into_response())
}

/// Confirm an address with the link of a mail
///
/// The link works once, for 24 hours.
#[utoipa::path(
    post, path = "/v1/auth/email/verify", tag = "auth", request_body = VerifyRequest,
    responses((status = 200, body = User), Unauthorized, Unavailable),
)]
async fn verify(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<VerifyRequest>,
) -> Result<Json<User>, Problem> {
    let account = state.identity.confirm_address(&body.token, &client.into()).await?;
    Ok(Json(User::of(&state, account, None)))
}

/// Get the link to confirm an address once more
///
/// Answered alike, and after the same time, whether or not there is an account that waits for it.
#[utoipa::path(
    post, path = "/v1/auth/email/resend", tag = "auth", request_body = ResendRequest,
    responses(
        (status = 202, body = PendingAnswer),
        Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn resend(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ResendRequest>,
) -> Result<(StatusCode, Json<PendingAnswer>), Problem> {
    state.identity.resend_confirmation(&body.email, &client.into()).await?;
    Ok(PENDING)
}
