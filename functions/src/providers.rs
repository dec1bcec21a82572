//! `/v1/providers`: the health of brokers and other providers, the outcomes that services report, and administrators' marks.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_http::responses::{Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, HealthStatusWord, Json, Problem, Query, ServiceCaller, SignedInCaller, Word, rfc3339,
    texts,
};
use portcullis_identity::{Caller, is_printable};
use portcullis_vault::{Health, HealthStatus, Mark, Outcome, ProviderSpan, end_of};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many names a chain may have.
const LONGEST_CHAIN: usize = 10;
/// The longest response time that can be reported.
const LONGEST_RESPONSE_MS: f64 = 600_000.0;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(fallback))
        .routes(routes!(read))
        .routes(routes!(report))
        .routes(routes!(mark, unmark))
}

/// The health of a provider.
#[expect(clippy::option_option, reason = "null and absent mean different things")]
#[derive(Debug, Serialize, ToSchema)]
struct ProviderHealthResponse {
    /// The provider's name.
    #[schema(example = "kite")]
    name: String,
    /// Whether it is a broker at which trading accounts can be linked.
    is_broker: bool,
    /// `healthy`, `degraded` or `unhealthy`.
    status: HealthStatusWord,
    /// When the last call to the provider ended (RFC 3339, UTC); `null` if there was none in the last 15 minutes.
    last_check: Option<String>,
    /// The mean response time in milliseconds over the last 15 minutes; `null` if none is known.
    response_time_ms: Option<u64>,
    /// The number of failed calls since the last successful one.
    consecutive_failures: u64,
    /// When the administrator's mark that sets the status expires (RFC 3339, UTC), or `null` if it does not; absent without
    /// such a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    marked_until: Option<Option<String>>,
    /// The administrator's reason for the mark; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark_reason: Option<String>,
    /// The calls of the last hour in twelve spans of five minutes, oldest first; absent unless `history=true` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<ProviderSpanResponse>>,
}

/// The calls to a provider that ended in a span of five minutes.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderSpanResponse {
    /// When the span began (RFC 3339, UTC).
    from: String,
    /// The number of calls that the provider answered as it should.
    ok: u64,
    /// The number of calls that failed through the provider's fault.
    failed: u64,
}

impl From<ProviderSpan> for ProviderSpanResponse {
    fn from(span: ProviderSpan) -> Self {
        Self { from: rfc3339(span.from), ok: span.ok, failed: span.failed }
    }
}

impl ProviderHealthResponse {
    fn of(state: &AppState, health: Health) -> Self {
        let (marked_until, mark_reason) =
            health.mark.map_or((None, None), |mark| (Some(end_of(&mark).map(rfc3339)), mark.reason));
        Self {
            is_broker: state.vault.is_broker(&health.provider),
            name: health.provider,
            status: Word(health.status),
            last_check: health.last_check.map(rfc3339),
            response_time_ms: health.response_time_ms,
            consecutive_failures: health.consecutive_failures,
            marked_until,
            mark_reason,
            history: None,
        }
    }

    fn with_history(state: &AppState, (health, spans): (Health, Vec<ProviderSpan>)) -> Self {
        let history = spans.into_iter().map(ProviderSpanResponse::from).collect();
        Self { history: Some(history), ..Self::of(state, health) }
    }
}

/// The health of all providers.
#[derive(Debug, Serialize, ToSchema)]
struct ProvidersResponse {
    /// The providers, in the order of their names.
    items: Vec<ProviderHealthResponse>,
    /// Always `null`: all providers are on one page.
    next_cursor: Option<String>,
}

/// Providers in the order in which to try them.
#[derive(Debug, Serialize, ToSchema)]
struct FallbackResponse {
    /// The name of the provider to try first.
    recommended: Option<String>,
    /// All providers of the request, the healthiest first; equals in the order of the request, the primary before its
    /// fallbacks.
    chain: Vec<ProviderHealthResponse>,
}

/// What is wanted beside the health of the providers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Whether to return the last hour of calls with each provider; `false` when absent.
    #[serde(default)]
    #[param(example = true)]
    history: bool,
}

/// The providers to choose between.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChainQuery {
    /// The name of the preferred provider.
    #[param(example = "kite")]
    primary: String,
    /// The names of up to nine alternatives, separated by commas.
    #[param(example = "alpaca")]
    fallbacks: Option<String>,
}

/// The outcome of a call to a provider.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"ok": true, "response_time_ms": 45.2}))]
struct ProviderOutcomeRequest {
    /// Whether the call succeeded.
    ok: bool,
    /// How long the call took, in milliseconds, with or without a fraction; at most 600,000.
    #[schema(minimum = 0, maximum = 600_000)]
    response_time_ms: Option<f64>,
    /// The error of a failed call: an HTTP status, or a word such as `timeout`, `expired` or `revoked`. An error that is the
    /// user's fault, such as an expired session, does not lower the provider's health.
    error: Option<String>,
}

/// The health of a provider as an administrator sets it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "status": "degraded",
    "expires_in": 3600,
    "reason": "The broker announced maintenance.",
}))]
struct MarkProviderRequest {
    /// `healthy`, `degraded` or `unhealthy`.
    #[schema(value_type = HealthStatusWord)]
    status: HealthStatus,
    /// Seconds until the mark expires and the counted health is reported again: 1 to 604,800 (a week). A mark without an end
    /// stays until it is removed or replaced.
    #[schema(minimum = 1, maximum = 604_800)]
    expires_in: Option<u64>,
    /// The reason, shown with the provider's health: at most 200 characters.
    #[schema(value_type = Option<texts::MarkReason>)]
    reason: Option<String>,
}

fn may(state: &AppState, caller: &Caller, action: &str) -> Result<(), Problem> {
    Ok(caller.require(&state.identity.settings.policy, "provider", action)?)
}

