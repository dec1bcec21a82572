//! The keyring: every key of tokens, loaded from the secret store once and parsed.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use portcullis_platform::{SecretName, SecretPurpose, SecretVersions, Secrets, SecretsError};
use portcullis_store::Fingerprint;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::access::edge_proofs::EdgeProofKeys;
use crate::access::lease_secret::LeaseSecret;
use crate::access::services::HeldTokens;
use crate::error::Error;
use crate::tokens::access_token::{SigningKey, VerificationKeys};
use crate::tokens::key_derivation::derive;
use crate::tokens::public_keys::PublicKeys;

/// The keys that sign, verify and authenticate tokens, and the published JWK set. Of the purposes it was not loaded for it has
/// none: what would need them fails, or finds nothing.
#[derive(Debug)]
pub struct Keyring {
    /// The signing key, shared with the threads that sign.
    signing: Option<Arc<SigningKey>>,
    pub(crate) verification: VerificationKeys,
    jwks: String,
    /// MAC keys of refresh tokens: the first signs, all verify.
    pub(crate) refresh_macs: Vec<hmac::Key>,
    /// Keys from which the keys of sealed challenges are made: the first seals, all open.
    pub(crate) challenge_keys: Vec<hmac::Key>,
    /// The same for ceremonies of passkeys: functions judge those that begin no sessions, and have no key of sessions.
    pub(crate) ceremony_keys: Vec<hmac::Key>,
    /// The keys of what outlives a rotation, the current ones first.
    records: Vec<RecordKeys>,
    pub(crate) service_tokens: HeldTokens,
    edge_proofs: EdgeProofKeys,
}

/// The keys made of one version of the secret of records.
#[derive(Debug)]
struct RecordKeys {
    api_keys: hmac::Key,
    /// Of this secret, because it is the one that is not rotated: a record is kept longer than the others live.
    audit: hmac::Key,
    devices: hmac::Key,
    /// Of challenges to work.
    work: hmac::Key,
    fingerprints: hmac::Key,
    /// Of leases, together with the token of the service that reads.
    leases: hmac::Key,
}

impl RecordKeys {
    fn of(secret: &SecretSlice<u8>) -> Result<Self, UnusableSecret> {
        let derived = |purpose| mac_key(secret, purpose, SecretName::ApiKeySecret);
        Ok(Self {
            api_keys: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret()),
            audit: derived("seal the audit trail")?,
            devices: derived("recognise a device")?,
            work: derived("challenge to work")?,
            fingerprints: derived("fingerprint a repeatable request")?,
            leases: derived("seal a lease to a service")?,
        })
    }
}

/// Why the service cannot start with a secret.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSecret {
    /// The secret could not be fetched.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The secret has another form than it should.
    #[error("secret {0} is not {1}")]
    Malformed(SecretName, &'static str),
}

impl Keyring {
    /// Returns the keyring for these purposes, with every key fetched and parsed; fails with the first secret that cannot be
    /// used. What tells who is calling is always loaded.
    pub async fn load(secrets: &dyn Secrets, purposes: &[SecretPurpose]) -> Result<Self, UnusableSecret> {
        let is_for = |purpose| purposes.contains(&purpose);
        let mut signing = Vec::new();
        if is_for(SecretPurpose::Signing) {
            signing = signing_keys(secrets).await?;
        }
        let public = match signing.as_slice() {
            [] => PublicKeys::load(secrets).await?,
            keys => PublicKeys::of(keys)?,
        };
        let (mut refresh_macs, mut challenge_keys) = (Vec::new(), Vec::new());
        if is_for(SecretPurpose::Sessions) {
            let name = SecretName::SessionSecretKey;
            let mac = |secret: &_| mac_key(secret, "authenticate a refresh token", name);
            let session = secrets.fetch(name).await?;
            refresh_macs = each(&session, mac)?;
            challenge_keys = each(&session, |secret: &_| mac_key(secret, "seal a challenge", name))?;
        }
        let (mut records, mut ceremony_keys) = (Vec::new(), Vec::new());
        if is_for(SecretPurpose::Records) {
            let name = SecretName::ApiKeySecret;
            let secret = secrets.fetch(name).await?;
            records = each(&secret, RecordKeys::of)?;
            ceremony_keys = each(&secret, |secret: &_| mac_key(secret, "seal a ceremony", name))?;
        }
        let mut service_tokens = HeldTokens::default();
        if is_for(SecretPurpose::Services) {
            let versions = secrets.fetch(SecretName::ServiceTokens).await?;
            let all = std::iter::once(&versions.current).chain(&versions.accepted);
            service_tokens = HeldTokens::parse(all)
                .map_err(|reason| UnusableSecret::Malformed(SecretName::ServiceTokens, reason))?;
        }
        let edge_proofs = EdgeProofKeys::load(secrets).await?;
        let PublicKeys { verification, jwks } = public;
        let signing = signing.into_iter().next().map(Arc::new);
        Ok(Self {
            signing,
            verification,
            jwks,
            refresh_macs,
            challenge_keys,
            ceremony_keys,
            records,
            service_tokens,
            edge_proofs,
        })
    }

