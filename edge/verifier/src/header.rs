//! The JOSE header, reduced to the three members this service reads (RFC 7515 section 4).
//!
//! `jwk`, `jku`, `x5u` and `x5c` would let a token bring its own key; they are ignored like any unknown member, and the
//! key comes from the caller's own set by `kid` (RFC 8725 section 3.10).

use alloc::string::String;

use serde::de::MapAccess;

use crate::object::{self, Member, Members, Text};
use crate::{Algorithm, Rejection, base64url};

const NOT_AN_OBJECT: Rejection = Rejection::Malformed("the header is not a JSON object");
const EXTENDED: Rejection = Rejection::Malformed("the header asks for an extension");
const BAD_KID: Rejection = Rejection::Malformed("kid is not a key thumbprint");

/// A SHA-256 thumbprint in base64url (RFC 7638).
const KID_LENGTH: usize = 43;

#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
}

impl Header {
    pub(crate) fn parse(part: &str) -> Result<Self, Rejection> {
        let bytes = base64url::decode(part)?;
        let mut found = Found::default();
        object::read(&bytes, &mut found, NOT_AN_OBJECT)?;
        found.typ.filter(|typ| is_access_token(&typ.0)).ok_or(Rejection::WrongType)?;
        let algorithm =
            found.alg.and_then(|alg| Algorithm::from_name(&alg.0)).ok_or(Rejection::AlgorithmNotAllowed)?;
        let kid = found.kid.filter(|kid| is_thumbprint(&kid.0)).ok_or(BAD_KID)?.0.into_owned();
        Ok(Self { algorithm, kid })
    }
}

/// `at+jwt` is short for `application/at+jwt`, and media types ignore case (RFC 9068 section 2.1, RFC 7515 section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// Anything else could be a path or a query by the time it reaches a key store (RFC 8725 section 3.10).
pub(crate) fn is_thumbprint(kid: &str) -> bool {
    kid.len() == KID_LENGTH
        && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[derive(Default)]
struct Found<'de> {
    typ: Option<Text<'de>>,
    alg: Option<Text<'de>>,
    kid: Option<Text<'de>>,
}

impl<'de> Members<'de> for Found<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, A>) -> Result<(), A::Error> {
        match name {
            "typ" => member.into(&mut self.typ, Rejection::WrongType),
            "alg" => member.into(&mut self.alg, Rejection::AlgorithmNotAllowed),
            "kid" => member.into(&mut self.kid, BAD_KID),
            // RFC 7515 section 4.1.11 lets a reader refuse what it does not implement, and this one implements none;
            // `zip` and `enc` belong to JWE, `b64` to RFC 7797.
            "crit" | "zip" | "enc" | "b64" => member.refuse(EXTENDED),
            _ => member.ignore(),
        }
    }
}
