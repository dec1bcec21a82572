//! `ROLE_DEFINITIONS` in the two forms that platforms had before: what they say in the present one.

use serde_json::{Map, Value};

/// The members of a role in the present form.
const MEMBERS: [&str; 3] = ["inherits", "permissions", "services"];

/// Returns a policy in the present form; `None` where no role of it has an older form: a list of permissions, or an
/// object of resources, each with its actions.
///
/// It is told and not used: the edge reads the same text and would refuse it.
pub(crate) fn rewritten(json: &str) -> Option<String> {
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
    use portcullis_verifier::policy::Policy;

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
