//! What secrets are for. Each purpose is a secret of its own in a cloud's secret store, so that who needs one reads no other.

use crate::SecretName;

/// A purpose that secrets share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretPurpose {
    /// To tell who is calling: the proof key of the edge, and the public halves of the signing keys. Everybody's.
    Callers,
    /// Records that outlive a rotation: API keys, the audit trail, known devices and repeated requests; and ceremonies of
    /// passkeys.
    Records,
    /// To recognise refresh tokens, and to make them.
    Sessions,
    /// To make access tokens.
    Signing,
    /// To recognise services by their tokens.
    Services,
}

impl SecretPurpose {
    /// Every purpose, that of everybody first.
    pub const ALL: &[Self] = &[Self::Callers, Self::Records, Self::Sessions, Self::Signing, Self::Services];

    /// Returns what the name of its secret ends with, after that of the deployment.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Callers => "",
            Self::Records => "/records",
            Self::Sessions => "/sessions",
            Self::Signing => "/signing",
            Self::Services => "/services",
        }
    }

    /// Returns the purpose of a secret by its name; what is no secret of ours stays with what everybody reads.
    pub fn of(name: &str) -> Self {
        let is = |secret: SecretName| secret.as_str() == name;
        match name {
            _ if is(SecretName::ApiKeySecret) => Self::Records,
            _ if is(SecretName::SessionSecretKey) => Self::Sessions,
            _ if is(SecretName::TokenSigningKey) => Self::Signing,
            _ if is(SecretName::ServiceTokens) => Self::Services,
            _ => Self::Callers,
        }
    }
}
