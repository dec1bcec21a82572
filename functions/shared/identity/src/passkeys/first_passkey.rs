//! A passkey as the first factor of a sign-in that waits for one, or as the next one of somebody who lost theirs.
//!
//! The token of the sign-in stands in for a session: the password was right, which is the proof that the making of a passkey asks
//! for anywhere. The ceremony is of a kind of its own and names the sign-in it was begun in, so that it is finished in none other,
//! and in no session. What ends both is one write, in `mfa::first_factor`.

use portcullis_store::{ChallengeKind, Passkey};
use secrecy::SecretString;

use super::ceremony::{Ceremony, FirstCreation};
use super::enrolment::{NewPasskey, PasskeyCreation, over};
use super::sign_in::methods_of;
use crate::error::Error;
use crate::limits::PASSKEYS;
use crate::mfa::{EnrolledSignIn, ProvedFirst};
use crate::{ClientContext, Identity};

/// The tokens that a passkey can be made with in place of a session.
const KINDS: [ChallengeKind; 2] = [ChallengeKind::Enrolment, ChallengeKind::Recovery];

impl Identity {
    /// Begins the making of a passkey for an account whose sign-in waits for a factor. Fails with
    /// [`Error::InvalidSessionToken`], with [`Error::PasskeysUnavailable`], or with [`Error::TooManyAttempts`].
    pub async fn begin_first_passkey(
        &self,
        session_token: &SecretString,
        client: &ClientContext,
    ) -> Result<PasskeyCreation, Error> {
        let now = self.clock.now();
        self.relying_party()?;
        let (challenge, account) = self.enrolling(&KINDS, session_token, now).await?;
        let id = account.id;
        self.limit(&PASSKEYS, &id.to_string(), client, now).await?;
        let bound = |user_handle| FirstCreation { account: id, waiting: challenge.digest, user_handle };
        self.begin_creation(&account, bound, now).await
    }

    /// Adds the passkey that an authenticator made and returns it, with backup codes, which are never shown again, and the
    /// session that waited for it. Fails with [`Error::InvalidSessionToken`] when the token is unknown, expired, spent, behind
    /// the session epoch, or the account has a factor by now; with [`Error::Invalid`] for a ceremony that was not begun with
    /// this token, took too long or was finished, and for a credential that does not verify or is somebody's already.
    pub async fn add_first_passkey(
        &self,
        session_token: &SecretString,
        new: &NewPasskey,
        client: &ClientContext,
    ) -> Result<(Passkey, EnrolledSignIn), Error> {
        let now = self.clock.now();
        let (challenge, account) = self.enrolling(&KINDS, session_token, now).await?;
        let keys = &self.keyring.ceremony_keys;
        let ceremony = Ceremony::<FirstCreation>::open(&new.ceremony_token, keys, now).map_err(|_| over())?;
        let FirstCreation { account: owner, waiting, user_handle } = &ceremony.bound;
        if (*owner, *waiting) != (account.id, challenge.digest) {
            return Err(over());
        }
        let passkey = self.made_passkey(new, &ceremony.challenge, account.id, user_handle.clone())?;
        let sign_ins = self.store.sign_ins_end(&challenge.email).await?;
        let first = ProvedFirst {
            challenge: &challenge,
            account: &account,
            sign_ins: &sign_ins,
            methods: methods_of(&passkey),
            passkey: Some((&passkey, &ceremony.spent()?)),
        };
        let enrolled = Box::pin(self.begin_by_first_passkey(&first, now, client)).await?;
        Ok((passkey, enrolled))
    }
}
