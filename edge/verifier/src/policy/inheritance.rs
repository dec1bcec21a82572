//! What each role allows once everything it inherits is added.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec;

use super::document::Document;
use super::{Effective, PolicyError};

/// Works out every role, or names one that cannot be.
pub(super) fn resolve(document: &Document) -> Result<BTreeMap<String, Effective>, PolicyError> {
    document.keys().map(|role| Ok((role.clone(), effective(document, role)?))).collect()
}

fn effective(document: &Document, role: &str) -> Result<Effective, PolicyError> {
    let mut effective = Effective::default();
    for (name, _) in lineage(document, role)? {
        if let Some(definition) = document.get(name) {
            effective.grants.extend(definition.grants.iter().cloned());
            effective.services.extend(definition.services.iter().cloned());
        }
    }
    Ok(effective)
}

/// The role and all it inherits from, each with the heir through which it was reached first (the role itself with
/// itself). A queue, so that a long chain of roles costs no stack.
fn lineage<'a>(document: &'a Document, role: &'a str) -> Result<BTreeMap<&'a str, &'a str>, PolicyError> {
    let mut heirs = BTreeMap::from([(role, role)]);
    let mut queue = VecDeque::from([role]);
    while let Some(heir) = queue.pop_front() {
        let parents = document.get(heir).map(|definition| definition.inherits.as_slice()).unwrap_or_default();
        for parent in parents.iter().map(String::as_str) {
            if !document.contains_key(parent) {
                return Err(PolicyError::UnknownParent {
                    role: heir.to_string(),
                    parent: parent.to_string(),
                });
            }
            if parent == role {
                return Err(PolicyError::Cycle {
                    role: role.to_string(),
                    path: way_around(&heirs, role, heir),
                });
            }
            if !heirs.contains_key(parent) {
                heirs.insert(parent, heir);
                queue.push_back(parent);
            }
        }
    }
    Ok(heirs)
}

/// The way from the role back to itself, whose last step starts at `last`.
fn way_around<'a>(heirs: &BTreeMap<&'a str, &'a str>, role: &'a str, last: &'a str) -> String {
    let mut path = vec![role, last];
    let mut step = last;
    while let Some(heir) = heirs.get(step).filter(|_| step != role) {
        path.push(heir);
        step = heir;
    }
    path.reverse();
    path.join(" → ")
}
