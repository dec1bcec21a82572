//! Proof that a request came through the edge: under which key, what is signed, and how the header is written.
//!
//! `X-Edge-Proof: v2;k=<key id>;t=<Unix seconds>;n=<nonce>;<64 hex digits>`, the HMAC-SHA256 of [`Statement::canonical`]
//! under a key of the one service that the request goes to. The edge derives that key from the root key it holds, by
//! [`KEY_SALT`] and [`key_purpose`]; the service holds its own key and no other, so that it can forge nothing for another
//! service. Keys and the HMAC come from outside; a service compares in constant time and refuses a time further than
//! [`MAX_AGE_SECONDS`] from its own clock. No two proofs of the edge share a nonce, so whoever remembers proofs for that
//! long can refuse one that is sent again. The body is not signed, so that it can stream.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::identity_headers::{IdentityHeaders, OF_APPROVALS};

/// The header the proof travels in.
pub const HEADER: &str = "x-edge-proof";

/// How far the time of a proof may be from the clock of the service that checks it.
pub const MAX_AGE_SECONDS: u64 = 30;

/// The salt under which keys of services are derived from the root key (HKDF-SHA-256, RFC 5869 section 2.2).
pub const KEY_SALT: &[u8] = b"portcullis";

/// The id of the key that a service has until another one takes its place.
pub const FIRST_KEY: &str = "1";

/// The name under which the identity service checks proofs itself. It holds the root key, so its own key is replaced with
/// that and always has the id [`FIRST_KEY`].
pub const IDENTITY_SERVICE: &str = "identity";

const VERSION: &str = "v2";
const MAX_KEY_ID_BYTES: usize = 16;
const MAX_NONCE_BYTES: usize = 64;

/// Returns what the key of a service is derived for: the `info` of HKDF-SHA-256 (RFC 5869 section 2.3), for 32 bytes of
/// output. No id of a key holds a blank, so no two pairs share a text.
pub fn key_purpose(service: &str, key: &str) -> String {
    format!("edge proof key {key} of {service}")
}

/// Returns whether a text can be the id of a key: 1 to 16 of `a` to `z`, `0` to `9` and `-`.
pub fn is_key_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

fn is_nonce(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=MAX_NONCE_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

/// What the edge states about a request. A field that does not apply is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The key, the time and the nonce.
    pub mark: Mark<'a>,
    /// The service it was forwarded to: a proof for one service is not valid for another.
    pub service: &'a str,
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// Path and query as they were forwarded.
    pub target: &'a str,
    /// The identity headers as they were sent.
    pub headers: IdentityHeaders<&'a str>,
}

/// What makes a proof one of a kind; it stands in the header and is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The id of the service's key.
    pub key: &'a str,
    /// When the request was forwarded, in Unix seconds.
    pub time: u64,
    /// A text that no other proof has.
    pub nonce: &'a str,
}

/// A proof as it arrived, not compared yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedProof<'a> {
    /// What it says of itself.
    pub mark: Mark<'a>,
    /// The HMAC it claims.
    pub mac: [u8; 32],
}

impl Statement<'_> {
    /// Returns the text under the HMAC: the version, then every field on a line of its own, in the order they are
    /// declared. No field can hold a line break (they are header values or parts of a request line), so no two statements
    /// share a text; `None` if one does nevertheless. The two lines of an approval are there where there is one, so that the
    /// text of other requests is what services have always known.
    pub fn canonical(&self) -> Option<String> {
        let Mark { key, time, nonce } = self.mark;
        let request = [nonce, self.service, self.method, self.target];
        let IdentityHeaders { approval_id, approval_order_tag, .. } = self.headers;
        let without = if approval_id.is_empty() && approval_order_tag.is_empty() { OF_APPROVALS } else { 0 };
        let signed = IdentityHeaders::<()>::NAMES.len() - without;
        let headers = self.headers.into_iter().take(signed).map(|(_, value)| value);
        let fields = request.into_iter().chain(headers);
        let length = fields.clone().map(|field| field.len() + 1).sum::<usize>();
        let mut text = String::with_capacity(length + 64);
        write!(text, "portcullis-edge-{VERSION}\n{key}\n{time}").ok()?;
        for field in fields {
            if field.contains('\n') {
                return None;
            }
            text.push('\n');
            text.push_str(field);
        }
        Some(text)
    }
}

/// Returns the value of the header.
pub fn header_value(Mark { key, time, nonce }: Mark<'_>, mac: &[u8; 32]) -> String {
    let mut digits = [0; 64];
    // Twice as many digits as bytes, and digits are text: neither can fail.
    let _ = hex::encode_to_slice(mac, &mut digits);
    let digits = core::str::from_utf8(&digits).unwrap_or_default();
    format!("{VERSION};k={key};t={time};n={nonce};{digits}")
}

impl<'a> UnverifiedProof<'a> {
    /// Returns the proof a header value holds; `None` for any spelling but the one of [`header_value`].
    pub fn parse(value: &'a str) -> Option<Self> {
        let (key, rest) = value.strip_prefix("v2;k=")?.split_once(";t=")?;
        let (time, rest) = rest.split_once(";n=")?;
        let (nonce, digits) = rest.split_once(';')?;
        let mut mac = [0; 32];
        hex::decode_to_slice(digits, &mut mac).ok()?;
        let proof = Self { mark: Mark { key, time: time.parse().ok()?, nonce }, mac };
        let is_plain = is_key_id(key) && is_nonce(nonce) && header_value(proof.mark, &proof.mac) == value;
        is_plain.then_some(proof)
    }

