//! Whether an access token is to be believed, what its roles permit, and what can be an API key at all.
//!
//! The crate is responsible for everything about an access token except the arithmetic of its signature: its size and
//! shape, its header, its claims (RFC 7519, RFC 9068, with the advice of RFC 8725), and the policy that turns roles
//! into permissions and services. The functions and the edge worker share it, so that both decide alike.
//!
//! What the edge decides on besides is here too, so that it can be tested and fuzzed away from it: the issuer's key set
//! ([`jwks`]), which route a path belongs to ([`route`]), the shape of API keys ([`api_key`]), the pages of what was
//! revoked ([`revocation`]), what an order can come to ([`order`]), and the text under the proof that a request came through the
//! edge ([`origin_proof`]).
//!
//! It must not know the time, keys, cryptography, storage or HTTP: the caller looks the key up by [`UnverifiedToken::kid`],
//! checks the signature with whatever its platform offers, and hands the verdict and the time to
//! [`UnverifiedToken::accept`]. That is what lets it run without the standard library.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod algorithm;
pub mod api_key;
mod assurance;
mod base64url;
mod claims;
mod expectations;
mod header;
mod identity_headers;
pub mod jwks;
mod object;
pub mod order;
pub mod origin_proof;
mod payload;
pub mod policy;
mod rejection;
pub mod revocation;
mod roca;
pub mod route;
mod strict_object;
mod strict_value;
#[cfg(test)]
mod tests;
mod token;

pub use algorithm::Algorithm;
pub use assurance::Assurance;
pub use claims::Claims;
pub use expectations::Expectations;
pub use identity_headers::IdentityHeaders;
pub use rejection::Rejection;
pub use roca::has_roca_pattern;
pub use strict_value::StrictValue;
pub use token::{AwaitedToken, MAX_TOKEN_BYTES, UnverifiedToken};
