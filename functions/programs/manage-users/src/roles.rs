//! The commands that show what a policy allows.

use std::path::Path;

use portcullis_identity::{Policy, read_policy};
use portcullis_platform::{Environment, with_causes};
use portcullis_service::Settings;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::listing::{self, Columns};
use crate::output::{Output, members};

/// The longest policy that is read, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

pub(crate) fn list(output: Output, environment: &Environment) -> Result<(), Failure> {
    print(output, &Settings::read(environment)?.identity.policy)?;
    output.note(match environment.raw("ROLE_DEFINITIONS") {
        Some(_) => "read ROLE_DEFINITIONS",
        None => "read the policy that ships",
    });
    Ok(())
}

pub(crate) fn check(output: Output, file: &Path) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::Unusable(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(unreadable)?.len() > LONGEST_FILE {
        return Err(Failure::Refused(format!("{} is longer than {LONGEST_FILE} bytes", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let policy = read_policy(&text)
        .map_err(|error| Failure::Refused(format!("{}: {}", file.display(), with_causes(&error))))?;
    print(output, &policy)
}

fn print(output: Output, policy: &Policy) -> Result<(), Failure> {
    let names = ["role", "permissions", "services", "requires", "healthy_provider", "approval"]
        .map(str::to_owned)
        .to_vec();
    let columns = Columns { names, are_chosen: false, headers: true };
    listing::print(output, &columns, policy.roles().map(|role| described(policy, role)).collect())
}

fn described(policy: &Policy, role: &str) -> Map<String, Value> {
    let permissions = policy.permissions(&[role]).into_iter().map(ToString::to_string);
    members([
        ("role", role.into()),
        ("permissions", permissions.collect()),
        ("services", policy.services(&[role]).into_iter().map(str::to_owned).collect()),
        ("requires", policy.required(&[role]).as_str().into()),
        (
            "healthy_provider",
            policy.with_healthy_provider(&[role]).into_iter().map(ToString::to_string).collect(),
        ),
        ("approval", policy.approval_rules(&[role]).map(ToString::to_string).collect()),
    ])
}
