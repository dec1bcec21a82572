//! What asks brokers on the owner's behalf: verifying, the session of the day, and the kill switch. A function of its
//! own, because it opens seals and the one that links accounts cannot.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, Client, Json, PathId, Problem, SessionEndWord, SignedInCaller, TradingAccountStatusWord, Word,
    rfc3339,
};
use portcullis_identity::{Password, PresentedCode, StepUp};
use portcullis_vault::{BrokerToken, Frozen, TradingAccountId, Verification};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(begin_session))
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
}

/// What the broker said.
#[derive(Debug, Serialize, ToSchema)]
struct VerificationAnswer {
    /// `pending`, `active`, `expired` or `rejected`.
    status: TradingAccountStatusWord,
    /// RFC 3339, UTC.
    checked_at: String,
    /// What a person can do; absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where the owner logs in at the broker, if that is what is missing. It names the API key, as the broker wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<String>,
}

impl From<Verification> for VerificationAnswer {
    fn from(said: Verification) -> Self {
        Self {
            status: Word(said.status),
            checked_at: rfc3339(said.checked_at),
            reason: said.reason,
            login_url: said.login_url,
        }
    }
}

/// What the broker handed over when its owner logged in.
#[derive(Debug, Deserialize, ToSchema)]
struct SessionBody {
    /// The `request_token` of the address the broker led back to.
    #[schema(value_type = String)]
    request_token: BrokerToken,
}

/// The password or a code, not both.
#[derive(Debug, Deserialize, ToSchema)]
struct StepUpBody {
    /// The account's password.
    #[schema(value_type = Option<String>)]
    password: Option<Password>,
    /// A code of the second factor.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
}

impl StepUpBody {
    fn proof(self) -> Result<StepUp, Problem> {
        match (self.password, self.code) {
            (Some(password), None) => Ok(StepUp::Password(password)),
            (None, Some(code)) => Ok(StepUp::Code(code)),
            _ => Err(Problem::invalid("", "either `password` or `code` is needed, not both")),
        }
    }
}

/// That no credentials are read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FreezeStatus {
    /// Every reading is refused.
    Frozen,
}

/// What a freeze did.
#[derive(Debug, Serialize, ToSchema)]
struct FreezeAnswer {
    /// `frozen`.
    status: FreezeStatus,
    /// RFC 3339, UTC: since when no credentials are read.
    frozen_at: String,
    /// What became of the sessions at brokers.
    accounts: Vec<FrozenAccountAnswer>,
}

/// What became of one account's session.
#[derive(Debug, Serialize, ToSchema)]
struct FrozenAccountAnswer {
    /// The account.
    account_id: String,
    /// The broker's name.
    broker: String,
    /// `none`, `ended`, or `unconfirmed` where the broker did not answer.
    session: SessionEndWord,
    /// What a person can do about a session that is `unconfirmed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Frozen> for FreezeAnswer {
    fn from(frozen: Frozen) -> Self {
        let accounts = frozen.accounts.into_iter().map(|account| FrozenAccountAnswer {
            account_id: account.id.to_string(),
            broker: account.broker,
            session: Word(account.session),
            reason: account.advice,
        });
        Self { status: FreezeStatus::Frozen, frozen_at: rfc3339(frozen.since), accounts: accounts.collect() }
    }
}

/// That credentials are read again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UnfreezeStatus {
    /// Readings are allowed.
    Active,
}

/// That credentials may be read again.
#[derive(Debug, Serialize, ToSchema)]
struct UnfreezeAnswer {
    /// `active`.
    status: UnfreezeStatus,
}

/// Ask the broker whether it accepts the credentials
///
/// A broker that does not answer changes nothing; `reason` says so.
#[utoipa::path(
    post, path = "/v1/trading-accounts/{id}/verify", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 200, body = VerificationAnswer),
        Unauthorized, Forbidden, NotFound, Conflict, Unavailable,
    ),
)]
async fn verify(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<VerificationAnswer>, Problem> {
    let origin = client.into();
    Ok(Json(Box::pin(state.vault.verify(&caller, id, &origin)).await?.into()))
}

/// Begin the broker's session of the day
///
/// For Kite: the owner logs in there, and the `request_token` that comes back is traded for a session, which is sealed.
#[utoipa::path(
    post, path = "/v1/trading-accounts/{id}/session", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")), request_body = SessionBody,
    responses(
        (status = 200, body = VerificationAnswer),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn begin_session(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<SessionBody>,
) -> Result<Json<VerificationAnswer>, Problem> {
    let origin = client.into();
    let begun = Box::pin(state.vault.begin_session(&caller, id, &body.request_token, &origin)).await?;
    Ok(Json(begun.into()))
}

/// Stop every reading of the own credentials
///
/// At once, for every service; then the sessions at brokers are ended where the broker allows it.
#[utoipa::path(
    post, path = "/v1/trading-accounts/freeze", tag = "trading-accounts", security(("access_token" = [])),
    request_body = StepUpBody,
    responses(
        (status = 200, body = FreezeAnswer),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn freeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<StepUpBody>,
) -> Result<Json<FreezeAnswer>, Problem> {
    let origin = client.into();
    Ok(Json(Box::pin(state.vault.freeze(&caller, &body.proof()?, &origin)).await?.into()))
}

/// Allow reading of the own credentials again
///
/// With a second factor it takes a code.
#[utoipa::path(
    post, path = "/v1/trading-accounts/unfreeze", tag = "trading-accounts", security(("access_token" = [])),
    request_body = StepUpBody,
    responses(
        (status = 200, body = UnfreezeAnswer),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn unfreeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<StepUpBody>,
) -> Result<Json<UnfreezeAnswer>, Problem> {
    let origin = client.into();
    Box::pin(state.vault.unfreeze(&caller, &body.proof()?, &origin)).await?;
    Ok(Json(UnfreezeAnswer { status: UnfreezeStatus::Active }))
}
