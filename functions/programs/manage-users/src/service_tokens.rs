//! The commands for tokens of services: who has which, a further one, and the withdrawal of one that leaked.

use std::path::PathBuf;

use portcullis_platform::{
    Environment, SecretName, SecretPurpose, ServiceTokens, SystemEntropy, service_token_fingerprint,
    with_causes,
};
use portcullis_platform_aws::secrets::{Entry, SecretsManager};
use portcullis_platform_aws::{AwsConnection, SecretsProvider};
use portcullis_platform_embedded::{DataDir, KeysIn};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::arguments::ServiceTokensCommand;
use crate::confirmation::confirm;
use crate::failure::Failure;
use crate::output::{Output, counted, members};
use crate::tool::Tool;

/// Where the tokens of services are, and how they are replaced.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// In the secret of a deployment on AWS.
    Manager(SecretsManager),
    /// In the folder of keys of a service on this machine.
    Folder(PathBuf),
    /// Where this program does not write.
    Elsewhere(&'static str),
}

impl Keeper {
    pub(crate) fn of_files(environment: &Environment, keys: &KeysIn) -> Self {
        match (environment.raw(SecretName::ServiceTokens.as_str()), keys) {
            (None, KeysIn::Folder(folder)) => Self::Folder(folder.clone()),
            (None, _) => Self::Elsewhere("the folder KEYS_DIR"),
            (Some(_), _) => Self::Elsewhere("the variable SERVICE_TOKENS"),
        }
    }

    pub(crate) fn on_aws(provider: &SecretsProvider, connection: &AwsConnection) -> Self {
        match provider {
            SecretsProvider::SecretsManager(name) => {
                Self::Manager(SecretsManager::new(connection, name, SecretPurpose::ALL))
            }
            SecretsProvider::HashicorpVault(_) => Self::Elsewhere("HashiCorp Vault"),
        }
    }

    /// Keeps what `change` makes of the tokens, unless it fails.
    async fn change<T>(
        &self,
        tokens: ServiceTokens,
        change: impl FnOnce(&mut ServiceTokens) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self {
            Self::Manager(secret) => {
                let changed = secret.change(SecretPurpose::Services, |document| {
                    let place = document.0.entry(SecretName::ServiceTokens.as_str().to_owned());
                    let place = place.or_insert_with(|| entry("{}".into()));
                    let mut tokens = parse(place.current.expose_secret().as_bytes())?;
                    let made = change(&mut tokens)?;
                    *place = entry(tokens.to_json());
                    Ok(made)
                });
                changed.await.map_err(|error| Failure::Unavailable(with_causes(&error)))?
            }
            Self::Folder(folder) => {
                let mut tokens = tokens;
                let made = change(&mut tokens)?;
                DataDir::keep_service_tokens(folder, &tokens)?;
                Ok(made)
            }
            Self::Elsewhere(place) => {
                Err(Failure::Refused(format!("the tokens are in {place}: change them there")))
            }
        }
    }

    /// From when on a change counts.
    fn when(&self) -> &'static str {
        match self {
            Self::Folder(_) => "when the service is started again",
            _ => "within five minutes",
        }
    }
}

fn entry(current: SecretString) -> Entry {
    Entry { current, next: None, previous: None }
}

fn parse(json: &[u8]) -> Result<ServiceTokens, Failure> {
    ServiceTokens::parse(json).map_err(|why| Failure::Unusable(format!("SERVICE_TOKENS {why}")))
}

pub(crate) async fn perform(
    tool: &Tool,
    output: Output,
    command: ServiceTokensCommand,
) -> Result<(), Failure> {
    match command {
        ServiceTokensCommand::List => list(tool, output).await,
        ServiceTokensCommand::Add { service } => add(tool, output, &service).await,
        ServiceTokensCommand::Withdraw { service, all, confirmed } => {
            let what = format!("shuts out whoever presents an older token of {service}");
            confirm(confirmed, &what)?;
            if all { replace(tool, output, &service).await } else { withdraw(tool, output, &service).await }
        }
    }
}

async fn tokens(tool: &Tool) -> Result<ServiceTokens, Failure> {
    let versions = tool.secrets.fetch(SecretName::ServiceTokens).await;
    parse(versions.map_err(|error| Failure::unusable(&error))?.current.expose_secret())
}

async fn list(tool: &Tool, output: Output) -> Result<(), Failure> {
    let (mut lines, mut values) = (Vec::new(), Vec::<Value>::new());
    for (service, tokens) in tokens(tool).await?.iter() {
        let in_use = tool.identity.store.service_tokens_in_use(service).await;
        let in_use = in_use.map_err(portcullis_identity::Error::from)?;
        for (place, token) in tokens.iter().enumerate() {
            let fingerprint = service_token_fingerprint(service, token);
            let presented = in_use.get(&fingerprint).map(ToString::to_string);
            let rank = if place == 0 { "newest" } else { "older" };
            let when = presented.as_deref().unwrap_or("never");
            lines.push(format!("{service} {rank} {fingerprint}, last presented: {when}"));
            values.push(json!({
                "service": service, "is_newest": place == 0, "fingerprint": fingerprint, "presented_at": presented,
            }));
        }
    }
    tool.has_read(output, &counted(values.len(), "token"));
    output.say(&lines.join("\n"), members([("service_tokens", values.into())]))
}

async fn add(tool: &Tool, output: Output, service: &str) -> Result<(), Failure> {
    let add = |tokens: &mut ServiceTokens| {
        tokens.add(service, &SystemEntropy).map_err(|error| Failure::Refused(error.to_string()))
    };
    let token = tool.keeper.change(tokens(tool).await?, add).await?;
    let text = format!("{service} has another token, which is accepted {}", tool.keeper.when());
    print_token(output, &text, service, &token)
}

async fn withdraw(tool: &Tool, output: Output, service: &str) -> Result<(), Failure> {
    let withdraw = |tokens: &mut ServiceTokens| tokens.withdraw(service).ok_or_else(unknown);
    let number = tool.keeper.change(tokens(tool).await?, withdraw).await?;
    let (gone, when) = (counted(number, "token"), tool.keeper.when());
    let text = format!("{gone} of {service} refused {when}; the newest goes on");
    output.say(&text, members([("service", service.into()), ("withdrawn", number.into())]))
}

async fn replace(tool: &Tool, output: Output, service: &str) -> Result<(), Failure> {
    let replace = |tokens: &mut ServiceTokens| {
        let token = tokens.replace(service, &SystemEntropy).map_err(|error| Failure::unusable(&error))?;
        token.ok_or_else(unknown)
    };
    let token = tool.keeper.change(tokens(tool).await?, replace).await?;
    let text = format!("every token of {service} is refused {}, but for this one", tool.keeper.when());
    print_token(output, &text, service, &token)
}

fn unknown() -> Failure {
    Failure::Refused("there is no such service".to_owned())
}

fn print_token(output: Output, text: &str, service: &str, token: &SecretString) -> Result<(), Failure> {
    let clear = token.expose_secret();
    let value = members([("service", service.into()), ("token", clear.into())]);
    output.say(&format!("{text}:\n{clear}"), value)
}
