//! A session is raised by one more proof: what the proof costs and what the session gains are one write.

use jiff::Timestamp;

use crate::account::Account;
use crate::attempts::forgiving;
use crate::audit::{AuditEvent, Chain, ChainEnd};
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::factors::{Factor, replacing, switched};
use crate::id::{AccountId, SessionId};
use crate::item::{number, text, texts, time};
use crate::keys;
use crate::passkeys::{NotUsed, Passkey, PasskeyUse, SpentCeremony, one_passkey_more};
use crate::sessions::{NewSession, new_item};
use crate::transaction::Transaction;

/// A session as one more proof makes it.
#[derive(Debug, Clone)]
pub struct RaisedSession {
    /// The account it belongs to.
    pub account: AccountId,
    /// The session that is raised.
    pub id: SessionId,
    /// Its session epoch as it was read.
    pub session_epoch: u64,
    /// How the person has proved who they are by now (RFC 8176 values); `None` where that is as it was.
    pub methods: Option<Vec<String>>,
    /// When they did.
    pub at: Timestamp,
}

/// How raising a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRaise {
    /// The session is raised, and the proof is spent.
    Raised,
    /// Another writer replaced the factor first: what was decided was decided on an old copy.
    FactorOutdated,
    /// The session is over.
    SessionOver,
    /// The ceremony of the passkey was finished before.
    CeremonySpent,
    /// The passkey was removed, or showed the same or a higher counter meanwhile.
    PasskeyChanged,
}

/// How the sign-in ended whose account got its first factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFactor {
    /// The factor is on, and the session began.
    Started,
    /// Another writer replaced the factor first.
    FactorOutdated,
    /// The account is gone, has another address, or everything of it was ended since.
    AccountChanged,
    /// The challenge was finished before.
    ChallengeSpent,
    /// The ceremony that the passkey was made in was finished before.
    CeremonySpent,
    /// The credential of the passkey is somebody's already.
    Taken,
}

/// A sign-in that waits for a factor, what the factor is, and the session that begins with it.
#[derive(Debug, Clone, Copy)]
pub struct FirstFactorSignIn<'a> {
    /// The challenge that is spent by it.
    pub challenge: &'a Challenge,
    /// The account as it was read.
    pub account: &'a Account,
    /// What takes the place of the factor's row.
    pub next: &'a Factor,
    /// The passkey, where it is one, and the ceremony it was made in.
    pub passkey: Option<(&'a Passkey, &'a SpentCeremony)>,
    /// The session, which is there once the factor is.
    pub session: &'a NewSession,
}

impl Store {
    /// A person's second factor as it is now, and where the trail of the account ends, in one round.
    pub async fn factor_and_trail(&self, account: AccountId) -> Result<(Factor, ChainEnd), StoreError> {
        tokio::try_join!(self.factor(account), self.account_trail_end(account))
    }

    /// Where the trail of an account ends, sign-ins apart: an event [`AuditEvent::behind`] it needs no read of its own.
    pub async fn account_trail_end(&self, account: AccountId) -> Result<ChainEnd, StoreError> {
        // Boxed: it is waited for beside other reads.
        Box::pin(self.chain_end(&Chain::Account(account))).await
    }

    /// Raises a session by a code: `next` takes the place of the factor, in which the code is spent. Both happen or neither.
    pub async fn raise_by_factor(
        &self,
        raised: &RaisedSession,
        next: &Factor,
        event: &AuditEvent,
    ) -> Result<SessionRaise, StoreError> {
        let transaction = Transaction::on(self);
        let transaction = replacing(transaction, raised.account, next, SessionRaise::FactorOutdated)?;
        raising(transaction, raised, event)
            .commit_as(SessionRaise::Raised, "raising a session by a code")
            .await
    }

    /// Raises a session by the password, whose attempt was counted under this name and is taken off the count again.
    pub async fn raise_by_password(
        &self,
        raised: &RaisedSession,
        name: &str,
        event: &AuditEvent,
    ) -> Result<SessionRaise, StoreError> {
        let transaction = forgiving(Transaction::on(self), name, raised.at);
        raising(transaction, raised, event)
            .commit_as(SessionRaise::Raised, "raising a session by the password")
            .await
    }

    /// Raises a session by a passkey, whose ceremony is spent by it.
    pub async fn raise_by_passkey(
        &self,
        raised: &RaisedSession,
        used: &PasskeyUse,
        event: &AuditEvent,
    ) -> Result<SessionRaise, StoreError> {
        let transaction = Transaction::on(self).use_passkey(used, |refused| match refused {
            NotUsed::CeremonySpent => SessionRaise::CeremonySpent,
            NotUsed::PasskeyChanged => SessionRaise::PasskeyChanged,
        })?;
        raising(transaction, raised, event)
            .commit_as(SessionRaise::Raised, "raising a session by a passkey")
            .await
    }

    /// Switches an account's first factor on and begins the session whose sign-in had to wait for it, with the events that
    /// tell of both. The challenge is spent by it, in the row of the factor: of many writes that finish one challenge, or two
    /// of one account, the version of that row lets one through, whether their factors are apps or passkeys. It is all or
    /// nothing: whoever learns the codes has the session.
    pub async fn sign_in_by_first_factor(
        &self,
        first: &FirstFactorSignIn<'_>,
        events: &[AuditEvent],
    ) -> Result<FirstFactor, StoreError> {
        let FirstFactorSignIn { challenge, account, next, passkey, session } = first;
        if next.has_spent(challenge) {
            return Ok(FirstFactor::ChallengeSpent);
        }
        let next = next.after_challenge(challenge, session.created_at);
        let mut update = switched(next.active.as_ref(), session.created_at);
        let as_read = Condition::equals("email", text(&account.email))
            .and(Condition::equals("epoch", number(account.session_epoch)));
        let mut transaction =
            replacing(Transaction::on(self), account.id, &next, FirstFactor::FactorOutdated)?;
        if let Some((passkey, ceremony)) = passkey {
            let (spent, taken) = (FirstFactor::CeremonySpent, FirstFactor::Taken);
            transaction = transaction.make_passkey(passkey, account, ceremony, (spent, taken))?;
            update = one_passkey_more(update);
        }
        for key in [keys::profile(account.id), keys::credentials(&account.email)] {
            transaction =
                transaction.update_if(&key, update.clone(), as_read.clone(), FirstFactor::AccountChanged);
        }
        let transaction = transaction.put(new_item(session)?);
        let transaction = events.iter().fold(transaction, Transaction::record);
        transaction.commit_as(FirstFactor::Started, "signing in by a first factor").await
    }
}

fn raising<'a>(
    transaction: Transaction<'a, SessionRaise>,
    raised: &RaisedSession,
    event: &AuditEvent,
) -> Transaction<'a, SessionRaise> {
    let mut update = Update::new().set("auth_time", time(raised.at));
    if let Some(methods) = &raised.methods {
        update = update.set("methods", texts(methods));
    }
    let live = Condition::All(vec![
        Condition::equals("epoch", number(raised.session_epoch)),
        Condition::Missing("revoked_at"),
        Condition::Compare("idle_expires_at", ">", time(raised.at)),
        Condition::Compare("expires_at", ">", time(raised.at)),
    ]);
    let key = keys::session(raised.account, raised.id);
    transaction.update_if(&key, update, live, SessionRaise::SessionOver).record_with_head(event)
}
