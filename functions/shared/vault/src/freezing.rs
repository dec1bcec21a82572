//! The kill switch: a freeze stops every reading of a person's credentials at once, cancels resting orders where that was
//! asked for, and ends the sessions at brokers.
//!
//! Freezing needs no proof beside the access token, so that it is one click: whoever stole the token can stop trading with
//! it and nothing else. Lifting a freeze needs one. An administrator can freeze a person's credentials, or everybody's; each
//! kind of freeze is lifted by its own kind alone.

mod administration;
mod orders;
mod services;
mod stopping;
mod sweep;

use jiff::Timestamp;
use portcullis_identity::{Caller, ClientContext, CredentialChange, StepUp};
use portcullis_store::{AccountId, Freezer, Freezes, TradingAccountId};

use crate::Vault;
use crate::error::Error;
use crate::freezing::stopping::FreezeOrder;
use crate::opening::AccessBy;

pub use administration::OperatorFreeze;
pub use orders::Orders;
pub use services::Cancelled;
pub use sweep::Finished;

/// The outcome of a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Since when no credentials are released.
    pub since: Timestamp,
    /// Until when services may read sessions to cancel orders; `None` where they may not.
    pub cancel_until: Option<Timestamp>,
    /// When it ends by itself; `None` for one that somebody has to lift.
    pub ends_at: Option<Timestamp>,
    /// What became of each account.
    pub accounts: Vec<FrozenAccount>,
}

/// What a freeze did about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenAccount {
    /// The id of the trading account, `acc_…`.
    pub id: TradingAccountId,
    /// The broker's name.
    pub broker: String,
    /// How the session ended.
    pub session: SessionEnd,
    /// What became of its resting orders.
    pub orders: Orders,
    /// How many orders rest, as the broker said last; `None` where it was not asked, or did not say.
    pub open_orders: Option<u32>,
    /// Advice for the owner, where the broker did not confirm something.
    pub advice: Option<String>,
}

/// How a session at a broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum SessionEnd {
    /// There was no session.
    None,
    /// The broker ended it.
    Ended,
    /// The broker did not confirm it; the session may live until the broker's own end of it.
    Unconfirmed,
    /// It goes on until a service has cancelled the orders with it, or the time for that is over.
    Kept,
}

impl SessionEnd {
    /// Returns the word in responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Vault {
    /// Returns the freezes that stand in the way of reading the caller's credentials.
    pub async fn freezes_of(&self, caller: &Caller) -> Result<Freezes, Error> {
        self.may(caller, "read")?;
        self.standing_freezes(caller.account.id).await
    }

    /// Stops every reading of the caller's credentials, then cancels their resting orders where that is asked for, and ends
    /// their sessions at brokers; returns what became of each account. Once the freeze is stored, no later failure undoes it.
    pub async fn freeze(
        &self,
        caller: &Caller,
        cancel_orders: bool,
        origin: &ClientContext,
    ) -> Result<Frozen, Error> {
        self.may(caller, "freeze")?;
        let owner = caller.account.id;
        // Only the first freeze is mailed: whoever holds a token could fill the owner's mailbox otherwise. A read that fails
        // must not hold up the freeze.
        let is_known = self.store().freeze(owner).await.is_ok_and(|freeze| freeze.is_some());
        let order = FreezeOrder {
            owner,
            freezer: Freezer::Owner,
            by: AccessBy::Owner,
            cancel_orders,
            ends_at: None,
            reason: None,
            origin,
        };
        let news = (!is_known).then_some((&caller.account, CredentialChange::Frozen));
        let frozen = self.carry_out(&order, news).await?;
        frozen.ok_or(Error::Identity(portcullis_identity::Error::InvalidAccessToken))
    }

    /// Lifts the caller's own freeze and returns those that still stand, which only administrators lift; fails when the
    /// proof is not accepted. An account with a second factor needs a code of it: a stolen password must not be enough.
    pub async fn unfreeze(
        &self,
        caller: &Caller,
        proof: &StepUp,
        origin: &ClientContext,
    ) -> Result<Freezes, Error> {
        self.may(caller, "freeze")?;
        self.identity.confirm_strongly(caller, proof, origin).await?;
        let owner = caller.account.id;
        let lifted = self.lift((owner, Freezer::Owner), AccessBy::Owner, origin).await?;
        if lifted {
            let news = CredentialChange::Unfrozen;
            self.identity.notify_of_credentials(&caller.account, news, origin).await;
        }
        self.standing_freezes(owner).await
    }

    /// Returns the freezes that stand in the way of reading this person's credentials now.
    pub(crate) async fn standing_freezes(&self, owner: AccountId) -> Result<Freezes, Error> {
        Ok(self.store().freezes(owner, self.identity.clock.now()).await?)
    }
}
