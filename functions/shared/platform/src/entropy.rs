//! Randomness for ids, salts and tokens.

use std::fmt::Debug;

/// A source of bytes nobody can predict.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `buffer` from a cryptographically secure source, or fails without handing out anything weaker.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

/// The random number generator gave nothing; whatever needed it must be refused.
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
