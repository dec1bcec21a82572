//! The format of the secret [`EDGE_PROOF_KEY`](crate::SecretName::EdgeProofKey).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};

/// An attacker without the key guesses at 256 bits.
const SHORTEST: usize = 32;

/// Returns the bytes of the key; fails unless the text is base64url, with or without padding, of at least 32 bytes: what
/// the edge takes too. The error text never quotes the input.
pub fn parse_edge_proof_key(text: &[u8]) -> Result<SecretSlice<u8>, &'static str> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    let key = URL_SAFE_NO_PAD.decode(digits).map(SecretSlice::from).ok();
    key.filter(|key| key.expose_secret().len() >= SHORTEST).ok_or("is not base64url of at least 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_the_edge_reads_it() {
        let read = |text: &str| parse_edge_proof_key(text.as_bytes()).map(|key| key.expose_secret().len());
        assert_eq!(read(&"A".repeat(43)), Ok(32));
        assert_eq!(read(&format!("{}=", "A".repeat(43))), Ok(32));
        assert_eq!(read(&"-_".repeat(32)), Ok(48));
        for bad in ["", "=", &"A".repeat(42), &"+".repeat(44), &format!("{}\n", "A".repeat(43))] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