    /// Returns the published keys as a JWK set (RFC 7517).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Returns the keys under which the edge proves what came through it; none where the secret is missing.
    pub fn edge_proofs(&self) -> &EdgeProofKeys {
        &self.edge_proofs
    }

    /// Returns the names of the algorithms of the published keys, each once (RFC 7518, section 3.1).
    pub fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.verification.algorithms().iter().map(|algorithm| algorithm.as_str())
    }

    /// Returns the key that signs access tokens; fails if there is none.
    pub(crate) fn signing(&self) -> Result<&Arc<SigningKey>, Error> {
        self.signing.as_ref().ok_or(Error::Internal("there is no key for access tokens"))
    }

    /// Returns the key that signs refresh tokens; fails if there is none.
    pub(crate) fn making_mac(&self) -> Result<&hmac::Key, Error> {
        self.refresh_macs.first().ok_or(Error::Internal("there is no key for refresh tokens"))
    }

    /// Returns the MAC keys of API keys: the first digests new keys, all verify.
    pub(crate) fn api_key_macs(&self) -> impl Iterator<Item = &hmac::Key> {
        self.records.iter().map(|keys| &keys.api_keys)
    }

    /// Returns the MAC keys of the audit trail: the first seals, all verify.
    pub(crate) fn audit_macs(&self) -> impl Iterator<Item = &hmac::Key> {
        self.records.iter().map(|keys| &keys.audit)
    }

    /// Returns the MAC keys of device tokens: the first signs, all verify.
    pub(crate) fn device_macs(&self) -> impl Iterator<Item = &hmac::Key> {
        self.records.iter().map(|keys| &keys.devices)
    }

    /// Returns the MAC keys of challenges to work: the first signs, all verify.
    pub(crate) fn work_macs(&self) -> impl Iterator<Item = &hmac::Key> {
        self.records.iter().map(|keys| &keys.work)
    }

    /// Returns the secret under which leases of the service with this token are sealed; `None` where there is no key for it.
    pub(crate) fn lease_secret(&self, token: &SecretString) -> Option<LeaseSecret> {
        let keys = self.records.first()?;
        let tag = hmac::sign(&keys.leases, token.expose_secret().as_bytes());
        Some(LeaseSecret::of(tag.as_ref()))
    }

    /// Returns a keyed digest of the parts of a request; fails if there is no key. Keyed, because a plain digest of a body
    /// with a password in it could be brute-forced far more cheaply than its Argon2 hash.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Result<Fingerprint, Error> {
        let keys = self.records.first().ok_or(Error::Internal("there is no key for fingerprints"))?;
        let mut context = hmac::Context::with_key(&keys.fingerprints);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        Ok(fingerprint)
    }
}

/// Returns every signing key, the one that signs first.
async fn signing_keys(secrets: &dyn Secrets) -> Result<Vec<SigningKey>, UnusableSecret> {
    let name = SecretName::TokenSigningKey;
    each(&secrets.fetch(name).await?, |pem| {
        SigningKey::from_pem(pem.expose_secret()).ok_or(UnusableSecret::Malformed(
            name,
            "a private key of RSA (without the pattern of CVE-2017-15361), P-256 or Ed25519, PKCS#8 in PEM",
        ))
    })
}

/// Returns what is made of each version of a secret, the current one first; fails with the first that fails.
fn each<T>(
    versions: &SecretVersions,
    make: impl Fn(&SecretSlice<u8>) -> Result<T, UnusableSecret>,
) -> Result<Vec<T>, UnusableSecret> {
    std::iter::once(&versions.current).chain(&versions.accepted).map(make).collect()
}

fn mac_key(secret: &SecretSlice<u8>, purpose: &str, name: SecretName) -> Result<hmac::Key, UnusableSecret> {
    let key = derive(secret.expose_secret(), purpose).ok_or(UnusableSecret::Malformed(name, "usable"))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
}

/// Returns the JWK set of these keys. By way of a [`serde_json::Value`] because that orders the members of each key by
/// name, as they have always been published.
pub(crate) fn encoded_jwks<'a>(keys: impl Iterator<Item = &'a Jwk>) -> Result<String, UnusableSecret> {
    let set = JwkSet { keys: keys.cloned().collect() };
    let malformed = |_| UnusableSecret::Malformed(SecretName::TokenSigningKey, "a key that can be published");
    serde_json::to_value(set).map(|set| set.to_string()).map_err(malformed)
}
