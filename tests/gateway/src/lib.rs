//! API Gateway and Lambda on this machine, for the tests: the function binaries behind the routes of the SAM template.
//!
//! The crate reads `infra/template.yaml`, hosts the Runtime API of Lambda for each function in it, starts the real
//! binaries as they are needed, and turns HTTP into events of API Gateway and back. The table is in whatever engine
//! `AWS_ENDPOINT_URL_DYNAMODB` names, and the secrets are where `AWS_ENDPOINT_URL` says, both
//! behind guards that hold each function to its policy in the template. The crate asserts nothing.

mod cloud;
mod deployment;
mod event;
mod front;
mod function;
mod guard;
mod notifications;
pub mod storm;
pub mod template;
pub mod wire;

pub use cloud::{Cloud, Unprepared};
pub use deployment::Deployment;
pub use front::router;
pub use function::Function;
pub use guard::{guard, guard_secrets};
pub use notifications::{notifications_to, token_in};
