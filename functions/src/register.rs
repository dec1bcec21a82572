//! `/v1/auth/register` and `/v1/auth/email/…`: creating an account, and confirming its e-mail address. `identity::register` and
//! `identity::email_verification` decide.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_http::responses::{
    Conflict, TooManyRequests, Unauthorized, Unavailable, Unprocessable, WorkRequired,
};
use portcullis_http::{AppState, Client, IdempotencyKey, Json, Problem, User, texts};
use portcullis_identity::{Email, NewPerson, Password, PersonName, PhoneNumber, Registered, Username, Work};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::IdempotencyHeader;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(verify)).routes(routes!(resend))
}

/// The person to create an account for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "email": "asha@example.com",
    "password": "copper lantern drifts upstream",
    "name": "Asha Rao",
}))]
struct RegisterRequest {
    /// The e-mail address to sign in with.
    #[schema(value_type = texts::EmailAddress)]
    email: Email,
    /// The password: 12 to 256 characters, hard to predict.
    #[schema(value_type = texts::NewPassword)]
    password: Password,
    /// The person's name.
    #[schema(value_type = texts::PersonName)]
    name: PersonName,
    /// The telephone number.
    #[schema(value_type = Option<texts::PhoneNumber>)]
    phone: Option<PhoneNumber>,
    /// A username to sign in with, beside the e-mail address.
    #[schema(value_type = Option<texts::Username>)]
    username: Option<Username>,
    /// The solution of the puzzle in the error `proof_of_work_required`, where the service asks for one.
    proof_of_work: Option<String>,
}

/// The status of a registration that is not finished.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PendingStatus {
    /// The e-mail address has to be confirmed.
    VerificationRequired,
}

/// A registration that is not finished.
#[derive(Debug, Serialize, ToSchema)]
struct PendingRegistrationResponse {
    /// Always `verification_required`: the e-mail address has to be confirmed.
    status: PendingStatus,
}

const PENDING: (StatusCode, Json<PendingRegistrationResponse>) =
    (StatusCode::ACCEPTED, Json(PendingRegistrationResponse { status: PendingStatus::VerificationRequired }));

/// The proof that an e-mail address belongs to the person.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"token": "vrf_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U"}))]
struct VerifyEmailRequest {
    /// The token in the link of the mail.
    #[schema(value_type = String)]
    token: SecretString,
}

/// The e-mail address to send the link to again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "asha@example.com"}))]
struct ResendConfirmationRequest {
    /// The e-mail address.
    #[schema(value_type = texts::EmailAddress)]
    email: Email,
}

/// Create an account
///
/// Returns the account. Where e-mail addresses have to be confirmed, the response is always 202, whether or not the address
/// is taken, the owner of the address is notified by mail, and the account gets its username once the address is confirmed.
/// A request with an `Idempotency-Key` can be sent again within 24 hours and gets the first response, as long as the account
/// exists. A key counts together with the address: other people may use the same.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "auth", request_body = RegisterRequest,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "The new account", body = User), (status = 202, description = "A mail is on its way to the address", body = PendingRegistrationResponse),
        Conflict, Unprocessable, WorkRequired, TooManyRequests, Unavailable,
    ),
)]
async fn register(
    State(state): State<AppState>,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<RegisterRequest>,
) -> Result<Response, Problem> {
    state.identity.demand_work(Work::Registration, &body.email, body.proof_of_work.as_deref()).await?;
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

/// Confirm an e-mail address
///
/// Takes the token in the link of the mail, which works once, for 24 hours, and returns the account. Its username is `null`
/// where another account with that name was confirmed first.
#[utoipa::path(
    post, path = "/v1/auth/email/verify", operation_id = "verify_email", tag = "auth", request_body = VerifyEmailRequest,
    responses((status = 200, description = "The account, whose address is confirmed", body = User), Unauthorized, Unavailable),
)]
async fn verify(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<VerifyEmailRequest>,
) -> Result<Json<User>, Problem> {
    let account = state.identity.confirm_address(&body.token, &client.into()).await?;
    Ok(Json(User::of(&state, account, None)))
}

/// Send the confirmation link again
///
/// The response is the same, and takes the same time, whether or not an account with this address waits for confirmation.
#[utoipa::path(
    post, path = "/v1/auth/email/resend", operation_id = "resend_confirmation", tag = "auth", request_body = ResendConfirmationRequest,
    responses(
        (status = 202, description = "A mail is on its way if an account waits for it", body = PendingRegistrationResponse),
        Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn resend(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ResendConfirmationRequest>,
) -> Result<(StatusCode, Json<PendingRegistrationResponse>), Problem> {
    state.identity.resend_confirmation(&body.email, &client.into()).await?;
    Ok(PENDING)
}
