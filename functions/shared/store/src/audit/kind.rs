//! What an event can be about, in stable words that programs filter on.

/// What happened, each with a stable word that programs filter on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantArray))]
#[strum(serialize_all = "snake_case")]
pub enum AuditKind {
    /// An account came into being.
    AccountRegistered,
    /// A person signed in.
    LoginSucceeded,
    /// A login failed.
    LoginFailed,
    /// A person signed in from where they were not seen before.
    NewDevice,
    /// The count of wrong passwords was set back.
    AccountUnlocked,
    /// A password was changed with the old one.
    PasswordChanged,
    /// A link to choose another password was asked for.
    PasswordResetRequested,
    /// A password was chosen with the link of a mail.
    PasswordReset,
    /// A password was right and too old; another one is asked for.
    PasswordExpired,
    /// A password that was too old was replaced.
    PasswordRotated,
    /// A link to confirm the address was asked for.
    VerificationRequested,
    /// The address was confirmed with the link of a mail.
    EmailVerified,
    /// A link to change the address was asked for.
    EmailChangeRequested,
    /// The account got another address, with the link of a mail.
    EmailChanged,
    /// The account got an earlier address back, with the link of a mail.
    EmailRestored,
    /// The account got another username.
    UsernameChanged,
    /// A password was right, and a code is asked for.
    MfaRequired,
    /// A password was right, and a second factor has to be set up before a session begins.
    MfaEnrolmentRequired,
    /// A code was wrong.
    MfaFailed,
    /// A secret for a second factor was handed out; it counts once a code of it is shown.
    MfaSetUp,
    /// A second factor is asked for from now on.
    MfaEnabled,
    /// A second factor is not asked for any more.
    MfaDisabled,
    /// New backup codes took the place of the old ones.
    BackupCodesRenewed,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey got another name.
    PasskeyRenamed,
    /// A passkey was removed.
    PasskeyRemoved,
    /// The signature counter of a passkey fell, as that of a copy does: the sign-in was refused.
    PasskeyCounterFell,
    /// An API key was made.
    ApiKeyCreated,
    /// An API key got another secret.
    ApiKeyRotated,
    /// An API key was removed.
    ApiKeyDeleted,
    /// A session was ended by its owner.
    SessionRevoked,
    /// All sessions, or all but one, were ended by their owner.
    SessionsRevoked,
    /// A refresh token that had already been rotated was presented; the session was ended.
    RefreshTokenReuse,
    /// Name or phone number changed.
    ProfileChanged,
    /// The account was switched off.
    AccountDisabled,
    /// The account was switched on again.
    AccountEnabled,
    /// The account was erased by its owner.
    AccountErased,
    /// An operation was confirmed by a password or a code.
    Confirmed,
    /// A session was raised by one more proof.
    SteppedUp,
    /// A trading account was linked.
    TradingAccountLinked,
    /// A trading account got another label, or was switched off or on.
    TradingAccountChanged,
    /// A trading account's credentials were replaced.
    CredentialsReplaced,
    /// A trading account was unlinked and its ciphertext destroyed.
    TradingAccountUnlinked,
    /// The broker was asked about a trading account.
    TradingAccountVerified,
    /// A broker's session was begun.
    BrokerSessionStarted,
    /// A broker's session was ended.
    BrokerSessionEnded,
    /// Credentials were opened to ask the broker on their owner's behalf.
    CredentialsUsed,
    /// A service was given credentials.
    CredentialsRead,
    /// A service asked for credentials and was refused.
    CredentialsRefused,
    /// Sealed credentials did not open where they lie: they were damaged or moved.
    CredentialsUnreadable,
    /// Credentials were re-encrypted under a new data key.
    #[strum(serialize = "credentials_resealed")]
    CredentialsReencrypted,
    /// Reading of all the person's credentials was stopped.
    CredentialsFrozen,
    /// Reading of the person's credentials was allowed again.
    CredentialsUnfrozen,
    /// Somebody who may order asked for the approval of an order.
    ApprovalRequested,
    /// The person approved it.
    ApprovalGranted,
    /// The person refused it.
    ApprovalDenied,
    /// A service spent it.
    ApprovalRedeemed,
    /// A service showed an approval for what it is not good for, or not any more, and was refused.
    ApprovalRefused,
    /// Orders of a trading account were cancelled, or could not be.
    OrdersCancelled,
    /// Reading of everybody's credentials was stopped.
    EverybodyFrozen,
    /// Reading of everybody's credentials was allowed again.
    EverybodyUnfrozen,
    /// An administrator said how a provider is.
    ProviderMarked,
    /// An administrator took back how a provider is.
    ProviderUnmarked,
    /// An administrator gave the account other roles.
    RolesChanged,
    /// An administrator took the second factor away.
    MfaReset,
    /// An administrator gave the account another password.
    PasswordOverridden,
    /// An administrator made an account for somebody, who was sent a link to choose its password.
    AccountInvited,
    /// Somebody asked for what administrators may and is none, or for what would have left no administrator.
    AdministrationRefused,
}

impl AuditKind {
    /// Returns the stable word that programs filter on, such as `login_succeeded`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// How what it tells of ends, unless the event says otherwise.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::LoginFailed
            | Self::MfaFailed
            | Self::PasskeyCounterFell
            | Self::RefreshTokenReuse
            | Self::AdministrationRefused
            | Self::CredentialsRefused
            | Self::CredentialsUnreadable
            | Self::ApprovalRefused => Outcome::Refused,
            _ => Outcome::Success,
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// Returns the word in records and responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    /// Records are sealed over these words, and programs filter on them.
    #[test]
    fn the_words_of_events_stay() {
        let words: Vec<&str> = AuditKind::VARIANTS.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(
            words.join(" "),
            "account_registered login_succeeded login_failed new_device account_unlocked password_changed \
             password_reset_requested password_reset password_expired password_rotated verification_requested \
             email_verified email_change_requested email_changed email_restored username_changed mfa_required mfa_enrolment_required mfa_failed mfa_set_up mfa_enabled mfa_disabled backup_codes_renewed \
             passkey_added passkey_renamed passkey_removed passkey_counter_fell api_key_created api_key_rotated api_key_deleted session_revoked sessions_revoked refresh_token_reuse \
             profile_changed account_disabled account_enabled account_erased confirmed stepped_up trading_account_linked \
             trading_account_changed credentials_replaced trading_account_unlinked trading_account_verified \
             broker_session_started broker_session_ended credentials_used credentials_read credentials_refused \
             credentials_unreadable credentials_resealed credentials_frozen credentials_unfrozen approval_requested \
             approval_granted approval_denied approval_redeemed approval_refused orders_cancelled \
             everybody_frozen everybody_unfrozen provider_marked \
             provider_unmarked roles_changed mfa_reset password_overridden account_invited \
             administration_refused"
        );
        assert_eq!([Outcome::Success, Outcome::Refused].map(Outcome::as_str), ["success", "refused"]);
    }
}
