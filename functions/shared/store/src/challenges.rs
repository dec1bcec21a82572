//! Challenges: something a person began and can finish once, within minutes, with a token only they were given.

use jiff::Timestamp;

use crate::audit::AuditEvent;
use crate::challenge_kind::ChallengeKind;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::AccountId;
use crate::item::{Attributes, ItemReader, ItemWriter, number, text, texts, time};
use crate::keys;
use crate::sign_ins::{Throttled, Wait};
use crate::transaction::Transaction;

/// A challenge as the table has it.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What it is for.
    pub kind: ChallengeKind,
    /// Digest of its token.
    pub digest: Digest,
    /// The account it belongs to.
    pub account: AccountId,
    /// The address it was begun with: its token was sent there, or it was the login name.
    pub email: String,
    /// The account's session epoch when it was begun; a later one ends it.
    pub session_epoch: u64,
    /// How the person has proved who they are so far (RFC 8176 values).
    pub methods: Vec<String>,
    /// Whether the browser shall keep the session that comes of it.
    pub persistent: bool,
    /// Whether a program wants its refresh token in the body.
    pub token_in_body: bool,
    /// What the person calls the device.
    pub device_name: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
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
        self.put_beside_event(item(challenge), over, event, waits, "beginning a challenge").await
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
        let challenge = found.map(|found| read(kind, *digest, found)).transpose()?;
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

pub(crate) fn item(challenge: &Challenge) -> Attributes {
    ItemWriter::new(&keys::challenge(challenge.kind, &challenge.digest))
        .set("account", text(challenge.account.to_string()))
        .set("email", text(&challenge.email))
        .set("epoch", number(challenge.session_epoch))
        .set("methods", texts(&challenge.methods))
        .set("persistent", aws_sdk_dynamodb::types::AttributeValue::Bool(challenge.persistent))
        .set("token_in_body", aws_sdk_dynamodb::types::AttributeValue::Bool(challenge.token_in_body))
        .set_some("device_name", challenge.device_name.as_deref().map(text))
        .set("expires_at", time(challenge.expires_at))
        .expires(challenge.expires_at)
        .finish()
}

fn read(kind: ChallengeKind, digest: Digest, found: Attributes) -> Result<Challenge, StoreError> {
    let mut reader = ItemReader::new("challenge", found);
    Ok(Challenge {
        kind,
        digest,
        account: reader.parsed("account")?,
        email: reader.text("email")?,
        session_epoch: reader.number("epoch")?,
        methods: reader.texts("methods")?,
        persistent: reader.flag("persistent")?,
        token_in_body: reader.flag("token_in_body")?,
        device_name: reader.text_if_any("device_name")?,
        expires_at: reader.time("expires_at")?,
    })
}