/// List the health of all providers
///
/// Returns every provider with the health counted over the last 15 minutes, or as an administrator marked it, and with the
/// calls of the last hour where they are asked for.
#[utoipa::path(
    get, path = "/v1/providers", operation_id = "list_providers", tag = "providers", security(("access_token" = [])), params(ListQuery),
    responses(
        (status = 200, description = "The providers and how they do", body = ProvidersResponse),
        Unauthorized, Forbidden, Unprocessable, Unavailable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(query): Query<ListQuery>,
) -> Result<Json<ProvidersResponse>, Problem> {
    may(&state, &caller, "read")?;
    let providers = &state.vault.providers;
    let items = if query.history {
        let all = providers.all_with_history().await?.into_iter();
        all.map(|one| ProviderHealthResponse::with_history(&state, one)).collect()
    } else {
        let all = providers.all().await?.into_iter();
        all.map(|health| ProviderHealthResponse::of(&state, health)).collect()
    };
    Ok(Json(ProvidersResponse { items, next_cursor: None }))
}

/// Read the health of a provider
///
/// Returns the health counted over the last 15 minutes, or as an administrator marked it.
#[utoipa::path(
    get, path = "/v1/providers/{name}", operation_id = "get_provider", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name", example = "kite")),
    responses(
        (status = 200, description = "How the provider does", body = ProviderHealthResponse),
        Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn read(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Path(name): Path<String>,
) -> Result<Json<ProviderHealthResponse>, Problem> {
    may(&state, &caller, "read")?;
    let health = state.vault.providers.health(&name).await?;
    Ok(Json(ProviderHealthResponse::of(&state, health)))
}

/// Order providers by health
///
/// Returns the primary and its fallbacks in the order in which to try them.
#[utoipa::path(
    get, path = "/v1/providers/fallback", operation_id = "get_provider_fallback", tag = "providers", security(("access_token" = [])), params(ChainQuery),
    responses(
        (status = 200, description = "The providers to ask, in this order", body = FallbackResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn fallback(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(query): Query<ChainQuery>,
) -> Result<Json<FallbackResponse>, Problem> {
    may(&state, &caller, "read")?;
    let fallbacks = query.fallbacks.unwrap_or_default();
    let fallbacks: Vec<&str> = fallbacks.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if fallbacks.len() >= LONGEST_CHAIN {
        return Err(Problem::invalid("/fallbacks", "at most nine names may be given"));
    }
    let chain = state.vault.providers.chain(&query.primary, &fallbacks).await?;
    Ok(Json(FallbackResponse {
        recommended: chain.first().map(|health| health.provider.clone()),
        chain: chain.into_iter().map(|health| ProviderHealthResponse::of(&state, health)).collect(),
    }))
}

/// Report the outcome of a call to a provider
///
/// Counts the outcome towards the provider's health. For services with the right `provider:report`.
#[utoipa::path(
    post, path = "/v1/internal/providers/{name}/outcomes", operation_id = "report_provider_outcome", tag = "internal", security(("service_token" = [])),
    params(("name" = String, Path, description = "the provider's name", example = "kite")), request_body = ProviderOutcomeRequest,
    responses(
        (status = 202, description = "The outcome counts"),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn report(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    Path(name): Path<String>,
    Json(body): Json<ProviderOutcomeRequest>,
) -> Result<StatusCode, Problem> {
    service.require("provider", "report")?;
    let response_time = body.response_time_ms.map(response_time).transpose()?;
    let outcome = Outcome::reported(body.ok, body.error.as_deref(), response_time);
    state.vault.providers.record(&name, outcome).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Returns a time that was reported; fails when no call can have taken it.
fn response_time(milliseconds: f64) -> Result<Duration, Problem> {
    let is_possible = (0.0..=LONGEST_RESPONSE_MS).contains(&milliseconds);
    let time = is_possible.then(|| Duration::from_secs_f64(milliseconds / 1_000.0));
    time.ok_or_else(|| Problem::invalid("/response_time_ms", "must be at least zero and at most ten minutes"))
}

/// Set the health of a provider
///
/// Overrides the counted health until the mark expires, and returns the provider's health. Needs the permission
/// `provider:mark`; the administrator's audit trail records it.
#[utoipa::path(
    put, path = "/v1/admin/providers/{name}/mark", operation_id = "mark_provider", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name", example = "kite")), request_body = MarkProviderRequest,
    responses(
        (status = 200, description = "How the provider does, with the mark", body = ProviderHealthResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn mark(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(name): Path<String>,
    Json(body): Json<MarkProviderRequest>,
) -> Result<Json<ProviderHealthResponse>, Problem> {
    may(&state, &caller, "mark")?;
    let is_plain = |reason: &String| reason.chars().count() <= 200 && is_printable(reason);
    if !body.reason.as_ref().is_none_or(is_plain) {
        return Err(Problem::invalid("/reason", "must be at most 200 printable characters"));
    }
    let mark =
        Mark { status: body.status, reason: body.reason, lasts: body.expires_in.map(Duration::from_secs) };
    state.vault.mark_provider(&caller, &name, mark, &client.into()).await?;
    let health = state.vault.providers.health(&name).await?;
    Ok(Json(ProviderHealthResponse::of(&state, health)))
}

/// Remove the mark of a provider
///
/// The counted health is reported again. Needs the permission `provider:mark`; the administrator's audit trail records
/// it.
#[utoipa::path(
    delete, path = "/v1/admin/providers/{name}/mark", operation_id = "unmark_provider", tag = "providers", security(("access_token" = [])),
    params(("name" = String, Path, description = "the provider's name", example = "kite")),
    responses(
        (status = 204, description = "The provider has no mark"),
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
