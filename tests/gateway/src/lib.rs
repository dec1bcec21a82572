//! API Gateway and Lambda on this machine, for the tests: the function binaries behind the routes of the SAM template.
//!
//! The crate reads `infra/template.yaml`, hosts the Runtime API of Lambda for each function in it, starts the real
//! binaries as they are needed, and turns HTTP into events of API Gateway and back. The table is in whatever engine
//! `AWS_ENDPOINT_URL_DYNAMODB` names and the secrets where `AWS_ENDPOINT_URL` does. It asserts nothing.

mod cloud;
mod event;
mod front;
mod function;
pub mod template;
pub mod wire;

pub use cloud::{Cloud, Unprepared};
pub use front::router;
pub use function::Function;
