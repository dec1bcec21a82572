//! `/v1/admin`: the accounts of all people, for callers with the role `admin`. `identity::administration` decides.

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AdminCaller, AppState, AuditEventItem, AuditQuery, Both, Client, FreshAdmin, Json, List, Page, PathId,
    Problem, Query, QueryTime, TradingAccountStatusWord, User, Word, lasting, rfc3339, texts,
};
use portcullis_identity::{
    Account, AccountFilter, AccountId, AccountRequest, AccountStatus, AccountUpdate, Email, FirstPassword,
    InvalidValue, Listed, Operator, Password, PersonName, PhoneNumber, Username,
};
use portcullis_vault::TradingAccount;
use serde::{Deserialize, Serialize};
use serde_with::{As, NoneAsEmptyString};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_keys::ApiKeyItem;
use crate::freezes::{FreezeItem, TradingStatus};
use crate::path_parameters::AccountPath;
use crate::sessions::SessionItem;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, erase))
        .routes(routes!(roles))
        .routes(routes!(send_reset))
        .routes(routes!(verify_email))
        .routes(routes!(list_sessions))
        .routes(routes!(list_api_keys))
        .routes(routes!(show_trading))
        .routes(routes!(unlock))
        .routes(routes!(reset_mfa))
        .routes(routes!(revoke_sessions))
        .routes(routes!(audit))
}

/// The status that an administrator can set.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// The account may be used.
    Active,
    /// The account may not be used.
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

/// An account to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "email": "bela@example.com",
    "password": "seven green kites over the harbour",
    "name": "Bela Kun",
    "roles": ["trader"],
}))]
struct CreateUserRequest {
    /// The e-mail address to sign in with; an account without one needs a username.
    #[schema(value_type = Option<texts::EmailAddress>)]
    email: Option<Email>,
    /// The first password.
    #[schema(value_type = texts::NewPassword)]
    password: Password,
    /// The person's name.
    #[schema(value_type = texts::PersonName)]
    name: PersonName,
    /// A username to sign in with, beside the e-mail address or in its place.
    #[schema(value_type = Option<texts::Username>)]
    username: Option<Username>,
    /// The telephone number.
    #[schema(value_type = Option<texts::PhoneNumber>)]
    phone: Option<PhoneNumber>,
    /// The names of roles in the policy; `user` when absent.
    #[schema(value_type = Option<Vec<texts::RoleName>>)]
    roles: Option<Vec<String>>,
    /// The status; `active` when absent.
    status: Option<Status>,
    /// Whether the e-mail address counts as confirmed; `true` when absent. With `false` its owner confirms it by mail before
    /// the account can be used, where that is required.
    email_verified: Option<bool>,
}

/// The changes to an account. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"roles": ["viewer"], "status": "active"}))]
struct ChangeUserRequest {
    /// All roles of the account, which replace the present ones. Tokens contain them from the next refresh on.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = Vec<texts::RoleName>, required = false)]
    roles: Option<Vec<String>>,
    /// The new status. Disabling an account ends its sessions at once.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = Status, required = false)]
    status: Option<Status>,
}

/// The accounts to list: those that have everything named here.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UserQuery {
    /// A part of the e-mail address, the username, the name or the id, in any case; a whole address or id finds its account
    /// alone, and at once.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>)]
    search: Option<String>,
    /// The name of a role of the account.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<texts::RoleName>, inline)]
    role: Option<String>,
    /// The status of the account.
    #[serde(default)]
    #[param(inline)]
    status: Option<Status>,
    /// The earliest time of the last sign-in (RFC 3339), included.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, format = DateTime)]
    signed_in_since: Option<QueryTime>,
    /// The time (RFC 3339) since which the person has not signed in.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, format = DateTime)]
    not_signed_in_since: Option<QueryTime>,
}

impl From<UserQuery> for AccountFilter {
    fn from(query: UserQuery) -> Self {
        Self {
            text: query.search,
            role: query.role,
            status: query.status.map(Into::into),
            signed_in_since: query.signed_in_since.map(Into::into),
            not_signed_in_since: query.not_signed_in_since.map(Into::into),
        }
    }
}

