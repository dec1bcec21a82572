//! The claims as they come out of the JSON: every type checked, nothing compared yet but the audience.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::object::{self, Member, Members, Text};
use crate::{Assurance, Rejection};

const NOT_AN_OBJECT: Rejection = Rejection::Malformed("the claims are not a JSON object");

/// Times are `u64`, which narrows the `NumericDate` of RFC 7519 section 2 to whole seconds since 1970: no fraction, no
/// sign, no exponent.
#[derive(Debug)]
pub(crate) struct Payload<'e> {
    audience: &'e str,
    pub(crate) iss: Option<String>,
    pub(crate) is_for_audience: Option<bool>,
    pub(crate) sub: Option<String>,
    pub(crate) iat: Option<u64>,
    pub(crate) exp: Option<u64>,
    pub(crate) nbf: Option<u64>,
    pub(crate) jti: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) session_id: Option<String>,
    pub(crate) epoch: Option<u64>,
    pub(crate) token_type: Option<String>,
    pub(crate) auth_time: Option<u64>,
    pub(crate) amr: Option<Vec<String>>,
    pub(crate) acr: Option<Assurance>,
}

impl<'e> Payload<'e> {
    /// Reads the claims, looking for `audience` in `aud`.
    pub(crate) fn parse(bytes: &[u8], audience: &'e str) -> Result<Self, Rejection> {
        let mut payload = Self {
            audience,
            iss: None,
            is_for_audience: None,
            sub: None,
            iat: None,
            exp: None,
            nbf: None,
            jti: None,
            email: None,
            roles: None,
            session_id: None,
            epoch: None,
            token_type: None,
            auth_time: None,
            amr: None,
            acr: None,
        };
        object::read(bytes, &mut payload, NOT_AN_OBJECT)?;
        Ok(payload)
    }
}

impl<'de> Members<'de> for Payload<'_> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, A>) -> Result<(), A::Error> {
        use Rejection::Claim;
        match name {
            "iss" => member.into(&mut self.iss, Claim("iss")),
            "aud" => {
                self.is_for_audience = Some(member.seeded(Wanted(self.audience), Claim("aud"))?);
                Ok(())
            }
            "sub" => member.into(&mut self.sub, Claim("sub")),
            "iat" => member.into(&mut self.iat, Claim("iat")),
            "exp" => member.into(&mut self.exp, Claim("exp")),
            "nbf" => member.into(&mut self.nbf, Claim("nbf")),
            "jti" => member.into(&mut self.jti, Claim("jti")),
            "email" => member.into(&mut self.email, Claim("email")),
            "roles" => member.into(&mut self.roles, Claim("roles")),
            "session_id" => member.into(&mut self.session_id, Claim("session_id")),
            "epoch" => member.into(&mut self.epoch, Claim("epoch")),
            "token_type" => member.into(&mut self.token_type, Claim("token_type")),
            "auth_time" => member.into(&mut self.auth_time, Claim("auth_time")),
            "amr" => member.into(&mut self.amr, Claim("amr")),
            "acr" => member.into(&mut self.acr, Claim("acr")),
            _ => member.ignore(),
        }
    }
}

/// Whether a string is, or an array of strings contains, the wanted one (RFC 7519 section 4.1.3).
struct Wanted<'e>(&'e str);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: Error>(self, audience: &str) -> Result<bool, E> {
        Ok(audience == self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut audiences: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(Text(audience)) = audiences.next_element()? {
            found |= audience == self.0;
        }
        Ok(found)
    }
}
