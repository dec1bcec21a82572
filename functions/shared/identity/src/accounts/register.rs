//! Registration of accounts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_store::{
    Account, AccountStatus, AuditEvent, AuditKind, Id, IdempotentRequest, NewAccount, Registration,
};

use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, PhoneNumber, Username};
use crate::error::Error;
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
    /// Telephone number.
    pub phone: Option<PhoneNumber>,
    /// Second name to sign in with.
    pub username: Option<Username>,
    /// The idempotency key of the request, if the client may retry it.
    pub idempotency_key: Option<String>,
}

/// The account that was created, now or by an earlier attempt of the same request.
#[derive(Debug)]
pub struct Registered(pub Account);

impl Identity {
    /// Returns the new account. Fails with [`Error::EmailTaken`], [`Error::UsernameTaken`], [`Error::WeakPassword`] or
    /// [`Error::IdempotencyKeyReused`]. Uniqueness is decided by conditions of one transaction, never by a read before
    /// it: of registrations that race for an address or a username one succeeds.
    pub async fn register(&self, person: NewPerson, client: &ClientContext) -> Result<Registered, Error> {
        let known = [person.name.0.as_str(), person.email.as_str(), local_part(&person.email)];
        person.password.check_strength(&known, self.settings.password_min_score)?;
        // Hashed before the address is looked at, so that a taken one costs what a free one does.
        let password_hash = self.hasher.hash(&person.password, self.entropy.as_ref()).await?;
        let request = person.idempotency_key.as_deref().map(|key| self.idempotent_request(key, &person));
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
            email_verified: false,
            session_epoch: 0,
            password_changed_at: now,
            created_at: now,
        };
        let event = self.audit_event(AuditKind::AccountRegistered, account.id, client)?;
        let new = NewAccount { account, password_hash };
        match self.store.register(&new, request.as_ref(), &event).await? {
            Registration::Created => Ok(Registered(new.account)),
            // The body was the same, so all but these two is, too: nothing else about the person need be remembered.
            Registration::Repeated(first) => Ok(Registered(Account {
                id: first.account,
                created_at: first.created_at,
                password_changed_at: first.created_at,
                ..new.account
            })),
            Registration::KeyReused => Err(Error::IdempotencyKeyReused),
            Registration::EmailTaken => Err(Error::EmailTaken),
            Registration::UsernameTaken => Err(Error::UsernameTaken),
        }
    }

    fn idempotent_request(&self, key: &str, person: &NewPerson) -> IdempotentRequest {
        let or_empty = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
        let password = person.password.bytes();
        let fingerprint = self.keyring.fingerprint(&[
            person.email.as_str().as_bytes(),
            &password,
            person.name.0.as_bytes(),
            &or_empty(person.phone.as_ref().map(|phone| phone.0.as_str())),
            &or_empty(person.username.as_ref().map(|name| name.0.as_str())),
        ]);
        let key_digest = BASE64URL.encode(self.keyring.fingerprint(&[b"register", key.as_bytes()]));
        IdempotentRequest { key_digest, fingerprint }
    }

    /// Returns an event, as of now, for the trail of an account, with the client that caused it; fails without
    /// randomness.
    pub fn audit_event(
        &self,
        kind: AuditKind,
        subject: portcullis_store::AccountId,
        client: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event =
            AuditEvent::new(kind, subject, self.clock.now(), &self.audit_seal(), self.entropy.as_ref())?;
        event.ip.clone_from(&client.ip);
        event.user_agent.clone_from(&client.user_agent);
        event.request_id.clone_from(&client.request_id);
        Ok(event)
    }
}

fn local_part(email: &Email) -> &str {
    email.as_str().split('@').next().unwrap_or_default()
}
