//! What a rotation makes of a document: `next` becomes current, current becomes `previous`, and there is a new `next`. Tokens
//! of services go by whether they are in use.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{SigningKey, written_public_keys};
use portcullis_platform::{
    Entropy, NotMade, SecretName, ServiceTokens, ServiceTokensInUse, SigningAlgorithm, new_secret,
};
use portcullis_platform_aws::secrets::{Document, Entry};
use secrecy::ExposeSecret;

/// The secrets that are rotated. Others in the document are left as they are.
const ROTATED: [SecretName; 2] = [SecretName::SessionSecretKey, SecretName::TokenSigningKey];
/// The secrets that are made where they are missing and never rotated: API keys digested under the one are long-lived, and
/// a third secret would refuse those of the first; the other is the edge's too, and changes where a person changes both.
const MADE_ONCE: [SecretName; 2] = [SecretName::ApiKeySecret, SecretName::EdgeProofKey];

/// The result of a rotation.
#[derive(Debug)]
pub struct Outcome {
    /// The new document.
    pub document: Document,
    /// Whether a secret that was current was replaced by its successor.
    pub replaced: bool,
}

/// The error when a document cannot be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRotated {
    /// Refresh tokens issued before the last rotation are still valid, and would be refused after another one.
    #[error("the last rotation was {0:?} ago, less than ROTATION_MIN_INTERVAL")]
    TooSoon(Duration),
    /// No new secret could be generated.
    #[error("no new key could be made")]
    NoKey,
    /// The service tokens in the document are malformed.
    #[error("SERVICE_TOKENS {0}")]
    Unreadable(&'static str),
}

impl From<NotMade> for NotRotated {
    fn from(_: NotMade) -> Self {
        Self::NoKey
    }
}

/// What a rotation goes by.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// When the document was made; `None` where that is not known.
    pub made_at: Option<Timestamp>,
    /// When the rotation is made.
    pub now: Timestamp,
    /// A document that is younger is not rotated.
    pub least_age: Duration,
    /// What new signing keys are for.
    pub algorithm: SigningAlgorithm,
    /// Which tokens of services are in use.
    pub in_use: &'a ServiceTokensInUse,
}

/// Returns the document after one rotation. A secret that has no `next` gets one and is not replaced: no key signs before
/// it was published. A missing secret is generated. New signing keys are for the algorithm given; existing keys keep
/// theirs, so a changed algorithm signs from the second rotation on, and earlier tokens are accepted until the third. What
/// becomes of tokens of services, [`ServiceTokens::rotate`] says. Fails when a secret cannot be generated, when the service
/// tokens are malformed, and when the last rotation is too recent.
pub fn rotated(
    mut document: Document,
    given: &Circumstances<'_>,
    entropy: &dyn Entropy,
) -> Result<Outcome, NotRotated> {
    let algorithm = given.algorithm;
    let mut replaced = false;
    for name in ROTATED {
        let fresh = new_secret(name, algorithm, entropy)?;
        let entry = match document.0.remove(name.as_str()) {
            None => {
                Entry { current: new_secret(name, algorithm, entropy)?, next: Some(fresh), previous: None }
            }
            Some(Entry { current, next: None, previous }) => Entry { current, next: Some(fresh), previous },
            Some(Entry { current, next: Some(next), .. }) => {
                replaced = true;
                Entry { current: next, next: Some(fresh), previous: Some(current) }
            }
        };
        document.0.insert(name.as_str().to_owned(), entry);
    }
    for name in MADE_ONCE {
        if document.0.contains_key(name.as_str()) {
            continue;
        }
        let made = Entry { current: new_secret(name, algorithm, entropy)?, next: None, previous: None };
        document.0.insert(name.as_str().to_owned(), made);
    }
    let tokens = rotated_tokens(&document, given, entropy)?;
    document.0.insert(SecretName::ServiceTokens.as_str().to_owned(), tokens);
    publish(&mut document)?;
    let age = given.made_at.and_then(|made_at| Duration::try_from(given.now.duration_since(made_at)).ok());
    match age.filter(|age| replaced && *age < given.least_age) {
        Some(age) => Err(NotRotated::TooSoon(age)),
        None => Ok(Outcome { document, replaced }),
    }
}

/// Writes down the public halves of the signing keys of a document, for functions that have no others; fails when one is no
/// key.
pub(super) fn publish(document: &mut Document) -> Result<(), NotRotated> {
    let written = written_public_keys(&signing_keys(document)).ok_or(NotRotated::NoKey)?;
    let entry = Entry { current: written, next: None, previous: None };
    document.0.insert(SecretName::TokenVerificationKeys.as_str().to_owned(), entry);
    Ok(())
}

