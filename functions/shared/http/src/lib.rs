//! What every HTTP route shares: errors as problem documents, strict JSON bodies, request ids, CORS, the refresh cookie.
#![doc = include_str!("../README.md")]

mod access_log;
mod audit;
mod body;
mod brand;
mod caller;
mod client;
mod content_encoding;
mod cors;
mod deadline;
mod device_cookie;
mod edge;
mod explain;
mod forwarded;
mod healthz;
mod idempotency_key;
mod json;
pub mod openapi;
mod origin;
mod pagination;
mod panics;
mod path_id;
mod problem;
mod query;
mod refresh_cookie;
mod request_id;
mod router;
mod security_headers;
mod session_response;
mod settings;
mod state;
#[cfg(test)]
mod testing;
pub mod texts;
mod words;

pub use audit::{AuditEventItem, AuditQuery, EventDetails, EventType, QueryTime};
pub use body::MAX_BODY;
pub use brand::Brand;
pub use caller::{
    AdminCaller, AnyCaller, FreshAdmin, FreshCaller, ServiceCaller, SignedInCaller, UnverifiedCredential,
    bearer_token,
};
pub use client::{Client, ClientAddress, address_of_socket};
pub use forwarded::TrustedProxies;
pub use healthz::{Health, Liveness, routes as healthz_routes};
pub use idempotency_key::IdempotencyKey;
pub use json::{Json, Object, OptionalJson, lasting, object};
pub use origin::{Origin, Origins, require_allowed_origin};
pub use pagination::{Cursor, Limit, List, Page};
pub use panics::log_panics_without_their_message;
pub use path_id::PathId;
pub use problem::{Code, FieldError, Problem, ProblemDocument, ProofOfWork, responses};
pub use query::{Both, Parameters, Query};
pub use refresh_cookie::RefreshCookie;
pub use request_id::RequestId;
pub use router::finish;
pub use session_response::{
    SessionResponse, SessionStatus, TokenDelivery, TokenType, User, device_headers, rfc3339, session_headers,
};
pub use settings::{ALLOWED_ORIGINS, HttpSettings, PUBLIC_URL, PublicUrl, VARIABLES};
pub use state::AppState;
pub use words::{
    AccountStatusWord, ApprovalMethodWord, ApprovalStateWord, DecisionWord, HealthStatusWord, LeaseKindWord,
    OrdersWord, SessionEndWord, TradingAccountStatusWord, Word, Words,
};
