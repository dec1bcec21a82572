//! Proof that a request came through the edge: what is signed, and how the header is written.
//!
//! `X-Edge-Proof: v1;t=<Unix seconds>;<64 hex digits>`, the HMAC-SHA256 of [`Statement::canonical`] under a key that
//! the edge and the services share. The key and the HMAC come from outside; a service compares in constant time and
//! refuses a time further than [`MAX_AGE_SECONDS`] from its own clock. The body is not signed, so that it can stream.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::identity_headers::IdentityHeaders;

/// The header the proof travels in.
pub const HEADER: &str = "x-edge-proof";

/// How far the time of a proof may be from the clock of the service that checks it.
pub const MAX_AGE_SECONDS: u64 = 30;

const VERSION: &str = "v1";

/// What the edge states about a request. A field that does not apply is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// When the request was forwarded, in Unix seconds.
    pub time: u64,
    /// The service it was forwarded to: a proof for one service is not valid for another.
    pub service: &'a str,
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// Path and query as they were forwarded.
    pub target: &'a str,
    /// The identity headers as they were sent.
    pub headers: IdentityHeaders<&'a str>,
}

/// A proof as it arrived, not compared yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedProof {
    /// When it says it was made.
    pub time: u64,
    /// The HMAC it claims.
    pub mac: [u8; 32],
}

impl Statement<'_> {
    /// Returns the text under the HMAC: the version, then every field on a line of its own, in the order they are
    /// declared. No field can hold a line break (they are header values or parts of a request line), so no two statements
    /// share a text; `None` if one does nevertheless.
    pub fn canonical(&self) -> Option<String> {
        let request = [self.service, self.method, self.target];
        let fields = request.into_iter().chain(self.headers.into_iter().map(|(_, value)| value));
        let length = fields.clone().map(|field| field.len() + 1).sum::<usize>();
        let mut text = String::with_capacity(length + 48);
        write!(text, "portcullis-edge-{VERSION}\n{}", self.time).ok()?;
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
pub fn header_value(time: u64, mac: &[u8; 32]) -> String {
    let mut digits = [0; 64];
    // Twice as many digits as bytes, and digits are text: neither can fail.
    let _ = hex::encode_to_slice(mac, &mut digits);
    format!("{VERSION};t={time};{}", core::str::from_utf8(&digits).unwrap_or_default())
}

impl UnverifiedProof {
    /// Returns the proof a header value holds; `None` for any spelling but the one of [`header_value`].
    pub fn parse(value: &str) -> Option<Self> {
        let (time, digits) = value.strip_prefix("v1;t=")?.split_once(';')?;
        let mut mac = [0; 32];
        hex::decode_to_slice(digits, &mut mac).ok()?;
        let proof = Self { time: time.parse().ok()?, mac };
        (header_value(proof.time, &proof.mac) == value).then_some(proof)
    }

    /// Returns whether the proof was made recently, by clocks that differ a little.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.time.abs_diff(now) <= MAX_AGE_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATEMENT: Statement<'_> = Statement {
        time: 1_760_000_000,
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
        },
    };

    #[test]
    fn the_text_is_this() {
        insta::assert_snapshot!(STATEMENT.canonical().unwrap(), @r"
        portcullis-edge-v1
        1760000000
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
    fn a_field_cannot_pass_for_two() {
        let with = |headers| Statement { headers, ..STATEMENT };
        assert_eq!(with(IdentityHeaders { email: "a\nadmin", ..STATEMENT.headers }).canonical(), None);
        let shifted = with(IdentityHeaders { user_id: "", email: "usr_a", ..STATEMENT.headers });
        assert_ne!(shifted.canonical(), STATEMENT.canonical());
    }

    #[test]
    fn a_proof_has_one_spelling() {
        let value = header_value(7, &[0xab; 32]);
        assert_eq!(UnverifiedProof::parse(&value), Some(UnverifiedProof { time: 7, mac: [0xab; 32] }));
        let hex = "ab".repeat(32);
        for other in [
            "",
            "v1",
            &value.to_uppercase(),
            &value.replace("v1", "v2"),
            &value.replace("t=7", "t=07"),
            &value.replace("t=7", "t=+7"),
            &value.replace("t=7", "t="),
            &format!("{value}0"),
            &format!(" {value}"),
            &value.replacen("ab", "+b", 1),
            &format!("v1;t=7;{}", hex.to_uppercase()),
        ] {
            assert_eq!(UnverifiedProof::parse(other), None, "{other}");
        }
    }

    #[test]
    fn it_lives_half_a_minute() {
        let proof = UnverifiedProof { time: 100, mac: [0; 32] };
        assert!(proof.is_fresh(70) && proof.is_fresh(130));
        assert!(!proof.is_fresh(69) && !proof.is_fresh(131) && !proof.is_fresh(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(time: u64, mac: [u8; 32]) {
            prop_assert_eq!(UnverifiedProof::parse(&header_value(time, &mac)), Some(UnverifiedProof { time, mac }));
        }
    }
}
