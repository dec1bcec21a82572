//! Looking at approvals: the owner at all of theirs, whoever asked at the one they asked for.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_store::{Account, AccountStatus, Approval, ApprovalId, ApprovalStatus, Digest, Freeze};

use super::RESOURCE;
use super::deciding::ApprovalCeremony;
use crate::Identity;
use crate::access::caller::Caller;
use crate::access::principal::Principal;
use crate::access::services::Service;
use crate::error::Error;
use crate::passkeys::{Ceremony, TO_FINISH};
use crate::tokens::session_token::SessionToken;

/// Letters of a tag: the most that Kite takes, and no broker takes fewer.
const TAG: usize = 20;

/// What has become of an approval by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ApprovalState {
    /// Its owner has not decided.
    Pending,
    /// Its owner approved it, and no service has spent it.
    Approved,
    /// Its owner refused it.
    Denied,
    /// A service spent it.
    Redeemed,
    /// Its time was over before it was decided or spent.
    Expired,
    /// It was ended before its time: its owner froze their credentials, ended all their sessions or was switched off.
    Ended,
}

impl ApprovalState {
    /// Returns the word in responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An approval, and what has become of it.
#[derive(Debug)]
pub struct ApprovalView {
    /// The approval as it is stored.
    pub approval: Approval,
    /// What has become of it.
    pub state: ApprovalState,
}

impl ApprovalView {
    /// Returns the tag that an order is sent to its broker with, so that order book and trail can be joined.
    pub fn order_tag(&self) -> String {
        order_tag(self.approval.id)
    }

    /// Returns the digest of the details, in base64url.
    pub fn details_digest(&self) -> String {
        encoded(&self.approval.digest)
    }

    /// Returns an approval with what has become of it.
    fn of(approval: Approval, ends: &Ends<'_>) -> Self {
        let (is_live, now) = (!ends.reach(&approval), ends.now);
        let state = match approval.status {
            ApprovalStatus::Denied => ApprovalState::Denied,
            ApprovalStatus::Redeemed => ApprovalState::Redeemed,
            ApprovalStatus::Pending | ApprovalStatus::Approved if approval.expires_at <= now => {
                ApprovalState::Expired
            }
            ApprovalStatus::Pending | ApprovalStatus::Approved if !is_live => ApprovalState::Ended,
            ApprovalStatus::Pending => ApprovalState::Pending,
            ApprovalStatus::Approved => ApprovalState::Approved,
        };
        Self { approval, state }
    }
}

/// What may have ended an approval before its time.
struct Ends<'a> {
    owner: &'a Account,
    /// How often the owner's credentials were frozen.
    freezes: u64,
    /// The last freeze of everybody, over or not.
    everybody: Option<Freeze>,
    now: Timestamp,
}

impl Ends<'_> {
    fn reach(&self, approval: &Approval) -> bool {
        let everybody = self.everybody.as_ref();
        self.owner.status != AccountStatus::Active
            || self.owner.session_epoch != approval.session_epoch
            || self.freezes != approval.freezes
            || everybody.is_some_and(|freeze| freeze.closes(approval.created_at, self.now))
    }
}

/// Returns a digest in base64url.
pub(super) fn encoded(digest: &Digest) -> String {
    BASE64URL.encode(digest)
}

/// Returns the last letters of an id, which are its random ones but for two.
pub(super) fn order_tag(id: ApprovalId) -> String {
    let digits = id.digits();
    digits.get(digits.len().saturating_sub(TAG)..).unwrap_or_default().to_owned()
}

/// How an approval can be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ApprovalMethod {
    /// With a passkey.
    Passkey,
    /// With a code of the second factor.
    Code,
}

/// What the owner of an approval needs to approve it.
#[derive(Debug)]
pub struct ApprovalChallenge {
    /// The ways there are, the surest first: one at least.
    pub methods: Vec<ApprovalMethod>,
    /// The token of the ceremony, and what is to be signed, where there is a passkey.
    pub ceremony: Option<(SessionToken, Vec<u8>)>,
    /// For how long both are good.
    pub expires_in: Duration,
}

