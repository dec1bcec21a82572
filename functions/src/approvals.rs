//! `/v1/approvals` and `/v1/internal/approvals/{id}/redeem`: orders that wait for a person's own approval.
//! `identity::approvals` decides.

mod order;
mod responses;

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{
    BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, ApprovalStateWord, Both, Client, IdempotencyKey, Json, List, Object, Page, PathId, Problem,
    Query, ServiceCaller, SignedInCaller, UnverifiedCredential, lasting,
};
use portcullis_identity::{
    AccountId, ApprovalAsker, ApprovalId, ApprovalRequest, ApprovalState, PresentedCode, PresentedProof,
    Principal, RedemptionRequest, Verdict,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::order::{OrderDetails, details};
use self::responses::{
    ApprovalChallengeResponse, ApprovalItem, DecisionResponse, RedemptionResponse, RequestedApproval,
};
use crate::passkeys::credentials::AssertionCredential;
use crate::path_parameters::{ApprovalPath, IdempotencyHeader};

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, ask))
        .routes(routes!(read))
        .routes(routes!(challenge))
        .routes(routes!(decide))
        .routes(routes!(redeem))
}

/// An order that is to be approved by the person whose account it is placed with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"authorization_details": [OrderDetails::example()]}))]
struct RequestApprovalRequest {
    /// What is to be approved: one order. Members that are not described are refused.
    #[schema(value_type = Vec<OrderDetails>, min_items = 1, max_items = 1)]
    authorization_details: Vec<Object<OrderDetails>>,
    /// How many seconds the person has to decide: five minutes when absent.
    #[schema(minimum = 1, maximum = 900)]
    expires_in: Option<u64>,
    /// The person who is asked, for a service; who shows an access token or an API key asks themselves.
    #[schema(value_type = Option<String>, pattern = "^usr_[0-9a-f]{32}$")]
    user_id: Option<AccountId>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DecisionKind {
    /// The order may be placed, once.
    Approve,
    /// It may not.
    Deny,
}

/// A decision, with a proof where it is to approve.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"decision": "deny"}))]
struct DecideApprovalRequest {
    /// What the person decides.
    decision: DecisionKind,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
    /// The `ceremony_token` of the challenge.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

/// What a service is about to order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"authorization_details": [OrderDetails::example()]}))]
struct RedeemApprovalRequest {
    /// The order as it is going to be placed: the very members and texts that were approved.
    #[schema(value_type = Vec<OrderDetails>, min_items = 1, max_items = 1)]
    authorization_details: Vec<Object<OrderDetails>>,
    /// The person whose approval it has to be: for one of anybody else the answer is 404, and nothing is spent. When absent, it may
    /// be anybody's, and the answer says whose it was.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = String, required = false, pattern = "^usr_[0-9a-f]{32}$")]
    user_id: Option<AccountId>,
}

/// Which approvals to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApprovalQuery {
    /// Those that are in this state by now.
    #[param(value_type = Option<ApprovalStateWord>)]
    status: Option<StateName>,
}

/// The name of a state, in a query.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct StateName(ApprovalState);

impl TryFrom<String> for StateName {
    type Error = portcullis_identity::InvalidValue;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let detail = "must be one of pending, approved, denied, redeemed, expired and ended";
        name.parse().map(Self).map_err(|_| portcullis_identity::InvalidValue::new(detail))
    }
}