/// Returns the ids of the signing keys that a document had and the one after it has not.
pub(super) fn withdrawn_keys(before: &Document, after: &Document) -> Vec<String> {
    let kids = |document| signing_keys(document).into_iter().map(|key| key.kid().to_owned());
    let kept: Vec<String> = kids(after).collect();
    kids(before).filter(|kid| !kept.contains(kid)).collect()
}

/// Returns every signing key of a document, the one that signs first. What is no key is left out: no verifier has it.
fn signing_keys(document: &Document) -> Vec<SigningKey> {
    let entry = document.0.get(SecretName::TokenSigningKey.as_str());
    let places = entry.map(|entry| [Some(&entry.current), entry.next.as_ref(), entry.previous.as_ref()]);
    let keys = places.into_iter().flatten().flatten();
    keys.filter_map(|pem| SigningKey::from_pem(pem.expose_secret().as_bytes())).collect()
}

/// Returns the tokens of services in a document, none where it has none; fails when they are malformed.
pub(super) fn service_tokens(document: &Document) -> Result<ServiceTokens, NotRotated> {
    let entry = document.0.get(SecretName::ServiceTokens.as_str());
    let tokens = entry.map(|entry| ServiceTokens::parse(entry.current.expose_secret().as_bytes()));
    Ok(tokens.transpose().map_err(NotRotated::Unreadable)?.unwrap_or_default())
}

