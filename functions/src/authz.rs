//! `/v1/authz`: what the caller may do, by the policy of roles and, for a program, the scopes of its key.

use axum::extract::State;
use portcullis_http::responses::{BadRequest, Unauthorized, Unprocessable};
use portcullis_http::{AnyCaller, AppState, DecisionWord, Json, Problem, Word, texts};
use portcullis_identity::{Permission, PermissionError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
}

/// The decision about a permission.
#[derive(Debug, Serialize, ToSchema)]
struct CheckPermissionResponse {
    /// Whether the caller has the permission.
    allowed: bool,
    /// The reason of the decision: `granted`, `not_granted_by_roles`, `outside_scopes` or `never_with_api_key`.
    reason: DecisionWord,
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
/// Returns the decision, made with the roles as they are now, which may be newer than those in the token.
#[utoipa::path(
    post, path = "/v1/authz/check", operation_id = "check_permission", tag = "authz", security(("access_token" = []), ("api_key" = [])),
    request_body = CheckPermissionRequest,
    responses(
        (status = 200, description = "The decision", body = CheckPermissionResponse),
        Unauthorized, Unprocessable,
    ),
)]
async fn check(
    State(state): State<AppState>,
    AnyCaller(caller): AnyCaller,
    Json(body): Json<CheckPermissionRequest>,
) -> Result<Json<CheckPermissionResponse>, Problem> {
    let decision = caller.decide(&state.identity.settings.policy, &body.permission()?);
    Ok(Json(CheckPermissionResponse { allowed: decision.is_allowed(), reason: Word(decision) }))
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
