//! `/v1/authz`: what the caller may do, by the policy of roles and, for a program, the scopes of its key.

use std::collections::BTreeSet;

use axum::extract::State;
use portcullis_http::responses::{BadRequest, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AnyCaller, AppState, DecisionWord, HealthStatusWord, Json, Problem, Word, texts};
use portcullis_identity::{Decimal, Decision, Intent, Permission, PermissionError, is_word};
use portcullis_vault::{Health, HealthStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many alternatives to a provider can be named.
const MOST_FALLBACKS: usize = 9;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(permissions))
}

/// The permission to check.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"permission": "portfolio:read"}))]
struct CheckPermissionRequest {
    /// The permission as `resource:action`; either this, or both `resource` and `action`.
    #[schema(value_type = Option<texts::PermissionName>)]
    permission: Option<String>,
    /// The resource, in place of `permission`.
    #[schema(value_type = Option<texts::PermissionWord>)]
    resource: Option<String>,
    /// The action on the resource, in place of `permission`.
    #[schema(value_type = Option<texts::PermissionWord>)]
    action: Option<String>,
    /// The provider that it would be done with, such as the broker of an order. Required where the policy grants the permission
    /// only while the provider is healthy; its health is read there alone.
    #[schema(value_type = Option<texts::BrokerName>)]
    provider: Option<String>,
    /// Up to nine other providers that would do, the preferred ones first.
    #[serde(default)]
    #[schema(value_type = Vec<texts::BrokerName>, required = false, max_items = 9)]
    fallbacks: Vec<String>,
    /// The service that does it, where the policy names services whose orders need an approval; the resource when absent.
    #[schema(value_type = Option<texts::PermissionWord>)]
    service: Option<String>,
    /// What the order comes to at most, quantity times price. Where the policy wants an approval above some notional, an order
    /// without this needs one.
    #[schema(value_type = Option<texts::DecimalNumber>)]
    notional: Option<Decimal>,
}

impl CheckPermissionRequest {
    fn permission(&self) -> Result<Permission, Problem> {
        let invalid = |pointer: &'static str| {
            move |error: PermissionError| Problem::invalid(pointer, error.to_string())
        };
        match (&self.permission, &self.resource, &self.action) {
            (Some(permission), None, None) => permission.parse().map_err(invalid("/permission")),
            (None, Some(resource), Some(action)) => {
                Permission::new(resource, action).map_err(|error| match error {
                    PermissionError::Action => invalid("/action")(error),
                    _ => invalid("/resource")(error),
                })
            }
            _ => Err(Problem::invalid("/permission", "give either `permission` or `resource` and `action`")),
        }
    }

    /// Returns what the policy of approvals is asked.
    fn intent<'a>(&'a self, permission: &'a Permission) -> Result<Intent<'a>, Problem> {
        let service = self.service.as_deref();
        if service.is_some_and(|name| !is_word(name)) {
            return Err(Problem::invalid("/service", "must be a lower-case word"));
        }
        Ok(Intent { permission, service, notional: self.notional.as_ref() })
    }

    /// Returns the named providers after checking that they exist.
    fn providers(&self, known: &BTreeSet<&str>) -> Result<Option<(&str, Vec<&str>)>, Problem> {
        let unknown = |pointer| Problem::invalid(pointer, "is no provider of `GET /v1/providers`");
        let Some(provider) = &self.provider else {
            let nothing = self.fallbacks.is_empty().then_some(None);
            return nothing
                .ok_or_else(|| Problem::invalid("/provider", "is what the fallbacks are for; name it"));
        };
        if !known.contains(provider.as_str()) {
            return Err(unknown("/provider"));
        }
        if self.fallbacks.len() > MOST_FALLBACKS {
            return Err(Problem::invalid("/fallbacks", "must be nine providers at most"));
        }
        let fallbacks: Vec<&str> = self.fallbacks.iter().map(String::as_str).collect();
        let are_known = fallbacks.iter().all(|name| known.contains(name));
        if are_known { Ok(Some((provider, fallbacks))) } else { Err(unknown("/fallbacks")) }
    }
}

