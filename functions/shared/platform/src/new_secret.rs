//! Generation of each secret, for key files and for a cloud's secret store alike.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice, SecretString};

use crate::{Entropy, EntropyUnavailable, SecretName, ServiceTokens, SigningAlgorithm};

/// The error when a new secret cannot be generated.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum NotMade {
    /// The random number generator failed.
    #[error(transparent)]
    Entropy(#[from] EntropyUnavailable),
    /// The generator of signing keys, or the encoding of its key, failed.
    #[error("no signing key could be generated")]
    SigningKey,
}

/// Returns a fresh secret of this name; a signing key is one for this algorithm. Fails when the random number generator or
/// the generator of signing keys does.
pub fn new_secret(
    name: SecretName,
    algorithm: SigningAlgorithm,
    entropy: &dyn Entropy,
) -> Result<SecretString, NotMade> {
    match name {
        SecretName::SessionSecretKey | SecretName::ApiKeySecret | SecretName::EdgeProofKey => {
            Ok(new_random_text(entropy)?)
        }
        SecretName::ServiceTokens => {
            let mut tokens = ServiceTokens::default();
            tokens.complete(entropy)?;
            Ok(tokens.to_json())
        }
        SecretName::TokenSigningKey => new_signing_key(algorithm),
        // They follow from the signing keys.
        SecretName::TokenVerificationKeys => Err(NotMade::SigningKey),
    }
}

/// Returns 256 random bits as 43 characters of base64url, which survive a shell, an `.env` file and a copy by mouse;
/// fails when the random number generator does.
pub fn new_random_text(entropy: &dyn Entropy) -> Result<SecretString, EntropyUnavailable> {
    let mut bytes = SecretBox::new(Box::new([0; 32]));
    entropy.fill(bytes.expose_secret_mut())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.expose_secret()).into())
}

/// Returns a new private key for this algorithm as PKCS#8 in PEM.
fn new_signing_key(algorithm: SigningAlgorithm) -> Result<SecretString, NotMade> {
    let der = algorithm.new_key().map_err(|_| NotMade::SigningKey)?;
    let block = Pem::new("PRIVATE KEY", der.expose_secret());
    let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
    // `Pem` does not wipe its copy of the key; this does.
    drop(SecretSlice::from(block.into_contents()));
    Ok(text.into())
}