impl Identity {
    /// Returns approvals of the caller that are in one of these states, newest first, after the one called `after`; of every
    /// state where none is named.
    pub async fn list_approvals(
        &self,
        caller: &Caller,
        state: Option<ApprovalState>,
        limit: usize,
        after: Option<ApprovalId>,
    ) -> Result<(Vec<ApprovalView>, Option<ApprovalId>), Error> {
        let owner = &caller.account;
        let ends = Box::pin(self.ends_of_approvals(owner)).await?;
        let view = |approval: Approval| ApprovalView::of(approval, &ends);
        let wanted = |approval: &Approval| state.is_none_or(|state| view(approval.clone()).state == state);
        let page = self.store.approvals(owner.id, limit, after, wanted).await?;
        Ok((page.approvals.into_iter().map(view).collect(), page.next))
    }

    /// Returns one approval of the caller, who has an access token or a key with the scope `approval:request`. Fails with
    /// [`Error::NotFound`], also for another person's.
    pub async fn own_approval(&self, caller: &Principal, id: ApprovalId) -> Result<ApprovalView, Error> {
        caller.require_as_key(&self.settings.policy, RESOURCE, "request")?;
        self.view_of(caller.account(), id).await
    }

    /// Returns an approval that this service asked for; fails with [`Error::NotFound`] for every other.
    pub async fn approval_of_service(
        &self,
        service: &Service,
        id: ApprovalId,
    ) -> Result<ApprovalView, Error> {
        service.require(RESOURCE, "request")?;
        let approval = self.store.approval_by_id(id).await?;
        let asked_by = super::asking::by_service(&service.name);
        let approval = approval.filter(|approval| approval.asked_by == asked_by).ok_or(Error::NotFound)?;
        let owner = self.store.account(approval.owner).await?.ok_or(Error::NotFound)?;
        self.view_of(&owner, id).await
    }

    pub(super) async fn view_of(&self, owner: &Account, id: ApprovalId) -> Result<ApprovalView, Error> {
        let (approval, ends) = tokio::try_join!(
            async { Ok(Box::pin(self.store.approval(owner.id, id)).await?) },
            Box::pin(self.ends_of_approvals(owner))
        )?;
        Ok(ApprovalView::of(approval.ok_or(Error::NotFound)?, &ends))
    }

    async fn ends_of_approvals<'a>(&self, owner: &'a Account) -> Result<Ends<'a>, Error> {
        let (freezes, everybody) =
            tokio::try_join!(self.store.freeze_count(owner.id), self.store.last_freeze_of_everybody())?;
        Ok(Ends { owner, freezes, everybody, now: self.clock.now() })
    }

    /// Returns what the caller needs to approve an approval of theirs. Nothing is stored. Fails with [`Error::NotFound`]; with
    /// [`Error::ApprovalDecided`] or [`Error::ApprovalOver`] where there is nothing to decide any more; with
    /// [`Error::MfaNotSetUp`] for somebody who has neither a passkey nor a second factor.
    pub async fn challenge_approval(
        &self,
        caller: &Caller,
        id: ApprovalId,
    ) -> Result<ApprovalChallenge, Error> {
        let (owner, now) = (&caller.account, self.clock.now());
        let view = self.view_of(owner, id).await?;
        match view.state {
            ApprovalState::Pending => {}
            ApprovalState::Expired | ApprovalState::Ended => return Err(Error::ApprovalOver),
            ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Redeemed => {
                return Err(Error::ApprovalDecided);
            }
        }
        let mut methods = Vec::new();
        let mut ceremony = None;
        if owner.passkeys > 0 && self.passkeys.is_some() {
            let bound = ApprovalCeremony { account: owner.id, approval: id };
            let begun = Ceremony::begin(bound, now, self.entropy.as_ref())?;
            let token = begun.seal(&self.keyring.ceremony_keys, self.entropy.as_ref())?;
            ceremony = Some((token, begun.bound_to(&view.approval)));
            methods.push(ApprovalMethod::Passkey);
        }
        if owner.mfa_enabled {
            methods.push(ApprovalMethod::Code);
        }
        if methods.is_empty() {
            return Err(Error::MfaNotSetUp);
        }
        let left = view.approval.expires_at.duration_since(now).unsigned_abs();
        Ok(ApprovalChallenge { methods, ceremony, expires_in: left.min(TO_FINISH) })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::Id;

    use super::*;

    #[test]
    fn a_tag_is_twenty_letters_or_digits_that_follow_from_the_id() {
        let id: ApprovalId = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        let other: ApprovalId = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        let tag = order_tag(id);
        assert_eq!(tag.len(), 20);
        assert!(tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) && id.to_string().ends_with(&tag));
        assert_ne!(tag, order_tag(other), "of one millisecond");
    }
}