/// The account to search the audit trail of: `?user_id=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Subject {
    /// The id of an account: only its events are returned.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, pattern = "^(usr_[0-9a-f]{32})?$")]
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

/// A role of the policy.
#[derive(Debug, Serialize, ToSchema)]
struct RoleItem {
    /// The name of the role.
    #[schema(example = "trader")]
    role: String,
    /// What the role permits, as `resource:action`.
    #[schema(example = json!(["trading-account:read"]))]
    permissions: Vec<String>,
    /// The services that the role may use; `*` stands for all.
    services: Vec<String>,
    /// The weakest `acr` of a sign-in that may have the role: `aal1`, `aal2` or `phr`.
    #[schema(example = "aal1")]
    requires: &'static str,
    /// The permissions that the role gives only while the provider they are meant for is healthy.
    #[schema(example = json!([]))]
    healthy_provider: Vec<String>,
    /// When orders of whoever has the role need a person's approval, one line for each rule of `requires.approval`.
    #[schema(example = json!(["trading:order: with an API key or above 100000"]))]
    approval: Vec<String>,
}

/// The state of a person's trading, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct UserTradingResponse {
    /// `active`: services may read the person's credentials; `frozen`: none are released.
    status: TradingStatus,
    /// Since when no credentials are released (RFC 3339, UTC); `null` while they are.
    frozen_at: Option<String>,
    /// Every freeze that stands: the person's own, an administrator's, that of everybody.
    freezes: Vec<FreezeItem>,
    /// The person's trading accounts, oldest first.
    accounts: Vec<UserTradingAccount>,
}

/// The state of a trading account, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct UserTradingAccount {
    /// The id of the account, opaque.
    #[schema(example = "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    account_id: String,
    /// The broker's name.
    broker: String,
    /// The owner's label for the account.
    label: Option<String>,
    /// `pending`, `active`, `expired`, `rejected` or `disabled`.
    status: TradingAccountStatusWord,
    /// When the account was linked (RFC 3339, UTC).
    created_at: String,
    /// When the broker last accepted the credentials (RFC 3339, UTC); `null` before the first time.
    verified_at: Option<String>,
    /// When the session at the broker ends (RFC 3339, UTC); `null` where there is none, or it is over.
    session_expires_at: Option<String>,
}

impl From<TradingAccount> for UserTradingAccount {
    fn from(account: TradingAccount) -> Self {
        Self {
            account_id: account.id.to_string(),
            broker: account.broker,
            label: account.label,
            status: Word(account.status),
            created_at: rfc3339(account.created_at),
            verified_at: account.verified_at.map(rfc3339),
            session_expires_at: account.session_expires_at.map(rfc3339),
        }
    }
}

/// Returns an account as administrators see it; fails when the store does.
async fn shown(state: &AppState, account: Account) -> Result<Json<User>, Problem> {
    let last_login = state.identity.last_login(&account).await?;
    Ok(Json(User::of(state, account, last_login)))
}

/// List the roles
///
/// Returns every role that an account can have, with what it permits, as an array without pages.
#[utoipa::path(
    get, path = "/v1/admin/roles", operation_id = "list_roles", tag = "admin", security(("access_token" = [])),
    responses(
        (status = 200, description = "The roles of the policy", body = Vec<RoleItem>),
        Unauthorized, Forbidden,
    ),
)]
async fn roles(State(state): State<AppState>, _admin: AdminCaller) -> Json<Vec<RoleItem>> {
    let policy = &state.identity.settings.policy;
    let item = |role: &str| RoleItem {
        role: role.to_owned(),
        permissions: policy.permissions(&[role]).into_iter().map(ToString::to_string).collect(),
        services: policy.services(&[role]).into_iter().map(str::to_owned).collect(),
        requires: policy.required(&[role]).as_str(),
        healthy_provider: policy
            .with_healthy_provider(&[role])
            .into_iter()
            .map(ToString::to_string)
            .collect(),
        approval: policy.approval_rules(&[role]).map(ToString::to_string).collect(),
    };
    Json(policy.roles().map(item).collect())
}

