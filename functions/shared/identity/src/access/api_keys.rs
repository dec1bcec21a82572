//! API keys, for programs that run without their owner. A key may do less than its owner, never more, and never
//! anything about keys, factors, passwords or sessions.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_platform::{EncryptionContext, Entropy};
use portcullis_store::{
    Account, AccountId, ApiKey, ApiKeyCreation, ApiKeyId, ApiKeyPage, AuditDetails, AuditEvent, AuditKind,
    Digest, Id, IdempotentApiKey, IdempotentRequest,
};
use portcullis_verifier::api_key;
use portcullis_verifier::policy::Grant;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::access::caller::Caller;
use crate::access::principal::{KeyHolder, is_for_keys};
use crate::error::Error;
use crate::invalid::{Field, InvalidField, InvalidValue, read_by_parsing};
use crate::notifications::Notification;
use crate::{ClientContext, Identity, sealing};

/// API keys of one account at most.
pub(crate) const MOST_KEYS: usize = 50;
const MOST_SCOPES: usize = 50;
/// The last use of a key is stored at most this often.
const NOTED_EVERY: Duration = Duration::from_mins(1);
/// The longest lifetime of a key that expires.
const LONGEST_LIFE: Duration = Duration::from_hours(10 * 366 * 24);

/// The name a user gives a key: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ApiKeyName(pub(crate) String);

impl ApiKeyName {
    /// Returns the name without the space around it; fails if nothing of it can be seen, or it is too long or has a
    /// character that cannot be seen.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        crate::printable::printable(typed, 100).map(Self)
    }
}

read_by_parsing!(ApiKeyName);

/// A request to create a key.
#[derive(Debug)]
pub struct ApiKeyRequest {
    /// The name of the key.
    pub name: ApiKeyName,
    /// The scopes of the key; `None` for all that its owner may do now.
    pub scopes: Option<Vec<String>>,
    /// When the key expires; `None` for as late as a key may.
    pub expires_at: Option<Timestamp>,
    /// The idempotency key of the request, if the client may retry it.
    pub idempotency_key: Option<String>,
}

/// A new key with its clear text, which is returned once.
#[derive(Debug)]
pub struct IssuedApiKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// The clear text.
    pub text: SecretString,
}

