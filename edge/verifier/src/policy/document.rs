//! The policy as it is written: JSON in, role definitions out.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::approval::{self, ApprovalRule};
use super::{EVERY_SERVICE, Grant, PolicyError, is_word};
use crate::Assurance;
use crate::strict_value::StrictValue;

/// Role definitions, each name once and in the order of the names, so that a place in the list names a role too.
#[derive(Debug, Default)]
pub(super) struct Document {
    roles: Vec<(String, Definition)>,
}

/// One role as it is written, its words checked.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) inherits: Vec<String>,
    pub(super) grants: Vec<Grant>,
    pub(super) services: Vec<String>,
    /// How surely its holders must have proved who they are.
    pub(super) required: Assurance,
    /// What they may do only while the provider it is meant for is healthy.
    pub(super) with_healthy_provider: Vec<Grant>,
    /// When their orders need an approval.
    pub(super) approval: Vec<Arc<ApprovalRule>>,
}

impl Document {
    /// The place of a role.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.place(name).ok()
    }

    /// The role at a place.
    pub(super) fn role(&self, place: usize) -> Option<(&str, &Definition)> {
        self.roles.get(place).map(|(name, definition)| (name.as_str(), definition))
    }

    /// How many roles there are.
    pub(super) fn len(&self) -> usize {
        self.roles.len()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.roles.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

/// Reads the document and checks each role by itself.
pub(super) fn parse(json: &str) -> Result<Document, PolicyError> {
    let mut offence = None;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let written = Roles { offence: &mut offence }.deserialize(&mut deserializer);
    written
        .and_then(|roles| deserializer.end().map(|()| roles))
        .map_err(|error| offence.unwrap_or_else(|| PolicyError::Json { reason: error.to_string() }))
}

/// Reads one role; each of its members may be left out.
fn checked(role: &str, written: &StrictValue) -> Result<Definition, PolicyError> {
    const MEMBERS: &str =
        "is no object of `inherits`, `permissions`, `services`, lists of texts, and `requires`";
    let misshapen = || PolicyError::Definition { role: role.to_string(), reason: MEMBERS.to_string() };
    let StrictValue::Object(members) = written else { return Err(misshapen()) };
    let mut definition = Definition::default();
    for (name, value) in members {
        match name.as_str() {
            "inherits" => definition.inherits = texts(value).ok_or_else(misshapen)?,
            "permissions" => definition.grants = granted(role, &texts(value).ok_or_else(misshapen)?)?,
            "services" => definition.services = texts(value).ok_or_else(misshapen)?,
            "requires" if *value == StrictValue::Null => {}
            "requires" => required(role, value, &mut definition)?,
            _ => return Err(misshapen()),
        }
    }
    match definition.services.iter().find(|name| *name != EVERY_SERVICE && !is_word(name)) {
        Some(service) => Err(PolicyError::Service { service: service.clone(), role: role.to_string() }),
        None => Ok(definition),
    }
}

/// Reads what a role asks of its holders.
fn required(role: &str, written: &StrictValue, definition: &mut Definition) -> Result<(), PolicyError> {
    const MEMBERS: &str = "`requires` is no object of `acr`, `healthy_provider` and `approval`";
    let misshapen = || PolicyError::Definition { role: role.to_string(), reason: MEMBERS.to_string() };
    let StrictValue::Object(members) = written else { return Err(misshapen()) };
    let mut is_something = false;
    for (name, value) in members {
        is_something |= match (name.as_str(), value) {
            ("acr" | "approval", StrictValue::Null) => false,
            ("acr", StrictValue::Text(acr)) => {
                let offence = || PolicyError::Requirement { role: role.to_string(), acr: acr.clone() };
                definition.required = Assurance::named(acr).ok_or_else(offence)?;
                true
            }
            ("healthy_provider", list) => {
                definition.with_healthy_provider = granted(role, &texts(list).ok_or_else(misshapen)?)?;
                !definition.with_healthy_provider.is_empty()
            }
            ("approval", rules) => {
                definition.approval = approval::checked(rules)
                    .map_err(|mistake| PolicyError::Approval { role: role.to_string(), mistake })?;
                true
            }
            _ => return Err(misshapen()),
        };
    }
    if is_something { Ok(()) } else { Err(PolicyError::NothingRequired { role: role.to_string() }) }
}

fn texts(list: &StrictValue) -> Option<Vec<String>> {
    Some(list.as_texts()?.into_iter().map(ToString::to_string).collect())
}

/// Reads the permissions of a role; names the one that is none.
fn granted(role: &str, permissions: &[String]) -> Result<Vec<Grant>, PolicyError> {
    let grant = |text: &String| {
        text.parse::<Grant>().map_err(|cause| PolicyError::Permission {
            role: role.to_string(),
            permission: text.clone(),
            cause,
        })
    };
    permissions.iter().map(grant).collect()
}

/// Visits the roles. A parser's error does not say in which role it happened, so `offence` keeps it; and collecting
/// into a map would let the second of two equal names win.
struct Roles<'a> {
    offence: &'a mut Option<PolicyError>,
}

impl<'de> DeserializeSeed<'de> for Roles<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Roles<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of roles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut document = Document::default();
        while let Some(role) = map.next_key::<String>()? {
            if !is_word(&role) {
                return Err(offend(self.offence, PolicyError::Name { role }));
            }
            let Err(place) = document.place(&role) else {
                return Err(offend(self.offence, PolicyError::Duplicate { role }));
            };
            let written: StrictValue = map.next_value().map_err(|error| {
                let reason = error.to_string();
                offend(self.offence, PolicyError::Definition { role: role.clone(), reason })
            })?;
            let definition = checked(&role, &written).map_err(|offence| offend(self.offence, offence))?;
            document.roles.insert(place, (role, definition));
        }
        Ok(document)
    }
}

/// Keeps the offence and stops the parser.
fn offend<E: Error>(kept: &mut Option<PolicyError>, offence: PolicyError) -> E {
    *kept = Some(offence);
    E::custom("a role is at fault")
}
