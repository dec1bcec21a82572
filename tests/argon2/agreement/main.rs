//! Whether the accelerated Argon2id computes what everybody else's does: the vectors of RFC 9106, the portable `argon2`
//! crate over all parameters the service accepts, and the reference implementation.
//!
//! `tests/argon2/run` repeats these tests on every instruction set and under the tools that watch unsafe code.

#![cfg(test)]

mod both;
mod differential;
mod libargon2;
mod vectors;
