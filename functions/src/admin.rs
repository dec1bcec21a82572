//! `/v1/admin`: accounts of others, for whoever has the role `admin`. `identity::administration` decides.

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use portcullis_http::{
    AdminCaller, AppState, AuditEventItem, AuditQuery, Client, Code, Json, List, Page, Problem, User,
};
use portcullis_identity::{
    Account, AccountId, AccountRequest, AccountStatus, AuditCursor, AuditId, Email, FirstPassword, Operator,
    Password, PersonName, PhoneNumber, StandingUpdate, Username,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
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
    email: String,
    /// The first password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// What the person is called.
    name: String,
    /// Second name to sign in with.
    username: Option<String>,
    /// Telephone number.
    phone: Option<String>,
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

/// Whose trail: `?user_id=`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct Subject {
    /// Of this account alone.
    user_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Subject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::BadRequest).with_detail("The query cannot be read."))?;
        let mut given = pairs.into_iter().filter(|(name, _)| name == "user_id").map(|(_, value)| value);
        match (given.next(), given.next()) {
            (user_id, None) => Ok(Self { user_id: user_id.filter(|id| !id.is_empty()) }),
            _ => Err(Problem::invalid("/user_id", "the query parameter must be given once")),
        }
    }
}

fn account_id(text: &str) -> Result<AccountId, Problem> {
    text.parse().map_err(|_| Code::NotFound.into())
}

async fn shown(state: &AppState, account: Account) -> Result<Json<User>, Problem> {
    let last_login = state.identity.last_login(&account).await?;
    Ok(Json(User::of(account, last_login)))
}

/// List accounts
///
/// Newest first. The list may be a moment behind: it is read from an index.
#[utoipa::path(
    get, path = "/v1/admin/users", tag = "admin", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, body = List<User>),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 422, response = Problem),
    ),
)]
async fn list(
    State(state): State<AppState>,
    _admin: AdminCaller,
    page: Page,
) -> Result<Json<List<User>>, Problem> {
    let unusable = |_| Problem::invalid("/cursor", "is not one that this list gave out");
    let after = page.cursor.as_deref().map(str::parse::<AccountId>).transpose().map_err(unusable)?;
    let (listed, next) = state.identity.list_accounts(page.limit.into(), after).await?;
    Ok(Json(List {
        items: listed.into_iter().map(|listed| User::of(listed.account, listed.last_login)).collect(),
        next_cursor: next.map(|id| id.to_string()),
    }))
}

/// Make an account
#[utoipa::path(
    post, path = "/v1/admin/users", tag = "admin", security(("access_token" = [])), request_body = CreateRequest,
    responses(
        (status = 201, body = User),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
async fn create(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Json(body): Json<CreateRequest>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let request = AccountRequest {
        email: Email::parse(&body.email)?,
        name: PersonName::parse(&body.name)?,
        username: body.username.as_deref().map(Username::parse).transpose()?,
        phone: body.phone.as_deref().map(PhoneNumber::parse).transpose()?,
        password: FirstPassword::Chosen(Password::new(&body.password)),
        roles: body.roles.unwrap_or_else(|| vec!["user".to_owned()]),
        status: body.status.map_or(AccountStatus::Active, Into::into),
    };
    let made = state.identity.create_account(&Operator::from(&admin), request, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(User::of(made, None))))
}

/// Read an account
#[utoipa::path(
    get, path = "/v1/admin/users/{id}", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 200, body = User),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn show(
    State(state): State<AppState>,
    _admin: AdminCaller,
    Path(id): Path<String>,
) -> Result<Json<User>, Problem> {
    let account = state.identity.account_by_id(account_id(&id)?).await?;
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
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 409, response = Problem), (status = 422, response = Problem),
    ),
)]
async fn change(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Path(id): Path<String>,
    Json(body): Json<ChangeRequest>,
) -> Result<Json<User>, Problem> {
    let update = StandingUpdate { roles: body.roles, status: body.status.map(Into::into) };
    let operator = Operator::from(&admin);
    let account =
        state.identity.change_standing(&operator, account_id(&id)?, &update, &client.into()).await?;
    shown(&state, account).await
}

/// Forget failed tries to sign in
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/unlock", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn unlock(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.unlock_account(&operator, account_id(&id)?, &client.into()).await?;
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
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn reset_mfa(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.reset_mfa(&operator, account_id(&id)?, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End every session of an account
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/revoke-sessions", tag = "admin", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn revoke_sessions(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.revoke_sessions_of(&operator, account_id(&id)?, &client.into()).await?;
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
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 422, response = Problem),
    ),
)]
async fn audit(
    State(state): State<AppState>,
    _admin: AdminCaller,
    subject: Subject,
    query: AuditQuery,
    page: Page,
) -> Result<Json<List<AuditEventItem>>, Problem> {
    let unusable = || Problem::invalid("/cursor", "is not one that this list gave out");
    let (filter, limit, identity) = (query.into(), page.limit.into(), &state.identity);
    let (records, next_cursor) = if let Some(id) = subject.user_id {
        let id = id.parse().map_err(|_| Problem::invalid("/user_id", "must be the id of an account"))?;
        let after = page.cursor.as_deref().map(str::parse::<AuditCursor>).transpose();
        let found = identity.audit_of(id, &filter, limit, after.map_err(|()| unusable())?).await?;
        (found.records, found.next.map(|cursor| cursor.to_string()))
    } else {
        let after = page.cursor.as_deref().map(str::parse::<AuditId>).transpose();
        let found = identity.audit_by_time(&filter, limit, after.map_err(|_| unusable())?).await?;
        (found.records, found.next.map(|cursor| cursor.to_string()))
    };
    Ok(Json(List { items: records.into_iter().map(AuditEventItem::from).collect(), next_cursor }))
}
