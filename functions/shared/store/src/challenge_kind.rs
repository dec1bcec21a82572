//! What a challenge is for: part of its key, and the word in front of its token.

/// What a challenge is for. One kind never stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, strum::IntoStaticStr)]
pub enum ChallengeKind {
    /// A sign-in whose password was right and whose code is still to come.
    #[serde(rename = "mfa")]
    #[strum(serialize = "mfa")]
    Mfa,
    /// A forgotten password that may be chosen anew.
    #[serde(rename = "rst")]
    #[strum(serialize = "rst")]
    PasswordReset,
    /// A sign-in that was right in everything, with a password that is too old.
    #[serde(rename = "rot")]
    #[strum(serialize = "rot")]
    PasswordRotation,
    /// An address that is to be shown to be its owner's.
    #[serde(rename = "vrf")]
    #[strum(serialize = "vrf")]
    EmailVerification,
    /// An address that an account gets once it is shown to be its owner's.
    #[serde(rename = "chg")]
    #[strum(serialize = "chg")]
    EmailChange,
    /// An address that an account had, and that its owner can go back to.
    #[serde(rename = "bck")]
    #[strum(serialize = "bck")]
    EmailRestoration,
}

impl ChallengeKind {
    /// Returns the word in the key and in front of the token.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
