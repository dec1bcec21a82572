//! Signing in with a passkey: no name, no password, no code.
//!
//! Two rounds of reads and one write decide: whose credential it is; the account, the passkey and the end of the trail; then
//! the challenge, the use of the passkey, the session and its record, all or nothing. An unknown credential takes the same way
//! with the same calls: it is judged by a key that nobody has a passkey with, and put on record like a wrong one. So neither
//! the response nor its time tells an unknown credential from a deleted one, from another person's, or from a wrong signature.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_store::{
    Account, AccountId, Actor, AuditEvent, AuditKind, ChainEnd, Id, Passkey, PasskeyOutcome, PasskeyOwner,
    PasskeySignIn, PasskeyUse, SignInStep,
};

use super::assertion::{PresentedPasskey, log};
use super::ceremony::{Assertion, CHALLENGE_LENGTH, Ceremony};
use super::{PublicKeyCredential, Refused, TO_FINISH};
use crate::accounts::person::DeviceName;
use crate::error::Error;
use crate::sign_in::attempts::{placeholder_account, too_many_from_there};
use crate::sign_in::login::{PendingSession, SignedIn};
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// The `amr` value of a key that cannot leave its device (RFC 8176).
const HARDWARE_KEY: &str = "hwk";
/// The `amr` value of a key that may be copied to other devices.
const SOFTWARE_KEY: &str = "swk";
/// The `amr` value of a person who was there. That their authenticator verified them is what all passkeys need here.
const USER_PRESENT: &str = "user";

/// The public key of the example in RFC 6979, A.2.5, as a `COSE_Key`: what unknown credentials are judged by. What it signs is
/// refused like everything else of them.
const STAND_IN_KEY: &[u8] = &[
    0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20, 0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d,
    0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68, 0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c,
    0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6, 0x22, 0x58, 0x20, 0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8,
    0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64, 0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f,
    0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
];

/// Returns how a person proves who they are with this passkey (RFC 8176 values).
pub(crate) fn methods_of(passkey: &Passkey) -> &'static [&'static str] {
    if passkey.backup_eligible { &[SOFTWARE_KEY, USER_PRESENT] } else { &[HARDWARE_KEY, USER_PRESENT] }
}

/// What a browser needs to ask for a passkey: the same for everybody, but for the challenge.
#[derive(Debug)]
pub struct PasskeyRequest {
    /// The token of the ceremony.
    pub token: SessionToken,
    /// What is to be signed.
    pub challenge: [u8; CHALLENGE_LENGTH],
    /// Lifetime of both.
    pub expires_in: Duration,
}

/// A sign-in with a passkey.
#[derive(Debug)]
pub struct PasskeyLogin {
    /// What the client shows, unverified.
    pub shown: PresentedPasskey,
    /// Whether the browser keeps the session when it is closed.
    pub persistent: bool,
    /// The name the user gives the device.
    pub device_name: Option<DeviceName>,
    /// Whether the refresh token is returned in the response body in place of a cookie.
    pub token_in_body: bool,
}

impl PasskeyLogin {
    fn pending(&self, passkey: &Passkey) -> PendingSession {
        PendingSession {
            methods: methods_of(passkey).iter().map(|method| (*method).to_owned()).collect(),
            persistent: self.persistent,
            token_in_body: self.token_in_body,
            device_name: self.device_name.as_ref().map(|name| name.0.clone()),
        }
    }
}

/// Whom a sign-in is of, as the rows say that its credential leads to. Of an unknown credential there are none.
struct Found {
    account: Option<Account>,
    passkey: Option<Passkey>,
    /// The name that it is put on record under, and the id of an account that may be a placeholder.
    name: String,
    subject: AccountId,
    sign_ins: ChainEnd,
}

