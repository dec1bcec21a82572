//! The configuration of a function in the cloud, beside the settings that all programs share.

use std::time::Duration;

use portcullis_platform::{CALL_TIMEOUT_MS, CallTimeouts, Environment, Misconfigured, Variable};
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;

/// The table of the deployment.
pub const TABLE_NAME: Variable =
    Variable { name: "TABLE_NAME", default: "", about: "name of the DynamoDB table", aliases: &[] };
/// The master key of data keys.
pub const KMS_KEY_ID: Variable = Variable {
    name: "KMS_KEY_ID",
    default: "",
    about: "id, ARN or alias of the KMS key that wraps data keys",
    aliases: &[],
};
/// The master key of the data keys of broker credentials.
pub const BROKER_KMS_KEY_ID: Variable = Variable {
    name: "BROKER_KMS_KEY_ID",
    default: "",
    about: "id, ARN or alias of the KMS key that wraps the data keys of broker credentials; KMS_KEY_ID when unset",
    aliases: &[],
};
/// The sender of mail.
pub const MAIL_FROM: Variable = Variable {
    name: "MAIL_FROM",
    default: "",
    about: "address that mail comes from; SES, or the mail server, must know it to be yours",
    aliases: &[],
};
const SECRETS_PROVIDER: Variable = Variable {
    name: "SECRETS_PROVIDER",
    default: "aws",
    about: "where secrets are kept: `aws` (Secrets Manager) or `vault` (HashiCorp Vault, KV version 2)",
    aliases: &[],
};
/// What the names of the deployment's secrets begin with.
pub const AWS_SECRET_NAME: Variable = Variable {
    name: "AWS_SECRET_NAME",
    default: "",
    about: "what the names of the secrets in Secrets Manager begin with: a JSON object by the names of secrets for each purpose",
    aliases: &[],
};
const VAULT_ADDR: Variable = Variable {
    name: "VAULT_ADDR",
    default: "",
    about: "address of Vault: https://host:port; plain http only on loopback",
    aliases: &[],
};
const VAULT_SECRET_PATH: Variable = Variable {
    name: "VAULT_SECRET_PATH",
    default: "",
    about: "mount and path of the secret in Vault, as `vault kv get` takes them",
    aliases: &[],
};
const VAULT_VERIFY: Variable = Variable {
    name: "VAULT_VERIFY",
    default: "true",
    about: "whether Vault's certificate is checked: `true`, `false` (loopback only) or a PEM file with the authority",
    aliases: &[],
};
const VAULT_TIMEOUT: Variable = Variable {
    name: "VAULT_TIMEOUT",
    default: "2",
    about: "timeout of a request to Vault in seconds, 1 to 4",
    aliases: &[],
};
const VAULT_TOKEN: &str = "VAULT_TOKEN";

/// The variables that [`HashicorpVaultSettings::read`] reads.
pub const VAULT_VARIABLES: &[Variable] = &[VAULT_ADDR, VAULT_SECRET_PATH, VAULT_VERIFY, VAULT_TIMEOUT];

/// The name of the deployment in its metrics.
pub(crate) const ENVIRONMENT: Variable = Variable {
    name: "ENVIRONMENT",
    default: "dev",
    about: "name of the deployment, the dimension `environment` of its metrics",
    aliases: &[],
};
/// `webauthn-rs` writes errors about whatever a stranger sends: why a passkey is refused is said by `portcullis_identity`.
const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: "warn,portcullis_http=info,webauthn_rs_core=off",
    about: "what is logged: a level, or levels by module, separated by commas",
    aliases: &[],
};

/// The variables that [`AwsSettings::read`] reads. `AWS_REGION`, `AWS_PROFILE` and the like are read by the SDK, `VAULT_TOKEN` is a secret.
pub const VARIABLES: &[Variable] = &[
    TABLE_NAME,
    KMS_KEY_ID,
    BROKER_KMS_KEY_ID,
    MAIL_FROM,
    SECRETS_PROVIDER,
    AWS_SECRET_NAME,
    VAULT_ADDR,
    VAULT_SECRET_PATH,
    VAULT_VERIFY,
    VAULT_TIMEOUT,
    CALL_TIMEOUT_MS,
    ENVIRONMENT,
    RUST_LOG,
];

