//! What a rotation makes of a document: `next` becomes current, current becomes `previous`, and there is a new `next`.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::{
    Entropy, NotMade, SecretName, SigningAlgorithm, new_secret, new_service_tokens, parse_service_tokens,
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

/// Returns the document after one rotation. A secret that has no `next` gets one and is not replaced: no key signs before
/// it was published. A missing secret is generated. New signing keys are for `algorithm`; existing keys keep theirs, so a
/// changed algorithm signs from the second rotation on, and earlier tokens are accepted until the third. Fails when a
/// secret cannot be generated, when the service tokens are malformed, and when the last rotation is too recent.
pub fn rotated(
    mut document: Document,
    made_at: Option<Timestamp>,
    now: Timestamp,
    least_age: Duration,
    algorithm: SigningAlgorithm,
    entropy: &dyn Entropy,
) -> Result<Outcome, NotRotated> {
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
    let services = SecretName::ServiceTokens;
    let before = document.0.get(services.as_str());
    let before = before.map(|entry| parse_service_tokens(entry.current.expose_secret().as_bytes()));
    let before = before.transpose().map_err(NotRotated::Unreadable)?.unwrap_or_default();
    let tokens = new_service_tokens(before, entropy).map_err(NotMade::from)?;
    document.0.insert(services.as_str().to_owned(), Entry { current: tokens, next: None, previous: None });
    let age = made_at.and_then(|made_at| Duration::try_from(now.duration_since(made_at)).ok());
    match age.filter(|age| replaced && *age < least_age) {
        Some(age) => Err(NotRotated::TooSoon(age)),
        None => Ok(Outcome { document, replaced }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portcullis_identity::SigningKey;
    use portcullis_platform::SystemEntropy;

    use super::*;

    const WEEK: Duration = Duration::from_hours(7 * 24);

    fn once(document: Document) -> Outcome {
        once_for(SigningAlgorithm::Rs256, document)
    }

    fn once_for(algorithm: SigningAlgorithm, document: Document) -> Outcome {
        rotated(document, None, Timestamp::UNIX_EPOCH, WEEK, algorithm, &SystemEntropy).unwrap()
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
    fn each_service_gets_a_new_token_first_and_keeps_the_one_before() {
        let tokens = |document: &Document| {
            let [current, ..] = values(document, SecretName::ServiceTokens);
            let parsed = parse_service_tokens(current.unwrap().as_bytes()).unwrap();
            let texts = |list: Vec<secrecy::SecretString>| -> Vec<String> {
                list.iter().map(|token| token.expose_secret().to_owned()).collect()
            };
            parsed.into_iter().map(|(name, list)| (name, texts(list))).collect::<BTreeMap<_, _>>()
        };
        let first = once(Document::default()).document;
        let before = tokens(&first);
        let second = once(first).document;
        let third = tokens(&once(second).document);
        for (name, list) in &third {
            assert_eq!((list.len(), before[name].len()), (2, 1), "{name}");
            assert!(!list.contains(&before[name][0]), "two rotations later it is gone");
        }
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
    fn what_is_not_rotated_stays() {
        let entry = Entry { current: "x".into(), next: None, previous: None };
        let document = Document(BTreeMap::from([("SERVICE_TOKEN".to_owned(), entry)]));
        assert_eq!(once(document).document.0["SERVICE_TOKEN"].current.expose_secret(), "x");
    }

    #[test]
    fn two_rotations_in_a_row_are_refused_because_they_would_refuse_tokens() {
        let rotate = |document, age: Duration| {
            let now = Timestamp::UNIX_EPOCH + WEEK;
            let algorithm = SigningAlgorithm::Rs256;
            rotated(document, Some(now - age), now, WEEK, algorithm, &SystemEntropy)
                .map(|outcome| outcome.replaced)
        };
        let document = || once(Document::default()).document;
        let day = Duration::from_hours(24);
        assert_eq!(rotate(document(), day), Err(NotRotated::TooSoon(day)));
        assert_eq!(rotate(document(), WEEK), Ok(true));
        assert_eq!(rotate(Document::default(), day), Ok(false), "the first one replaces nothing");
    }
}