impl Identity {
    /// Begins a sign-in with a passkey. Nothing is stored; fails with [`Error::PasskeysUnavailable`].
    pub fn begin_passkey_sign_in(&self) -> Result<PasskeyRequest, Error> {
        self.relying_party()?;
        let ceremony = Ceremony::begin(Assertion {}, self.clock.now(), self.entropy.as_ref())?;
        let token = ceremony.seal(&self.keyring.ceremony_keys, self.entropy.as_ref())?;
        Ok(PasskeyRequest { token, challenge: ceremony.challenge, expires_in: TO_FINISH })
    }

    /// Returns the session of a sign-in with a passkey. Fails with [`Error::InvalidSessionToken`] for a ceremony that was not
    /// begun here, took too long or was finished; with [`Error::InvalidCredentials`] for a credential that is unknown or
    /// refused and for a disabled account, not to be told apart; with [`Error::TooManyAttempts`] while the client address is
    /// throttled; with [`Error::EmailNotVerified`] or [`Error::PasswordExpired`] where the passkey was right.
    pub async fn sign_in_with_passkey(
        &self,
        login: &PasskeyLogin,
        client: &ClientContext,
    ) -> Result<SignedIn, Error> {
        let (now, credential) = (self.clock.now(), &login.shown.credential);
        let ceremony = self.open_assertion(&login.shown.ceremony_token, now)?;
        let (owner, address_has_room) = tokio::try_join!(
            async { Ok(self.store.passkey_owner(&credential.raw_id).await?) },
            self.has_room_for_failure(client, now),
        )?;
        let found = Box::pin(self.find(credential, owner)).await?;
        if !address_has_room && self.attempt_source(found.account.as_ref(), client).is_stranger() {
            return Err(too_many_from_there(now));
        }
        let stand_in = || stand_in(credential, found.subject);
        let judged_by = found.passkey.clone().unwrap_or_else(stand_in);
        let ceremony = (ceremony.challenge.as_slice(), ceremony.spent()?);
        let judged = self.judge(ceremony, credential, &judged_by, now)?;
        match (judged, &found.account, &found.passkey) {
            (Ok(used), Some(account), Some(_)) => {
                Box::pin(self.finish_by_passkey(login, &used, account, &found, client)).await
            }
            (Err(refused), Some(account), Some(passkey)) => {
                log(refused, Some(account.id));
                self.report_if_fallen(refused, account, passkey, client).await?;
                Err(Box::pin(self.refuse_passkey(&found, client)).await)
            }
            _ => Err(Box::pin(self.refuse_passkey(&found, client)).await),
        }
    }

    /// Reads whom a credential leads to.
    async fn find(
        &self,
        credential: &PublicKeyCredential,
        owner: Option<PasskeyOwner>,
    ) -> Result<Found, Error> {
        let owner = owner.map_or_else(|| nobody(credential), Ok)?;
        let (account, passkey, sign_ins) = tokio::try_join!(
            self.store.account(owner.account),
            self.store.passkey(owner.account, owner.passkey),
            self.store.sign_ins_end(&owner.email),
        )?;
        let mut found = Found { account, passkey, name: owner.email, subject: owner.account, sign_ins };
        if let Some(account) = found.account.as_ref().filter(|account| account.email != found.name) {
            // It had another address when the passkey was made.
            found.sign_ins = self.store.sign_ins_end(&account.email).await?;
            found.name.clone_from(&account.email);
        }
        Ok(found)
    }

    /// Begins the session; or, with an expired password, the challenge to replace it.
    async fn finish_by_passkey(
        &self,
        login: &PasskeyLogin,
        used: &PasskeyUse,
        account: &Account,
        found: &Found,
        client: &ClientContext,
    ) -> Result<SignedIn, Error> {
        match self.admit(account) {
            Ok(()) => {}
            Err(Error::EmailNotVerified) => {
                self.record_refused_passkey(found, client).await?;
                return Err(Error::EmailNotVerified);
            }
            Err(_) => return Err(Box::pin(self.refuse_passkey(found, client)).await),
        }
        let (now, pending) = (used.at, login.pending(&used.passkey));
        if !self.has_current_password(account, now) {
            let ((challenge, expired), event) = self.rotation(account, pending, now, client)?;
            let leads_to = PasskeySignIn::Challenge(&challenge);
            self.use_passkey(used, leads_to, event, (account, found), client).await?;
            return Err(expired);
        }
        let made = self.make_session(account.clone(), pending, now, client)?;
        let leads_to = PasskeySignIn::Session(&made.session);
        self.use_passkey(used, leads_to, made.event, (account, found), client).await?;
        self.notify_of_new_device(account, found.sign_ins.sign_ins(), client).await;
        made.sign_in.finish().await
    }

