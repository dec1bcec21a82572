//! `POST /v1/auth/register`: making an account. Wire types and translation only; `identity::register` decides.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::{AppState, Client, IdempotencyKey, Json, Problem, User};
use portcullis_identity::{Email, NewPerson, Password, PersonName, PhoneNumber, Registered, Username};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(register))
}

/// Who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
struct RegisterRequest {
    /// Address to sign in with.
    #[schema(example = "asha@example.com")]
    email: String,
    /// 12 to 256 characters that are hard to guess.
    #[schema(value_type = String, format = Password, example = "copper lantern drifts upstream")]
    password: SecretString,
    /// What the person is called.
    #[schema(example = "Asha Rao")]
    name: String,
    /// Telephone number.
    phone: Option<String>,
    /// A second name to sign in with.
    username: Option<String>,
}

/// Make an account
///
/// With an `Idempotency-Key` the same request may be sent again within 24 hours and gets the first answer.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "auth", request_body = RegisterRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses(
        (status = 201, body = User),
        (status = 409, response = Problem), (status = 422, response = Problem), (status = 503, response = Problem),
    ),
)]
async fn register(
    State(state): State<AppState>,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<RegisterRequest>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let person = NewPerson {
        email: Email::parse(&body.email)?,
        password: Password::new(&body.password),
        name: PersonName::parse(&body.name)?,
        phone: body.phone.as_deref().map(PhoneNumber::parse).transpose()?,
        username: body.username.as_deref().map(Username::parse).transpose()?,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    let Registered(account) = state.identity.register(person, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(User::of(account, None))))
}
