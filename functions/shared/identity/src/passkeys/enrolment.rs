//! Making a passkey: in a session, after one more proof. A stolen session must not make its thief's authenticator the owner's.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AccountId, AuditKind, Id, MOST_PASSKEYS, Passkey, PasskeyEnrolment, PasskeyOwner,
};
use secrecy::SecretString;

use super::assertion::log;
use super::attested::Attested;
use super::ceremony::{Bound, CHALLENGE_LENGTH, Ceremony, Creation};
use super::{PasskeyName, RegisterPublicKeyCredential, TO_FINISH};
use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::limits::PASSKEYS;
use crate::mfa::StepUp;
use crate::notifications::Notification;
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// Bytes of a user handle: as many as it may have (WebAuthn Level 3, section 14.6.1), and nothing in them of the person.
const USER_HANDLE_LENGTH: usize = 64;
/// Ways to reach an authenticator that are kept; there are six.
const MOST_TRANSPORTS: usize = 8;

/// What a browser needs to have a passkey made.
#[derive(Debug)]
pub struct PasskeyCreation {
    /// The token of the ceremony.
    pub token: SessionToken,
    /// What is to be signed.
    pub challenge: [u8; CHALLENGE_LENGTH],
    /// What the authenticator is to know the account by.
    pub user_handle: Vec<u8>,
    /// What the authenticator is to call the account: its address or username.
    pub user_name: String,
    /// What it is to call the person.
    pub display_name: String,
    /// The passkeys that the account has: their authenticators make no second one.
    pub existing: Vec<Passkey>,
    /// Lifetime of the ceremony.
    pub expires_in: Duration,
}

/// The second request of a ceremony that makes a passkey.
#[derive(Debug)]
pub struct NewPasskey {
    /// The token of the ceremony, unverified.
    pub ceremony_token: SecretString,
    /// What the authenticator made, unverified.
    pub credential: RegisterPublicKeyCredential,
    /// What its owner calls it.
    pub name: Option<PasskeyName>,
}

impl Identity {
    /// Begins the making of a passkey of the caller. Fails as [`Identity::confirm_strongly`] does, with
    /// [`Error::TooManyPasskeys`], and with [`Error::PasskeysUnavailable`].
    pub async fn begin_passkey(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<PasskeyCreation, Error> {
        let (account, now) = (&caller.account, self.clock.now());
        self.relying_party()?;
        self.limit(&PASSKEYS, &account.id.to_string(), client, now).await?;
        Box::pin(self.confirm_strongly(caller, proof, client)).await?;
        let (id, session) = (account.id, caller.session.made.id);
        let bound = |user_handle| Creation { account: id, session, user_handle };
        self.begin_creation(account, bound, now).await
    }

    /// Begins the making of a passkey of an account. Fails with [`Error::TooManyPasskeys`], and without randomness.
    pub(super) async fn begin_creation<B: Bound>(
        &self,
        account: &Account,
        bound: impl FnOnce(Vec<u8>) -> B,
        now: Timestamp,
    ) -> Result<PasskeyCreation, Error> {
        let existing = self.store.passkeys(account.id).await?;
        if u64::try_from(existing.len()).unwrap_or(u64::MAX) >= MOST_PASSKEYS {
            return Err(Error::TooManyPasskeys);
        }
        let user_handle = self.user_handle(&existing)?;
        let ceremony = Ceremony::begin(bound(user_handle.clone()), now, self.entropy.as_ref())?;
        Ok(PasskeyCreation {
            token: ceremony.seal(&self.keyring.ceremony_keys, self.entropy.as_ref())?,
            challenge: ceremony.challenge,
            user_handle,
            user_name: account.shown_name().to_owned(),
            display_name: account.name.clone(),
            existing,
            expires_in: TO_FINISH,
        })
    }

    /// Adds the passkey that an authenticator made and returns it. Sent again, it returns the same one. Fails with
    /// [`Error::Invalid`] for a ceremony that was not begun in this session, took too long or was finished, and for a credential
    /// that does not verify or is somebody's already; with [`Error::TooManyPasskeys`].
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        new: &NewPasskey,
        client: &ClientContext,
    ) -> Result<Passkey, Error> {
        let (account, now) = (&caller.account, self.clock.now());
        let opened = Ceremony::<Creation>::open(&new.ceremony_token, &self.keyring.ceremony_keys, now);
        let ceremony = opened.map_err(|_| over())?;
        if (ceremony.bound.account, ceremony.bound.session) != (account.id, caller.session.made.id) {
            return Err(over());
        }
        let handle = ceremony.bound.user_handle.clone();
        let passkey = self.made_passkey(new, &ceremony.challenge, account.id, handle)?;
        let mut event = self.audit_event(AuditKind::PasskeyAdded, account.id, client)?;
        event.target = Some(passkey.id.to_string());
        event.session = Some(caller.session.made.id);
        match self.store.add_passkey(&passkey, account, &ceremony.spent()?, &event).await? {
            PasskeyEnrolment::Added => {
                self.notify(&account.email, &Notification::PasskeyAdded(client)).await;
                Ok(passkey)
            }
            PasskeyEnrolment::CeremonySpent => self.added_before(&passkey).await,
            PasskeyEnrolment::Taken => Err(unusable()),
            PasskeyEnrolment::TooMany => Err(Error::TooManyPasskeys),
            PasskeyEnrolment::AccountChanged => Err(Error::InvalidAccessToken),
        }
    }

