//! The keys of `DATA_DIR`: their files, their formats, and how each is made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::Pem;
use portcullis_platform::{Entropy, SecretName, SigningAlgorithm, new_random_text, new_secret};
use secrecy::{ExposeSecret, SecretSlice};

/// A failure to make a key; what the runner shows is its text and its path.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// One key the product cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    SessionSecret,
    ApiKeySecret,
    ServiceTokens,
    TokenSigning,
    EdgeProof,
    Master,
}

impl Key {
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::SessionSecret => "session-secret-key",
            Self::ApiKeySecret => "api-key-secret",
            Self::ServiceTokens => "service-tokens.json",
            Self::TokenSigning => "token-signing-key.pem",
            Self::EdgeProof => "edge-proof-key",
            Self::Master => "master-key",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::SessionSecret => "session secret",
            Self::ApiKeySecret => "secret of API keys",
            Self::ServiceTokens => "tokens of services",
            Self::TokenSigning => "token signing key",
            Self::EdgeProof => "proof key of the edge",
            Self::Master => "master key",
        }
    }

    /// Returns the variable that replaces the file. The master key has none: process lists and crash reports show the
    /// environment, and this key alone decrypts everything.
    pub(super) fn variable(self) -> Option<&'static str> {
        match self {
            Self::SessionSecret => Some(SecretName::SessionSecretKey.as_str()),
            Self::ApiKeySecret => Some(SecretName::ApiKeySecret.as_str()),
            Self::ServiceTokens => Some(SecretName::ServiceTokens.as_str()),
            Self::TokenSigning => Some(SecretName::TokenSigningKey.as_str()),
            Self::EdgeProof => Some(SecretName::EdgeProofKey.as_str()),
            Self::Master => None,
        }
    }

    /// What a person can do about a file that is no key.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::SessionSecret | Self::ApiKeySecret | Self::ServiceTokens | Self::TokenSigning => {
                "restore it from a backup, or delete it to have a new one made, \
                 which ends whatever was issued under the old one"
            }
            Self::EdgeProof => {
                "restore it from a backup, or delete it to have a new one made, which the edge must then be given, \
                 and every service behind it a key by that"
            }
            Self::Master => {
                "restore it from a backup: what was encrypted under it can never be read with a new one"
            }
        }
    }

    /// The key in the form it is used, or why the text is none. The reason never quotes the text.
    pub(super) fn parse(self, text: &SecretSlice<u8>) -> Result<SecretSlice<u8>, &'static str> {
        // Editors and `echo` end a file with a newline; with it the same text would be another secret in the
        // environment.
        let text = text.expose_secret().trim_ascii();
        match self {
            Self::SessionSecret | Self::ApiKeySecret => parse_secret_text(text),
            Self::ServiceTokens => parse_service_tokens(text),
            Self::TokenSigning => parse_signing_key(text),
            Self::EdgeProof => portcullis_platform::parse_edge_proof_key(text).map(|_| text.to_vec().into()),
            Self::Master => parse_master_key(text),
        }
    }

    /// The content of a new file.
    pub(super) fn make(
        self,
        algorithm: SigningAlgorithm,
        entropy: &dyn Entropy,
    ) -> Result<SecretSlice<u8>, Cause> {
        let new_secret = |name| new_secret(name, algorithm, entropy);
        let text = match self {
            Self::SessionSecret => new_secret(SecretName::SessionSecretKey)?,
            Self::ApiKeySecret => new_secret(SecretName::ApiKeySecret)?,
            Self::ServiceTokens => new_secret(SecretName::ServiceTokens)?,
            Self::TokenSigning => new_secret(SecretName::TokenSigningKey)?,
            Self::EdgeProof => new_secret(SecretName::EdgeProofKey)?,
            Self::Master => new_random_text(entropy)?,
        };
        Ok(text.expose_secret().as_bytes().to_vec().into())
    }
}

/// The text itself is the secret, so that it can move between file, environment and secret store unchanged.
fn parse_secret_text(text: &[u8]) -> Result<SecretSlice<u8>, &'static str> {
    if text.len() < 32 {
        return Err("is shorter than 32 bytes");
    }
    if str::from_utf8(text).is_err() {
        return Err("is not text");
    }
    Ok(text.to_vec().into())
}

