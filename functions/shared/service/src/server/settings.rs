//! The configuration of a server, beside the settings that all programs share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_http::PUBLIC_URL;
use portcullis_platform::{
    CALL_TIMEOUT_MS, CallTimeouts, Entropy, Environment, Misconfigured, TOKEN_SIGNING_ALGORITHM, Variable,
};
use portcullis_platform_aws::{
    AWS_SECRET_NAME, BROKER_KMS_KEY_ID, HashicorpVaultSettings, KMS_KEY_ID, MAIL_FROM, SecretsProvider,
    TABLE_NAME, VAULT_VARIABLES, broker_kms_key, mail_from, required,
};
use portcullis_platform_embedded::{DataDir, Inspected, KeysIn, Place};
use portcullis_smtp::SmtpSettings;

use crate::Settings;

const LISTEN_ADDR: Variable = Variable {
    name: "LISTEN_ADDR",
    default: "127.0.0.1:8001",
    about: "address and port to listen on",
    aliases: &[],
};
const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder of the database, the keys and the mail, as far as they are files",
    aliases: &[],
};
const STORE: Variable = Variable {
    name: "STORE",
    default: "embedded",
    about: "where records are: `embedded` (a database in DATA_DIR) or `dynamodb` (the table TABLE_NAME of AWS, or of what answers at AWS_ENDPOINT_URL_DYNAMODB)",
    aliases: &[],
};
const CREATE_TABLE: Variable = Variable {
    name: "CREATE_TABLE",
    default: "false",
    about: "whether the table is made at the start where there is none, `true` or `false`; for STORE=dynamodb",
    aliases: &[],
};
const SECRETS_PROVIDER: Variable = Variable {
    name: "SECRETS_PROVIDER",
    default: "files",
    about: "where secrets are kept: `files` (or the environment), `vault` (HashiCorp Vault, KV version 2) or `aws` (Secrets Manager)",
    aliases: &[],
};
const KEYS_DIR: Variable = Variable {
    name: "KEYS_DIR",
    default: "",
    about: "folder with every key, which nothing is written to, for SECRETS_PROVIDER=files; when unset `keys` in DATA_DIR, where missing keys are made",
    aliases: &[],
};
const MAIL: Variable = Variable {
    name: "MAIL",
    default: "files",
    about: "what becomes of mail: `files` (in `outbox` of DATA_DIR), `smtp` or `ses`",
    aliases: &[],
};

/// The configuration of a server, checked.
#[derive(Debug)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where its files are, as far as there are any.
    pub place: Place,
    /// Where records are.
    pub store: StoreIn,
    /// Where secrets are.
    pub secrets: SecretsIn,
    /// What becomes of mail.
    pub mail: MailBy,
    /// The timeouts of calls to the table, the secrets and the master key.
    pub timeouts: CallTimeouts,
    /// What every program shares.
    pub settings: Settings,
    /// For the secrets it may hold.
    pub environment: Environment,
}

/// Where records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreIn {
    /// In the database of the data folder.
    Embedded,
    /// In a table of DynamoDB, or of what speaks like it.
    DynamoDb {
        /// The name of the table.
        table: String,
        /// Whether it is made where there is none.
        create: bool,
    },
}

/// Where secrets are, and which master key wraps data keys.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum SecretsIn {
    /// In files and the environment, the master key among the files.
    Files,
    /// In a provider. The master key is that of KMS, or with Vault the entry `MASTER_KEY` beside the others.
    Provider(SecretsProvider, Option<KmsKeys>),
}

/// The keys of KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeys {
    /// The id, ARN or alias of the key that wraps data keys.
    pub key: String,
    /// The same of the key for broker credentials.
    pub broker_key: String,
}

/// What becomes of mail.
#[derive(Debug)]
pub enum MailBy {
    /// It is put into the outbox of the data folder.
    Files,
    /// It is sent by SMTP, from this address.
    Smtp(SmtpSettings, String),
    /// It is sent by SES, from this address.
    Ses(String),
}

impl ServerSettings {
    /// Returns the configuration that these variables hold; fails with the first variable that cannot be used. Nothing
    /// is written.
    pub fn read(environment: Environment) -> Result<Self, Misconfigured> {
        let listen: SocketAddr = environment.parse(&LISTEN_ADDR)?;
        // Port 0 is any that is free, and not known yet.
        let environment = match listen.port() {
            0 => environment,
            port => environment.or(PUBLIC_URL.name, format!("http://localhost:{port}")),
        };
        let (store, secrets) = (store(&environment)?, secrets(&environment)?);
        let mail = mail(&environment)?;
        let folder = PathBuf::from(environment.text(&DATA_DIR)?);
        let place = Place {
            keys: keys(&environment, &secrets, &folder)?,
            database: store == StoreIn::Embedded,
            outbox: matches!(mail, MailBy::Files),
            folder,
        };
        let timeouts = CallTimeouts::read(&environment)?;
        let settings = Settings::read(&environment)?;
        Ok(Self { listen, place, store, secrets, mail, timeouts, settings, environment })
    }

    /// Returns the files with whatever is there checked; fails when something cannot be used. Nothing is written.
    pub fn inspect(&self, entropy: &Arc<dyn Entropy>) -> Result<Inspected, Misconfigured> {
        DataDir::inspect_place(self.place.clone(), &self.environment, Arc::clone(entropy))
    }

