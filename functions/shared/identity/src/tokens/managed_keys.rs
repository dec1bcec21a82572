//! Managed API keys: one for each account at most, set by an operator, for programs whose owner never signs in.

use portcullis_store::{Account, ApiKey, ApiKeyCreation, ApiKeyId, AuditKind, Id};
use portcullis_verifier::api_key::UnverifiedApiKey;
use secrecy::{ExposeSecret, SecretString};

use crate::access::api_keys::{IssuedApiKey, MOST_KEYS, new_text};
use crate::accounts::administration::Operator;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::{ClientContext, Identity};

/// The name of every managed key.
const NAME: &str = "manage-users";

impl Identity {
    /// Returns every API key of an account; fails when the store does.
    pub async fn api_keys_of(&self, account: &Account) -> Result<Vec<ApiKey>, Error> {
        Ok(self.store.api_keys(account.id, MOST_KEYS, None).await?.keys)
    }

    /// Sets the managed key of an account, the given one or a new one, and returns it. The previous one is invalid once
    /// the new one is valid. Fails with [`Error::Invalid`] for a given key of another form or one that exists.
    pub async fn set_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        text: Option<SecretString>,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let (id, text) = if let Some(text) = text {
            (self.id_of_new_key(&text).await?, text)
        } else {
            let id = Id::generate(self.clock.now(), self.entropy.as_ref())?;
            (id, new_text(id, self.entropy.as_ref())?)
        };
        let before = self.api_keys_of(account).await?;
        let scopes = self.scopes(&account.roles, None)?;
        let key = ApiKey {
            id,
            account: account.id,
            digest: self.current_digest(&text)?,
            name: NAME.to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            created_at: self.clock.now(),
            expires_at: None,
            last_used_at: None,
        };
        let mut event = self.event_by(operator, AuditKind::ApiKeyCreated, account.id, client)?;
        event.target = Some(id.to_string());
        match self.store.create_api_key(&key, None, &event).await? {
            ApiKeyCreation::Created => {}
            _ => return Err(Error::Internal("a key without an idempotency key was repeated")),
        }
        for old in before.iter().filter(|old| old.name == NAME) {
            let mut event = self.event_by(operator, AuditKind::ApiKeyDeleted, account.id, client)?;
            event.target = Some(old.id.to_string());
            self.store.delete_api_key(account.id, old.id, &event).await?;
        }
        Ok(IssuedApiKey { key, text })
    }

    /// Rotates the managed key of an account and returns it: with a new secret, or replaced by the given key. Fails
    /// with [`Error::NotFound`] where there is none.
    pub async fn rotate_managed_key(
        &self,
        operator: &Operator,
        account: &Account,
        text: Option<SecretString>,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        let seen = self.api_keys_of(account).await?.into_iter().find(|key| key.name == NAME);
        let seen = seen.ok_or(Error::NotFound)?;
        if text.is_some() {
            return self.set_managed_key(operator, account, text, client).await;
        }
        let text = new_text(seen.id, self.entropy.as_ref())?;
        let digest = self.current_digest(&text)?;
        let mut event = self.event_by(operator, AuditKind::ApiKeyRotated, account.id, client)?;
        event.target = Some(seen.id.to_string());
        if self.store.rotate_api_key(&seen, &digest, &event).await? {
            Ok(IssuedApiKey { key: ApiKey { digest, ..seen }, text })
        } else {
            Err(Error::Contended)
        }
    }

    /// Returns the id in the clear text of a key; fails with [`Error::Invalid`] if it has another form or exists.
    async fn id_of_new_key(&self, text: &SecretString) -> Result<ApiKeyId, Error> {
        let invalid = |detail| Error::Invalid(InvalidField::new(Field::ApiKey, detail));
        let malformed = || invalid("must have the form pk_<id>_<secret><checksum>");
        let shape = UnverifiedApiKey::parse(text.expose_secret()).ok_or_else(malformed)?;
        let id: ApiKeyId = format!("key_{}", shape.id()).parse().map_err(|_| malformed())?;
        match self.store.api_key_owner(id).await? {
            None => Ok(id),
            Some(_) => Err(invalid("is somebody's key already")),
        }
    }
}
