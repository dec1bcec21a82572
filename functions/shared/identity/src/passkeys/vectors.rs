//! The test vectors of the specification, and what becomes of attestation objects that are bent at random.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_platform::{Environment, SystemEntropy};
use portcullis_store::{Id, Passkey};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};
use webauthn_rs::prelude::{Url, WebauthnResult};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::attested::Attested;
use super::{CHALLENGE_LENGTH, PublicKeyCredential, RegisterPublicKeyCredential, RelyingParty, library};

/// How many bent attestation objects are tried; more are where this variable says so.
const BENT: (&str, usize) = ("BENT_ATTESTATIONS", 20_000);
const USER: &[u8] = b"a user handle";

/// One pair of ceremonies of the specification.
struct Vector {
    id: String,
    described: Value,
}

impl Vector {
    fn all() -> Vec<Self> {
        let text = include_str!("../../../../../tests/webauthn/vectors.json");
        let document: Value = serde_json::from_str(text).unwrap();
        let vectors = document["vectors"].as_array().unwrap().iter();
        vectors
            .map(|one| Self { id: one["id"].as_str().unwrap().to_owned(), described: one.clone() })
            .collect()
    }

    fn bytes(&self, pointer: &str) -> Vec<u8> {
        hex::decode(self.described.pointer(pointer).unwrap().as_str().unwrap()).unwrap()
    }

    fn challenge(&self, ceremony: &str) -> Vec<u8> {
        self.bytes(&format!("/{ceremony}/challenge"))
    }

    /// The challenge, where it is as long as ours are.
    fn our_challenge(&self, ceremony: &str) -> Option<[u8; CHALLENGE_LENGTH]> {
        self.challenge(ceremony).try_into().ok()
    }

    fn registration(&self) -> RegisterPublicKeyCredential {
        self.registration_with(&self.bytes("/registration/attestationObject"))
    }

    fn registration_with(&self, attestation_object: &[u8]) -> RegisterPublicKeyCredential {
        credential(
            &self.bytes("/credential_id"),
            &json!({
                "clientDataJSON": BASE64URL.encode(self.bytes("/registration/clientDataJSON")),
                "attestationObject": BASE64URL.encode(attestation_object),
            }),
        )
    }

    fn assertion(&self) -> PublicKeyCredential {
        let member = |name: &str| BASE64URL.encode(self.bytes(&format!("/authentication/{name}")));
        credential(
            &self.bytes("/credential_id"),
            &json!({
                "clientDataJSON": member("clientDataJSON"),
                "authenticatorData": member("authenticatorData"),
                "signature": member("signature"),
                "userHandle": BASE64URL.encode(USER),
            }),
        )
    }

    /// The row of the passkey, as its attestation object says and whether or not that is accepted.
    fn row(&self) -> Passkey {
        let attested = Attested::read(&self.bytes("/registration/attestationObject")).unwrap();
        Passkey {
            id: Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap(),
            account: Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap(),
            name: String::new(),
            credential_id: attested.credential_id,
            public_key: attested.public_key,
            user_handle: USER.to_vec(),
            sign_count: attested.sign_count,
            backup_eligible: attested.backup_eligible,
            backed_up: attested.backed_up,
            transports: Vec::new(),
            aaguid: attested.aaguid,
            created_at: Timestamp::UNIX_EPOCH,
            last_used_at: None,
        }
    }
}

fn credential<T: serde::de::DeserializeOwned>(id: &[u8], response: &Value) -> T {
    let id = BASE64URL.encode(id);
    serde_json::from_value(json!({"id": id, "rawId": id, "type": "public-key", "response": response}))
        .unwrap()
}

fn relying_party() -> RelyingParty {
    let read = RelyingParty::read(&Environment::default(), "Test", "https://example.org", std::iter::empty());
    read.unwrap().unwrap()
}

fn webauthn() -> Webauthn {
    let origin = Url::parse("https://example.org").unwrap();
    WebauthnBuilder::new("example.org", &origin).unwrap().build().unwrap()
}

/// The library alone, with a challenge of any length and without the verification of users: half of the vectors are of
/// authenticators that verified nobody.
fn with<S: serde::Serialize + serde::de::DeserializeOwned>(state: S, member: &str, challenge: &[u8]) -> S {
    let mut written = serde_json::to_value(state).unwrap();
    written[member]["policy"] = "discouraged".into();
    written[member]["challenge"] = BASE64URL.encode(challenge).into();
    serde_json::from_value(written).unwrap()
}

fn register(
    webauthn: &Webauthn,
    vector: &Vector,
    credential: &RegisterPublicKeyCredential,
) -> WebauthnResult<webauthn_rs::prelude::Passkey> {
    let state = library::registration(webauthn, &[0; CHALLENGE_LENGTH]).unwrap();
    let state = with(state, "rs", &vector.challenge("registration"));
    webauthn.finish_passkey_registration(credential, &state)
}

