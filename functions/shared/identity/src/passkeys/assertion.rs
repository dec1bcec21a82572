//! An assertion, judged: what a passkey signed, over the challenge of a ceremony that was begun here.

use jiff::Timestamp;
use portcullis_store::{Account, AccountId, AuditKind, Passkey, PasskeyUse, SpentCeremony};
use secrecy::SecretString;

use super::ceremony::{Assertion, Ceremony};
use super::{PublicKeyCredential, Refused, RelyingParty};
use crate::error::Error;
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// What a client shows of a passkey.
#[derive(Debug)]
pub struct PresentedPasskey {
    /// The token of the ceremony, unverified.
    pub ceremony_token: SecretString,
    /// What the authenticator signed, unverified.
    pub credential: PublicKeyCredential,
}

impl Identity {
    /// Returns the relying party that this deployment is; fails with [`Error::PasskeysUnavailable`] where it is none.
    pub fn relying_party(&self) -> Result<&RelyingParty, Error> {
        self.passkeys.as_ref().ok_or(Error::PasskeysUnavailable)
    }

    /// Returns what an assertion by a passkey of this account is worth: what the write that depends on it has to spend
    /// (`Transaction::use_passkey` in the store). Nothing is spent by asking. Fails with [`Error::InvalidSessionToken`] for a
    /// ceremony that was not begun here or took too long, and with [`Error::WrongPasskey`].
    pub async fn assert_passkey(
        &self,
        account: &Account,
        shown: &PresentedPasskey,
        client: &ClientContext,
    ) -> Result<PasskeyUse, Error> {
        let now = self.clock.now();
        let ceremony = self.open_assertion(&shown.ceremony_token, now)?;
        // All of the account, twenty at most: one read, and whose another credential is is not even asked.
        let passkeys = self.store.passkeys(account.id).await?;
        let ceremony = (ceremony.challenge.as_slice(), ceremony.spent()?);
        Box::pin(self.judge_own(ceremony, &shown.credential, (account, &passkeys), (client, now))).await
    }

    /// Judges an assertion as one by any of these passkeys, which are all that the account has. `challenge` is what was to be
    /// signed in the ceremony that is `spent` by it. Fails with [`Error::WrongPasskey`], after a counter that fell was reported.
    pub(crate) async fn judge_own(
        &self,
        (challenge, spent): (&[u8], SpentCeremony),
        credential: &PublicKeyCredential,
        (account, passkeys): (&Account, &[Passkey]),
        (client, now): (&ClientContext, Timestamp),
    ) -> Result<PasskeyUse, Error> {
        let is_it = |passkey: &&Passkey| passkey.credential_id == credential.raw_id.as_slice();
        let passkey = passkeys.iter().find(is_it).ok_or(Error::WrongPasskey)?;
        match self.judge((challenge, spent), credential, passkey, now)? {
            Ok(used) => Ok(used),
            Err(refused) => {
                log(refused, Some(account.id));
                self.report_if_fallen(refused, account, passkey, client).await?;
                Err(Error::WrongPasskey)
            }
        }
    }

    pub(super) fn open_assertion(
        &self,
        token: &SecretString,
        now: Timestamp,
    ) -> Result<Ceremony<Assertion>, Error> {
        Ceremony::open(token, &self.keyring.ceremony_keys, now)
    }

    /// Judges an assertion over this challenge as one by this passkey.
    pub(super) fn judge(
        &self,
        (challenge, ceremony): (&[u8], SpentCeremony),
        credential: &PublicKeyCredential,
        passkey: &Passkey,
        now: Timestamp,
    ) -> Result<Result<PasskeyUse, Refused>, Error> {
        let verified = self.relying_party()?.verify_assertion(challenge, credential, passkey)?;
        Ok(verified.map(|verified| PasskeyUse {
            passkey: passkey.clone(),
            sign_count: verified.sign_count,
            backed_up: verified.backed_up,
            ceremony,
            at: now,
        }))
    }

    /// Puts on record, and tells the owner, that a counter fell. The signature was right: there may be two authenticators with
    /// one key. The passkey stays, because a counter may also be set back by what happens to a device; who has two decides.
    pub(super) async fn report_if_fallen(
        &self,
        refused: Refused,
        account: &Account,
        passkey: &Passkey,
        client: &ClientContext,
    ) -> Result<(), Error> {
        if refused != Refused::CounterFell {
            return Ok(());
        }
        let mut event = self.audit_event(AuditKind::PasskeyCounterFell, account.id, client)?;
        event.target = Some(passkey.id.to_string());
        self.store.record(&event).await?;
        self.notify(&account.email, &Notification::PasskeyCounterFell(client)).await;
        Ok(())
    }
}

/// Says in the log why something was refused; clients are not told.
pub(super) fn log(refused: Refused, account: Option<AccountId>) {
    let account = account.map(|account| account.to_string());
    tracing::info!(reason = %refused, account, "a passkey was refused");
}
