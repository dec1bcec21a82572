//! The signature algorithms a token may name.

use core::ops::RangeInclusive;

/// An asymmetric signature algorithm. There is no `none` and no HMAC to confuse it with (RFC 8725 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
    Rs256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4).
    Es256,
    /// Edwards-curve signatures (RFC 8037 section 3.1).
    EdDSA,
}

impl Algorithm {
    /// Every algorithm a token may be signed with (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDSA];

    /// The algorithm of this `alg` value. Names are case-sensitive (RFC 7515 section 4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its `alg` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// How many bytes a signature may have. RSA starts at the 2048 bits that RFC 7518 section 3.3 demands.
    pub(crate) fn signature_bytes(self) -> RangeInclusive<usize> {
        match self {
            Self::Rs256 => 256..=1024,
            Self::Es256 | Self::EdDSA => 64..=64,
        }
    }
}
