//! A passkey in software: what a browser and an authenticator answer together. Everything it says can be bent, which no real
//! one lets anybody do.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Map, Value, json};

/// The flag of an authenticator whose user is there.
pub const PRESENT: u8 = 0x01;
/// The flag of an authenticator that verified its user.
pub const VERIFIED: u8 = 0x04;
/// The flag of a key that may be copied to other devices.
pub const BACKUP_ELIGIBLE: u8 = 0x08;
/// The flag of a key that was copied.
pub const BACKED_UP: u8 = 0x10;
/// The flag of authenticator data with a new credential in it.
const HAS_CREDENTIAL: u8 = 0x40;

/// How a new credential is attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attestation {
    /// Not at all.
    None,
    /// By its own key, over everything that is said of it.
    OfItself,
}

/// A passkey, and what is said when it is used. A clone is a copy of the authenticator, counter and all.
#[derive(Debug, Clone)]
pub struct SoftPasskey {
    key: Arc<EcdsaKeyPair>,
    /// The id of the credential.
    pub credential_id: Vec<u8>,
    /// What it knows the account by; none before it is made.
    pub user_handle: Option<Vec<u8>>,
    /// The origin of the page.
    pub origin: String,
    /// The domain it is bound to, in place of the one in the options.
    pub rp_id: Option<String>,
    /// What the authenticator says of itself.
    pub flags: u8,
    /// Its signature counter.
    pub counter: u32,
    /// The model.
    pub aaguid: [u8; 16],
    /// How a new one is attested.
    pub attestation: Attestation,
    /// Members of the client data that are put in, or in the place of others.
    pub client_data: Map<String, Value>,
}

impl SoftPasskey {
    /// An authenticator on a page of this origin that verifies its user and whose keys cannot be copied.
    ///
    /// # Panics
    /// Without randomness.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn on(origin: &str) -> Self {
        Self::with_key(origin, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    /// The same with this key, from which the id of the credential follows.
    pub fn with_key(origin: &str, key: EcdsaKeyPair) -> Self {
        let credential_id =
            digest(&SHA256, key.public_key().as_ref()).as_ref().iter().copied().take(16).collect();
        Self {
            key: Arc::new(key),
            credential_id,
            user_handle: None,
            origin: origin.to_owned(),
            rp_id: None,
            flags: PRESENT | VERIFIED,
            counter: 0,
            aaguid: [0; 16],
            attestation: Attestation::None,
            client_data: Map::new(),
        }
    }

    /// Another authenticator like this one, with a key and an id of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let Self { key, credential_id, .. } = Self::on(&self.origin);
        Self { key, credential_id, ..self.clone() }
    }

    /// Answers `navigator.credentials.create` with these options: the credential as `toJSON()` writes it.
    pub fn create(&mut self, options: &Value) -> Value {
        self.user_handle = Some(decoded(&options["user"]["id"]));
        let client_data = self.client_data(options, "webauthn.create");
        let rp_id = self.rp_id.clone().unwrap_or_else(|| text(&options["rp"]["id"]));
        let data = self.authenticator_data(&rp_id, self.flags | HAS_CREDENTIAL, &self.credential());
        let object = self.attestation_object(&data, &client_data);
        self.answer(&json!({
            "clientDataJSON": BASE64URL.encode(client_data),
            "attestationObject": BASE64URL.encode(object),
            "transports": ["internal"],
        }))
    }

    /// Answers `navigator.credentials.get` with these options: the credential as `toJSON()` writes it.
    pub fn get(&self, options: &Value) -> Value {
        let client_data = self.client_data(options, "webauthn.get");
        let rp_id = self.rp_id.clone().unwrap_or_else(|| text(&options["rpId"]));
        let data = self.authenticator_data(&rp_id, self.flags, &[]);
        let signature = self.sign(&data, &client_data);
        self.answer(&json!({
            "clientDataJSON": BASE64URL.encode(client_data),
            "authenticatorData": BASE64URL.encode(data),
            "signature": BASE64URL.encode(signature),
            "userHandle": self.user_handle.as_ref().map(|handle| BASE64URL.encode(handle)),
        }))
    }

    fn answer(&self, response: &Value) -> Value {
        let id = BASE64URL.encode(&self.credential_id);
        json!({"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response})
    }

    fn client_data(&self, options: &Value, kind: &str) -> Vec<u8> {
        let mut data = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("challenge".to_owned(), options["challenge"].clone()),
            ("origin".to_owned(), self.origin.as_str().into()),
            ("crossOrigin".to_owned(), false.into()),
        ]);
        data.extend(self.client_data.clone());
        Value::Object(data).to_string().into_bytes()
    }

    fn authenticator_data(&self, rp_id: &str, flags: u8, credential: &[u8]) -> Vec<u8> {
        let rp_id_hash = digest(&SHA256, rp_id.as_bytes());
        [rp_id_hash.as_ref(), &[flags], &self.counter.to_be_bytes(), credential].concat()
    }

    /// The attested credential data (WebAuthn Level 3, section 6.5.2).
    fn credential(&self) -> Vec<u8> {
        let length = u16::try_from(self.credential_id.len()).unwrap_or(u16::MAX);
        [&self.aaguid, length.to_be_bytes().as_slice(), &self.credential_id, &self.public_key()].concat()
    }

    /// Its public key, as an uncompressed point.
    pub fn point(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Its public key, as a `COSE_Key`.
    pub fn public_key(&self) -> Vec<u8> {
        let point = self.point();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        [head.as_slice(), x, &[0x22, 0x58, 0x20], y].concat()
    }

    /// Returns an attestation object in CBOR.
    fn attestation_object(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let statement = match self.attestation {
            Attestation::None => {
                [bytes_of(b"none", 0x60).as_slice(), &bytes_of(b"attStmt", 0x60), &[0xa0]].concat()
            }
            Attestation::OfItself => {
                let signature = self.sign(data, client_data);
                let parts = [bytes_of(b"packed", 0x60), bytes_of(b"attStmt", 0x60), vec![0xa2]];
                let statement = [bytes_of(b"alg", 0x60), vec![0x26], bytes_of(b"sig", 0x60)];
                [parts.concat(), statement.concat(), bytes_of(&signature, 0x40)].concat()
            }
        };
        [
            &[0xa3],
            bytes_of(b"fmt", 0x60).as_slice(),
            &statement,
            &bytes_of(b"authData", 0x60),
            &bytes_of(data, 0x40),
        ]
        .concat()
    }

    #[expect(clippy::expect_used, reason = "there is no test without it")]
    fn sign(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let message = [data, digest(&SHA256, client_data).as_ref()].concat();
        self.key.sign(&SystemRandom::new(), &message).expect("a signature").as_ref().to_vec()
    }
}

/// A text or bytes in CBOR, of up to 65,535 bytes.
fn bytes_of(bytes: &[u8], major: u8) -> Vec<u8> {
    let length = bytes.len();
    let head = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..24), _) => vec![major | short],
        (Ok(byte), _) => vec![major | 0x18, byte],
        (_, Ok(two)) => [&[major | 0x19], two.to_be_bytes().as_slice()].concat(),
        _ => Vec::new(),
    };
    [head.as_slice(), bytes].concat()
}

#[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
fn decoded(value: &Value) -> Vec<u8> {
    BASE64URL.decode(value.as_str().unwrap_or_default()).expect("base64url")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
