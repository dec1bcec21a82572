//! `/v1/admin`: accounts of others, for whoever has the role `admin`. `identity::administration` decides.

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unprocessable};
use portcullis_http::{
    AdminCaller, AppState, AuditEventItem, AuditQuery, Client, Json, List, Page, PathId, Problem, Query, User,
};
use portcullis_identity::{
    Account, AccountId, AccountRequest, AccountStatus, Email, FirstPassword, InvalidValue, Listed, Operator,
    Password, PersonName, PhoneNumber, StandingUpdate, Username,
};
use serde::{Deserialize, Serialize};
use serde_with::{As, NoneAsEmptyString};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change))
        .routes(routes!(unlock))
        .routes(routes!(reset_mfa))
        .routes(routes!(revoke_sessions))
        .routes(routes!(audit))
}

/// What an account may be told to be.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It may be used.
    Active,
    /// It may not.
    Disabled,
}

impl From<Status> for AccountStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Disabled => Self::Disabled,
        }
    }
}

/// An account to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateRequest {
    /// Address to sign in with.
    #[schema(value_type = String)]
    email: Email,
    /// The first password.
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// What the person is called.
    #[schema(value_type = String)]
    name: PersonName,
    /// Second name to sign in with.
    #[schema(value_type = Option<String>)]
    username: Option<Username>,
    /// Telephone number.
    #[schema(value_type = Option<String>)]
    phone: Option<PhoneNumber>,
    /// Names of roles in the policy; `user` when left out.
    roles: Option<Vec<String>>,
    /// `active` when left out.
    status: Option<Status>,
}

/// What changes; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
struct ChangeRequest {
    /// All the roles the account shall have. They count from its next refresh on.
    roles: Option<Vec<String>>,
    /// Switching an account off ends its sessions at once.
    status: Option<Status>,
}

/// The account whose trail is wanted: `?user_id=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Subject {
    /// Of this account alone.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>)]
    user_id: Option<SubjectId>,
}

/// The id of an account, in a query.
#[derive(Debug)]
struct SubjectId(AccountId);

impl FromStr for SubjectId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self).map_err(|_| InvalidValue::new("must be the id of an account"))
    }
}

async fn shown(state: &AppState, account: Account) -> Result<Json<User>, Problem> {
    let last_login = state.identity.last_login(&account).await?;
    Ok(Json(User::of(state, account, last_login)))
}

/// List accounts
///
/// Newest first. The list may be a moment behind: it is read from an index.
#[utoipa::path(
    get, path = "/v1/admin/users", tag = "admin", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, body = List<User>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    _admin: AdminCaller,
    Query(page): Query<Page>,
) -> Result<Json<List<User>>, Problem> {
    let (listed, next) = state.identity.list_accounts(page.limit.into(), page.after()?).await?;
    let user = |listed: Listed| User::of(&state, listed.account, listed.last_login);
    Ok(Json(List {
        items: listed.into_iter().map(user).collect(),
        next_cursor: next.map(|id| id.to_string()),
    }))
}

/// Make an account
#[utoipa::path(
    post, path = "/v1/admin/users", tag = "admin", security(("access_token" = [])), request_body = CreateRequest,
    responses(
        (status = 201, body = User),
        Unauthorized, Forbidden, Conflict, Unprocessable,
    ),
)]
async fn create(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Json(body): Json<CreateRequest>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let request = AccountRequest {
        email: body.email,
        name: body.name,
        username: body.username,
        phone: body.phone,
        password: FirstPassword::Chosen(body.password),
        roles: body.roles.unwrap_or_else(|| vec!["user".to_owned()]),
        status: body.status.map_or(AccountStatus::Active, Into::into),
    };
    let made = state.identity.create_account(&Operator::from(&admin), request, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(User::of(&state, made, None))))
}

/// Read an account
#[utoipa::path(
    get, path = "/v1/admin/users/{id}", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 200, body = User),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn show(
    State(state): State<AppState>,
    _admin: AdminCaller,
    PathId(id): PathId<AccountId>,
) -> Result<Json<User>, Problem> {
    let account = state.identity.account_by_id(id).await?;
    shown(&state, account).await
}

/// Change an account's roles or status
///
/// The last administrator can neither lose the role nor be switched off.
#[utoipa::path(
    patch, path = "/v1/admin/users/{id}", tag = "admin", security(("access_token" = [])),
    request_body = ChangeRequest, params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 200, body = User),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    PathId(id): PathId<AccountId>,
    Json(body): Json<ChangeRequest>,
) -> Result<Json<User>, Problem> {
    let update = StandingUpdate { roles: body.roles, status: body.status.map(Into::into) };
    let operator = Operator::from(&admin);
    let account = state.identity.change_standing(&operator, id, &update, &client.into()).await?;
    shown(&state, account).await
}

/// Forget failed tries to sign in
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/unlock", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn unlock(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.unlock_account(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take the second factor away
///
/// For an owner who lost it: the next sign-in asks for the password alone.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/reset-mfa", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn reset_mfa(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.reset_mfa(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End every session of an account
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/revoke-sessions", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn revoke_sessions(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.revoke_sessions_of(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Search the audit trail
///
/// Newest first, of everybody or of one account. Without `user_id` it is read from an index, which may be a moment
/// behind. A page may be shorter than `limit`, or empty, and still not be the last: only `next_cursor` says so.
#[utoipa::path(
    get, path = "/v1/admin/audit", tag = "admin", security(("access_token" = [])),
    params(Subject, AuditQuery, Page),
    responses(
        (status = 200, body = List<AuditEventItem>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn audit(
    State(state): State<AppState>,
    _admin: AdminCaller,
    Query(subject): Query<Subject>,
    Query(query): Query<AuditQuery>,
    Query(page): Query<Page>,
) -> Result<Json<List<AuditEventItem>>, Problem> {
    let (filter, limit, identity) = (query.into(), page.limit.into(), &state.identity);
    let (records, next_cursor) = if let Some(SubjectId(id)) = subject.user_id {
        let found = identity.audit_of(id, &filter, limit, page.after()?).await?;
        (found.records, found.next.map(|cursor| cursor.to_string()))
    } else {
        let found = identity.audit_by_time(&filter, limit, page.after()?).await?;
        (found.records, found.next.map(|cursor| cursor.to_string()))
    };
    Ok(Json(List { items: records.into_iter().map(AuditEventItem::from).collect(), next_cursor }))
}