/// Ask for an approval
///
/// Asks a person to approve one order, and returns what they will be shown. Nothing is ordered by it. A person asks themselves,
/// with an access token; a program of theirs with an API key whose scopes include `approval:request`; a service with that right
/// says whom. A person can be asked for twenty approvals at a time. They are told by mail. A request with an `Idempotency-Key` can be sent again within 24 hours
/// and gets the same approval, as it is by then.
#[utoipa::path(
    post, path = "/v1/approvals", operation_id = "request_approval", tag = "approvals",
    security(("access_token" = []), ("api_key" = []), ("service_token" = [])), params(IdempotencyHeader),
    request_body = RequestApprovalRequest,
    responses(
        (status = 201, description = "The approval, which is pending", body = RequestedApproval),
        BadRequest, Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn ask(
    State(state): State<AppState>,
    shown: UnverifiedCredential,
    client: Client,
    key: Result<Option<IdempotencyKey>, Problem>,
    body: Result<Json<RequestApprovalRequest>, Problem>,
) -> Result<(StatusCode, Json<RequestedApproval>), Problem> {
    let service = match &shown {
        UnverifiedCredential::ServiceToken(token) => Some(state.identity.authenticate_service(token).await?),
        UnverifiedCredential::AccessToken(_) | UnverifiedCredential::ApiKey(_) => None,
    };
    let (wanted, user) = match read_request(key, body, service.is_some()) {
        Ok(read) => read,
        // Whoever is not let in is told so, and not what is wrong with the body.
        Err(problem) => return Err(refused_unless_known(&state, &shown).await.err().unwrap_or(problem)),
    };
    let asker = match (&shown, &service, user) {
        (UnverifiedCredential::AccessToken(token), _, _) => ApprovalAsker::Person(token.expose_secret()),
        (UnverifiedCredential::ApiKey(key), _, _) => ApprovalAsker::Key(key),
        (UnverifiedCredential::ServiceToken(_), Some(service), Some(user)) => {
            ApprovalAsker::Service(service, user)
        }
        (UnverifiedCredential::ServiceToken(_), _, _) => return Err(needs_user()),
    };
    let view = Box::pin(state.identity.ask_for_approval(asker, &wanted, &client.into())).await?;
    Ok((StatusCode::CREATED, Json(view.into())))
}

/// Returns what is asked for, and whom a service asks; fails where that cannot be used.
fn read_request(
    key: Result<Option<IdempotencyKey>, Problem>,
    body: Result<Json<RequestApprovalRequest>, Problem>,
    is_service: bool,
) -> Result<(ApprovalRequest, Option<AccountId>), Problem> {
    let (key, Json(body)) = (key?, body?);
    match (is_service, body.user_id) {
        (true, None) => return Err(needs_user()),
        (false, Some(_)) => return Err(Problem::invalid("/user_id", "is for services alone")),
        (true, Some(_)) | (false, None) => {}
    }
    let wanted = ApprovalRequest {
        details: details(body.authorization_details)?,
        expires_in: body.expires_in,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    Ok((wanted, body.user_id))
}

fn needs_user() -> Problem {
    Problem::invalid("/user_id", "is required of a service")
}

/// Fails unless somebody is known who shows this. A service is known by now.
async fn refused_unless_known(state: &AppState, shown: &UnverifiedCredential) -> Result<(), Problem> {
    match shown {
        UnverifiedCredential::AccessToken(token) => {
            state.identity.authenticate(token.expose_secret()).await?;
        }
        UnverifiedCredential::ApiKey(key) => {
            state.identity.authenticate_key(key).await?;
        }
        UnverifiedCredential::ServiceToken(_) => {}
    }
    Ok(())
}

/// List the own approvals
///
/// Returns one page of what the caller was asked to approve, newest first. A page may be shorter than `limit` and still not be
/// the last.
#[utoipa::path(
    get, path = "/v1/approvals", operation_id = "list_approvals", tag = "approvals", security(("access_token" = [])),
    params(ApprovalQuery, Page),
    responses(
        (status = 200, description = "One page of the caller's approvals", body = List<ApprovalItem>),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(Both(query, page)): Query<Both<ApprovalQuery, Page>>,
) -> Result<Json<List<ApprovalItem>>, Problem> {
    let wanted = query.status.map(|StateName(state)| state);
    let (found, next) =
        state.identity.list_approvals(&caller, wanted, page.limit.into(), page.after()?).await?;
    let items = found.into_iter().map(ApprovalItem::of).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(List::of(items, next)))
}

/// Read an approval
///
/// Returns an approval and what has become of it: one of the caller's own, with an access token, or an API key whose scopes include
/// `approval:request`; one that the service itself asked for, with its token.
#[utoipa::path(
    get, path = "/v1/approvals/{id}", operation_id = "get_approval", tag = "approvals",
    security(("access_token" = []), ("api_key" = []), ("service_token" = [])), params(ApprovalPath),
    responses(
        (status = 200, description = "The approval", body = ApprovalItem),
        BadRequest, Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn read(
    State(state): State<AppState>,
    shown: UnverifiedCredential,
    id: Result<PathId<ApprovalId>, Problem>,
) -> Result<Json<ApprovalItem>, Problem> {
    let identity = &state.identity;
    let view = match &shown {
        UnverifiedCredential::ServiceToken(token) => {
            let service = identity.authenticate_service(token).await?;
            identity.approval_of_service(&service, id?.0).await?
        }
        UnverifiedCredential::AccessToken(token) => {
            let caller = identity.authenticate(token.expose_secret()).await?;
            identity.own_approval(&Principal::Person(Box::new(caller)), id?.0).await?
        }
        UnverifiedCredential::ApiKey(key) => {
            let holder = identity.authenticate_key(key).await?;
            identity.own_approval(&Principal::Key(Box::new(holder)), id?.0).await?
        }
    };
    Ok(Json(ApprovalItem::of(view)?))
}

/// Begin the approval of an order
///
/// Returns the ways in which the caller can approve it, and what a browser needs to ask for a passkey where they have one. What the
/// authenticator signs ends with the digest of the order. Nothing is stored.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/challenge", operation_id = "challenge_approval", tag = "approvals",
    security(("access_token" = [])), params(ApprovalPath),
    responses(
        (status = 200, description = "What the caller needs to approve it", body = ApprovalChallengeResponse),
        Unauthorized, NotFound, Conflict, Unavailable,
    ),
)]
async fn challenge(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    PathId(id): PathId<ApprovalId>,
) -> Result<Json<ApprovalChallengeResponse>, Problem> {
    let challenge = state.identity.challenge_approval(&caller, id).await?;
    Ok(Json(ApprovalChallengeResponse::of(&state, challenge)?))
}

