//! The four steps of a rotation. Secrets Manager repeats a step that failed, so each may be done twice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use jiff::Timestamp;
use portcullis_identity::{Keyring, UnusableSecret};
use portcullis_platform::{
    Clock, Entropy, SecretName, SecretPurpose, SecretVersions, Secrets, SecretsError, ServiceTokensInUse,
    SigningAlgorithm, with_causes,
};
use portcullis_platform_aws::AwsConnection;
use portcullis_platform_aws::secrets::{Document, Malformed};
use portcullis_store::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::key_rotation::document::{
    Circumstances, NotRotated, Outcome, publish, rotated, service_tokens, withdrawn_keys,
};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// The event that Secrets Manager sends for each step of a rotation.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// The step to perform.
    pub step: Step,
    /// The ARN of the secret.
    pub secret_id: String,
    /// The id of the version to be created.
    pub client_request_token: String,
}

/// A step of a rotation, in the order Secrets Manager invokes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Step {
    /// Create the new version of the secret.
    #[serde(rename = "createSecret")]
    Create,
    /// Set the secret in the system that checks it; there is none, so this step does nothing.
    #[serde(rename = "setSecret")]
    Set,
    /// Test the new version.
    #[serde(rename = "testSecret")]
    Test,
    /// Make the new version the current one.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// The error of a step. Secrets Manager retries it, and after some failures gives the rotation up, which raises an alarm.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A call to Secrets Manager failed.
    #[error("Secrets Manager did not {0}")]
    SecretsManager(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A version of the secret is not a document of secrets.
    #[error("the {0} version cannot be read")]
    Malformed(&'static str, #[source] Malformed),
    /// The document cannot be rotated.
    #[error(transparent)]
    NotRotated(#[from] NotRotated),
    /// The table did not take in which keys are withdrawn.
    #[error("withdrawing a key")]
    NotTold(#[source] StoreError),
    /// No function could start with the new document.
    #[error("the new version cannot be used")]
    Unusable(#[source] UnusableSecret),
}

/// The rotation of the secrets of one deployment. Secrets Manager rotates one of them, that of
/// [`SecretPurpose::Callers`]; the others go along with it, in versions of the same id.
#[derive(Debug)]
pub struct Rotation {
    client: Client,
    /// What the names of the secrets begin with.
    name: String,
    /// Where it stands which tokens of services are in use, and which keys were withdrawn.
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    least_age: Duration,
    algorithm: SigningAlgorithm,
}

struct Version {
    id: String,
    document: Document,
    made_at: Option<Timestamp>,
}

impl Rotation {
    /// Returns a rotation of the secrets whose names begin with `name`, that is refused while the current version is younger
    /// than `least_age`, and that generates signing keys for `algorithm`.
    pub fn new(
        connection: &AwsConnection,
        name: String,
        store: Store,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        least_age: Duration,
        algorithm: SigningAlgorithm,
    ) -> Self {
        Self { client: Client::new(connection.config()), name, store, clock, entropy, least_age, algorithm }
    }

    /// Performs one step; a step that was done before succeeds again. Fails when Secrets Manager does, and when a document
    /// cannot be read, rotated or used.
    pub async fn perform(&self, event: &Event) -> Result<(), Failed> {
        match event.step {
            Step::Create => self.create(event).await,
            Step::Set => Ok(()),
            Step::Test => self.test(event).await,
            Step::Finish => self.finish(event).await,
        }
    }

    /// The secret that Secrets Manager rotates comes last: where it is done, all are.
    fn secrets(&self, event: &Event) -> Vec<(SecretPurpose, String)> {
        let name = |purpose: SecretPurpose| match purpose {
            SecretPurpose::Callers => event.secret_id.clone(),
            other => format!("{}{}", self.name, other.suffix()),
        };
        SecretPurpose::ALL.iter().rev().map(|purpose| (*purpose, name(*purpose))).collect()
    }

    async fn create(&self, event: &Event) -> Result<(), Failed> {
        let (mut made, mut missing) = (Document::default(), Vec::new());
        for (purpose, secret) in self.secrets(event) {
            match self.version(&secret, PENDING).await?.filter(|made| made.id == event.client_request_token) {
                Some(version) => made.0.extend(version.document.0),
                None => missing.push((purpose, secret)),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (current, made_at) = self.current(event).await?;
        let in_use = self.tokens_in_use(&current).await?;
        let given = Circumstances {
            made_at,
            now: self.clock.now(),
            least_age: self.least_age,
            algorithm: self.algorithm,
            in_use: &in_use,
        };
        let Outcome { mut document, replaced } = rotated(current, &given, self.entropy.as_ref())?;
        // What an earlier attempt kept stays: a version is never written anew.
        document.0.extend(made.0);
        publish(&mut document)?;
        for (purpose, secret) in missing {
            self.keep(event, &secret, &document.of_purpose(purpose)).await?;
        }
        tracing::warn!(replaced, "a new version of the secrets was made");
        Ok(())
    }

    async fn keep(&self, event: &Event, secret: &str, document: &Document) -> Result<(), Failed> {
        self.client
            .put_secret_value()
            .secret_id(secret)
            .client_request_token(&event.client_request_token)
            .secret_string(document.to_json().expose_secret())
            .version_stages(PENDING)
            .send()
            .await
            .map_err(|error| Failed::SecretsManager("keep the new version", error.into()))?;
        Ok(())
    }

    /// Returns which tokens of services are in use. Where the table does not say, none is taken to be: then tokens stay as
    /// they are, and the other secrets are rotated all the same. Fails when the tokens are malformed.
    async fn tokens_in_use(&self, document: &Document) -> Result<ServiceTokensInUse, NotRotated> {
        let mut in_use = ServiceTokensInUse::new();
        for (service, _) in service_tokens(document)?.iter() {
            match self.store.service_tokens_in_use(service).await {
                Ok(presented) => in_use.insert(service.to_owned(), presented),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::error!(error, holder = service, "the tokens of a service are not rotated");
                    None
                }
            };
        }
        Ok(in_use)
    }

    /// Tests the new version as functions would use it: every key in it is parsed, by those that sign and by those that do
    /// not.
    async fn test(&self, event: &Event) -> Result<(), Failed> {
        let pending = OneDocument(self.pending(event).await?);
        for purposes in [SecretPurpose::ALL, &[]] {
            Keyring::load(&pending, purposes).await.map_err(Failed::Unusable)?;
        }
        Ok(())
    }

    async fn finish(&self, event: &Event) -> Result<(), Failed> {
        let (before, _) = self.current(event).await?;
        self.withdraw_keys(&before, &self.pending(event).await?).await?;
        for (_, secret) in self.secrets(event) {
            self.put_in_force(event, &secret).await?;
        }
        tracing::warn!("the new version of the secrets is in force");
        Ok(())
    }

    async fn put_in_force(&self, event: &Event, secret: &str) -> Result<(), Failed> {
        let current = self.version(secret, CURRENT).await?.map(|current| current.id);
        if current.as_ref() == Some(&event.client_request_token) {
            return Ok(());
        }
        self.client
            .update_secret_version_stage()
            .secret_id(secret)
            .version_stage(CURRENT)
            .move_to_version_id(&event.client_request_token)
            .set_remove_from_version_id(current)
            .send()
            .await
            .map_err(|error| Failed::SecretsManager("put the new version in force", error.into()))?;
        Ok(())
    }

    /// Tells verifiers of the keys that this rotation takes out of the secrets: of a copy of the published keys they would
    /// believe them for a day more. Before it does, because afterwards nothing says which they were.
    async fn withdraw_keys(&self, before: &Document, after: &Document) -> Result<(), Failed> {
        for kid in withdrawn_keys(before, after) {
            self.store.withdraw_key(&kid, self.clock.now()).await.map_err(Failed::NotTold)?;
            tracing::warn!(kid, "a signing key was withdrawn");
        }
        Ok(())
    }

    /// Returns what is in force, and since when.
    async fn current(&self, event: &Event) -> Result<(Document, Option<Timestamp>), Failed> {
        let (mut document, mut made_at) = (Document::default(), None);
        for (_, secret) in self.secrets(event) {
            if let Some(version) = self.version(&secret, CURRENT).await? {
                made_at = version.made_at;
                document.0.extend(version.document.0);
            }
        }
        Ok((document, made_at))
    }

    /// Returns what this rotation made; fails when a part of it is not there.
    async fn pending(&self, event: &Event) -> Result<Document, Failed> {
        let mut document = Document::default();
        for (_, secret) in self.secrets(event) {
            let pending = self.version(&secret, PENDING).await?;
            let made = pending.filter(|pending| pending.id == event.client_request_token);
            let missing = || {
                let cause = "no version has the id of this rotation".into();
                Failed::SecretsManager("find the new version", cause)
            };
            document.0.extend(made.ok_or_else(missing)?.document.0);
        }
        Ok(document)
    }

    async fn version(&self, secret: &str, stage: &'static str) -> Result<Option<Version>, Failed> {
        let answer = self.client.get_secret_value().secret_id(secret).version_stage(stage).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(Failed::SecretsManager("give a version", error.into())),
        };
        let text = SecretString::from(answer.secret_string.unwrap_or_default());
        let made_at = answer.created_date.and_then(|at| Timestamp::from_second(at.secs()).ok());
        Ok(Some(Version {
            id: answer.version_id.unwrap_or_default(),
            document: Document::parse(&text).map_err(|malformed| Failed::Malformed(stage, malformed))?,
            made_at,
        }))
    }
}

/// A document that is not current yet, as a provider of secrets.
#[derive(Debug)]
struct OneDocument(Document);

#[async_trait]
impl Secrets for OneDocument {
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
        self.0.versions(name, None).ok_or(SecretsError::Missing(name))
    }
}