fn rotated_tokens(
    document: &Document,
    given: &Circumstances<'_>,
    entropy: &dyn Entropy,
) -> Result<Entry, NotRotated> {
    let mut tokens = service_tokens(document)?;
    tokens.rotate(given.in_use, given.now, entropy).map_err(NotMade::from)?;
    tokens.complete(entropy).map_err(NotMade::from)?;
    Ok(Entry { current: tokens.to_json(), next: None, previous: None })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portcullis_platform::{FIRST_SERVICES, SystemEntropy, service_token_fingerprint};

    use super::*;

    const WEEK: Duration = Duration::from_hours(7 * 24);

    fn once(document: Document) -> Outcome {
        once_for(SigningAlgorithm::Rs256, document)
    }

    fn once_for(algorithm: SigningAlgorithm, document: Document) -> Outcome {
        let in_use = ServiceTokensInUse::default();
        rotated(document, &given(None, algorithm, &in_use), &SystemEntropy).unwrap()
    }

    fn given(
        made_at: Option<Timestamp>,
        algorithm: SigningAlgorithm,
        in_use: &ServiceTokensInUse,
    ) -> Circumstances<'_> {
        let now = Timestamp::UNIX_EPOCH + WEEK;
        Circumstances { made_at, now, least_age: WEEK, algorithm, in_use }
    }

    fn values(document: &Document, name: SecretName) -> [Option<String>; 3] {
        let entry = &document.0[name.as_str()];
        [Some(&entry.current), entry.next.as_ref(), entry.previous.as_ref()]
            .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
    }

    #[test]
    fn an_empty_document_gets_what_a_start_needs_and_nothing_is_replaced() {
        let outcome = once(Document::default());
        assert!(!outcome.replaced);
        for name in ROTATED {
            let [current, next, previous] = values(&outcome.document, name);
            assert!(current.is_some() && next.is_some() && current != next && previous.is_none(), "{name}");
        }
    }

    #[test]
    fn a_secret_is_published_one_rotation_before_it_is_used_and_accepted_one_after() {
        let first = once(Document::default()).document;
        let before = ROTATED.map(|name| values(&first, name));
        let second = once(first);
        assert!(second.replaced);
        for (name, [current, next, _]) in ROTATED.into_iter().zip(before) {
            let [new_current, new_next, new_previous] = values(&second.document, name);
            assert_eq!((new_current, new_previous), (next.clone(), current), "{name}");
            assert_ne!(new_next, next);
        }
    }

    #[test]
    fn a_secret_made_by_hand_is_kept_until_its_successor_was_published() {
        let entry = Entry { current: "by hand".into(), next: None, previous: None };
        let document = Document(BTreeMap::from([("SESSION_SECRET_KEY".to_owned(), entry)]));
        let first = once(document);
        assert!(!first.replaced);
        let [current, ..] = values(&first.document, SecretName::SessionSecretKey);
        assert_eq!(current.as_deref(), Some("by hand"));
    }

    #[test]
    fn services_have_a_token_from_the_start_and_keep_it_until_it_is_used() {
        let first = once(Document::default()).document;
        let before = values(&first, SecretName::ServiceTokens);
        let tokens = service_tokens(&first).unwrap();
        assert_eq!(tokens.iter().map(|(name, _)| name).collect::<Vec<_>>(), FIRST_SERVICES);
        let second = once(first).document;
        assert_eq!(values(&second, SecretName::ServiceTokens), before);

        let (name, token) = tokens.iter().map(|(name, list)| (name, &list[0])).next().unwrap();
        let presented = BTreeMap::from([(service_token_fingerprint(name, token), Timestamp::UNIX_EPOCH)]);
        let in_use = ServiceTokensInUse::from([(name.to_owned(), presented)]);
        let third = rotated(second, &given(None, SigningAlgorithm::Rs256, &in_use), &SystemEntropy);
        let counts = service_tokens(&third.unwrap().document).unwrap();
        assert_eq!(counts.iter().map(|(_, list)| list.len()).collect::<Vec<_>>(), [2, 1, 1]);
    }

    #[test]
    fn what_api_keys_are_digested_under_and_what_the_edge_proves_with_are_made_once() {
        let first = once(Document::default()).document;
        let before = MADE_ONCE.map(|name| values(&first, name));
        let third = once(once(first).document).document;
        assert_eq!(MADE_ONCE.map(|name| values(&third, name)), before);
        assert!(before.iter().all(|[current, ..]| current.is_some()));
    }

    #[test]
    fn another_algorithm_comes_into_force_while_the_keys_of_the_earlier_one_are_accepted() {
        let algorithms = |document: &Document| {
            values(document, SecretName::TokenSigningKey).map(|pem| {
                let pem = pem.map(|pem| SigningKey::from_pem(pem.as_bytes()).unwrap());
                pem.map(|key| format!("{:?}", key.algorithm()))
            })
        };
        let name = |name: &str| Some(name.to_owned());
        let before = once(once(Document::default()).document).document;
        assert_eq!(algorithms(&before), [name("RS256"), name("RS256"), name("RS256")]);
        let published = once_for(SigningAlgorithm::Es256, before).document;
        assert_eq!(algorithms(&published), [name("RS256"), name("ES256"), name("RS256")]);
        let in_force = once_for(SigningAlgorithm::Es256, published).document;
        assert_eq!(algorithms(&in_force), [name("ES256"), name("ES256"), name("RS256")]);
        let third = once_for(SigningAlgorithm::EdDSA, in_force).document;
        assert_eq!(algorithms(&third), [name("ES256"), name("EdDSA"), name("ES256")]);
    }

    #[test]
    fn a_key_that_leaves_the_document_is_withdrawn() {
        let kid = |document: &Document, place: usize| {
            let pem = values(document, SecretName::TokenSigningKey)[place].clone().unwrap();
            SigningKey::from_pem(pem.as_bytes()).unwrap().kid().to_owned()
        };
        let first = once_for(SigningAlgorithm::EdDSA, Document::default()).document;
        let second = once_for(SigningAlgorithm::EdDSA, copy(&first)).document;
        assert_eq!(withdrawn_keys(&first, &second), [""; 0], "it is accepted for a rotation more");
        let third = once_for(SigningAlgorithm::EdDSA, copy(&second)).document;
        assert_eq!(withdrawn_keys(&second, &third), [kid(&first, 0)]);
        assert_eq!(withdrawn_keys(&first, &Document::default()), [kid(&first, 0), kid(&first, 1)]);
    }

    fn copy(document: &Document) -> Document {
        Document::parse(&document.to_json()).unwrap()
    }

    #[test]
    fn what_is_not_rotated_stays() {
        let entry = Entry { current: "x".into(), next: None, previous: None };
        let document = Document(BTreeMap::from([("SERVICE_TOKEN".to_owned(), entry)]));
        assert_eq!(once(document).document.0["SERVICE_TOKEN"].current.expose_secret(), "x");
    }

    #[test]
    fn two_rotations_in_a_row_are_refused_because_they_would_refuse_tokens() {
        let in_use = ServiceTokensInUse::default();
        let rotate = |document, age: Duration| {
            let made_at = Timestamp::UNIX_EPOCH + WEEK - age;
            let given = given(Some(made_at), SigningAlgorithm::Rs256, &in_use);
            rotated(document, &given, &SystemEntropy).map(|outcome| outcome.replaced)
        };
        let document = || once(Document::default()).document;
        let day = Duration::from_hours(24);
        assert_eq!(rotate(document(), day), Err(NotRotated::TooSoon(day)));
        assert_eq!(rotate(document(), WEEK), Ok(true));
        assert_eq!(rotate(Document::default(), day), Ok(false), "the first one replaces nothing");
    }
}