fn parse_service_tokens(text: &[u8]) -> Result<SecretSlice<u8>, &'static str> {
    portcullis_platform::ServiceTokens::parse(text)?;
    Ok(text.to_vec().into())
}

fn parse_signing_key(text: &[u8]) -> Result<SecretSlice<u8>, &'static str> {
    let blocks = pem::parse_many(text).map_err(|_| "is not PEM")?;
    let Ok([block]) = <[Pem; 1]>::try_from(blocks) else {
        return Err("does not hold exactly one PEM block");
    };
    let tag = block.tag().to_owned();
    let der = SecretSlice::from(block.into_contents());
    match tag.as_str() {
        "PRIVATE KEY" => {}
        "RSA PRIVATE KEY" => return Err("is PKCS#1; convert it with `openssl pkcs8 -topk8 -nocrypt`"),
        "ENCRYPTED PRIVATE KEY" => {
            return Err("is encrypted; decrypt it with `openssl pkcs8 -topk8 -nocrypt`");
        }
        _ => return Err("is no private key in PKCS#8"),
    }
    if SigningAlgorithm::is_broken(der.expose_secret()) {
        return Err(BROKEN_KEY);
    }
    SigningAlgorithm::of_pkcs8(der.expose_secret()).ok_or(NO_SIGNING_KEY)?;
    Ok(text.to_vec().into())
}

const BROKEN_KEY: &str = "is an RSA key of a broken generator (ROCA, CVE-2017-15361), known to whoever computes for it; make another one";
const NO_SIGNING_KEY: &str = "is no RSA key of 2048 to 8192 bits and no key of P-256 or Ed25519";

