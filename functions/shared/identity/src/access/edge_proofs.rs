//! The keys under which the edge proves what came through it: that of this service, and those of others for who hands them
//! out.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_platform::{SecretName, SecretVersions, Secrets, SecretsError, parse_edge_proof_key};
use portcullis_verifier::origin_proof::{
    FIRST_KEY, IDENTITY_SERVICE, Statement, UnverifiedProof, is_key_id, key_purpose,
};
use portcullis_verifier::policy::is_word;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::tokens::key_derivation::{KEY_LENGTH, derive};
use crate::tokens::keyring::UnusableSecret;

const NAME: SecretName = SecretName::EdgeProofKey;
/// A comma, an id, a colon and a key. A text that had to grow would leave its beginnings behind.
const LONGEST_KEY_TEXT: usize = 64;

/// The keys of the edge's proofs to this service; cheap to clone. There is one for each root key that is valid: two while
/// the root key is replaced on both sides.
#[derive(Debug, Clone, Default)]
pub struct EdgeProofKeys(Arc<[hmac::Key]>);

impl EdgeProofKeys {
    /// Returns the keys by all versions of the secret, none where there is no such secret: a deployment needs none that
    /// has no edge. Fails when the secret cannot be fetched or is no key.
    pub(crate) async fn load(secrets: &dyn Secrets) -> Result<Self, UnusableSecret> {
        match secrets.fetch(NAME).await {
            Err(SecretsError::Missing(_)) => Ok(Self::default()),
            versions => Self::derive(roots(&versions?)),
        }
    }

    /// Returns the keys by these root keys, each as the secret holds it; fails if one of them is no key.
    pub fn derive<'a>(roots: impl Iterator<Item = &'a SecretSlice<u8>>) -> Result<Self, UnusableSecret> {
        let keys = roots.map(|root| service_key(root, IDENTITY_SERVICE, FIRST_KEY));
        let keys = keys.map(|key| key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key[..])));
        Ok(Self(keys.collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// Returns whether there is no key, so that nothing can be proven.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the proof is of this statement, under one of the keys; compared in constant time. No other key of
    /// this service has ever been handed out, so a proof under another id is none of the edge.
    pub fn verify(&self, proof: &UnverifiedProof<'_>, statement: &Statement<'_>) -> bool {
        let Some(text) = statement.canonical().filter(|_| proof.mark.key == FIRST_KEY) else { return false };
        self.0.iter().any(|key| hmac::verify(key, text.as_bytes(), &proof.mac).is_ok())
    }
}

/// Returns what a service of the edge's route table needs to check proofs: its keys of these ids, each `id:key` with the key
/// in base64url, separated by commas; one for every valid root key. `None` if no key can be called that, or no service but
/// this one, which has the root key. Fails if there is no root key to derive them from, or it is none.
pub async fn service_proof_keys(
    secrets: &dyn Secrets,
    service: &str,
    ids: &[String],
) -> Result<Option<SecretString>, UnusableSecret> {
    if !is_word(service) || service == IDENTITY_SERVICE || !ids.iter().all(|id| is_key_id(id)) {
        return Ok(None);
    }
    let versions = secrets.fetch(NAME).await?;
    let longest = ids.len() * (1 + versions.accepted.len()) * LONGEST_KEY_TEXT;
    let mut text = Zeroizing::new(String::with_capacity(longest));
    for id in ids {
        for root in roots(&versions) {
            let key = service_key(root, service, id)?;
            let separator = if text.is_empty() { "" } else { "," };
            for part in [separator, id, ":"] {
                text.push_str(part);
            }
            URL_SAFE_NO_PAD.encode_string(&key[..], &mut text);
        }
    }
    Ok(Some(text.as_str().into()))
}

fn roots(versions: &SecretVersions) -> impl Iterator<Item = &SecretSlice<u8>> {
    std::iter::once(&versions.current).chain(&versions.accepted)
}

/// Returns the key that the edge derives from this root key for a service, as the edge does.
fn service_key(
    root: &SecretSlice<u8>,
    service: &str,
    id: &str,
) -> Result<Zeroizing<[u8; KEY_LENGTH]>, UnusableSecret> {
    let root = parse_edge_proof_key(root.expose_secret());
    let key = root.ok().and_then(|root| derive(root.expose_secret(), &key_purpose(service, id)));
    key.ok_or(UnusableSecret::Malformed(NAME, "base64url of at least 32 bytes"))
}

#[cfg(test)]
mod tests;
