//! What the suites share. Over HTTP: a running service ([`app::App`]), a [`person::Person`] and a [`service::Service`] who
//! call it, and the [`reply::Reply`] they get. Within the test: the operations with faults in front of their store
//! ([`in_process::World`]) and the people who use them.
//!
//! What is right is asserted by the suites. The actors assert only what a test cannot go on without.

pub mod app;
pub mod authenticator;
pub mod brokers;
pub mod call;
mod contract;
pub mod endpoint;
pub mod fault;
pub mod in_process;
pub mod notifications;
pub mod outbox;
pub mod passkey;
pub mod person;
pub mod process;
pub mod reply;
pub mod service;
pub mod unguarded;
