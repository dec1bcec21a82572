//! The keys under which the edge proves what came through it.

use std::sync::Arc;

use aws_lc_rs::hmac;
use portcullis_platform::{SecretName, Secrets, SecretsError, parse_edge_proof_key};
use portcullis_verifier::origin_proof::{Statement, UnverifiedProof};
use secrecy::{ExposeSecret, SecretSlice};

use crate::tokens::keyring::UnusableSecret;

/// All valid keys of the edge; cheap to clone. Two are valid while the key is replaced on both sides.
#[derive(Debug, Clone, Default)]
pub struct EdgeProofKeys(Arc<[hmac::Key]>);

impl EdgeProofKeys {
    /// Returns the keys in all versions of the secret, none where there is no such secret: a deployment needs none that
    /// has no edge. Fails when the secret cannot be fetched or is no key.
    pub(crate) async fn load(secrets: &dyn Secrets) -> Result<Self, UnusableSecret> {
        let versions = match secrets.fetch(SecretName::EdgeProofKey).await {
            Err(SecretsError::Missing(_)) => return Ok(Self::default()),
            versions => versions?,
        };
        Self::parse(std::iter::once(&versions.current).chain(&versions.accepted))
            .ok_or(UnusableSecret::Malformed(SecretName::EdgeProofKey, "base64url of at least 32 bytes"))
    }

    /// Returns these keys, as the secret holds them; `None` if one of them is no key.
    pub fn parse<'a>(versions: impl Iterator<Item = &'a SecretSlice<u8>>) -> Option<Self> {
        let key = |text: &SecretSlice<u8>| {
            let bytes = parse_edge_proof_key(text.expose_secret()).ok()?;
            Some(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose_secret()))
        };
        versions.map(key).collect::<Option<Vec<_>>>().map(|keys| Self(keys.into()))
    }

    /// Returns whether there is no key, so that nothing can be proven.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the proof is of this statement, under one of the keys; compared in constant time.
    pub fn verify(&self, proof: &UnverifiedProof, statement: &Statement<'_>) -> bool {
        let Some(text) = statement.canonical() else { return false };
        self.0.iter().any(|key| hmac::verify(key, text.as_bytes(), &proof.mac).is_ok())
    }
}