fn parse_master_key(text: &[u8]) -> Result<SecretSlice<u8>, &'static str> {
    let key = URL_SAFE_NO_PAD.decode(text).map(SecretSlice::from);
    key.ok().filter(|key| key.expose_secret().len() == 32).ok_or("is not 32 bytes in base64url")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeyPair;
    use portcullis_platform::SystemEntropy;

    use super::*;

    fn parsed(key: Key, text: impl AsRef<[u8]>) -> Result<Vec<u8>, &'static str> {
        let text = SecretSlice::from(text.as_ref().to_vec());
        key.parse(&text).map(|key| key.expose_secret().to_vec())
    }

    fn make(key: Key) -> SecretSlice<u8> {
        key.make(SigningAlgorithm::Rs256, &SystemEntropy).unwrap()
    }

    #[test]
    fn what_is_made_can_be_read_and_never_repeats() {
        for key in [
            Key::SessionSecret,
            Key::ApiKeySecret,
            Key::ServiceTokens,
            Key::TokenSigning,
            Key::EdgeProof,
            Key::Master,
        ] {
            let (one, two) = (make(key), make(key));
            assert!(key.parse(&one).is_ok(), "{key:?}");
            assert_ne!(one.expose_secret(), two.expose_secret(), "{key:?}");
        }
    }

    #[test]
    fn the_signing_key_is_pkcs8_of_2048_bits_with_plain_line_ends() {
        let made = make(Key::TokenSigning);
        let text = str::from_utf8(made.expose_secret()).unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(!text.contains('\r'));
        let pair = KeyPair::from_pkcs8(pem::parse(text).unwrap().contents()).unwrap();
        assert_eq!(pair.public_modulus_len(), 256);
    }

    #[test]
    fn space_around_a_key_does_not_count() {
        let secret = "a".repeat(32);
        assert_eq!(parsed(Key::SessionSecret, format!(" {secret}\r\n")), Ok(secret.into_bytes()));
        assert_eq!(parsed(Key::Master, format!("{}\n", "A".repeat(43))), Ok(vec![0; 32]));
    }

    #[test]
    fn a_session_secret_has_32_bytes_of_text() {
        assert_eq!(parsed(Key::SessionSecret, ""), Err("is shorter than 32 bytes"));
        assert_eq!(
            parsed(Key::SessionSecret, format!("{}  ", "a".repeat(31))),
            Err("is shorter than 32 bytes")
        );
        assert_eq!(parsed(Key::SessionSecret, [0xff; 40]), Err("is not text"));
    }

    #[test]
    fn a_master_key_has_exactly_32_bytes() {
        for bad in ["", "A", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43), &"+".repeat(43)] {
            assert_eq!(parsed(Key::Master, bad), Err("is not 32 bytes in base64url"), "{bad}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_with_the_way_to_convert_it() {
        let made = make(Key::TokenSigning);
        let good = String::from_utf8(made.expose_secret().to_vec()).unwrap();
        let refusal = |text: &str| parsed(Key::TokenSigning, text).unwrap_err();
        assert_eq!(refusal("garbage"), "does not hold exactly one PEM block");
        assert_eq!(refusal(&good.repeat(2)), "does not hold exactly one PEM block");
        assert!(refusal(&good.replace("PRIVATE", "RSA PRIVATE")).starts_with("is PKCS#1"));
        assert!(refusal(&good.replace("PRIVATE", "ENCRYPTED PRIVATE")).starts_with("is encrypted"));
        assert_eq!(refusal(&good.replace("PRIVATE", "PUBLIC")), "is no private key in PKCS#8");
        let elliptic = "-----BEGIN PRIVATE KEY-----\n\
             MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
             -----END PRIVATE KEY-----\n";
        // A key of Ed25519 signs tokens; one of X25519 cannot sign.
        assert!(parsed(Key::TokenSigning, elliptic).is_ok());
        assert_eq!(refusal(&elliptic.replace("K2VwBCIE", "K2VuBCIE")), NO_SIGNING_KEY);
        let damaged = good.replacen("MII", "MIJ", 1);
        assert_eq!(refusal(&damaged), NO_SIGNING_KEY);
    }

    #[test]
    fn a_short_rsa_key_is_refused() {
        // 1024 bits, made for this test with `openssl genpkey`.
        assert_eq!(parsed(Key::TokenSigning, SHORT), Err(NO_SIGNING_KEY));
    }

    const SHORT: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALSOxNtovauNlvbw\n\
        WdnD2zcoskKCG3aLtpIgzjjKQt4XLWcMeBLSs986/crQ3u+wxCyDJ38HZ56MKz0i\n\
        BkAeQQXa3M01QCZoMvQrbbKHoK76LbQ0mzJUHbSTVwfOFmWgRZLB+vV0uw1wF6ZC\n\
        io2sCosJFrKc/RDSTIdTz4bTHqq/AgMBAAECgYBrDvhEjH9iGCs6MltkVtBFjXjd\n\
        HJ5CFSdkz9TXMX6ihyWho3AS4SJMK4NOXbjCcJJxPjcOCAr1pHEC54jDPe0ZFpVS\n\
        nXMYZNToBYmcv3FpxqkAEfajzd77teHzfElJIb0jlpJLXMossCFa9tdU7dfMzZ5Z\n\
        YOF5Tk4Poksy3HhosQJBAOvkExy8G4vWpVcDWiy6RcceaEafmdPKiDIag1+Y36Nc\n\
        Eu3P18UVU2QmuU7xmNuyhvXronry0ZKS8AKveML9bRkCQQDD8yOaUcpxz+npvjAO\n\
        cIgmJh5yZTOcSRH7oGTz9N4OGtPYsEId5Ia32JUlfhDgkldS2/Y9rWVLrfvLJCUf\n\
        dvmXAkAG9+XYo3Xs25pmx6KST65gA3XxICXbK9B6Km5XFJ0GpmGoxMsK92ZPPxWa\n\
        T2jElLGH8j4Kg8HNIqoUajqXCAWBAkApifCBNVeKOv4mW/gKB5cFJ02LCKMhPWg/\n\
        hGgCQ2WTbeJ87BiIB7r7XEF52jivsrYqTZDs0EZJ/c8D6FyqR+lvAkEAvv69qNYy\n\
        LEc+3u5qULdOlQdImk3XhY2gZss4fpoYVMs/bxPRjAyZiMAnl1waXly7bHHk/XnH\n\
        F2kpwrBSX6rBig==\n\
        -----END PRIVATE KEY-----";
}