    /// Returns whether the proof was made recently, by clocks that differ a little.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.mark.time.abs_diff(now) <= MAX_AGE_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARK: Mark<'_> = Mark { key: "1", time: 1_760_000_000, nonce: "isolate-1" };

    const STATEMENT: Statement<'_> = Statement {
        mark: MARK,
        service: "portfolio",
        method: "GET",
        target: "/v1/portfolio?x=1",
        headers: IdentityHeaders {
            user_id: "usr_a",
            email: "asha@example.com",
            roles: "user,trader",
            scopes: "",
            session_id: "ses_1",
            auth_method: "pwd",
            request_id: "r-1",
            client_address: "192.0.2.1",
            approval_id: "",
            approval_order_tag: "",
        },
    };

    #[test]
    fn the_text_is_this() {
        insta::assert_snapshot!(STATEMENT.canonical().unwrap(), @r"
        portcullis-edge-v2
        1
        1760000000
        isolate-1
        portfolio
        GET
        /v1/portfolio?x=1
        usr_a
        asha@example.com
        user,trader

        ses_1
        pwd
        r-1
        192.0.2.1
        ");
    }

    #[test]
    fn the_text_of_what_was_approved_has_two_more_lines() {
        let with = |approval_id, approval_order_tag| {
            let headers = IdentityHeaders { approval_id, approval_order_tag, ..STATEMENT.headers };
            Statement { headers, ..STATEMENT }.canonical().unwrap()
        };
        let text = STATEMENT.canonical().unwrap();
        assert_eq!(with("apr_1", "7d0c"), format!("{text}\napr_1\n7d0c"));
        assert_eq!(with("", "7d0c"), format!("{text}\n\n7d0c"), "nothing is left unsigned");
        assert_eq!(with("apr_1", ""), format!("{text}\napr_1\n"));
        assert_eq!(with("", ""), text);
    }

    #[test]
    fn a_field_cannot_pass_for_two() {
        let with = |headers| Statement { headers, ..STATEMENT };
        assert_eq!(with(IdentityHeaders { email: "a\nadmin", ..STATEMENT.headers }).canonical(), None);
        let shifted = with(IdentityHeaders { user_id: "", email: "usr_a", ..STATEMENT.headers });
        assert_ne!(shifted.canonical(), STATEMENT.canonical());
    }

    #[test]
    fn a_proof_has_one_spelling() {
        let mark = Mark { key: "2-b", time: 7, nonce: "Iso-1f" };
        let value = header_value(mark, &[0xab; 32]);
        assert_eq!(UnverifiedProof::parse(&value), Some(UnverifiedProof { mark, mac: [0xab; 32] }));
        let hex = "ab".repeat(32);
        for other in [
            "",
            "v2",
            &value.to_uppercase(),
            &value.replace("v2", "v1"),
            &value.replace("k=2-b", "k="),
            &value.replace("k=2-b", "k=2-B"),
            &value.replace("k=2-b", "k=2 b"),
            &value.replace("k=2-b", &format!("k={}", "1".repeat(17))),
            &value.replace("k=2-b;", ""),
            &value.replace("t=7", "t=07"),
            &value.replace("t=7", "t=+7"),
            &value.replace("t=7", "t="),
            &value.replace("n=Iso-1f", "n="),
            &value.replace("n=Iso-1f", "n=Iso_1f"),
            &value.replace("n=Iso-1f", &format!("n={}", "1".repeat(65))),
            &value.replace("n=Iso-1f;", ""),
            &format!("{value}0"),
            &format!(" {value}"),
            &value.replacen("ab", "+b", 1),
            &value.replace(&hex, &hex.to_uppercase()),
        ] {
            assert_eq!(UnverifiedProof::parse(other), None, "{other}");
        }
    }

    #[test]
    fn no_two_services_and_keys_are_one_purpose() {
        assert_eq!(key_purpose("portfolio", "1"), "edge proof key 1 of portfolio");
        // An id with a blank could pass for another one and a part of the name.
        assert!(!is_key_id("1 of a") && !is_key_id("") && is_key_id(FIRST_KEY) && is_key_id("2026-11"));
    }

    #[test]
    fn it_lives_half_a_minute() {
        let proof = UnverifiedProof { mark: Mark { time: 100, ..MARK }, mac: [0; 32] };
        assert!(proof.is_fresh(70) && proof.is_fresh(130));
        assert!(!proof.is_fresh(69) && !proof.is_fresh(131) && !proof.is_fresh(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(key in "[a-z0-9-]{1,16}", time: u64, nonce in "[A-Za-z0-9-]{1,64}", mac: [u8; 32]) {
            let mark = Mark { key: &key, time, nonce: &nonce };
            let value = header_value(mark, &mac);
            prop_assert_eq!(UnverifiedProof::parse(&value), Some(UnverifiedProof { mark, mac }));
        }
    }
}
