//! Reading `ROLE_DEFINITIONS`, and telling whoever still has one of the two forms that platforms had before what to write.

use portcullis_verifier::Assurance;
use portcullis_verifier::policy::{Policy, PolicyError};
use serde_json::{Map, Value};

/// What a sign-in reaches with every factor that can be enrolled.
const STRONGEST_SIGN_IN: Assurance = Assurance::Aal2;
/// The members of a role in the present form.
const MEMBERS: [&str; 4] = ["inherits", "permissions", "services", "requires"];

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusablePolicy {
    /// It has a form of before; this is what it says in the present one.
    #[error("has an older form; write {0}")]
    Older(String),
    /// It has none, or says what no policy may say.
    #[error(transparent)]
    Wrong(#[from] PolicyError),
    /// Everybody who has this role would be locked out.
    #[error("role `{0}`: requires more than {STRONGEST_SIGN_IN}, the strongest sign-in there is")]
    OutOfReach(String),
}

/// Reads a policy in the form of `ROLE_DEFINITIONS`; fails with what is wrong, or with what to write instead.
pub fn read_policy(document: &str) -> Result<Policy, UnusablePolicy> {
    let policy = Policy::parse(document)
        .map_err(|error| rewritten(document).map_or(UnusablePolicy::Wrong(error), UnusablePolicy::Older))?;
    let out_of_reach = policy.roles().find(|role| policy.required(&[role]) > STRONGEST_SIGN_IN);
    if let Some(role) = out_of_reach {
        return Err(UnusablePolicy::OutOfReach(role.to_owned()));
    }
    Ok(policy)
}

/// Returns a policy in the present form; `None` where no role of it has an older form: a list of permissions, or an
/// object of resources, each with its actions.
///
/// It is told and not used: the edge reads the same text and would refuse it.
fn rewritten(json: &str) -> Option<String> {
    let roles: Map<String, Value> = serde_json::from_str(json).ok()?;
    let is_older = roles.values().any(|role| permissions(role).is_some());
    let present = |(name, role): (String, Value)| match permissions(&role) {
        Some(permissions) => (name, serde_json::json!({ "permissions": permissions })),
        None => (name, role),
    };
    is_older.then(|| Value::from(roles.into_iter().map(present).collect::<Map<_, _>>()).to_string())
}

fn permissions(role: &Value) -> Option<Vec<String>> {
    match role {
        Value::Array(listed) => texts(listed),
        Value::Object(members) if !members.is_empty() => {
            let is_present = members.keys().any(|name| MEMBERS.contains(&name.as_str()));
            if is_present { None } else { by_resource(members) }
        }
        _ => None,
    }
}

fn by_resource(resources: &Map<String, Value>) -> Option<Vec<String>> {
    let mut permissions = Vec::new();
    for (resource, actions) in resources {
        let actions = match actions {
            Value::String(one) => vec![one.clone()],
            several => texts(several.as_array()?)?,
        };
        permissions.extend(actions.into_iter().map(|action| format!("{resource}:{action}")));
    }
    Some(permissions)
}

fn texts(values: &[Value]) -> Option<Vec<String>> {
    values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_older_forms_are_written_in_the_present_one() {
        for older in [
            r#"{"admin":["*:*"],"user":["profile:read","portfolio:read"]}"#,
            r#"{"admin":{"*":["*"]},"user":{"profile":["read"],"portfolio":"read"}}"#,
        ] {
            let present = rewritten(older).unwrap();
            let wanted = r#"{"admin":{"permissions":["*:*"]},"user":{"permissions":["#;
            assert!(present.starts_with(wanted), "{present}");
            assert!(Policy::parse(&present).is_ok(), "{present}");
        }
    }

    #[test]
    fn what_has_the_present_form_or_none_is_left_alone() {
        for other in
            ["", "[]", "{}", r#"{"admin":{}}"#, r#"{"admin":{"permissions":["*:*"]}}"#, r#"{"a":[1]}"#]
        {
            assert_eq!(rewritten(other), None, "{other}");
        }
    }
}
