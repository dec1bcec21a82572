//! One JSON object read once, member by member, with no name twice (RFC 7515 section 4, RFC 7519 section 4).
//!
//! Which of two equal names counts is left open by RFC 8259 section 4; two readers that choose differently would see
//! two tokens. This holds at every depth, which `serde_json` limits to 128. Names are compared after their escapes are resolved: `"\u0065xp"` is `"exp"`.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::Rejection;

/// Text borrowed from the document unless it contains escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'t>(#[serde(borrow)] pub(crate) Cow<'t, str>);

/// Where the members of an object go.
pub(crate) trait Members<'de> {
    /// Takes the value of one member. `member.blame` is what a failure means.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, A>) -> Result<(), A::Error>;
}

/// The value of a member, not read yet.
pub(crate) struct Member<'m, A> {
    map: &'m mut A,
    blame: &'m mut Rejection,
}

impl<'de, A: MapAccess<'de>> Member<'_, A> {
    /// Reads the value into `slot`; if it has another type, the object is rejected for that reason.
    pub(crate) fn into<T: Deserialize<'de>>(
        self,
        slot: &mut Option<T>,
        otherwise: Rejection,
    ) -> Result<(), A::Error> {
        *self.blame = otherwise;
        *slot = Some(self.map.next_value()?);
        Ok(())
    }

    /// Reads the value with what the seed knows.
    pub(crate) fn seeded<S>(self, seed: S, otherwise: Rejection) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        *self.blame = otherwise;
        self.map.next_value_seed(seed)
    }

    /// Rejects the object for having this member, whatever its value.
    pub(crate) fn refuse(self, reason: Rejection) -> Result<(), A::Error> {
        *self.blame = reason;
        Err(A::Error::custom("a member that is not allowed"))
    }

    /// Passes over the value, once it is known to hold no name twice either.
    pub(crate) fn ignore(self) -> Result<(), A::Error> {
        self.map.next_value::<Sound>().map(drop)
    }
}

/// Reads `bytes`, which must be one JSON object in UTF-8 and nothing more, or be rejected as `malformed`.
pub(crate) fn read<'de, M: Members<'de>>(
    bytes: &'de [u8],
    members: &mut M,
    malformed: Rejection,
) -> Result<(), Rejection> {
    // serde_json does not look at the bytes of strings it skips, so the encoding is settled first.
    let text = core::str::from_utf8(bytes).map_err(|_| malformed)?;
    let mut blame = malformed;
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Reader { members, malformed, blame: &mut blame }).map_err(|_| blame)?;
    json.end().map_err(|_| malformed)
}

/// The names so far. Honest objects have a handful, which are found fastest by looking at each; the tree keeps a hostile
/// one with thousands from costing their square.
#[derive(Default)]
struct Seen<'de> {
    first: Vec<Cow<'de, str>>,
    rest: BTreeSet<String>,
}

impl<'de> Seen<'de> {
    const FEW: usize = 16;

    fn contains(&self, name: &str) -> bool {
        self.first.iter().any(|seen| seen == name) || self.rest.contains(name)
    }

    fn insert(&mut self, name: Cow<'de, str>) {
        if self.first.is_empty() {
            self.first.reserve_exact(Self::FEW);
        }
        if self.first.len() < Self::FEW {
            self.first.push(name);
        } else {
            self.rest.insert(name.into_owned());
        }
    }
}

struct Reader<'r, M> {
    members: &'r mut M,
    malformed: Rejection,
    blame: &'r mut Rejection,
}

impl<'de, M: Members<'de>> Visitor<'de> for Reader<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without duplicate names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        while let Some(Text(name)) = map.next_key()? {
            if seen.contains(&name) {
                *self.blame = Rejection::Malformed("a name occurs twice");
                return Err(A::Error::custom("a name occurs twice"));
            }
            self.members.take(&name, Member { map: &mut map, blame: self.blame })?;
            *self.blame = self.malformed;
            seen.insert(name);
        }
        Ok(())
    }
}

/// Any JSON value without duplicate names; it is checked and forgotten.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without duplicate names")
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = Seen::default();
        while let Some(Text(name)) = map.next_key()? {
            if seen.contains(&name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
            map.next_value::<Self>()?;
            seen.insert(name);
        }
        Ok(self)
    }
}
