//! Every endpoint of the service, one module each, and the table of functions they are deployed as.
//!
//! A module holds the wire types and handlers of its routes and translates; what is decided is decided in
//! `portcullis-identity` and `portcullis-vault`. [`FUNCTIONS`] names every function, what it serves or does, and nothing
//! else does: the local service merges all of its routes, and the Lambda bootstrap serves the one that Lambda asks for.
//!
//! # Adding an endpoint
//!
//! 1. A module here with `pub(crate) fn routes()`.
//! 2. A row in [`FUNCTIONS`].
//! 3. A resource in `infra/template.yaml` whose `Handler` is the name of the row, with its routes and its rights.

mod admin;
mod api_keys;
mod approvals;
mod audit;
mod authz;
mod broker_credentials;
mod broker_sessions;
mod console;
mod freezes;
mod introspection;
mod jwks;
mod login;
mod login_response;
mod logout;
mod mfa;
mod passkeys;
mod password;
mod path_parameters;
mod providers;
mod refresh;
mod register;
mod scheduled_job;
mod sessions;
mod sign_in_names;
mod step_up;
mod table;
mod trading_accounts;
mod users;

pub use console::console_paths;
pub use scheduled_job::{JobError, JobEvent, ScheduledJob};
pub use table::{FUNCTIONS, Function, Work};