/// Decide an approval
///
/// Approves the order, with a code or with a passkey that was shown for this approval, or refuses it, which takes no proof. Only the
/// person can: no API key and no service. What is approved can be redeemed once, within two minutes; the `approval_token` says so
/// to whoever has the published keys. Sent again while the approval lives, the same request gets the same answer.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/decide", operation_id = "decide_approval", tag = "approvals",
    security(("access_token" = [])), params(ApprovalPath), request_body = DecideApprovalRequest,
    responses(
        (status = 200, description = "What was decided", body = DecisionResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn decide(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<ApprovalId>,
    Json(body): Json<DecideApprovalRequest>,
) -> Result<Json<DecisionResponse>, Problem> {
    let verdict = body.verdict()?;
    let decided = Box::pin(state.identity.decide_approval(&caller, id, &verdict, &client.into())).await?;
    Ok(Json(decided.into()))
}

impl DecideApprovalRequest {
    /// Returns the verdict; fails where a proof to approve is missing, or there are two.
    fn verdict(self) -> Result<Verdict, Problem> {
        let proof = match (self.decision, self.code, self.ceremony_token, self.credential) {
            (DecisionKind::Deny, ..) => return Ok(Verdict::Deny),
            (DecisionKind::Approve, Some(code), None, None) => PresentedProof::Code(code),
            (DecisionKind::Approve, None, Some(ceremony_token), Some(Object(credential))) => {
                PresentedProof::Passkey(Box::new(credential.presented(ceremony_token)?))
            }
            _ => {
                let detail = "either `code`, or `ceremony_token` and `credential` are needed, not both";
                return Err(Problem::invalid("", detail));
            }
        };
        Ok(Verdict::Approve(proof))
    }
}

/// Redeem an approval
///
/// Spends an approval for the order that the service is about to place, and returns who approved it. Of many requests one
/// succeeds. For another order than the one that was approved, or another person than `user_id`, nothing is spent. For services with the right `approval:redeem`. A
/// request with an `Idempotency-Key` can be sent again while the approval lives and gets the same answer.
#[utoipa::path(
    post, path = "/v1/internal/approvals/{id}/redeem", operation_id = "redeem_approval", tag = "internal",
    security(("service_token" = [])), params(ApprovalPath, IdempotencyHeader), request_body = RedeemApprovalRequest,
    responses(
        (status = 200, description = "The approval is spent", body = RedemptionResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn redeem(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    client: Client,
    PathId(id): PathId<ApprovalId>,
    key: Option<IdempotencyKey>,
    Json(body): Json<RedeemApprovalRequest>,
) -> Result<Json<RedemptionResponse>, Problem> {
    let details = details(body.authorization_details)?;
    let idempotency_key = key.as_ref().map(IdempotencyKey::as_str);
    let shown = RedemptionRequest { details: &details, owner: body.user_id, idempotency_key };
    let redeemed = state.identity.redeem_approval(&service, id, shown, &client.into()).await?;
    Ok(Json(redeemed.into()))
}
