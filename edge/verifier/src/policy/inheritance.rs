//! What each role allows once everything it inherits is added.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::document::Document;
use super::{Effective, PolicyError};

/// Works out every role, in the order of the names, or names one that cannot be.
pub(super) fn resolve(document: &Document) -> Result<Vec<(String, Effective)>, PolicyError> {
    let mut roles = Vec::with_capacity(document.len());
    for place in 0..document.len() {
        if let Some((name, _)) = document.role(place) {
            roles.push((name.to_string(), effective(document, place)?));
        }
    }
    Ok(roles)
}

fn effective(document: &Document, role: usize) -> Result<Effective, PolicyError> {
    let mut effective = Effective::default();
    for place in lineage(document, role)? {
        if let Some((_, definition)) = document.role(place) {
            add(&mut effective.grants, &definition.grants);
            add(&mut effective.services, &definition.services);
            // The highest need counts: a role that inherits from an administrator's is no way around it.
            effective.required = effective.required.max(definition.required);
            add(&mut effective.with_healthy_provider, &definition.with_healthy_provider);
            effective.approval.extend_from_slice(&definition.approval);
        }
    }
    Ok(effective)
}

/// Adds what is not there yet. A role has so few that looking at each is the quickest.
fn add<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

/// The places of the role and of all it inherits from. A list that grows while it is read, so that a long chain of
/// roles costs no stack.
fn lineage(document: &Document, role: usize) -> Result<Vec<usize>, PolicyError> {
    // For each role that was reached, the heir through which it was reached first (the role itself through itself).
    let mut heirs = vec![None; document.len()];
    let mut lineage = vec![role];
    let mut next = 0;
    while let Some(&heir) = lineage.get(next) {
        next += 1;
        let Some((name, definition)) = document.role(heir) else { continue };
        for parent in &definition.inherits {
            let Some(place) = document.find(parent) else {
                return Err(PolicyError::UnknownParent { role: name.to_string(), parent: parent.clone() });
            };
            if place == role {
                return Err(circle(document, &heirs, role, heir));
            }
            if let Some(reached) = heirs.get_mut(place).filter(|reached| reached.is_none()) {
                *reached = Some(heir);
                lineage.push(place);
            }
        }
    }
    Ok(lineage)
}

/// The role inherits from itself: told with the way around, whose last step starts at `last`.
fn circle(document: &Document, heirs: &[Option<usize>], role: usize, last: usize) -> PolicyError {
    let name = |place| document.role(place).map_or("", |(name, _)| name);
    let mut path = vec![name(role), name(last)];
    let mut step = last;
    while let Some(heir) = heirs.get(step).copied().flatten().filter(|_| step != role) {
        path.push(name(heir));
        step = heir;
    }
    path.reverse();
    PolicyError::Cycle { role: name(role).to_string(), path: path.join(" → ") }
}
