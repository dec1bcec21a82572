//! `/v1/providers`: how brokers and other providers are, and what services and administrators say of them.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_http::responses::{Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, HealthStatusWord, Json, Problem, Query, ServiceCaller, SignedInCaller, Word, rfc3339,
};
use portcullis_identity::Caller;
use portcullis_vault::{Health, HealthStatus, Mark, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Names in a chain at most.
const LONGEST_CHAIN: usize = 10;
/// No call of a provider is awaited for longer.
const LONGEST_RESPONSE_MS: u64 = 600_000;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(fallback))
        .routes(routes!(read))
        .routes(routes!(report))
        .routes(routes!(mark, unmark))
}

/// How a provider is.
#[derive(Debug, Serialize, ToSchema)]
struct HealthAnswer {
    /// The provider's name.
    #[schema(example = "kite")]
    name: String,
    /// `healthy`, `degraded` or `unhealthy`.
    status: HealthStatusWord,
    /// RFC 3339, UTC: when the last call to it ended; null if there was none in the last quarter of an hour.
    last_check: Option<String>,
    /// Mean response time in milliseconds.
    response_time_ms: Option<u64>,
    /// Calls that failed since the last one that did not.
    consecutive_failures: u64,
    /// RFC 3339, UTC: until when the status is what a person said; absent if it is what is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    marked_until: Option<String>,
    /// Why a person said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark_reason: Option<String>,
}

impl From<Health> for HealthAnswer {
    fn from(health: Health) -> Self {
        let (marked_until, mark_reason) =
            health.mark.map_or((None, None), |mark| (Some(rfc3339(mark.expires_at)), mark.reason));
        Self {
            name: health.provider,
            status: Word(health.status),
            last_check: health.last_check.map(rfc3339),
            response_time_ms: health.response_time_ms,
            consecutive_failures: health.consecutive_failures,
            marked_until,
            mark_reason,
        }
    }
}

/// All providers.
#[derive(Debug, Serialize, ToSchema)]
struct ProvidersAnswer {
    /// In the order of their names.
    items: Vec<HealthAnswer>,
    /// Always null: they come all at once.
    next_cursor: Option<String>,
}

/// Whom to try, and whom next.
#[derive(Debug, Serialize, ToSchema)]
struct ChainAnswer {
    /// Whom to try first.
    recommended: Option<String>,
    /// The healthiest first; of equals, the primary and then those named earlier.
    chain: Vec<HealthAnswer>,
}

/// Whom one would like to use.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChainQuery {
    /// Preferred when equal.
    primary: String,
    /// Names, separated by commas.
    fallbacks: Option<String>,
}

/// What became of a call.
#[derive(Debug, Deserialize, ToSchema)]
struct OutcomeBody {
    /// Whether the provider did what it should.
    ok: bool,
    /// How long it took.
    response_time_ms: Option<u64>,
    /// What went wrong: an HTTP status, or `timeout`, `expired`, `revoked`, … What is the user's fault, such as a session
    /// that is over, does not lower the provider's health.
    error: Option<String>,
}

/// What an administrator says of a provider.
#[derive(Debug, Deserialize, ToSchema)]
struct MarkBody {
    /// `healthy`, `degraded` or `unhealthy`.
    #[schema(value_type = HealthStatusWord)]
    status: HealthStatus,
    /// Seconds until what is counted decides again; at most a week.
    expires_in: u64,
    /// For whoever reads it: at most 200 characters.
    reason: Option<String>,
}

fn may(state: &AppState, caller: &Caller, action: &str) -> Result<(), Problem> {
    Ok(caller.require(&state.identity.settings.policy, "provider", action)?)
}

/// How all providers are
#[utoipa::path(
    get, path = "/v1/providers", tag = "providers", security(("access_token" = [])),
    responses(
        (status = 200, body = ProvidersAnswer),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<ProvidersAnswer>, Problem> {
    may(&state, &caller, "read")?;
    let items = state.vault.providers.all().await?.into_iter().map(HealthAnswer::from).collect();
    Ok(Json(ProvidersAnswer { items, next_cursor: None }))
}

/// How a provider is
#[utoipa::path(
    get, path = "/v1/providers/{name}", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name")),
    responses(
        (status = 200, body = HealthAnswer),
        Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn read(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Path(name): Path<String>,
) -> Result<Json<HealthAnswer>, Problem> {
    may(&state, &caller, "read")?;
    Ok(Json(state.vault.providers.health(&name).await?.into()))
}

/// Whom to try, and whom next
#[utoipa::path(
    get, path = "/v1/providers/fallback", tag = "providers", security(("access_token" = [])), params(ChainQuery),
    responses(
        (status = 200, body = ChainAnswer),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn fallback(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(query): Query<ChainQuery>,
) -> Result<Json<ChainAnswer>, Problem> {
    may(&state, &caller, "read")?;
    let fallbacks = query.fallbacks.unwrap_or_default();
    let fallbacks: Vec<&str> = fallbacks.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if fallbacks.len() >= LONGEST_CHAIN {
        return Err(Problem::invalid("/fallbacks", "at most nine names may be given"));
    }
    let chain = state.vault.providers.chain(&query.primary, &fallbacks).await?;
    Ok(Json(ChainAnswer {
        recommended: chain.first().map(|health| health.provider.clone()),
        chain: chain.into_iter().map(HealthAnswer::from).collect(),
    }))
}

/// Report what became of a call to a provider
///
/// For services with the right `provider:report`.
#[utoipa::path(
    post, path = "/v1/internal/providers/{name}/outcomes", tag = "internal", security(("service_token" = [])),
    params(("name" = String, Path, description = "the provider's name")), request_body = OutcomeBody,
    responses(
        (status = 202),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn report(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    Path(name): Path<String>,
    Json(body): Json<OutcomeBody>,
) -> Result<StatusCode, Problem> {
    service.require("provider", "report")?;
    if body.response_time_ms.is_some_and(|time| time > LONGEST_RESPONSE_MS) {
        return Err(Problem::invalid("/response_time_ms", "must be at most ten minutes"));
    }
    let response_time = body.response_time_ms.map(Duration::from_millis);
    let outcome = Outcome::reported(body.ok, body.error.as_deref(), response_time);
    state.vault.providers.record(&name, outcome).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Say how a provider is
///
/// For those with the permission `provider:mark`. Until it expires, nothing that is counted changes it. Their audit trail
/// tells of it.
#[utoipa::path(
    put, path = "/v1/admin/providers/{name}/mark", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name")), request_body = MarkBody,
    responses(
        (status = 200, body = HealthAnswer),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn mark(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(name): Path<String>,
    Json(body): Json<MarkBody>,
) -> Result<Json<HealthAnswer>, Problem> {
    may(&state, &caller, "mark")?;
    let is_plain = |reason: &String| reason.chars().count() <= 200 && !reason.chars().any(char::is_control);
    if !body.reason.as_ref().is_none_or(is_plain) {
        return Err(Problem::invalid("/reason", "must be at most 200 printable characters"));
    }
    let mark = Mark { status: body.status, reason: body.reason, lasts: Duration::from_secs(body.expires_in) };
    state.vault.mark_provider(&caller, &name, mark, &client.into()).await?;
    Ok(Json(state.vault.providers.health(&name).await?.into()))
}

/// Let what is counted decide again
#[utoipa::path(
    delete, path = "/v1/admin/providers/{name}/mark", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name")),
    responses(
        (status = 204),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn unmark(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    may(&state, &caller, "mark")?;
    state.vault.unmark_provider(&caller, &name, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