/// The validated configuration of a function.
#[derive(Debug)]
pub struct AwsSettings {
    /// The name of the DynamoDB table.
    pub table: String,
    /// The id, ARN or alias of the KMS key that wraps data keys.
    pub kms_key: String,
    /// The id, ARN or alias of the KMS key that wraps the data keys of broker credentials.
    pub broker_kms_key: String,
    /// The address that mail comes from.
    pub mail_from: String,
    /// The provider of the secrets.
    pub secrets: SecretsProvider,
    /// The timeouts of calls to AWS.
    pub timeouts: CallTimeouts,
    /// The log filter. It cannot filter by the fields of spans, which would add a regular-expression engine to every
    /// function.
    pub log: Targets,
}

/// The provider that secrets are read from.
#[derive(Debug)]
pub enum SecretsProvider {
    /// AWS Secrets Manager, under this name or ARN.
    SecretsManager(String),
    /// HashiCorp Vault, KV version 2.
    HashicorpVault(HashicorpVaultSettings),
}

/// The validated configuration of the client for HashiCorp Vault.
#[derive(Debug)]
pub struct HashicorpVaultSettings {
    /// The scheme, host and port of the server.
    pub address: reqwest::Url,
    /// The mount and path of the secret.
    pub path: String,
    /// The token that authenticates the requests.
    pub token: SecretString,
    /// The check of the server's certificate.
    pub verify: HashicorpVaultVerification,
    /// The timeout of one request.
    pub timeout: Duration,
}

/// The check of Vault's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashicorpVaultVerification {
    /// Against the authorities of the system.
    System,
    /// Against this authority, in PEM.
    Authority(Vec<u8>),
    /// No check, for a server on loopback only.
    Off,
}

impl AwsSettings {
    /// Returns the settings that the variables of [`VARIABLES`] make; fails with the first one that is missing or
    /// unusable.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let secrets = match environment.text(&SECRETS_PROVIDER)?.as_str() {
            "aws" => SecretsProvider::SecretsManager(required(environment, &AWS_SECRET_NAME)?),
            "vault" => SecretsProvider::HashicorpVault(HashicorpVaultSettings::read(environment)?),
            _ => return Err(Misconfigured::new(SECRETS_PROVIDER.name, "is neither `aws` nor `vault`")),
        };
        let log = environment.parse(&RUST_LOG)?;
        let (table, kms_key) = (required(environment, &TABLE_NAME)?, required(environment, &KMS_KEY_ID)?);
        let mail_from = mail_from(environment)?;
        let broker_kms_key = broker_kms_key(environment, &kms_key)?;
        let timeouts = CallTimeouts::read(environment)?;
        Ok(Self { table, kms_key, broker_kms_key, mail_from, secrets, timeouts, log })
    }
}

/// Returns the sender of mail; fails when it is missing or no address.
pub fn mail_from(environment: &Environment) -> Result<String, Misconfigured> {
    let mail_from = required(environment, &MAIL_FROM)?;
    if !mail_from.contains('@') || mail_from.contains(char::is_control) {
        return Err(Misconfigured::new(MAIL_FROM.name, "is not an address"));
    }
    Ok(mail_from)
}

/// Returns the master key of broker credentials, which is `kms_key` where they have none of their own.
pub fn broker_kms_key(environment: &Environment, kms_key: &str) -> Result<String, Misconfigured> {
    let own = Some(environment.text(&BROKER_KMS_KEY_ID)?).filter(|key| !key.is_empty());
    Ok(own.unwrap_or_else(|| kms_key.to_owned()))
}

