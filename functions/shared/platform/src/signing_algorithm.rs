//! The algorithm of new keys for access tokens.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use aws_lc_rs::{rand::SystemRandom, rsa};
use portcullis_verifier::has_roca_pattern;
use secrecy::SecretSlice;

use crate::{Environment, Misconfigured, Variable};

/// The algorithm of new signing keys.
pub const TOKEN_SIGNING_ALGORITHM: Variable = Variable {
    name: "TOKEN_SIGNING_ALGORITHM",
    default: "RS256",
    about: "algorithm of new signing keys for access tokens: `RS256`, `ES256` or `EdDSA`; existing keys keep theirs",
    aliases: &[],
};

/// An algorithm that access tokens may be signed with (RFC 7518, section 3.1; RFC 8037, section 3.1). Every verifier
/// supports RS256; signatures of the others are shorter and cost less CPU to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Signatures on the curve Ed25519 (RFC 8037, section 3.1).
    EdDSA,
}

impl SigningAlgorithm {
    /// Returns the setting; fails when it is none of these algorithms.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        match environment.text(&TOKEN_SIGNING_ALGORITHM)?.as_str() {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDSA),
            _ => Err(Misconfigured::new(
                TOKEN_SIGNING_ALGORITHM.name,
                "is none of `RS256`, `ES256` and `EdDSA`",
            )),
        }
    }

    /// Returns a new private key as PKCS#8. The key comes from the generator inside aws-lc, which takes no other source
    /// of randomness.
    pub(crate) fn new_key(self) -> Result<SecretSlice<u8>, Unspecified> {
        match self {
            Self::Rs256 => {
                let pair = rsa::KeyPair::generate(KeySize::Rsa2048)?;
                Ok(AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref().to_vec().into())
            }
            Self::Es256 => {
                let made =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
                Ok(made.as_ref().to_vec().into())
            }
            // The first version of PKCS#8, which more programs read.
            Self::EdDSA => Ok(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec().into()),
        }
    }

    /// Returns whether a private key in PKCS#8 is an RSA key whose public half gives it away ([`has_roca_pattern`]).
    pub fn is_broken(der: &[u8]) -> bool {
        let modulus =
            |pair: rsa::KeyPair| pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        rsa::KeyPair::from_pkcs8(der).is_ok_and(|pair| has_roca_pattern(&modulus(pair)))
    }

    /// Returns the algorithm of a private key in PKCS#8, or `None` if it is of no kind that signs tokens.
    pub fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let is_p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok();
        if rsa::KeyPair::from_pkcs8(der).is_ok() {
            Some(Self::Rs256)
        } else if is_p256() {
            Some(Self::Es256)
        } else {
            Ed25519KeyPair::from_pkcs8(der).is_ok().then_some(Self::EdDSA)
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_new_key_is_one_of_its_algorithm() {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDSA] {
            let key = algorithm.new_key().unwrap();
            assert_eq!(SigningAlgorithm::of_pkcs8(key.expose_secret()), Some(algorithm));
        }
        assert_eq!(SigningAlgorithm::of_pkcs8(b"garbage"), None);
    }

    #[test]
    fn the_setting_has_three_words() {
        let read = |text: &str| {
            SigningAlgorithm::read(&[(TOKEN_SIGNING_ALGORITHM.name, text)].into_iter().collect())
        };
        assert_eq!(SigningAlgorithm::read(&Environment::default()), Ok(SigningAlgorithm::Rs256));
        assert_eq!(read("ES256"), Ok(SigningAlgorithm::Es256));
        assert_eq!(read("EdDSA"), Ok(SigningAlgorithm::EdDSA));
        for unknown in ["HS256", "none", "es256", "ES384"] {
            let error = read(unknown).unwrap_err().to_string();
            assert_eq!(error, "TOKEN_SIGNING_ALGORITHM: is none of `RS256`, `ES256` and `EdDSA`");
        }
    }
}