    /// Returns whether anything is on AWS, or on what speaks like it.
    pub(super) fn needs_aws(&self) -> bool {
        self.store != StoreIn::Embedded
            || matches!(self.mail, MailBy::Ses(_))
            || match &self.secrets {
                SecretsIn::Files => false,
                SecretsIn::Provider(provider, kms) => {
                    kms.is_some() || matches!(provider, SecretsProvider::SecretsManager(_))
                }
            }
    }

    /// Returns the names of variables of parts that were not chosen.
    pub fn unused_variables(&self) -> Vec<&'static str> {
        let mut unused = Vec::new();
        if self.store == StoreIn::Embedded {
            unused.extend([&TABLE_NAME, &CREATE_TABLE]);
        }
        if !matches!(&self.secrets, SecretsIn::Provider(SecretsProvider::SecretsManager(_), _)) {
            unused.push(&AWS_SECRET_NAME);
        }
        if !matches!(&self.secrets, SecretsIn::Provider(SecretsProvider::HashicorpVault(_), _)) {
            unused.extend(VAULT_VARIABLES);
        }
        if matches!(self.secrets, SecretsIn::Files) {
            unused.extend([&KMS_KEY_ID, &BROKER_KMS_KEY_ID]);
        }
        if !matches!(self.mail, MailBy::Smtp(..)) {
            unused.extend(portcullis_smtp::VARIABLES);
        }
        if matches!(self.mail, MailBy::Files) {
            unused.push(&MAIL_FROM);
        }
        unused.into_iter().map(|variable: &Variable| variable.name).collect()
    }

    /// Returns every variable that is read, for `--help`.
    pub fn variables() -> impl Iterator<Item = &'static Variable> {
        let places = [&LISTEN_ADDR, &DATA_DIR, &STORE, &TABLE_NAME, &CREATE_TABLE, &SECRETS_PROVIDER];
        let keys = [&KEYS_DIR, &AWS_SECRET_NAME, &KMS_KEY_ID, &BROKER_KMS_KEY_ID];
        let mail = [&MAIL, &MAIL_FROM].into_iter().chain(portcullis_smtp::VARIABLES);
        let own = places.into_iter().chain(keys).chain(VAULT_VARIABLES).chain(mail);
        own.chain([&TOKEN_SIGNING_ALGORITHM, &CALL_TIMEOUT_MS]).chain(Settings::variables())
    }
}

fn store(environment: &Environment) -> Result<StoreIn, Misconfigured> {
    match environment.text(&STORE)?.as_str() {
        "embedded" => Ok(StoreIn::Embedded),
        "dynamodb" => {
            let table = required(environment, &TABLE_NAME)?;
            Ok(StoreIn::DynamoDb { table, create: environment.parse(&CREATE_TABLE)? })
        }
        _ => Err(Misconfigured::new(STORE.name, "is neither `embedded` nor `dynamodb`")),
    }
}

fn secrets(environment: &Environment) -> Result<SecretsIn, Misconfigured> {
    let key = Some(environment.text(&KMS_KEY_ID)?).filter(|key| !key.is_empty());
    let kms =
        key.map(|key| Ok(KmsKeys { broker_key: broker_kms_key(environment, &key)?, key })).transpose()?;
    match environment.text(&SECRETS_PROVIDER)?.as_str() {
        "files" => Ok(SecretsIn::Files),
        "aws" if kms.is_none() => {
            Err(Misconfigured::new(KMS_KEY_ID.name, "must be set for SECRETS_PROVIDER=aws"))
        }
        "aws" => {
            let name = required(environment, &AWS_SECRET_NAME)?;
            Ok(SecretsIn::Provider(SecretsProvider::SecretsManager(name), kms))
        }
        "vault" => {
            let settings = HashicorpVaultSettings::read(environment)?;
            Ok(SecretsIn::Provider(SecretsProvider::HashicorpVault(settings), kms))
        }
        _ => Err(Misconfigured::new(SECRETS_PROVIDER.name, "is none of `files`, `vault` and `aws`")),
    }
}

fn keys(
    environment: &Environment,
    secrets: &SecretsIn,
    folder: &std::path::Path,
) -> Result<KeysIn, Misconfigured> {
    let given = environment.text(&KEYS_DIR)?;
    match (secrets, given.as_str()) {
        (SecretsIn::Files, "") => Ok(KeysIn::Folder(folder.join("keys"))),
        (SecretsIn::Files, given) => Ok(KeysIn::Given(PathBuf::from(given))),
        (SecretsIn::Provider(..), "") => Ok(KeysIn::Elsewhere),
        (SecretsIn::Provider(..), _) => {
            Err(Misconfigured::new(KEYS_DIR.name, "is read with SECRETS_PROVIDER=files alone"))
        }
    }
}

fn mail(environment: &Environment) -> Result<MailBy, Misconfigured> {
    match environment.text(&MAIL)?.as_str() {
        "files" => Ok(MailBy::Files),
        "smtp" => Ok(MailBy::Smtp(SmtpSettings::read(environment)?, mail_from(environment)?)),
        "ses" => Ok(MailBy::Ses(mail_from(environment)?)),
        _ => Err(Misconfigured::new(MAIL.name, "is none of `files`, `smtp` and `ses`")),
    }
}
