//! Every function's routes in one process, on the embedded store: what `cargo run` starts.
//!
//! The crate is responsible for putting the parts together and for starting and stopping them; it decides nothing about
//! accounts, and no other crate knows that it exists. To serve one more function, merge its routes in [`router`].

mod engine_maintenance;
mod routes;
mod scheduled_jobs;
mod service;
mod settings;

pub use routes::router;
pub use service::{Service, StartError};
pub use settings::{all_variables, log_filter, without_effect};