impl Identity {
    /// Returns a new key of the caller. Fails with [`Error::Forbidden`], [`Error::TooManyApiKeys`], [`Error::Invalid`]
    /// or [`Error::IdempotencyKeyReused`].
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        wanted: ApiKeyRequest,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        self.may(caller, "create")?;
        let (account, now) = (&caller.account, self.clock.now());
        check_expiry(wanted.expires_at, now)?;
        let expires_at = self.end_of_key(wanted.expires_at, now)?;
        let scopes = self.scopes(&account.roles, wanted.scopes.as_deref())?;
        // Two requests at once may both see room for one more: the limit is against carelessness, not an attack.
        let keys = self.store.api_keys(account.id, MOST_KEYS, None).await?.keys;
        if keys.iter().filter(|key| !account.has_ended_keys_of(key.created_at)).count() >= MOST_KEYS {
            return Err(Error::TooManyApiKeys);
        }
        let id = Id::generate(now, self.entropy.as_ref())?;
        let text = new_text(id, self.entropy.as_ref())?;
        let key = ApiKey {
            id,
            account: account.id,
            digest: self.current_digest(&text)?,
            name: wanted.name.0.clone(),
            managed: false,
            scopes: scopes.iter().map(ToString::to_string).collect(),
            created_at: now,
            expires_at,
            last_used_at: None,
        };
        let request = match &wanted.idempotency_key {
            Some(name) => Some(self.repeatable(&key, &wanted, name, &text).await?),
            None => None,
        };
        let event = about_key(self.audit_event(AuditKind::ApiKeyCreated, account.id, client)?, &key);
        match self.store.create_api_key(&key, request.as_ref(), &event).await? {
            ApiKeyCreation::Created => {
                self.notify(&account.email, &Notification::ApiKeyCreated(client)).await;
                Ok(IssuedApiKey { key, text })
            }
            ApiKeyCreation::Repeated(first) => {
                let context = answer_context(account.id);
                let opened = sealing::open(&first.answer, &context, self.key_wrap.as_ref()).await?;
                let text = std::str::from_utf8(opened.expose_secret())
                    .map_err(|_| Error::Internal("a sealed answer is no text"))?;
                let expires_at = self.end_of_key(wanted.expires_at, first.created_at)?;
                let key = ApiKey { id: first.id, created_at: first.created_at, expires_at, ..key };
                Ok(IssuedApiKey { key, text: text.into() })
            }
            ApiKeyCreation::KeyReused => Err(Error::IdempotencyKeyReused),
            ApiKeyCreation::OwnerGone => Err(Error::InvalidAccessToken),
            ApiKeyCreation::Taken => Err(Error::Internal("two API keys were given one id")),
        }
    }

    /// Returns the caller's keys after the one called `after`; fails with [`Error::Forbidden`].
    pub async fn list_api_keys(
        &self,
        caller: &Caller,
        limit: usize,
        after: Option<ApiKeyId>,
    ) -> Result<ApiKeyPage, Error> {
        self.may(caller, "read")?;
        let mut page = self.store.api_keys(caller.account.id, limit, after).await?;
        page.keys.retain(|key| !caller.account.has_ended_keys_of(key.created_at));
        Ok(page)
    }

    /// Returns one of the caller's keys with a new secret; the old one is invalid at once, scopes and expiry stay.
    /// Fails with [`Error::NotFound`], or [`Error::Contended`] if another rotation was first.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        client: &ClientContext,
    ) -> Result<IssuedApiKey, Error> {
        self.may(caller, "rotate")?;
        let seen = self.store.api_key(caller.account.id, id).await?;
        let is_good = |key: &ApiKey| is_good(key, &caller.account, self.clock.now());
        let seen = seen.filter(is_good).ok_or(Error::NotFound)?;
        let text = new_text(id, self.entropy.as_ref())?;
        let digest = self.current_digest(&text)?;
        let event = about_key(self.audit_event(AuditKind::ApiKeyRotated, caller.account.id, client)?, &seen);
        if self.store.rotate_api_key(&seen, &digest, &event).await? {
            self.notify(&caller.account.email, &Notification::ApiKeyRotated(client)).await;
            return Ok(IssuedApiKey { key: ApiKey { digest, ..seen }, text });
        }
        // Removed meanwhile, or another rotation was first, and its key is the one that works.
        match self.store.api_key(caller.account.id, id).await? {
            Some(_) => Err(Error::Contended),
            None => Err(Error::NotFound),
        }
    }

    /// Deletes one of the caller's keys. Fails with [`Error::NotFound`].
    pub async fn delete_api_key(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        self.may(caller, "delete")?;
        // Read for the trail, which says what the key was allowed to do.
        let key = self.store.api_key(caller.account.id, id).await?.ok_or(Error::NotFound)?;
        let event = about_key(self.audit_event(AuditKind::ApiKeyDeleted, caller.account.id, client)?, &key);
        let removed = self.store.delete_api_key(caller.account.id, id, &event).await?;
        if removed { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Returns the holder of an API key; fails with [`Error::InvalidApiKey`]. A key of our form with a wrong
    /// checksum, and a text that is too short or too long to be a key, is refused before any record is read.
    pub async fn authenticate_key(&self, presented: &SecretString) -> Result<KeyHolder, Error> {
        let (holder, ()) = self.authenticate_key_beside(presented, async |_| Ok(())).await?;
        Ok(holder)
    }

    /// Returns the same, and what `more` reads about the account in the round that tells whether the key is right.
    pub(crate) async fn authenticate_key_beside<T>(
        &self,
        presented: &SecretString,
        more: impl AsyncFnOnce(AccountId) -> Result<T, Error>,
    ) -> Result<(KeyHolder, T), Error> {
        let text = presented.expose_secret();
        let (owner, id) = self.owner_of_key(presented).await?;
        let (account, key, more) = tokio::try_join!(
            async { Ok(self.store.account(owner).await?) },
            async { Ok(self.store.api_key(owner, id).await?) },
            more(owner),
        )?;
        let (account, key) = account.zip(key).ok_or(Error::InvalidApiKey)?;
        let now = self.clock.now();
        let is_right =
            self.keyring.api_key_macs().any(|mac| hmac::verify(mac, text.as_bytes(), &key.digest).is_ok());
        if !is_right || !is_good(&key, &account, now) || self.admit(&account).is_err() {
            return Err(Error::InvalidApiKey);
        }
        if !self.has_current_password(&account, now) {
            return Err(Error::InvalidApiKey);
        }
        self.note_use(&key, now).await;
        let scopes = key.scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>();
        let scopes = scopes.map_err(|_| Error::Internal("a stored scope is no grant"))?;
        Ok((KeyHolder { account, key, scopes }, more))
    }

    /// Returns the owner and the id of a presented key, which is not verified by that; fails with
    /// [`Error::InvalidApiKey`].
    async fn owner_of_key(&self, presented: &SecretString) -> Result<(AccountId, ApiKeyId), Error> {
        for id in self.ids_of_key(presented) {
            if let Some(owner) = self.store.api_key_owner(id).await? {
                return Ok((owner, id));
            }
        }
        Err(Error::InvalidApiKey)
    }

    /// Stores when the key was last used. Nothing depends on it, so an error is logged and fails no request.
    async fn note_use(&self, key: &ApiKey, now: Timestamp) {
        let minute_ago = now - NOTED_EVERY;
        if key.last_used_at.is_some_and(|noted| noted > minute_ago) {
            return;
        }
        if let Err(error) = self.store.touch_api_key(key, now, minute_ago).await {
            tracing::warn!(%error, "the use of an API key was not noted");
        }
    }

    fn may(&self, caller: &Caller, action: &str) -> Result<(), Error> {
        caller.require(&self.settings.policy, "api-key", action)
    }

    /// Returns the scopes of a new key; fails with [`Error::Invalid`] for one its owner may not give.
    pub(crate) fn scopes(&self, roles: &[String], wanted: Option<&[String]>) -> Result<Vec<Grant>, Error> {
        let owned = self.settings.policy.permissions(roles);
        let Some(wanted) = wanted else {
            return Ok(owned.into_iter().filter(|grant| is_for_keys(grant)).cloned().collect());
        };
        if wanted.is_empty() || wanted.len() > MOST_SCOPES {
            return Err(invalid_scopes(format!("1 to {MOST_SCOPES} scopes are needed")));
        }
        wanted
            .iter()
            .map(|text| {
                let scope = text.parse::<Grant>().map_err(|error| invalid_scopes(error.to_string()))?;
                if !is_for_keys(&scope) {
                    return Err(invalid_scopes("keys, factors, passwords and sessions are not for API keys"));
                }
                if !owned.iter().any(|grant| grant.contains(&scope)) {
                    return Err(invalid_scopes("a key cannot be given what its owner may not do"));
                }
                Ok(scope)
            })
            .collect()
    }

    /// Returns those of a key's scopes that its owner may still give.
    pub(crate) fn still_given(&self, roles: &[String], scopes: &[String]) -> Vec<String> {
        let owned = self.settings.policy.permissions(roles);
        let may_be_given =
            |scope: &Grant| is_for_keys(scope) && owned.iter().any(|grant| grant.contains(scope));
        scopes.iter().filter(|text| text.parse().is_ok_and(|scope| may_be_given(&scope))).cloned().collect()
    }

    pub(crate) fn current_digest(&self, text: &SecretString) -> Result<Digest, Error> {
        let key =
            self.keyring.api_key_macs().next().ok_or(Error::Internal("there is no key for API keys"))?;
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(key, text.expose_secret().as_bytes()).as_ref());
        Ok(digest)
    }

    /// Returns when a key ends that is made at this time: when its owner wants it to, or `API_KEY_MAX_AGE` later. Fails with
    /// [`Error::Invalid`] where that is earlier than what its owner wants.
    fn end_of_key(&self, wanted: Option<Timestamp>, made: Timestamp) -> Result<Option<Timestamp>, Error> {
        let latest = self.settings.api_key_max_age.map(|age| made + age);
        match (wanted, latest) {
            (Some(end), Some(latest)) if end > latest => {
                let detail = format!("must be {latest} at the latest");
                Err(Error::Invalid(InvalidField::new(Field::ExpiresAt, detail)))
            }
            (wanted, latest) => Ok(wanted.or(latest)),
        }
    }

    /// Returns the record of a request that may be retried: its response is stored for a day, sealed, because it holds
    /// the key.
    async fn repeatable(
        &self,
        key: &ApiKey,
        wanted: &ApiKeyRequest,
        name: &str,
        text: &SecretString,
    ) -> Result<IdempotentApiKey, Error> {
        let account = key.account.to_string();
        let scopes = wanted.scopes.as_ref().map(|scopes| format!("{scopes:?}")).unwrap_or_default();
        // As it was asked for: the end that a key is given follows from when it is made.
        let expires_at = wanted.expires_at.map(|at| at.to_string()).unwrap_or_default();
        let parts = [account.as_bytes(), key.name.as_bytes(), scopes.as_bytes(), expires_at.as_bytes()];
        let digest = self.keyring.fingerprint(&[b"api-key", account.as_bytes(), name.as_bytes()])?;
        let clear = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
        let context = answer_context(key.account);
        let answer = sealing::seal(&clear, &context, self.key_wrap.as_ref(), self.entropy.as_ref()).await?;
        let request = IdempotentRequest {
            key_digest: BASE64URL.encode(digest),
            fingerprint: self.keyring.fingerprint(&parts)?,
        };
        Ok(IdempotentApiKey { request, answer })
    }
}

