//! This service's own derivation and check, beside the vectors that the edge makes.

use std::path::Path;

use async_trait::async_trait;
use portcullis_verifier::IdentityHeaders;
use serde::Deserialize;

use super::*;

const ROOT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const NEXT_ROOT: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<VectorKey>,
    proofs: Vec<Vector>,
}

#[derive(Deserialize)]
struct VectorKey {
    service: String,
    id: String,
    key: String,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    service: String,
    method: String,
    target: String,
    now: u64,
    headers: std::collections::HashMap<String, String>,
    valid: bool,
}

fn vectors() -> Vectors {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../edge/proof-vectors.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A secret with these versions.
#[derive(Debug)]
struct Roots(&'static [&'static str]);

#[async_trait]
impl Secrets for Roots {
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
        let mut versions = self.0.iter().map(|text| text.as_bytes().to_vec().into());
        let current = versions.next().filter(|_| name == NAME).ok_or(SecretsError::Missing(name))?;
        Ok(SecretVersions { current, accepted: versions.collect() })
    }
}

async fn printed(roots: &'static [&'static str], service: &str, ids: &[&str]) -> Option<String> {
    let ids: Vec<_> = ids.iter().map(|&id| id.to_owned()).collect();
    let keys = service_proof_keys(&Roots(roots), service, &ids).await.unwrap();
    keys.map(|keys| keys.expose_secret().to_owned())
}

#[tokio::test]
async fn what_is_printed_for_a_service_is_what_the_edge_signs_with() {
    for VectorKey { service, id, key } in vectors().keys {
        assert_eq!(printed(&[ROOT], &service, &[&id]).await, Some(key));
    }
}

#[tokio::test]
async fn a_key_is_of_one_service_one_id_and_one_root_key() {
    let both = printed(&[ROOT], "portfolio", &["1", "2"]).await.unwrap();
    let [first, second] = both.split(',').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(printed(&[ROOT], "portfolio", &["1"]).await.as_deref(), Some(first));
    assert_eq!(printed(&[ROOT], "portfolio", &["2"]).await.as_deref(), Some(second));
    assert_ne!(first.strip_prefix("1:"), second.strip_prefix("2:"));
    assert_ne!(printed(&[ROOT], "trading", &["1"]).await.as_deref(), Some(first));
    let replaced = printed(&[ROOT, NEXT_ROOT], "portfolio", &["1"]).await.unwrap();
    let next = printed(&[NEXT_ROOT], "portfolio", &["1"]).await.unwrap();
    assert_eq!(replaced, format!("{first},{next}"));
}

#[tokio::test]
async fn nothing_is_printed_that_no_service_can_be_given() {
    for (service, ids) in
        [("identity", "1"), ("", "1"), ("Portfolio", "1"), ("a b", "1"), ("portfolio", "1 of a")]
    {
        assert_eq!(printed(&[ROOT], service, &[ids]).await, None, "{service}");
    }
    let without = service_proof_keys(&Roots(&[]), "portfolio", &["1".to_owned()]).await;
    assert!(matches!(without, Err(UnusableSecret::Secrets(SecretsError::Missing(NAME)))));
    assert!(service_proof_keys(&Roots(&["short"]), "portfolio", &["1".to_owned()]).await.is_err());
}

#[test]
fn the_vectors_to_this_service_are_judged_as_they_say() {
    let root = SecretSlice::from(ROOT.as_bytes().to_vec());
    let keys = EdgeProofKeys::derive(std::iter::once(&root)).unwrap();
    let mut judged = 0;
    for vector in vectors().proofs.iter().filter(|vector| vector.service == IDENTITY_SERVICE) {
        let value = |name| vector.headers.get(name).map(String::as_str).unwrap_or_default();
        let proof = UnverifiedProof::parse(value("x-edge-proof")).unwrap();
        let statement = Statement {
            mark: proof.mark,
            service: &vector.service,
            method: &vector.method,
            target: &vector.target,
            headers: IdentityHeaders::read(value),
        };
        let is_believed = proof.is_fresh(vector.now) && keys.verify(&proof, &statement);
        assert_eq!(is_believed, vector.valid, "{}", vector.name);
        judged += 1;
    }
    assert_eq!(judged, 3);
}
