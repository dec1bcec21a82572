//! Re-encryption of the credentials of one account under a new data key. The account is replaced as a whole or not at all,
//! so nothing is unreadable in between.

use jiff::Timestamp;
use portcullis_identity::{ClientContext, sealing};
use portcullis_store::{AccountId, AuditKind, BrokerSession, Round, StoredTradingAccount, TradingAccountId};

use crate::Vault;
use crate::context::{Sealed, context};
use crate::error::Error;
use crate::length_prefixed;
use crate::opening::AccessRequest;

/// The outcome for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reencrypted {
    /// It is encrypted under a new data key.
    Done,
    /// It was encrypted recently enough before.
    Recent,
    /// It was unlinked meanwhile.
    Gone,
    /// It does not decrypt, and is left as it is for an operator to examine.
    Unreadable,
}

impl Vault {
    /// Encrypts one account under a new data key, unless it was encrypted at `before` or later, and returns the outcome;
    /// fails when the store or the key service does, or when the row keeps changing.
    pub async fn reencrypt(
        &self,
        owner: AccountId,
        id: TradingAccountId,
        before: Timestamp,
    ) -> Result<Reencrypted, Error> {
        let origin = ClientContext::default();
        let access = AccessRequest::of_owner(owner, id, &origin);
        let origin = &origin;
        let decide = |row: Option<StoredTradingAccount>| async move {
            let Some(account) = row else { return Ok(Round::Settled(Reencrypted::Gone)) };
            if account.sealed_at >= before {
                return Ok(Round::Settled(Reencrypted::Recent));
            }
            // The row may change while it is decrypted and encrypted. The swap below then fails, and all of this is done
            // again with the row as it is by then: credentials replaced meanwhile are never overwritten by older ones.
            let next = match self.reencrypted_row(access, account).await {
                Err(Error::Unreadable) => return Ok(Round::Settled(Reencrypted::Unreadable)),
                next => next?,
            };
            let event = self.event(AuditKind::CredentialsReencrypted, owner, Some(id), origin)?;
            let swapped = self.store().swap_trading_account(&next, &event).await?;
            Ok(if swapped { Round::Settled(Reencrypted::Done) } else { Round::Raced })
        };
        self.store().change_trading_account((owner, id), None, decide).await
    }

    /// Returns the row with everything in it encrypted under new data keys.
    async fn reencrypted_row(
        &self,
        access: AccessRequest<'_>,
        account: StoredTradingAccount,
    ) -> Result<StoredTradingAccount, Error> {
        let credentials = self.open_credentials(access, &account).await?;
        let session = self.open_session(access, &account).await?;
        let (owner, id) = (access.owner, access.id);
        let sealed = self.seal_credentials(owner, id, &account.broker, &credentials).await?;
        let session = match (session, &account.session) {
            (Some(open), Some(old)) => {
                let joined = length_prefixed::join([&open.api_key, &open.access_token]);
                let context = context(owner, id, &account.broker, Sealed::Session);
                let entropy = self.identity.entropy.as_ref();
                let sealed = sealing::seal(&joined, &context, self.key_wrap.as_ref(), entropy).await?;
                Some(BrokerSession { sealed, expires_at: old.expires_at })
            }
            // An expired session is of no more use, but its presence is what makes the account's status `expired`.
            _ => account.session.clone(),
        };
        Ok(StoredTradingAccount {
            credentials: sealed,
            session,
            sealed_at: self.identity.clock.now(),
            ..account
        })
    }
}