/// The decision about a permission.
#[derive(Debug, Serialize, ToSchema)]
struct CheckPermissionResponse {
    /// Whether the caller has the permission.
    allowed: bool,
    /// The reason of the decision: `granted`, `not_granted_by_roles`, `outside_scopes`, `never_with_api_key`,
    /// `insufficient_user_authentication`, where a role requires a stronger sign-in, `provider_unavailable`, where a role
    /// requires a healthy provider and the named one is degraded or unhealthy, or `approval_required`, where all else is granted
    /// and a role wants the order approved: redeem an approval of it, and place it then.
    reason: DecisionWord,
    /// The health of the provider, where the decision depended on it; absent where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<HealthStatusWord>,
    /// The first healthy one of the fallbacks, where the provider is not; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<texts::BrokerName>)]
    fallback: Option<String>,
}

impl CheckPermissionResponse {
    fn of(decision: Decision) -> Self {
        let (allowed, reason) = (decision.is_allowed(), Word(decision));
        Self { allowed, reason, provider_status: None, fallback: None }
    }

    /// The decision about what is granted only while the provider is healthy, which is `granted` then. `chain` is the provider and
    /// its fallbacks.
    fn by_health(provider: &str, chain: Vec<Health>, granted: Decision) -> Self {
        let status = chain.iter().find(|health| health.provider == provider).map(|health| health.status);
        if status == Some(HealthStatus::Healthy) {
            return Self { provider_status: status.map(Word), ..Self::of(granted) };
        }
        let fallback = chain.into_iter().find(|health| health.status == HealthStatus::Healthy);
        Self {
            provider_status: status.map(Word),
            fallback: fallback.map(|health| health.provider),
            ..Self::of(Decision::ProviderUnavailable)
        }
    }
}

/// The caller's roles, permissions and services.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionsResponse {
    /// The id of the account.
    user_id: String,
    /// The account's roles as they are now.
    roles: Vec<String>,
    /// The permissions of those roles, as `resource:action`; for an API key, only those within its scopes.
    permissions: Vec<String>,
    /// The services that those roles may use; `*` stands for all.
    services: Vec<String>,
}

/// Check a permission of the caller
///
/// Returns the decision, made with the roles as they are now, which may be newer than those in the token, with the health
/// of a provider where a role requires it, and with whether a role wants an approval.
#[utoipa::path(
    post, path = "/v1/authz/check", operation_id = "check_permission", tag = "authz", security(("access_token" = []), ("api_key" = [])),
    request_body = CheckPermissionRequest,
    responses(
        (status = 200, description = "The decision", body = CheckPermissionResponse),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn check(
    State(state): State<AppState>,
    AnyCaller(caller): AnyCaller,
    Json(body): Json<CheckPermissionRequest>,
) -> Result<Json<CheckPermissionResponse>, Problem> {
    let (policy, permission) = (&state.identity.settings.policy, body.permission()?);
    let providers = &state.vault.providers;
    let (named, intent) = (body.providers(&providers.names())?, body.intent(&permission)?);
    let decision = caller.decide(policy, &permission);
    let granted = || {
        let is_to_be_approved = state.identity.needs_approval(&caller, intent);
        if is_to_be_approved { Decision::ApprovalRequired } else { Decision::Granted }
    };
    if !decision.is_allowed() {
        return Ok(Json(CheckPermissionResponse::of(decision)));
    }
    if !policy.needs_healthy_provider(&caller.account().roles, &permission) {
        return Ok(Json(CheckPermissionResponse::of(granted())));
    }
    let Some((provider, fallbacks)) = named else {
        return Err(Problem::invalid(
            "/provider",
            "is required: the policy grants this by the health of the provider",
        ));
    };
    let chain = providers.chain(provider, &fallbacks).await?;
    Ok(Json(CheckPermissionResponse::by_health(provider, chain, granted())))
}

/// List the permissions of the caller
///
/// Returns them for the roles as they are now, which may be newer than those in the token.
#[utoipa::path(
    get, path = "/v1/authz/permissions", operation_id = "list_permissions", tag = "authz", security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, description = "The caller's roles and what they permit", body = PermissionsResponse), BadRequest, Unauthorized),
)]
async fn permissions(
    State(state): State<AppState>,
    AnyCaller(caller): AnyCaller,
) -> Json<PermissionsResponse> {
    let policy = &state.identity.settings.policy;
    let services = policy.services(&caller.account().roles).into_iter().map(str::to_owned).collect();
    let permissions = caller.permissions(policy).iter().map(ToString::to_string).collect();
    let account = caller.into_account();
    Json(PermissionsResponse { user_id: account.id.to_string(), roles: account.roles, permissions, services })
}
