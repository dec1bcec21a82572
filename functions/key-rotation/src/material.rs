//! New secrets, as the product wants them.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use portcullis_platform::{Entropy, FIRST_SERVICES, SecretName};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice, SecretString};

use crate::NotRotated;

/// A fresh one of this kind.
pub(crate) fn make(name: SecretName, entropy: &dyn Entropy) -> Result<SecretString, NotRotated> {
    match name {
        SecretName::SessionSecretKey | SecretName::ApiKeySecret => random_text(entropy),
        SecretName::ServiceTokens => service_tokens(BTreeMap::default(), entropy),
        SecretName::TokenSigningKey => signing_key(),
    }
}

/// A new first token for each service, beside the one that was first before: a service takes the first of its list, and
/// until it does, the old one still opens the door. The services every deployment has are among them.
pub(crate) fn service_tokens(
    mut before: BTreeMap<String, Vec<SecretString>>,
    entropy: &dyn Entropy,
) -> Result<SecretString, NotRotated> {
    for name in FIRST_SERVICES {
        before.entry(name.to_owned()).or_default();
    }
    let mut services = serde_json::Map::new();
    for (name, tokens) in before {
        let fresh = format!("svc_{}", random_text(entropy)?.expose_secret());
        let kept = tokens.first().map(|token| token.expose_secret().to_owned());
        services.insert(name, std::iter::once(fresh).chain(kept).collect::<Vec<_>>().into());
    }
    Ok(serde_json::Value::from(services).to_string().into())
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
