//! The rotation of the product's secrets, as AWS Secrets Manager asks for it.
//!
//! The module is responsible for the document of secrets after a rotation ([`rotated`]) and for the four steps that
//! Secrets Manager invokes ([`Rotation`]). No request is refused at any moment of one: a secret is accepted for a whole
//! rotation before it becomes current, and for one after. To rotate one more secret, add it to `ROTATED`.

mod document;
mod step;

pub use document::{Circumstances, NotRotated, Outcome, rotated};
pub use step::{Event, Failed, Rotation};
