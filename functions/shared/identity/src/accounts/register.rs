//! Registration of accounts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_store::{
    Account, AccountId, AccountStatus, AuditEvent, AuditKind, FirstRegistration, Id, IdempotentRequest,
    NewAccount, Registration, UsernameClaim,
};

use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, PhoneNumber, Username};
use crate::error::Error;
use crate::limits::{REGISTRATIONS, TAKEN_USERNAMES};
use crate::passwords::password::Password;
use crate::{ClientContext, Identity};

/// The role of every account that registers.
const FIRST_ROLE: &str = "user";

/// A request to register an account.
#[derive(Debug)]
pub struct NewPerson {
    /// Address to sign in with.
    pub email: Email,
    /// The chosen password.
    pub password: Password,
    /// The person's name.
    pub name: PersonName,
    /// Telephone number in E.164; `None` where the person gave none.
    pub phone: Option<PhoneNumber>,
    /// Second name to sign in with.
    pub username: Option<Username>,
    /// The idempotency key of the request, if the client may retry it.
    pub idempotency_key: Option<String>,
}

/// The account that was created, now or by an earlier attempt of the same request.
#[derive(Debug)]
pub struct Registered(pub Account);

/// What a registration that was not refused led to.
pub(crate) enum Outcome {
    /// This account, made now or by an earlier attempt of the same request.
    Made(Box<Account>),
    /// The address has this account, which another request made.
    Taken(AccountId),
}

impl Identity {
    /// Returns the new account. Fails with [`Error::EmailTaken`], [`Error::UsernameTaken`], [`Error::WeakPassword`],
    /// [`Error::IdempotencyKeyReused`] or [`Error::TooManyAttempts`]. Uniqueness is decided by conditions of one transaction, never by a read before
    /// it: of registrations that race for an address or a username one succeeds.
    pub async fn register(&self, person: NewPerson, client: &ClientContext) -> Result<Registered, Error> {
        match self.register_as(person, UsernameClaim::Now, client).await?.0 {
            Outcome::Made(account) => Ok(Registered(*account)),
            Outcome::Taken(_) => Err(Error::EmailTaken),
        }
    }

    /// Returns what becomes of a registration whose response is the same for taken addresses: so is every refusal, and
    /// what a later request with the same key or the same username gets. Fails like [`Identity::register`], but for
    /// [`Error::EmailTaken`].
    pub(crate) async fn register_silently(
        &self,
        person: NewPerson,
        client: &ClientContext,
    ) -> Result<Outcome, Error> {
        let (outcome, request) = self.register_as(person, UsernameClaim::OnConfirmation, client).await?;
        if let (Outcome::Taken(account), Some(request)) = (&outcome, &request) {
            let found = FirstRegistration { account: *account, created_at: self.clock.now() };
            if !self.store.remember_registration(request, found).await? {
                return Err(Error::IdempotencyKeyReused);
            }
        }
        Ok(outcome)
    }

    /// Counts a registration and carries it out. Returns what it led to, and what it may be remembered by.
    async fn register_as(
        &self,
        person: NewPerson,
        claim: UsernameClaim,
        client: &ClientContext,
    ) -> Result<(Outcome, Option<IdempotentRequest>), Error> {
        let known = [person.name.0.as_str(), person.email.as_str(), local_part(&person.email)];
        person.password.check_strength(&known, self.settings.password_min_score)?;
        let (now, has_username) = (self.clock.now(), person.username.is_some());
        // Before the hash, the account and the mail: a registration over the limit leaves nothing behind.
        self.limit_newcomer(&REGISTRATIONS, person.email.as_str(), client, now).await?;
        if has_username {
            self.check_address(&TAKEN_USERNAMES, client, now).await?;
        }
        let request = self.idempotent_request(&person)?;
        let new = self.new_account(person, claim, client).await?;
        match self.make_account(new, request.as_ref(), client).await {
            // Over the limit in place of the refusal, which would say that the name is taken.
            Err(Error::UsernameTaken) => {
                self.limit_address(&TAKEN_USERNAMES, client, now).await?;
                Err(Error::UsernameTaken)
            }
            outcome => Ok((outcome?, request)),
        }
    }

