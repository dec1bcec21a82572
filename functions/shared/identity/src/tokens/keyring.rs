//! The keyring: every key of tokens, loaded from the secret store once and parsed.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jsonwebtoken::jwk::JwkSet;
use portcullis_platform::{SecretName, Secrets, SecretsError};
use portcullis_store::Fingerprint;
use secrecy::ExposeSecret;

use crate::access::edge_proofs::EdgeProofKeys;
use crate::access::services::HeldTokens;
use crate::error::Error;
use crate::tokens::access_token::{SigningKey, VerificationKeys};
use crate::tokens::key_derivation::derive;

/// The keys that sign, verify and authenticate tokens, and the published JWK set.
#[derive(Debug)]
pub struct Keyring {
    /// The signing key, shared with the threads that sign.
    pub(crate) signing: Arc<SigningKey>,
    pub(crate) verification: VerificationKeys,
    /// MAC keys of refresh tokens: the first signs, all verify.
    pub(crate) refresh_macs: Vec<hmac::Key>,
    /// MAC keys of device tokens: the first signs, all verify.
    pub(crate) device_macs: Vec<hmac::Key>,
    /// MAC keys of challenges to work: the first signs, all verify.
    pub(crate) work_macs: Vec<hmac::Key>,
    /// MAC keys of API keys: the first digests new keys, all verify.
    pub(crate) api_key_macs: Vec<hmac::Key>,
    pub(crate) service_tokens: HeldTokens,
    /// MAC keys of the audit trail: the first seals, all verify.
    pub(crate) audit_macs: (hmac::Key, Vec<hmac::Key>),
    edge_proofs: EdgeProofKeys,
    fingerprints: hmac::Key,
    jwks: String,
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
    /// Returns the keyring with every key fetched and parsed; fails with the first secret that cannot be used.
    pub async fn load(secrets: &dyn Secrets) -> Result<Self, UnusableSecret> {
        let signing = secrets.fetch(SecretName::TokenSigningKey).await?;
        let parse = |pem: &secrecy::SecretSlice<u8>| {
            SigningKey::from_pem(pem.expose_secret()).ok_or(UnusableSecret::Malformed(
                SecretName::TokenSigningKey,
                "a private key of RSA (without the pattern of CVE-2017-15361), P-256 or Ed25519, PKCS#8 in PEM",
            ))
        };
        let current = parse(&signing.current)?;
        let others = signing.accepted.iter().map(parse).collect::<Result<Vec<_>, _>>()?;

        let session = secrets.fetch(SecretName::SessionSecretKey).await?;
        let key = |secret: &secrecy::SecretSlice<u8>, purpose| {
            derive(secret.expose_secret(), purpose)
                .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
                .ok_or(UnusableSecret::Malformed(SecretName::SessionSecretKey, "usable"))
        };
        let keys = |purpose| {
            let secrets = std::iter::once(&session.current).chain(&session.accepted);
            secrets.map(|secret| key(secret, purpose)).collect::<Result<Vec<_>, _>>()
        };
        let refresh_macs = keys("authenticate a refresh token")?;
        let device_macs = keys("recognise a device")?;
        let work_macs = keys("challenge to work")?;

        let api_keys = secrets.fetch(SecretName::ApiKeySecret).await?;
        let api_key_macs = std::iter::once(&api_keys.current)
            .chain(&api_keys.accepted)
            .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret()))
            .collect();
        // Of this secret, because it is the one that is not rotated: a record is kept longer than the others live.
        let audit_mac = |secret: &secrecy::SecretSlice<u8>| {
            derive(secret.expose_secret(), "seal the audit trail")
                .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
                .ok_or(UnusableSecret::Malformed(SecretName::ApiKeySecret, "usable"))
        };
        let earlier = api_keys.accepted.iter().map(audit_mac).collect::<Result<_, _>>()?;
        let audit_macs = (audit_mac(&api_keys.current)?, earlier);
        let services = secrets.fetch(SecretName::ServiceTokens).await?;
        let service_tokens = HeldTokens::parse(std::iter::once(&services.current).chain(&services.accepted))
            .map_err(|reason| UnusableSecret::Malformed(SecretName::ServiceTokens, reason))?;
        let edge_proofs = EdgeProofKeys::load(secrets).await?;
        let published = || std::iter::once(&current).chain(&others);
        Ok(Self {
            verification: VerificationKeys::of(published()),
            jwks: encoded_jwks(published())?,
            refresh_macs,
            device_macs,
            work_macs,
            api_key_macs,
            audit_macs,
            service_tokens,
            edge_proofs,
            fingerprints: key(&session.current, "fingerprint a repeatable request")?,
            signing: Arc::new(current),
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

    /// Returns the key that signs refresh tokens; fails if there is none.
    pub(crate) fn making_mac(&self) -> Result<&hmac::Key, Error> {
        self.refresh_macs.first().ok_or(Error::Internal("there is no key for refresh tokens"))
    }

    /// Returns a keyed digest of the parts of a request. Keyed, because a plain digest of a body with a password in it
    /// could be brute-forced far more cheaply than its Argon2 hash.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

/// Returns the JWK set of these keys. By way of a [`serde_json::Value`] because that orders the members of each key by
/// name, as they have always been published.
pub(crate) fn encoded_jwks<'a>(keys: impl Iterator<Item = &'a SigningKey>) -> Result<String, UnusableSecret> {
    let set = JwkSet { keys: keys.map(|key| key.jwk().clone()).collect() };
    let malformed = |_| UnusableSecret::Malformed(SecretName::TokenSigningKey, "a key that can be published");
    serde_json::to_value(set).map(|set| set.to_string()).map_err(malformed)
}