/// List accounts
///
/// Returns one page of the accounts, newest first: all, or those that the filters want. They are read from an index, which may
/// be a moment behind. A filtered page may be shorter than `limit`, or empty, and still not be the last: only a `next_cursor`
/// of `null` marks the last page.
#[utoipa::path(
    get, path = "/v1/admin/users", operation_id = "list_users", tag = "admin", security(("access_token" = [])),
    params(UserQuery, Page),
    responses(
        (status = 200, description = "One page of the accounts", body = List<User>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    _admin: AdminCaller,
    Query(Both(query, page)): Query<Both<UserQuery, Page>>,
) -> Result<Json<List<User>>, Problem> {
    let filter = query.into();
    let (listed, next) = state.identity.find_accounts(&filter, page.limit.into(), page.after()?).await?;
    let user = |listed: Listed| User::of(&state, listed.account, listed.last_login);
    let users: Vec<User> = listed.into_iter().map(user).collect();
    Ok(Json(List::of(users, next)))
}

/// Create an account
///
/// Returns the account.
#[utoipa::path(
    post, path = "/v1/admin/users", operation_id = "create_user", tag = "admin", security(("access_token" = [])), request_body = CreateUserRequest,
    responses(
        (status = 201, description = "The new account", body = User),
        Unauthorized, Forbidden, Conflict, Unprocessable,
    ),
)]
async fn create(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    Json(body): Json<CreateUserRequest>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let request = AccountRequest {
        email: body.email,
        name: body.name,
        username: body.username,
        phone: body.phone,
        password: FirstPassword::Chosen(body.password),
        roles: body.roles.unwrap_or_else(|| vec!["user".to_owned()]),
        status: body.status.map_or(AccountStatus::Active, Into::into),
        email_verified: body.email_verified.unwrap_or(true),
    };
    let made = state.identity.create_account(&Operator::from(&admin), request, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(User::of(&state, made, None))))
}

/// Read an account
///
/// Returns the account, and when its owner last signed in.
#[utoipa::path(
    get, path = "/v1/admin/users/{id}", operation_id = "get_user", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 200, description = "The account", body = User),
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
/// Returns the account. The last active administrator can neither lose the role nor be disabled.
#[utoipa::path(
    patch, path = "/v1/admin/users/{id}", operation_id = "change_user", tag = "admin", security(("access_token" = [])),
    request_body = ChangeUserRequest, params(AccountPath),
    responses(
        (status = 200, description = "The account as it is now", body = User),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
    Json(body): Json<ChangeUserRequest>,
) -> Result<Json<User>, Problem> {
    let update = AccountUpdate { roles: body.roles, status: body.status.map(Into::into) };
    let operator = Operator::from(&admin);
    let account = state.identity.update_account(&operator, id, &update, &client.into()).await?;
    shown(&state, account).await
}

/// Erase an account
///
/// Ends its sessions and erases it with its API keys and trading accounts; its audit trail stays, and its e-mail address can be
/// registered again. The last active administrator cannot be erased.
#[utoipa::path(
    delete, path = "/v1/admin/users/{id}", operation_id = "erase_user", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 204, description = "The account and all that belongs to it are gone"),
        Unauthorized, Forbidden, NotFound, Conflict,
    ),
)]
async fn erase(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.erase_account_of(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mail a link to reset the password
///
/// The link works once, for 30 minutes, as one that the person asks for.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/send-reset", operation_id = "send_user_reset", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 204, description = "The link was sent"),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn send_reset(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.send_reset(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the e-mail address of an account
///
/// The administrator vouches for it. Returns the account.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/verify-email", operation_id = "verify_user_email", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 200, description = "The account as it is now", body = User),
        Unauthorized, Forbidden, NotFound, Unprocessable,
    ),
)]
async fn verify_email(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<Json<User>, Problem> {
    let operator = Operator::from(&admin);
    let account = state.identity.vouch_for_address(&operator, id, &client.into()).await?;
    shown(&state, account).await
}

/// List the sessions of an account
///
/// Returns one page of its live sessions, newest first.
#[utoipa::path(
    get, path = "/v1/admin/users/{id}/sessions", operation_id = "list_user_sessions", tag = "admin", security(("access_token" = [])),
    params(AccountPath, Page),
    responses(
        (status = 200, description = "One page of the live sessions, newest first", body = List<SessionItem>),
        Unauthorized, Forbidden, NotFound, Unprocessable,
    ),
)]
async fn list_sessions(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    PathId(id): PathId<AccountId>,
    Query(page): Query<Page>,
) -> Result<Json<List<SessionItem>>, Problem> {
    let account = state.identity.account_by_id(id).await?;
    let found = state.identity.sessions_of(&account, page.limit.into(), page.after()?).await?;
    Ok(Json(SessionItem::list(found, admin.0.session.made.id)))
}

