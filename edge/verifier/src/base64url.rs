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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_decodes_has_this_one_spelling(part in "[A-Za-z0-9_=+/-]{0,12}") {
            if let Ok(bytes) = decode(&part) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), part);
            }
        }

        #[test]
        fn whatever_is_encoded_decodes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let part = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(decode(&part), Ok(bytes));
        }
    }
}
