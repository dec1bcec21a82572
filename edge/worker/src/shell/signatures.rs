//! Signatures, verified with WebCrypto. A key says for which algorithm it is (RFC 8725 section 3.1); a token has no say.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use portcullis_verifier::jwks::{Jwk, Material};
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};
use worker::console_warn;
use worker::js_sys::{self, Array, JSON, Object, Promise, futures::JsFuture};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::web_sys;

use crate::{Gate, KeyNumber};

/// The keys of the gate, imported into WebCrypto.
pub(super) struct Signatures {
    subtle: Option<SubtleCrypto>,
    keys: RefCell<Vec<(KeyNumber, Rc<ImportedKey>)>>,
}

/// A key, and until it is there the promise of it.
pub(super) struct ImportedKey {
    public: Jwk,
    /// What WebCrypto calls the algorithm of the key, with its hash and curve.
    algorithm: Object,
    imported: OnceCell<CryptoKey>,
    import: Promise,
}

/// A signature that is being verified.
pub(super) enum PendingSignature {
    Verifying(Promise),
    /// The key is still being imported: the bytes wait for it.
    Importing {
        subtle: SubtleCrypto,
        key: Rc<ImportedKey>,
        signature: Vec<u8>,
        signed: Vec<u8>,
    },
    /// There is no such key, or WebCrypto refused to begin.
    Refused,
}

impl Signatures {
    pub(super) fn new() -> Self {
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        Self { subtle: scope.crypto().ok().map(|crypto| crypto.subtle()), keys: RefCell::default() }
    }

    /// Returns whether there are no keys yet.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.borrow().is_empty()
    }

    /// Takes over the keys of the gate. One that is known already is not imported again.
    pub(super) fn import(&self, gate: &Gate) {
        let Some(subtle) = &self.subtle else { return };
        let mut keys = self.keys.borrow_mut();
        let import = |(number, key): (KeyNumber, &Jwk)| {
            let known = keys
                .iter()
                .map(|(_, key)| key)
                .find(|known| known.public == *key && known.imported.get().is_some());
            let known = known.map(Rc::clone).or_else(|| ImportedKey::begin(subtle, key).map(Rc::new));
            known.map(|key| (number, key))
        };
        let current = gate.keys().filter_map(import).collect();
        *keys = current;
    }

    /// Begins to verify a signature. WebCrypto copies the bytes at once, unless the key is still being imported.
    pub(super) fn verify(&self, key: KeyNumber, signature: &[u8], signed: &[u8]) -> PendingSignature {
        let keys = self.keys.borrow();
        let found = keys.iter().find(|(number, _)| *number == key);
        let (Some(subtle), Some((_, key))) = (&self.subtle, found) else { return PendingSignature::Refused };
        match key.imported.get() {
            Some(imported) => key.verify(subtle, imported, signature, signed),
            None => PendingSignature::Importing {
                subtle: subtle.clone(),
                key: Rc::clone(key),
                signature: signature.to_vec(),
                signed: signed.to_vec(),
            },
        }
    }
}

impl ImportedKey {
    fn begin(subtle: &SubtleCrypto, key: &Jwk) -> Option<Self> {
        let (jwk, algorithm) = describe(key.material());
        let object = |json: &str| JSON::parse(json).map(JsValue::unchecked_into::<Object>);
        let (jwk, algorithm) = (object(&jwk).ok()?, object(algorithm).ok()?);
        let usages = Array::of1(&"verify".into());
        let import = subtle.import_key_with_object("jwk", &jwk, &algorithm, false, &usages).ok()?;
        Some(Self {
            public: key.clone(),
            algorithm,
            imported: OnceCell::new(),
            import: import.unchecked_into(),
        })
    }

    fn verify(
        &self,
        subtle: &SubtleCrypto,
        key: &CryptoKey,
        signature: &[u8],
        signed: &[u8],
    ) -> PendingSignature {
        subtle
            .verify_with_object_and_u8_array_and_u8_array(&self.algorithm, key, signature, signed)
            .map_or(PendingSignature::Refused, |promise| {
                PendingSignature::Verifying(promise.unchecked_into())
            })
    }
}

impl PendingSignature {
    /// Returns whether the signature is valid.
    pub(super) async fn verified(self) -> bool {
        let verified = match self {
            Self::Refused => return false,
            Self::Verifying(verified) => verified,
            Self::Importing { subtle, key, signature, signed } => {
                let Ok(imported) = JsFuture::from(key.import.clone()).await else {
                    console_warn!("portcullis edge: WebCrypto refused the key {}", key.public.kid());
                    return false;
                };
                let imported = key.imported.get_or_init(|| imported.unchecked_into());
                match key.verify(&subtle, imported, &signature, &signed) {
                    Self::Verifying(verified) => verified,
                    _ => return false,
                }
            }
        };
        JsFuture::from(verified).await.is_ok_and(|valid| valid.is_truthy())
    }
}

/// Returns the JWK that WebCrypto imports, and the algorithm it is imported and used for, both as JSON. The numbers of a
/// key are base64url, which needs no escapes.
fn describe(material: &Material) -> (String, &'static str) {
    match material {
        Material::Rsa { n } => (
            format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#),
            r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        ),
        Material::P256 { x, y } => (
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#),
            r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        ),
        Material::Ed25519 { x } => {
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#), r#"{"name":"Ed25519"}"#)
        }
    }
}