    /// Returns the passkey that an earlier request with the same credential added, whose answer was lost.
    async fn added_before(&self, passkey: &Passkey) -> Result<Passkey, Error> {
        let owner = self.store.passkey_owner(&passkey.credential_id).await?;
        let Some(PasskeyOwner { account, passkey: id, .. }) = owner else { return Err(over()) };
        let found = self.store.passkey(account, id).await?;
        found
            .filter(|found| found.account == passkey.account && found.public_key == passkey.public_key)
            .ok_or_else(over)
    }

    /// Returns the passkey that an authenticator made for this challenge; fails with [`Error::Invalid`] where it does not verify.
    pub(super) fn made_passkey(
        &self,
        new: &NewPasskey,
        challenge: &[u8; CHALLENGE_LENGTH],
        account: AccountId,
        user_handle: Vec<u8>,
    ) -> Result<Passkey, Error> {
        let verified = self.relying_party()?.verify_registration(challenge, &new.credential)?;
        let attested = verified.map_err(|refused| {
            log(refused, Some(account));
            unusable()
        })?;
        self.passkey_of(new, attested, account, user_handle)
    }

    fn passkey_of(
        &self,
        new: &NewPasskey,
        attested: Attested,
        account: AccountId,
        user_handle: Vec<u8>,
    ) -> Result<Passkey, Error> {
        let now = self.clock.now();
        let transports = new.credential.response.transports.iter().flatten().map(ToString::to_string);
        Ok(Passkey {
            id: Id::generate(now, self.entropy.as_ref())?,
            account,
            name: new.name.clone().unwrap_or_default().0,
            credential_id: attested.credential_id,
            public_key: attested.public_key,
            user_handle,
            sign_count: attested.sign_count,
            backup_eligible: attested.backup_eligible,
            backed_up: attested.backed_up,
            transports: transports.filter(|name| name != "unknown").take(MOST_TRANSPORTS).collect(),
            aaguid: attested.aaguid,
            created_at: now,
            last_used_at: None,
        })
    }

    /// Returns what authenticators know the account by: of all its passkeys the same, so that an authenticator replaces its
    /// own. Two first ones that are begun side by side may have one each, which costs a person an entry in a list.
    fn user_handle(&self, existing: &[Passkey]) -> Result<Vec<u8>, Error> {
        if let Some(passkey) = existing.first() {
            return Ok(passkey.user_handle.clone());
        }
        let mut handle = vec![0; USER_HANDLE_LENGTH];
        self.entropy.fill(&mut handle)?;
        Ok(handle)
    }
}

pub(crate) fn over() -> Error {
    let detail = "is unknown, took too long, or was used; begin again";
    Error::Invalid(InvalidField::new(Field::CeremonyToken, detail))
}

/// The same for one that does not verify and for one that somebody has: who made up a credential id learns nothing.
pub(crate) fn unusable() -> Error {
    Error::Invalid(InvalidField::new(Field::Credential, "is no passkey that was made for this ceremony"))
}
