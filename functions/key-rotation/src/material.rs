//! New secrets, as the product wants them.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use portcullis_platform::{Entropy, SecretName};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice, SecretString};

use crate::NotRotated;

/// A fresh one of this kind.
pub(crate) fn make(name: SecretName, entropy: &dyn Entropy) -> Result<SecretString, NotRotated> {
    match name {
        SecretName::SessionSecretKey => random_text(entropy),
        SecretName::TokenSigningKey => signing_key(),
    }
}

/// 256 random bits in base64url.
fn random_text(entropy: &dyn Entropy) -> Result<SecretString, NotRotated> {
    let mut bytes = SecretBox::new(Box::new([0; 32]));
    entropy.fill(bytes.expose_secret_mut()).map_err(|_| NotRotated::NoKey)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.expose_secret()).into())
}

/// RSA with 2048 bits, PKCS#8 in PEM. The key comes from the generator inside aws-lc, which takes no other source of
/// randomness.
fn signing_key() -> Result<SecretString, NotRotated> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| NotRotated::NoKey)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| NotRotated::NoKey)?;
    let block = Pem::new("PRIVATE KEY", der.as_ref());
    let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
    // `Pem` does not wipe its copy of the key; this does.
    drop(SecretSlice::from(block.into_contents()));
    Ok(text.into())
}