/// List the API keys of an account
///
/// Returns all of them, newest first, without their clear texts.
#[utoipa::path(
    get, path = "/v1/admin/users/{id}/api-keys", operation_id = "list_user_api_keys", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 200, description = "The API keys of the account, newest first", body = List<ApiKeyItem>),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn list_api_keys(
    State(state): State<AppState>,
    _admin: AdminCaller,
    PathId(id): PathId<AccountId>,
) -> Result<Json<List<ApiKeyItem>>, Problem> {
    let account = state.identity.account_by_id(id).await?;
    let keys = state.identity.api_keys_of(&account).await?;
    Ok(Json(List::of(keys, None::<String>)))
}

/// Read the state of a person's trading
///
/// Returns whether the person's credentials are frozen, and the state of their trading accounts, without anything by which
/// these are known at the broker.
#[utoipa::path(
    get, path = "/v1/admin/users/{id}/trading-accounts", operation_id = "get_user_trading", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 200, description = "The state of the person's trading", body = UserTradingResponse),
        Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn show_trading(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    PathId(id): PathId<AccountId>,
) -> Result<Json<UserTradingResponse>, Problem> {
    let person = state.identity.account_by_id(id).await?;
    let (accounts, freezes) = state.vault.accounts_of(person.id, &admin).await?;
    Ok(Json(UserTradingResponse {
        status: TradingStatus::with(&freezes),
        frozen_at: freezes.all().map(|freeze| freeze.since).min().map(rfc3339),
        freezes: FreezeItem::all(freezes),
        accounts: accounts.into_iter().map(UserTradingAccount::from).collect(),
    }))
}

/// Lift the lockout of an account
///
/// Resets its counters of failed sign-in attempts.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/unlock", operation_id = "unlock_user", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 204, description = "The backoff of the account is over"),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn unlock(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.unlock_account(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the second factor of an account
///
/// For an owner who lost it: the next sign-in requires the password alone.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/reset-mfa", operation_id = "reset_user_mfa", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 204, description = "The account has no second factor any more"),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn reset_mfa(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.reset_mfa(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End every session of an account
///
/// Their tokens are revoked.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/revoke-sessions", operation_id = "revoke_user_sessions", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 204, description = "Every session of the account has ended"),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn revoke_sessions(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let operator = Operator::from(&admin);
    state.identity.revoke_sessions_of(&operator, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Search the audit trail
///
/// Returns one page of events, newest first, of all accounts or of one. Without `user_id` they are read from an index, which
/// may be a moment behind. A page may be shorter than `limit`, or empty, and still not be the last: only a `next_cursor` of
/// `null` marks the last page.
#[utoipa::path(
    get, path = "/v1/admin/audit", operation_id = "search_audit_trail", tag = "admin", security(("access_token" = [])),
    params(Subject, AuditQuery, Page),
    responses(
        (status = 200, description = "One page of the records of all accounts, newest first", body = List<AuditEventItem>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn audit(
    State(state): State<AppState>,
    _admin: AdminCaller,
    Query(Both(subject, Both(query, page))): Query<Both<Subject, Both<AuditQuery, Page>>>,
) -> Result<Json<List<AuditEventItem>>, Problem> {
    let (filter, limit, identity) = (query.into(), page.limit.into(), &state.identity);
    Ok(Json(if let Some(SubjectId(id)) = subject.user_id {
        let found = identity.audit_of(id, &filter, limit, page.after()?).await?;
        List::of(found.records, found.next)
    } else {
        let found = identity.audit_by_time(&filter, limit, page.after()?).await?;
        List::of(found.records, found.next)
    }))
}