/// What is accepted of each vector, by us and by the library when it does not ask for the verification of users: its
/// registration and its authentication.
const EXPECTED: &[(&str, [bool; 2], [bool; 2])] = &[
    ("none-es256", [false, false], [true, true]),
    ("packed-self-es256", [true, false], [true, true]),
    // In a frame: the library does not look at that when a passkey is shown.
    ("none-es256-crossOrigin", [false, false], [false, false]),
    ("none-es256-topOrigin", [false, false], [false, false]),
    ("none-es256-long-credential-id", [false, true], [true, true]),
    ("packed-es256", [true, true], [true, true]),
    ("packed-es384", [false, true], [true, true]),
    // Keys of P-521, Ed25519 and Ed448 are not taken.
    ("packed-es512", [false, false], [false, false]),
    // A key of RSA with 3,488 bits: those of 2,048 are taken.
    ("packed-rs256", [false, false], [false, false]),
    ("packed-eddsa", [false, false], [false, false]),
    ("packed-ed448", [false, false], [false, false]),
    // Statements that nobody asked for, and that the library does not read without knowing who may make them.
    ("tpm-es256", [false, true], [false, false]),
    ("android-key-es256", [false, false], [false, false]),
    ("apple-es256", [false, false], [true, true]),
    ("fido-u2f-es256", [false, false], [true, true]),
];

#[test]
fn the_ceremonies_of_the_specification() {
    let (ours, webauthn) = (relying_party(), webauthn());
    let mut seen = Vec::new();
    for vector in Vector::all() {
        let registered = vector.our_challenge("registration").is_some_and(|challenge| {
            ours.verify_registration(&challenge, &vector.registration()).unwrap().is_ok()
        });
        // A key that the library does not know is no passkey at all.
        let asserted = vector.our_challenge("authentication").is_some_and(|challenge| {
            let verified = ours.verify_assertion(&challenge, &vector.assertion(), &vector.row());
            verified.is_ok_and(|verified| verified.is_ok())
        });
        let known = register(&webauthn, &vector, &vector.registration());
        let state = library::assertion(&webauthn, &[0; CHALLENGE_LENGTH]).unwrap();
        let state = with(state, "ast", &vector.challenge("authentication"));
        let by_library = known.as_ref().is_ok_and(|passkey| {
            webauthn.finish_discoverable_authentication_v2(&vector.assertion(), state, passkey).is_ok()
        });
        seen.push((vector.id, [registered, asserted], [known.is_ok(), by_library]));
    }
    let expected: Vec<_> =
        EXPECTED.iter().map(|(id, ours, library)| ((*id).to_owned(), *ours, *library)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn what_is_kept_of_a_credential_is_what_its_authenticator_said() {
    for vector in Vector::all() {
        let attested = Attested::read(&vector.bytes("/registration/attestationObject")).unwrap();
        assert_eq!(attested.credential_id, vector.bytes("/credential_id"), "{}", vector.id);
        assert_eq!(attested.sign_count, 0);
        assert_eq!(attested.public_key[0] >> 5, 5, "a map of CBOR");
    }
}

/// Bends an object in one of the ways in which bytes go wrong, at a place drawn at random.
fn bent(object: &[u8], rng: &mut TestRng) -> Vec<u8> {
    let mut draw = |below: usize| usize::try_from(rng.next_u64()).unwrap_or_default() % below.max(1);
    let mut bent = object.to_vec();
    for _ in 0..=draw(3) {
        let (place, byte) = (draw(bent.len()), u8::try_from(draw(256)).unwrap_or_default());
        match draw(6) {
            0 => bent[place] ^= 1 << draw(8),
            1 => bent[place] = byte,
            2 => _ = bent.remove(place),
            3 => bent.insert(place, byte),
            4 => bent.truncate(place),
            _ => {
                let end = (place + draw(16)).min(bent.len());
                let part = bent[place..end].to_vec();
                bent.splice(place..place, part);
            }
        }
        if bent.is_empty() {
            bent.push(byte);
        }
    }
    bent
}

/// What a key signed as a whole is what is kept, or nothing is. Nothing of any object makes the reader panic.
#[test]
fn a_bent_attestation_object_is_refused_and_none_ends_the_process() {
    let count = Environment::of_process().raw(BENT.0).map_or(BENT.1, |count| count.parse().unwrap());
    let (webauthn, vectors) = (webauthn(), Vector::all());
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let signed = ["packed-self-es256", "packed-es256", "packed-es384", "packed-rs256"];
    let mut tried = 0;
    while tried < count {
        for vector in &vectors {
            let object = vector.bytes("/registration/attestationObject");
            let bent = bent(&object, &mut rng);
            if bent == object {
                continue;
            }
            tried += 1;
            let accepted = register(&webauthn, vector, &vector.registration_with(&bent)).is_ok();
            let kept = Attested::read(&bent).ok();
            // Who made the authenticator is not asked, so that its certificate may be bent, and nothing that is kept.
            if accepted && kept.is_some() && signed.contains(&vector.id.as_str()) {
                assert_eq!(kept, Attested::read(&object).ok(), "{}: {}", vector.id, hex::encode(&bent));
            }
        }
    }
}
