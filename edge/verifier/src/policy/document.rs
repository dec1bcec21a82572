//! The policy as it is written: JSON in, role definitions out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::approval::{self, ApprovalRule, WrittenRule};
use super::{EVERY_SERVICE, Grant, PolicyError, is_word};
use crate::Assurance;
use crate::strict_object::StrictObject;

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
    pub(super) approval: Vec<ApprovalRule>,
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

fn checked(role: &str, written: Written) -> Result<Definition, PolicyError> {
    if let Some(service) = written.services.iter().find(|name| *name != EVERY_SERVICE && !is_word(name)) {
        return Err(PolicyError::Service { service: service.clone(), role: role.to_string() });
    }
    let grants = granted(role, &written.permissions)?;
    let (mut required, mut with_healthy_provider, mut approval) =
        (Assurance::default(), Vec::new(), Vec::new());
    if let Some(StrictObject(requirement)) = written.requires {
        let is_nothing = requirement.acr.is_none() && requirement.healthy_provider.is_empty();
        if is_nothing && requirement.approval.is_none() {
            return Err(PolicyError::NothingRequired { role: role.to_string() });
        }
        if let Some(acr) = requirement.acr {
            required = Assurance::named(&acr)
                .ok_or_else(|| PolicyError::Requirement { role: role.to_string(), acr })?;
        }
        with_healthy_provider = granted(role, &requirement.healthy_provider)?;
        if let Some(rules) = requirement.approval {
            approval = approval::checked(rules)
                .map_err(|mistake| PolicyError::Approval { role: role.to_string(), mistake })?;
        }
    }
    let Written { inherits, services, .. } = written;
    Ok(Definition { inherits, grants, services, required, with_healthy_provider, approval })
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

/// One role as JSON has it. Serde itself refuses a field that appears twice.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    inherits: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    requires: Option<StrictObject<Requirement>>,
}

/// What a role asks of its holders, as JSON has it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    acr: Option<String>,
    #[serde(default)]
    healthy_provider: Vec<String>,
    approval: Option<Vec<StrictObject<WrittenRule>>>,
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
            let written = map.next_value_seed(AsObject).map_err(|error| {
                let reason = error.to_string();
                offend(self.offence, PolicyError::Definition { role: role.clone(), reason })
            })?;
            let definition = checked(&role, written).map_err(|offence| offend(self.offence, offence))?;
            document.roles.insert(place, (role, definition));
        }
        Ok(document)
    }
}

/// Reads a role from an object only: what serde derives would also take an array, field by field in order.
struct AsObject;

impl<'de> DeserializeSeed<'de> for AsObject {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AsObject {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `inherits`, `permissions`, `services` and `requires`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
        Written::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Keeps the offence and stops the parser.
fn offend<E: Error>(kept: &mut Option<PolicyError>, offence: PolicyError) -> E {
    *kept = Some(offence);
    E::custom("a role is at fault")
}
