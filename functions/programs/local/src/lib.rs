//! Every function's routes in one process: the server, and what `cargo run` starts.
//!
//! The crate is responsible for putting the parts together and for starting and stopping them; it decides nothing about
//! accounts, and no other crate knows that it exists. To serve one more function, merge its routes in [`router`].

mod connections;
mod current;
mod engine_maintenance;
mod health;
mod healthcheck;
mod metrics;
mod routes;
mod scheduled_jobs;
mod service;
mod settings;
mod tls;
mod unread_body;

pub use healthcheck::{Unhealthy, check_health};
pub use metrics::{CountedEvents, Metrics};
pub use routes::router;
pub use service::{Service, StartError};
pub use settings::{ProcessSettings, all_variables, log_filter, logs_json, without_effect};
