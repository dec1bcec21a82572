//! What a caller demands of a token besides a valid signature.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Algorithm;

const MAX_LEEWAY_SECONDS: u64 = 5;

/// Who must have issued the token, for whom, and how it may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectations {
    /// The exact `iss`.
    pub issuer: String,
    /// The string `aud` must be or contain.
    pub audience: String,
    /// The algorithms the caller has keys for.
    pub algorithms: Vec<Algorithm>,
    /// Seconds by which the issuer's clock may differ. More than 5 counts as 5: more would outlive revocation.
    pub leeway: u64,
}

impl Expectations {
    /// Tokens of this issuer for this audience, signed with RS256, with 5 s for clocks that disagree.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms: vec![Algorithm::Rs256],
            leeway: MAX_LEEWAY_SECONDS,
        }
    }

    /// The field is public, so the cap is applied where the leeway is used.
    pub(crate) fn capped_leeway(&self) -> u64 {
        self.leeway.min(MAX_LEEWAY_SECONDS)
    }
}
