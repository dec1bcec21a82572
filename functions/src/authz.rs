//! `/v1/authz`: what the caller may do, by the policy of roles and, for a program, the scopes of its key.

use axum::extract::State;
use portcullis_http::responses::{Unauthorized, Unprocessable};
use portcullis_http::{AnyCaller, AppState, DecisionWord, Json, Problem, Word};
use portcullis_identity::{Permission, PermissionError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(permissions))
}

/// Something the caller may want to do.
#[derive(Debug, Deserialize, ToSchema)]
struct CheckRequest {
    /// `resource:action`; or give both halves.
    #[schema(example = "portfolio:read")]
    permission: Option<String>,
    /// What is acted on, in place of `permission`.
    resource: Option<String>,
    /// What is done to it.
    action: Option<String>,
}

impl CheckRequest {
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
}

/// Whether the caller may do it.
#[derive(Debug, Serialize, ToSchema)]
struct CheckResponse {
    /// Whether the caller may do it.
    allowed: bool,
    /// Why: `granted`, `not_granted_by_roles`, `outside_scopes` or `never_with_api_key`.
    reason: DecisionWord,
}

/// All that the caller may do.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionsResponse {
    /// The account.
    user_id: String,
    /// Its roles as they are now.
    roles: Vec<String>,
    /// What they permit, as `resource:action`; for a program only what is within its key's scopes.
    permissions: Vec<String>,
    /// The services they open; `*` stands for all.
    services: Vec<String>,
}

/// Ask whether the caller may do something
///
/// Decided by the roles as they are now, which may be newer than the token's.
#[utoipa::path(
    post, path = "/v1/authz/check", tag = "authz", security(("access_token" = []), ("api_key" = [])),
    request_body = CheckRequest,
    responses(
        (status = 200, body = CheckResponse),
        Unauthorized, Unprocessable,
    ),
)]
async fn check(
    State(state): State<AppState>,
    AnyCaller(caller): AnyCaller,
    Json(body): Json<CheckRequest>,
) -> Result<Json<CheckResponse>, Problem> {
    let decision = caller.decide(&state.identity.settings.policy, &body.permission()?);
    Ok(Json(CheckResponse { allowed: decision.is_allowed(), reason: Word(decision) }))
}

/// Read what the caller may do
#[utoipa::path(
    get, path = "/v1/authz/permissions", tag = "authz", security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, body = PermissionsResponse), Unauthorized),
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
