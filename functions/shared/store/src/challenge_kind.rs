//! What a challenge is for: part of its key, and the word in front of its token.

/// What a challenge is for. One kind never stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, strum::IntoStaticStr)]
pub enum ChallengeKind {
    /// A sign-in whose password was right and whose code is still to come.
    #[serde(rename = "mfa")]
    #[strum(serialize = "mfa")]
    Mfa,
    /// A sign-in whose password was right and that has to wait for a second factor to be set up.
    #[serde(rename = "enr")]
    #[strum(serialize = "enr")]
    Enrolment,
    /// An account without a password whose owner showed a link and a code, and has to make a passkey.
    #[serde(rename = "rcv")]
    #[strum(serialize = "rcv")]
    Recovery,
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
    /// A passkey that is to be made.
    #[serde(rename = "pkc")]
    #[strum(serialize = "pkc")]
    PasskeyCreation,
    /// A passkey that is to be made as the first factor, by a sign-in that waits for one.
    #[serde(rename = "pkf")]
    #[strum(serialize = "pkf")]
    FirstPasskeyCreation,
    /// A passkey that is to be shown, whosever it is.
    #[serde(rename = "pkg")]
    #[strum(serialize = "pkg")]
    PasskeyAssertion,
    /// A passkey that is to be shown for one approval.
    #[serde(rename = "apr")]
    #[strum(serialize = "apr")]
    Approval,
}

impl ChallengeKind {
    /// Returns the word in the key and in front of the token.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
