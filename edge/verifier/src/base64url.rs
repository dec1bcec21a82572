//! The one base64 spelling a JWS part may have: URL-safe, unpadded, unused bits zero (RFC 7515 section 2, RFC 4648
//! sections 3.5 and 5). A second spelling of the same bytes would be a second token with the same meaning.

use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Rejection;

const NOT_CANONICAL: Rejection = Rejection::Malformed("a part is not canonical base64url");

/// The bytes of a part.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| NOT_CANONICAL)
}

/// Looks at the spelling alone, for a part whose content nobody should see yet.
pub(crate) fn check(part: &str) -> Result<(), Rejection> {
    let unused_bits = match part.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return Err(NOT_CANONICAL),
    };
    let last = part.bytes().next_back().and_then(sextet).unwrap_or(0);
    if part.bytes().all(|byte| sextet(byte).is_some()) && last & unused_bits == 0 {
        Ok(())
    } else {
        Err(NOT_CANONICAL)
    }
}

const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn checking_agrees_with_decoding(part in "[A-Za-z0-9_=+/-]{0,12}") {
            prop_assert_eq!(check(&part).is_ok(), decode(&part).is_ok());
        }

        #[test]
        fn whatever_is_encoded_decodes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let part = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(check(&part), Ok(()));
            prop_assert_eq!(decode(&part), Ok(bytes));
        }
    }
}