    /// Returns the account that a person asks for, with the hash of its password. The hash is made before anything of
    /// the address is looked at, so that a taken one costs what a free one does.
    async fn new_account(
        &self,
        person: NewPerson,
        claim: UsernameClaim,
        client: &ClientContext,
    ) -> Result<NewAccount, Error> {
        let password_hash = self.hasher.of(client).hash(&person.password, self.entropy.as_ref()).await?;
        let now = self.clock.now();
        let account = Account {
            id: Id::generate(now, self.entropy.as_ref())?,
            email: person.email.as_str().to_owned(),
            username: person.username.map(|name| name.0),
            name: person.name.0,
            phone: person.phone.map(|phone| phone.0),
            roles: vec![FIRST_ROLE.to_owned()],
            status: AccountStatus::Active,
            mfa_enabled: false,
            mfa_has_codes_only: false,
            is_passwordless: false,
            passkeys: 0,
            email_verified: false,
            session_epoch: 0,
            password_changed_at: now,
            created_at: now,
            mfa_enabled_at: None,
            keys_ended_at: None,
        };
        Ok(NewAccount { account, password_hash: Some(password_hash), claim, api_key: None })
    }

    /// Makes an account unless this very request made one before that still exists: the response of an account that was
    /// erased is not given as if it lived.
    async fn make_account(
        &self,
        new: NewAccount,
        request: Option<&IdempotentRequest>,
        client: &ClientContext,
    ) -> Result<Outcome, Error> {
        let event = self.audit_event(AuditKind::AccountRegistered, new.account.id, client)?;
        let mut gone = None;
        loop {
            let first = match self.store.register(&new, request, gone, &event).await? {
                Registration::Created => return Ok(Outcome::Made(Box::new(new.account))),
                Registration::KeyReused => return Err(Error::IdempotencyKeyReused),
                Registration::EmailTaken(account) => return Ok(Outcome::Taken(account)),
                Registration::UsernameTaken => return Err(Error::UsernameTaken),
                Registration::ApiKeyTaken => return Err(Error::Internal("a registration has no API key")),
                Registration::Repeated(first) => first,
            };
            let found = self.store.login_record_by_email(&new.account.email).await?;
            match found.map(|record| record.account).filter(|account| account.id == first.account) {
                // The body was the same, so all but these two is, too: nothing else about the person need be
                // remembered.
                Some(account) if account.created_at == first.created_at => {
                    let (id, created_at) = (first.account, first.created_at);
                    let password_changed_at = created_at;
                    let made = Account { id, created_at, password_changed_at, ..new.account };
                    return Ok(Outcome::Made(Box::new(made)));
                }
                Some(account) => return Ok(Outcome::Taken(account.id)),
                // An account of this id never comes back: each round is for one more that is gone.
                None => gone = Some(first.account),
            }
        }
    }

    /// Returns what a request that may be repeated is remembered by; `None` without a key of its own, and fails where there is
    /// none to digest it under. The address is part of the
    /// key's digest: clients that choose equal keys for different people do not meet.
    fn idempotent_request(&self, person: &NewPerson) -> Result<Option<IdempotentRequest>, Error> {
        let Some(key) = person.idempotency_key.as_deref() else { return Ok(None) };
        let or_empty = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
        let (email, password) = (person.email.as_str().as_bytes(), person.password.bytes());
        let fingerprint = self.keyring.fingerprint(&[
            email,
            &password,
            person.name.0.as_bytes(),
            &or_empty(person.phone.as_ref().map(|phone| phone.0.as_str())),
            &or_empty(person.username.as_ref().map(|name| name.0.as_str())),
        ])?;
        let key_digest = BASE64URL.encode(self.keyring.fingerprint(&[b"register", email, key.as_bytes()])?);
        Ok(Some(IdempotentRequest { key_digest, fingerprint }))
    }

    /// Returns an event, as of now, for the trail of an account, with the client that caused it; fails without
    /// randomness.
    pub fn audit_event(
        &self,
        kind: AuditKind,
        subject: AccountId,
        client: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event =
            AuditEvent::new(kind, subject, self.clock.now(), &self.audit_seal()?, self.entropy.as_ref())?;
        event.ip.clone_from(&client.ip);
        event.user_agent.clone_from(&client.user_agent);
        event.request_id.clone_from(&client.request_id);
        Ok(event)
    }
}

fn local_part(email: &Email) -> &str {
    email.as_str().split('@').next().unwrap_or_default()
}