/// Returns the event with the key it is about: its id, name and scopes.
pub(crate) fn about_key(mut event: AuditEvent, key: &ApiKey) -> AuditEvent {
    event.target = Some(key.id.to_string());
    event.details = AuditDetails::of_key(key);
    event
}

/// Returns whether a key has not expired, and was not ended with all others of its account.
pub(crate) fn is_good(key: &ApiKey, account: &Account, now: Timestamp) -> bool {
    key.expires_at.is_none_or(|end| end > now) && !account.has_ended_keys_of(key.created_at)
}

/// Fails with [`Error::Invalid`] for an end that is past, or too far ahead.
pub(crate) fn check_expiry(wanted: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    match wanted {
        Some(end) if end <= now || end > now + LONGEST_LIFE => {
            let detail = "must lie ahead, and at most ten years";
            Err(Error::Invalid(InvalidField::new(Field::ExpiresAt, detail)))
        }
        _ => Ok(()),
    }
}

/// Returns the clear text of a new key: 43 letters of base62. A byte of 248 or more is drawn again: the rest of 256 by
/// 62 would make some letters likelier.
pub(crate) fn new_text(id: ApiKeyId, entropy: &dyn Entropy) -> Result<SecretString, Error> {
    const EVEN: u8 = 248;
    let mut letters = Zeroizing::new(String::with_capacity(api_key::SECRET_LENGTH));
    while letters.len() < api_key::SECRET_LENGTH {
        let mut random = Zeroizing::new([0; 64]);
        entropy.fill(random.as_mut())?;
        let room = api_key::SECRET_LENGTH - letters.len();
        let even = random.iter().filter(|byte| **byte < EVEN).take(room);
        letters.extend(
            even.filter_map(|byte| api_key::ALPHABET.get(usize::from(byte % 62)).copied().map(char::from)),
        );
    }
    Ok(api_key::compose(&id.digits(), &letters).into())
}

/// Returns the encryption context the sealed response of a retryable request is bound to.
fn answer_context(account: AccountId) -> EncryptionContext {
    EncryptionContext::new([("purpose", "api-key-answer".to_owned()), ("user_id", account.to_string())])
}

fn invalid_scopes(detail: impl Into<String>) -> Error {
    Error::Invalid(InvalidField::new(Field::Scopes, detail))
}
