//! The rotation of the product's secrets, as AWS Secrets Manager asks for it.
//!
//! The crate is responsible for what a rotation makes of a document of secrets ([`rotated`]) and for the four steps in
//! which Secrets Manager wants it done ([`Rotation`]). No request is refused at any moment of one: what will be made
//! with a secret is accepted a whole rotation before, and one after. To rotate one more secret, add it to `ROTATED`.

mod document;
mod step;

pub use document::{NotRotated, Outcome, rotated};
pub use step::{Event, Failed, Rotation};
