//! Randomness for ids, salts and tokens.

use std::fmt::Debug;

/// A source of unpredictable bytes.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `buffer` from a cryptographically secure source; fails when that source does, and never falls back to a
    /// weaker one.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

/// The error when the random number generator fails; the operation that needs it must be refused.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the random number generator is unavailable")]
pub struct EntropyUnavailable;

/// The generator of aws-lc, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that draws from the system")]
        aws_lc_rs::rand::fill(buffer).map_err(|_| EntropyUnavailable)
    }
}