impl HashicorpVaultSettings {
    /// Returns the settings that the variables of [`VAULT_VARIABLES`] and the secret `VAULT_TOKEN` make; fails with the first
    /// one that is missing or unusable.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let address: reqwest::Url = environment.parse(&VAULT_ADDR)?;
        let is_local = matches!(address.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if address.scheme() != "https" && !is_local {
            return Err(Misconfigured::new(VAULT_ADDR.name, "is not https, and the token would be readable"));
        }
        let verify = match environment.text(&VAULT_VERIFY)?.as_str() {
            "true" => HashicorpVaultVerification::System,
            "false" if is_local => HashicorpVaultVerification::Off,
            "false" => {
                return Err(Misconfigured::new(VAULT_VERIFY.name, "may be `false` on loopback only"));
            }
            file => HashicorpVaultVerification::Authority(
                std::fs::read(file)
                    .map_err(|error| Misconfigured::new(VAULT_VERIFY.name, error.to_string()))?,
            ),
        };
        let token = environment
            .raw(VAULT_TOKEN)
            .ok_or_else(|| Misconfigured::new(VAULT_TOKEN, "must be set for SECRETS_PROVIDER=vault"))?;
        Ok(Self {
            path: required(environment, &VAULT_SECRET_PATH)?,
            token: SecretString::from(token),
            timeout: environment.seconds(&VAULT_TIMEOUT, 1..=4)?,
            address,
            verify,
        })
    }
}

/// Returns the text of a variable that has no default; fails when it is unset.
pub fn required(environment: &Environment, variable: &'static Variable) -> Result<String, Misconfigured> {
    Some(environment.text(variable)?)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Misconfigured::new(variable.name, "must be set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<AwsSettings, String> {
        AwsSettings::read(&pairs.iter().copied().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_has_no_default_is_named_when_it_is_missing() {
        assert_eq!(read(&[]).unwrap_err(), "AWS_SECRET_NAME: must be set");
        assert_eq!(read(&[("AWS_SECRET_NAME", "x")]).unwrap_err(), "TABLE_NAME: must be set");
        let without_key = [("AWS_SECRET_NAME", "x"), ("TABLE_NAME", "y")];
        assert_eq!(read(&without_key).unwrap_err(), "KMS_KEY_ID: must be set");
        let without_sender = [without_key[0], without_key[1], ("KMS_KEY_ID", "z")];
        assert_eq!(read(&without_sender).unwrap_err(), "MAIL_FROM: must be set");
        let [name, table, key] = without_sender;
        assert!(read(&[name, table, key, ("MAIL_FROM", "auth@example.com")]).is_ok());
        assert!(read(&[name, table, key, ("MAIL_FROM", "us")]).unwrap_err().starts_with("MAIL_FROM: "));
    }

    #[test]
    fn vault_is_asked_over_tls_with_a_checked_certificate_unless_it_is_on_this_machine() {
        let vault = |address, verify| {
            read(&[
                ("SECRETS_PROVIDER", "vault"),
                ("VAULT_ADDR", address),
                ("VAULT_TOKEN", "hvs.hunter2"),
                ("VAULT_SECRET_PATH", "secret/portcullis"),
                ("VAULT_VERIFY", verify),
                ("TABLE_NAME", "t"),
                ("KMS_KEY_ID", "k"),
                ("MAIL_FROM", "auth@example.com"),
            ])
        };
        assert!(vault("https://vault.example:8200", "true").is_ok());
        assert!(vault("http://127.0.0.1:8200", "false").is_ok());
        assert!(vault("http://vault.example:8200", "true").unwrap_err().starts_with("VAULT_ADDR: "));
        assert!(vault("https://vault.example:8200", "false").unwrap_err().starts_with("VAULT_VERIFY: "));
        assert!(vault("https://vault.example", "/no/such/file").unwrap_err().starts_with("VAULT_VERIFY: "));
        assert!(!format!("{:?}", vault("http://localhost:8200", "true").unwrap()).contains("hunter2"));
    }
}
