//! One event of the audit trail: who did what, when and from where.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::{Entropy, EntropyUnavailable};

use super::chain::{Chain, ChainEnd};
use super::details::AuditDetails;
use super::kind::{AuditKind, Outcome};
use super::seal::AuditSeal;
use crate::id::{AccountId, AuditId, Id, SessionId};
use crate::sign_ins::SignInStep;

/// How long an event is kept that is nobody's: long enough to look into an attack, and no longer, because whoever guesses
/// at names makes as many of them as they like.
pub const KEPT_OF_NOBODY: Duration = Duration::from_hours(24 * 30);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The person the account belongs to.
    Themselves,
    /// A client that did not prove who it is.
    Anonymous,
    /// An administrator, by their account.
    Admin(AccountId),
    /// A service of the platform, by its name.
    Service(String),
    /// The command line tool, by the name of the operating system's user.
    CommandLine(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Themselves => f.write_str("self"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Admin(id) => write!(f, "admin:{id}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::CommandLine(name) => write!(f, "cli:{name}"),
        }
    }
}

impl Actor {
    /// The actor as a record names it.
    pub(super) fn read(written: &str) -> Option<Self> {
        match written.split_once(':') {
            None if written == "self" => Some(Self::Themselves),
            None if written == "anonymous" => Some(Self::Anonymous),
            Some(("admin", id)) => id.parse().ok().map(Self::Admin),
            Some(("service", name)) => Some(Self::Service(name.to_owned())),
            Some(("cli", name)) => Some(Self::CommandLine(name.to_owned())),
            _ => None,
        }
    }
}

/// One event: who, what, when, from where.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// Its id, which sorts by time.
    pub(crate) id: AuditId,
    /// What makes its record tell if it was changed.
    pub(crate) seal: AuditSeal,
    /// The name somebody signed in with, for an event of that chain, and what it does to what is known of sign-ins.
    pub(crate) signed_in_with: Option<(String, SignInStep)>,
    /// Where its chain ended, if that was read already.
    pub(crate) end: Option<ChainEnd>,
    /// Whether it is listed by time.
    pub(crate) is_listed: bool,
    /// Whether the row it tells of carries it, so that somebody else may have recorded it meanwhile.
    pub(crate) is_carried: bool,
    /// What happened, as a word that programs filter on.
    pub kind: AuditKind,
    /// When it happened, by the clock of the instance.
    pub at: Timestamp,
    /// The account it happened to.
    pub subject: AccountId,
    /// Who did it.
    pub actor: Actor,
    /// How it ended.
    pub outcome: Outcome,
    /// The id of what it is about, beside the account: an API key, a trading account.
    pub target: Option<String>,
    /// The service that asked.
    pub service: Option<String>,
    /// The session it happened in or to.
    pub session: Option<SessionId>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The request that caused it.
    pub request_id: String,
    /// What the service said it needed it for.
    pub purpose: Option<String>,
    /// What it changed, where its kind does not say it.
    pub details: AuditDetails,
}

impl AuditEvent {
    /// An event of this moment without the client's particulars, done by the person themselves.
    pub fn new(
        kind: AuditKind,
        subject: AccountId,
        at: Timestamp,
        seal: &AuditSeal,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyUnavailable> {
        Ok(Self {
            id: Id::generate(at, entropy)?,
            seal: seal.clone(),
            signed_in_with: None,
            end: None,
            is_listed: true,
            is_carried: false,
            kind,
            at,
            subject,
            actor: Actor::Themselves,
            outcome: kind.outcome(),
            target: None,
            service: None,
            session: None,
            ip: None,
            user_agent: None,
            request_id: String::new(),
            purpose: None,
            details: AuditDetails::default(),
        })
    }

    /// The same as part of the chain of sign-ins under this name, whose end a sign-in can read before it knows whose
    /// account it is.
    #[must_use]
    pub fn of_sign_in_with(mut self, name: &str, step: SignInStep) -> Self {
        self.signed_in_with = Some((name.to_owned(), step));
        self
    }

    /// The same behind the end of its chain as it was read, which otherwise is read when it is written.
    #[must_use]
    pub fn behind(mut self, end: ChainEnd) -> Self {
        self.end = Some(end);
        self
    }

    /// The same of a name that nobody has: kept for [`KEPT_OF_NOBODY`] at most, and not listed by time, so that guesses at
    /// made-up names take no room from events of accounts and cost a write less.
    #[must_use]
    pub fn of_nobody(mut self) -> Self {
        self.seal.retention = self.seal.retention.min(KEPT_OF_NOBODY);
        self.is_listed = false;
        self
    }

    pub(crate) fn chain(&self) -> Chain {
        match &self.signed_in_with {
            Some((name, _)) => Chain::SignIns(name.clone()),
            None => Chain::Account(self.subject),
        }
    }
}
