//! Challenges: something a person began and can finish once, within minutes, with a token only they were given.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none};

use crate::account::Account;
use crate::audit::AuditEvent;
use crate::challenge_kind::ChallengeKind;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::{AccountId, SessionId};
use crate::item::{Attributes, bytes, expiring_item, read, text};
use crate::keys;
use crate::sign_ins::{Throttled, Wait};
use crate::transaction::Transaction;

/// A challenge as the table has it. What it is for, and the digest of its token, are in the key of its row.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// What it is for.
    #[serde(skip_serializing)]
    pub kind: ChallengeKind,
    /// Digest of its token.
    #[serde_as(as = "Bytes")]
    #[serde(skip_serializing)]
    pub digest: Digest,
    /// The account it belongs to.
    pub account: AccountId,
    /// The address it was begun with: its token was sent there, or it was the login name.
    pub email: String,
    /// The account's session epoch when it was begun; a later one ends it.
    #[serde(rename = "epoch")]
    pub session_epoch: u64,
    /// How the person has proved who they are so far (RFC 8176 values).
    pub methods: Vec<String>,
    /// Whether the browser shall keep the session that comes of it.
    pub persistent: bool,
    /// Whether a program wants its refresh token in the body.
    pub token_in_body: bool,
    /// What the person calls the device.
    pub device_name: Option<String>,
    /// The address that the account is to get, of a change of address.
    pub wanted_email: Option<String>,
    /// The session in which it was begun and that goes on after it, of a change of address.
    pub session: Option<SessionId>,
    /// When it ends.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
}

impl Challenge {
    /// Returns a challenge that goes on from nothing but the account, such as that of a link that is mailed to its owner.
    pub fn of_account(kind: ChallengeKind, digest: Digest, account: &Account, expires_at: Timestamp) -> Self {
        Self::of_address(kind, digest, (account.id, account.session_epoch), &account.email, expires_at)
    }

    /// The same for an address that may have no account: the id, and the session epoch, are then those of a placeholder.
    pub fn of_address(
        kind: ChallengeKind,
        digest: Digest,
        (account, session_epoch): (AccountId, u64),
        email: &str,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            kind,
            digest,
            account,
            email: email.to_owned(),
            session_epoch,
            methods: Vec::new(),
            persistent: false,
            token_in_body: false,
            device_name: None,
            wanted_email: None,
            session: None,
            expires_at,
        }
    }
}

impl Store {
    /// Begins a challenge beside the event that tells of it, unless the attempt that led to it is throttled by now.
    pub async fn begin_challenge(
        &self,
        challenge: &Challenge,
        event: &AuditEvent,
        waits: &[Wait],
    ) -> Result<Result<(), Throttled>, StoreError> {
        let over = || item(&Challenge { expires_at: event.at, ..challenge.clone() });
        self.put_beside_event(item(challenge)?, over, event, waits, "beginning a challenge").await
    }

    /// The challenge of this kind whose token has this digest, unless it is over: that its row may still be there says
    /// nothing.
    pub async fn challenge(
        &self,
        kind: ChallengeKind,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<Challenge>, StoreError> {
        let found = self.get(&keys::challenge(kind, digest), "reading a challenge").await?;
        let read_challenge = |mut found: Attributes| {
            found.insert("kind".to_owned(), text(kind.as_str()));
            found.insert("digest".to_owned(), bytes(*digest));
            read("challenge", found)
        };
        let challenge: Option<Challenge> = found.map(read_challenge).transpose()?;
        Ok(challenge.filter(|challenge| challenge.expires_at > now))
    }
}

impl<R> Transaction<'_, R> {
    /// Removes a challenge. Of two requests that finish it at the same time one finds it gone and is refused.
    pub(crate) fn spend(self, challenge: &Challenge, spent: R) -> Self {
        let key = keys::challenge(challenge.kind, &challenge.digest);
        self.delete_if(&key, Condition::row_exists(), spent)
    }
}

pub(crate) fn item(challenge: &Challenge) -> Result<Attributes, StoreError> {
    let key = keys::challenge(challenge.kind, &challenge.digest);
    expiring_item(&key, challenge, challenge.expires_at)
}
