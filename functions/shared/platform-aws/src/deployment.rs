//! What a deployment writes down for its operators: the variables of its functions, in a secret of Secrets Manager that
//! holds none, under a name that follows from the table's.

use aws_sdk_secretsmanager::Client;
use portcullis_platform::Environment;

use crate::AwsConnection;
use crate::secrets::{SourceError, source_error};

/// What the names of tables begin with; the name of the deployment follows.
const TABLES: &str = "portcullis-";
/// The variables of larger deployments come to a few kilobytes, Secrets Manager's limit is 64 KiB.
const MOST_LINES: usize = 200;

/// Returns the environment with the variables of the deployment that the table belongs to. Those that are set already
/// keep their values. Where the deployment has written down none, or the caller may not read them, the environment is
/// returned as it was; fails when Secrets Manager is unavailable.
pub async fn with_variables_of_deployment(
    environment: Environment,
    connection: &AwsConnection,
    table: &str,
) -> Result<Environment, SourceError> {
    let Some(deployment) = deployment_of(table) else { return Ok(environment) };
    let name = format!("portcullis/{deployment}/operators");
    let answer = Client::new(connection.config()).get_secret_value().secret_id(&name).send().await;
    let text = match answer.map_err(|error| source_error(&name, error)) {
        Ok(answer) => answer.secret_string.unwrap_or_default(),
        Err(SourceError::Missing(..)) => return Ok(environment),
        Err(error) => return Err(error),
    };
    Ok(variables(&text).fold(environment, |known, (name, value)| known.or(name, value)))
}

/// Returns the deployment that a table of this name belongs to; none for a name of another kind. What follows a dot tells a
/// restored table from the one before it, and is no part of the deployment's name.
fn deployment_of(table: &str) -> Option<&str> {
    let deployment = table.strip_prefix(TABLES)?;
    Some(deployment.split_once('.').map_or(deployment, |(deployment, _)| deployment))
}

/// Returns the variables in lines of the form `NAME=value`; other lines are left out.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        !name.is_empty() && name.bytes().all(allowed)
    };
    let pairs = text.lines().take(MOST_LINES).filter_map(|line| line.split_once('='));
    pairs.filter(move |(name, _)| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_table_belongs_to_the_deployment_of_the_one_before_it() {
        assert_eq!(deployment_of("portcullis-prod"), Some("prod"));
        assert_eq!(deployment_of("portcullis-prod-eu.20261130-2"), Some("prod-eu"));
        assert_eq!(deployment_of("another"), None);
    }

    #[test]
    fn a_value_is_the_rest_of_its_line_and_what_is_no_variable_is_left_out() {
        let text = "TABLE_NAME=portcullis-dev\nSERVICES={\"a\":[\"b=c\"]}\nEMPTY=\n# no = variable\n=x\nline";
        let found: Vec<_> = variables(text).collect();
        let services = r#"{"a":["b=c"]}"#;
        assert_eq!(found, [("TABLE_NAME", "portcullis-dev"), ("SERVICES", services), ("EMPTY", "")]);
        assert_eq!(variables(&"A=b\n".repeat(1_000_000)).count(), MOST_LINES);
    }
}
