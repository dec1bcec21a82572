//! The trail of what happened to an account, written in the same call as what it tells of.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::{Entropy, EntropyUnavailable};

use crate::id::{AccountId, SessionId};
use crate::item::{Attributes, ItemWriter, text, time};
use crate::keys;

/// How long events are kept: thirteen months, so that one year can be compared with the next.
const RETENTION: Duration = Duration::from_hours(400 * 24);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditKind {
    /// An account came into being.
    AccountRegistered,
    /// A person signed in.
    LoginSucceeded,
    /// A password was right, and a code is asked for.
    MfaRequired,
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
    /// Credentials were opened to ask the broker on their owner's behalf.
    CredentialsUsed,
    /// A service was given credentials.
    CredentialsRead,
    /// A service asked for credentials and was refused.
    CredentialsRefused,
    /// Sealed credentials did not open where they lie: they were damaged or moved.
    CredentialsUnreadable,
    /// Credentials were sealed anew under another data key.
    CredentialsResealed,
    /// Reading of all the person's credentials was stopped.
    CredentialsFrozen,
    /// Reading of the person's credentials was allowed again.
    CredentialsUnfrozen,
}

impl AuditKind {
    /// The stable word that programs filter on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountRegistered => "account_registered",
            Self::LoginSucceeded => "login_succeeded",
            Self::MfaRequired => "mfa_required",
            Self::MfaFailed => "mfa_failed",
            Self::MfaSetUp => "mfa_set_up",
            Self::MfaEnabled => "mfa_enabled",
            Self::MfaDisabled => "mfa_disabled",
            Self::BackupCodesRenewed => "backup_codes_renewed",
            Self::ApiKeyCreated => "api_key_created",
            Self::ApiKeyRotated => "api_key_rotated",
            Self::ApiKeyDeleted => "api_key_deleted",
            Self::SessionRevoked => "session_revoked",
            Self::SessionsRevoked => "sessions_revoked",
            Self::RefreshTokenReuse => "refresh_token_reuse",
            Self::ProfileChanged => "profile_changed",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::AccountErased => "account_erased",
            Self::Confirmed => "confirmed",
            Self::TradingAccountLinked => "trading_account_linked",
            Self::TradingAccountChanged => "trading_account_changed",
            Self::CredentialsReplaced => "credentials_replaced",
            Self::TradingAccountUnlinked => "trading_account_unlinked",
            Self::TradingAccountVerified => "trading_account_verified",
            Self::BrokerSessionStarted => "broker_session_started",
            Self::CredentialsUsed => "credentials_used",
            Self::CredentialsRead => "credentials_read",
            Self::CredentialsRefused => "credentials_refused",
            Self::CredentialsUnreadable => "credentials_unreadable",
            Self::CredentialsResealed => "credentials_resealed",
            Self::CredentialsFrozen => "credentials_frozen",
            Self::CredentialsUnfrozen => "credentials_unfrozen",
        }
    }
}

/// One event: who, what, when, from where.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// Tells apart events of one millisecond.
    sequence: u64,
    /// What happened.
    pub kind: AuditKind,
    /// When.
    pub at: Timestamp,
    /// The account it happened to.
    pub subject: AccountId,
    /// The session it happened in or to.
    pub session: Option<SessionId>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The request that caused it.
    pub request_id: String,
    /// What it happened to, where that is not the account itself: the id of a trading account.
    pub target: Option<String>,
    /// The service that caused it.
    pub service: Option<String>,
    /// What the service said it needed it for.
    pub purpose: Option<String>,
}

impl AuditEvent {
    /// An event of this moment without the client's particulars.
    pub fn new(
        kind: AuditKind,
        subject: AccountId,
        at: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyUnavailable> {
        let mut sequence = [0; 8];
        entropy.fill(&mut sequence)?;
        Ok(Self {
            sequence: u64::from_be_bytes(sequence),
            kind,
            at,
            subject,
            session: None,
            ip: None,
            user_agent: None,
            request_id: String::new(),
            target: None,
            service: None,
            purpose: None,
        })
    }

    pub(crate) fn item(&self) -> Attributes {
        ItemWriter::new(&keys::audit(self.subject, self.at, self.sequence))
            .set("kind", text(self.kind.as_str()))
            .set("at", time(self.at))
            .set_some("session_id", self.session.map(|id| text(id.to_string())))
            .set_some("ip", self.ip.as_deref().map(text))
            .set_some("user_agent", self.user_agent.as_deref().map(text))
            .set("request_id", text(&self.request_id))
            .set_some("target", self.target.as_deref().map(text))
            .set_some("service", self.service.as_deref().map(text))
            .set_some("purpose", self.purpose.as_deref().map(text))
            .expires(self.at + RETENTION)
            .finish()
    }
}
