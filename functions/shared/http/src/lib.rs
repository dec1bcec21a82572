//! What every HTTP route shares: errors as problem documents, strict JSON bodies, request ids, CORS, the refresh cookie.
//!
//! The crate is responsible for the rules the contract sets for every route, and for nothing that only one of them
//! does. It must not know how anything is stored or which cloud it runs in: what it needs from outside it gets as the
//! traits of `portcullis-platform`, and what is decided about people it asks of `portcullis-identity`.
//!
//! # Adding an endpoint
//!
//! 1. In the function's crate, write a handler with `#[utoipa::path]` that takes [`Json`] or [`OptionalJson`], and
//!    whichever of [`SignedInCaller`], [`Client`], [`Page`] and [`IdempotencyKey`] it needs, and answers
//!    `Result<Json<_>, Problem>`.
//! 2. Add it to that crate's `OpenApiRouter` with `routes!`. Whoever runs the router wraps it once in [`finish`].
//! 3. A failure the contract does not name yet is a new [`Code`]; the compiler lists what else must then be said.

mod access_log;
mod audit;
mod body;
mod caller;
mod client;
mod cors;
mod deadline;
mod device_cookie;
mod healthz;
mod idempotency_key;
mod json;
pub mod openapi;
mod origin;
mod pagination;
mod panics;
mod problem;
mod refresh_cookie;
mod request_id;
mod router;
mod security_headers;
mod session_answer;
mod settings;
mod state;
#[cfg(test)]
mod testing;

pub use audit::{AuditEventItem, AuditQuery};
pub use body::MAX_BODY;
pub use caller::{AdminCaller, AnyCaller, ServiceCaller, SignedInCaller, bearer_token};
pub use client::{Client, ClientAddress, address_of_socket};
pub use healthz::{Health, routes as healthz_routes};
pub use idempotency_key::IdempotencyKey;
pub use json::{Json, OptionalJson};
pub use origin::{Origin, Origins, require_allowed_origin};
pub use pagination::{List, Page};
pub use panics::log_panics_without_their_message;
pub use problem::{Code, FieldError, Problem, ProblemDocument};
pub use refresh_cookie::RefreshCookie;
pub use request_id::RequestId;
pub use router::finish;
pub use session_answer::{SessionAnswer, TokenDelivery, User, device_headers, rfc3339, session_headers};
pub use settings::{ALLOWED_ORIGINS, HttpSettings, PUBLIC_URL, PublicUrl, VARIABLES};
pub use state::AppState;
