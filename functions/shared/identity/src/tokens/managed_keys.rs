//! Managed API keys: one for each account at most, set by an operator, for programs whose owner never signs in. What makes
//! a key a managed one is a mark in its row that only an operator sets; its name says nothing, because owners choose names.

use jiff::Timestamp;
use portcullis_store::{Account, ApiKey, ApiKeyCreation, AuditEvent, AuditKind, Id};
use secrecy::SecretString;

use crate::access::api_keys::{IssuedApiKey, MOST_KEYS, about_key, check_expiry, new_text};
use crate::access::given_key::is_taken;
use crate::accounts::administration::Operator;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// The name of every managed key, for its owner's list.
const NAME: &str = "manage-users";

/// A managed key that an operator wants.
#[derive(Debug, Default)]
pub struct ManagedKey {
    /// Its clear text; a new one is generated when there is none.
    pub text: Option<SecretString>,
    /// What it may do, as `resource:action`; all that its owner may give a key now, when there are none.
    pub scopes: Option<Vec<String>>,
    /// When it ends; never, when there is none.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Returns every API key of an account; fails when the store does.
    pub async fn api_keys_of(&self, account: &Account) -> Result<Vec<ApiKey>, Error> {
        // One more than its owner may have: a managed key is made beside them.
        let mut keys = self.store.api_keys(account.id, MOST_KEYS + 1, None).await?.keys;
        keys.retain(|key| !account.has_ended_keys_of(key.created_at));
        Ok(keys)
    }

    async fn managed_keys_of(&self, account: &Account) -> Result<Vec<ApiKey>, Error> {
        let mut keys = self.api_keys_of(account).await?;
        keys.retain(|key| key.managed);
        Ok(keys)
    }

    /// Sets the managed key of an account and returns it. The previous one is invalid once the new one is valid. Fails with
    /// [`Error::Invalid`] for a given key that is none ([`GivenApiKey::parse`](crate::GivenApiKey::parse)) or that is some
    /// account's already, for scopes beyond those of the account, and for an end in the past.
    pub async fn set_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        wanted: ManagedKey,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let issued = self.new_managed_key(account, wanted).await?;
        let before = self.managed_keys_of(account).await?;
        let event = self.event_of_key(operator, &issued.key, client)?;
        match self.store.create_api_key(&issued.key, None, &event).await? {
            ApiKeyCreation::Created => {}
            ApiKeyCreation::OwnerGone => return Err(Error::NotFound),
            ApiKeyCreation::Taken => return Err(is_taken()),
            _ => return Err(Error::Internal("a key without an idempotency key was repeated")),
        }
        for old in &before {
            let event =
                about_key(self.event_by(operator, AuditKind::ApiKeyDeleted, account.id, client)?, old);
            self.store.delete_api_key(account.id, old.id, &event).await?;
        }
        self.notify(&account.email, &Notification::ApiKeySetByOperator).await;
        Ok(issued)
    }

    /// Returns the managed key of an account as it is to be stored; nothing is written.
    pub(crate) async fn new_managed_key(
        &self,
        account: &Account,
        wanted: ManagedKey,
    ) -> Result<IssuedApiKey, Error> {
        let now = self.clock.now();
        check_expiry(wanted.expires_at, now)?;
        let scopes = self.scopes(&account.roles, wanted.scopes.as_deref())?;
        let (id, text) = if let Some(text) = wanted.text {
            (self.id_of_given_key(&text).await?, text)
        } else {
            let id = Id::generate(now, self.entropy.as_ref())?;
            (id, new_text(id, self.entropy.as_ref())?)
        };
        let key = ApiKey {
            id,
            account: account.id,
            digest: self.current_digest(&text)?,
            name: NAME.to_owned(),
            managed: true,
            scopes: scopes.iter().map(ToString::to_string).collect(),
            created_at: now,
            expires_at: wanted.expires_at,
            last_used_at: None,
        };
        Ok(IssuedApiKey { key, text })
    }

    pub(crate) fn event_of_key(
        &self,
        operator: &Operator,
        key: &ApiKey,
        client: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        Ok(about_key(self.event_by(operator, AuditKind::ApiKeyCreated, key.account, client)?, key))
    }

    /// Rotates the managed key of an account and returns it: with a new secret, replaced by the given key with the scopes and
    /// the end it had, or made where there was none. Fails with [`Error::Invalid`] where there are several: two operators set
    /// one at the same time, and only they can say which is in use.
    pub async fn rotate_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        text: Option<SecretString>,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let managed = self.managed_keys_of(account).await?;
        let seen = match <[ApiKey; 1]>::try_from(managed) {
            Ok([seen]) => seen,
            Err(none) if none.is_empty() => {
                let wanted = ManagedKey { text, ..ManagedKey::default() };
                return self.set_managed_key(operator, account, wanted, client).await;
            }
            Err(several) => return Err(ambiguous(&several)),
        };
        if text.is_some() {
            // What the account may no longer do is not carried over.
            let scopes = self.still_given(&account.roles, &seen.scopes);
            let wanted = ManagedKey { text, scopes: Some(scopes), expires_at: seen.expires_at };
            return self.set_managed_key(operator, account, wanted, client).await;
        }
        let text = new_text(seen.id, self.entropy.as_ref())?;
        let digest = self.current_digest(&text)?;
        let event = about_key(self.event_by(operator, AuditKind::ApiKeyRotated, account.id, client)?, &seen);
        if !self.store.rotate_api_key(&seen, &digest, &event).await? {
            return Err(Error::Contended);
        }
        self.notify(&account.email, &Notification::ApiKeySetByOperator).await;
        Ok(IssuedApiKey { key: ApiKey { digest, ..seen }, text })
    }
}

/// Returns why a rotation that names no key does not know which one is meant, with the ids.
fn ambiguous(managed: &[ApiKey]) -> Error {
    let ids: Vec<String> = managed.iter().map(|key| key.id.to_string()).collect();
    let detail =
        format!("there are several managed keys ({}): set one, which replaces them all", ids.join(", "));
    Error::Invalid(InvalidField::new(Field::ApiKey, detail))
}
