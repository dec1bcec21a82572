//! Managed API keys: one for each account at most, set by an operator, for programs whose owner never signs in. What makes
//! a key a managed one is a mark in its row that only an operator sets; its name says nothing, because owners choose names.

use portcullis_store::{Account, ApiKey, ApiKeyCreation, AuditKind, Id};
use secrecy::SecretString;

use crate::access::api_keys::{IssuedApiKey, MOST_KEYS, about_key, new_text};
use crate::access::given_key::is_taken;
use crate::accounts::administration::Operator;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// The name of every managed key, for its owner's list.
const NAME: &str = "manage-users";

impl Identity {
    /// Returns every API key of an account; fails when the store does.
    pub async fn api_keys_of(&self, account: &Account) -> Result<Vec<ApiKey>, Error> {
        // One more than its owner may have: a managed key is made beside them.
        Ok(self.store.api_keys(account.id, MOST_KEYS + 1, None).await?.keys)
    }

    async fn managed_keys_of(&self, account: &Account) -> Result<Vec<ApiKey>, Error> {
        let mut keys = self.api_keys_of(account).await?;
        keys.retain(|key| key.managed);
        Ok(keys)
    }

    /// Sets the managed key of an account, the given one or a new one, and returns it. The previous one is invalid once
    /// the new one is valid. Fails with [`Error::Invalid`] for a given key that is none
    /// ([`GivenApiKey::parse`](crate::GivenApiKey::parse)) or that is some account's already.
    pub async fn set_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        text: Option<SecretString>,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let (id, text) = if let Some(text) = text {
            (self.id_of_given_key(&text).await?, text)
        } else {
            let id = Id::generate(self.clock.now(), self.entropy.as_ref())?;
            (id, new_text(id, self.entropy.as_ref())?)
        };
        let before = self.managed_keys_of(account).await?;
        let scopes = self.scopes(&account.roles, None)?;
        let key = ApiKey {
            id,
            account: account.id,
            digest: self.current_digest(&text)?,
            name: NAME.to_owned(),
            managed: true,
            scopes: scopes.iter().map(ToString::to_string).collect(),
            created_at: self.clock.now(),
            expires_at: None,
            last_used_at: None,
        };
        let event = about_key(self.event_by(operator, AuditKind::ApiKeyCreated, account.id, client)?, &key);
        match self.store.create_api_key(&key, None, &event).await? {
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
        Ok(IssuedApiKey { key, text })
    }

    /// Rotates the managed key of an account and returns it: with a new secret, or replaced by the given key. Fails
    /// with [`Error::NotFound`] where there is none, and with [`Error::Invalid`] where there are several: two operators
    /// set one at the same time, and only they can say which is in use.
    pub async fn rotate_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        text: Option<SecretString>,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let managed = self.managed_keys_of(account).await?;
        let [seen] = <[ApiKey; 1]>::try_from(managed).map_err(|managed| not_one(&managed))?;
        if text.is_some() {
            return self.set_managed_key(operator, account, text, client).await;
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

/// Returns why a rotation that names no key has none to rotate, with the ids where there are several.
fn not_one(managed: &[ApiKey]) -> Error {
    if managed.is_empty() {
        return Error::NotFound;
    }
    let ids: Vec<String> = managed.iter().map(|key| key.id.to_string()).collect();
    let detail =
        format!("there are several managed keys ({}): set one, which replaces them all", ids.join(", "));
    Error::Invalid(InvalidField::new(Field::ApiKey, detail))
}