    /// Carries the write out that everything depends on; fails where it was refused.
    async fn use_passkey(
        &self,
        used: &PasskeyUse,
        leads_to: PasskeySignIn<'_>,
        event: AuditEvent,
        (account, found): (&Account, &Found),
        client: &ClientContext,
    ) -> Result<(), Error> {
        let mut event = event.behind(found.sign_ins.clone());
        event.target = Some(used.passkey.id.to_string());
        match self.store.sign_in_by_passkey(used, leads_to, &event).await? {
            PasskeyOutcome::Done => Ok(()),
            PasskeyOutcome::CeremonySpent => Err(Error::InvalidSessionToken),
            PasskeyOutcome::CounterFell => {
                self.report_if_fallen(Refused::CounterFell, account, &used.passkey, client).await?;
                Err(Box::pin(self.refuse_passkey(found, client)).await)
            }
            PasskeyOutcome::Removed => Err(Box::pin(self.refuse_passkey(found, client)).await),
        }
    }

    /// Records a refused passkey and returns its error, with the same calls whether or not somebody has the credential.
    async fn refuse_passkey(&self, found: &Found, client: &ClientContext) -> Error {
        let source = self.attempt_source(found.account.as_ref(), client);
        // Joined, not try_joined: an error of one count must not cancel the other.
        let (recorded, counted) = tokio::join!(
            self.record_refused_passkey(found, client),
            self.count_failure(&source, client, self.clock.now())
        );
        counted.and(recorded).map_or_else(|error| error, |()| Error::InvalidCredentials)
    }

    /// Records a sign-in that got no session. It holds up nobody: there is nothing to guess at, and what a stranger does with a
    /// credential of somebody must not lock their password.
    async fn record_refused_passkey(&self, found: &Found, client: &ClientContext) -> Result<(), Error> {
        let event = self.audit_event(AuditKind::LoginFailed, found.subject, client)?;
        let event = if found.account.is_none() { event.of_nobody() } else { event };
        let mut event = event.of_sign_in_with(&found.name, SignInStep::None).behind(found.sign_ins.clone());
        event.actor = Actor::Anonymous;
        event.target = found.passkey.as_ref().map(|passkey| passkey.id.to_string());
        Ok(self.store.record(&event).await?)
    }
}

/// Returns whose an unknown credential is: nobody's, and each time the same nobody's.
fn nobody(credential: &PublicKeyCredential) -> Result<PasskeyOwner, Error> {
    // No address and no username is spelt like it.
    let name = format!("passkey:{}", BASE64URL.encode(&credential.raw_id));
    Ok(PasskeyOwner { account: placeholder_account(&name)?, passkey: Id::derived([0; 16]), email: name })
}

/// Returns what a credential is judged by that nobody has: it has that id and whatever it says of its user.
fn stand_in(credential: &PublicKeyCredential, account: AccountId) -> Passkey {
    Passkey {
        id: Id::derived([0; 16]),
        account,
        name: String::new(),
        credential_id: credential.raw_id.clone(),
        public_key: STAND_IN_KEY.to_vec(),
        user_handle: credential.get_user_unique_id().unwrap_or_default().to_vec(),
        sign_count: 0,
        backup_eligible: false,
        backed_up: false,
        transports: Vec::new(),
        aaguid: [0; 16],
        created_at: Timestamp::UNIX_EPOCH,
        last_used_at: None,
    }
}
