//! AWS Secrets Manager: the version marked `AWSCURRENT`, and `AWSPREVIOUS` beside it.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use secrecy::{ExposeSecret, SecretString};

use super::{Document, Malformed, Snapshot, Source, SourceError};
use crate::AwsConnection;

/// Error codes that no retry can change: an operator has to act.
const LASTING: &[&str] = &[
    "ResourceNotFoundException",
    "AccessDeniedException",
    "InvalidRequestException",
    "InvalidParameterException",
    "DecryptionFailure",
];

/// A [`Source`] that reads the whole document from one secret of Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    name: String,
}

struct Version {
    id: String,
    document: Document,
}

impl SecretsManager {
    /// Returns the source for the secret with this name or ARN; nothing is read yet.
    pub fn new(connection: &AwsConnection, name: impl Into<String>) -> Self {
        Self { client: Client::new(connection.config()), name: name.into() }
    }

    /// Puts into force what `change` makes of the current document, and returns what it returns; where that is an error,
    /// nothing is changed. Fails while a rotation is under way, which would undo it, and when Secrets Manager does.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, E>,
    ) -> Result<Result<T, E>, SourceError> {
        let (current, pending) = tokio::join!(self.version("AWSCURRENT"), self.version("AWSPENDING"));
        let Version { id, mut document } = current?;
        let pending = pending.ok().map(|pending| pending.id);
        if pending.as_ref().is_some_and(|pending| *pending != id) {
            let cause = "a rotation is under way, or was not finished";
            return Err(SourceError::Unavailable(self.name.clone(), cause.into()));
        }
        let made = match change(&mut document) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        // The last rotation may have left its label, which would keep the next one from beginning if it stayed behind.
        if let Some(left) = pending {
            let label = self.client.update_secret_version_stage().secret_id(&self.name);
            let removed = label.version_stage("AWSPENDING").remove_from_version_id(left).send().await;
            removed.map_err(|error| source_error(&self.name, error))?;
        }
        let text = document.to_json();
        let put = self.client.put_secret_value().secret_id(&self.name).secret_string(text.expose_secret());
        put.send().await.map_err(|error| source_error(&self.name, error))?;
        Ok(Ok(made))
    }

    async fn version(&self, stage: &str) -> Result<Version, SourceError> {
        let response = self.client.get_secret_value().secret_id(&self.name).version_stage(stage).send().await;
        let response = response.map_err(|error| source_error(&self.name, error))?;
        let malformed = |malformed| SourceError::Malformed(self.name.clone(), malformed);
        let text = response.secret_string.map(SecretString::from).ok_or_else(|| malformed(Malformed))?;
        let document = Document::parse(&text).map_err(malformed)?;
        Ok(Version { id: response.version_id.unwrap_or_default(), document })
    }
}

/// Returns the error of a call about the secret of this name: lasting, or worth a retry.
pub(crate) fn source_error<E>(name: &str, error: E) -> SourceError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let lasting = error.code().is_some_and(|code| LASTING.contains(&code));
    let kind = if lasting { SourceError::Missing } else { SourceError::Unavailable };
    kind(name.to_owned(), error.into())
}

#[async_trait]
impl Source for SecretsManager {
    async fn read(&self) -> Result<Snapshot, SourceError> {
        let (current, previous) = tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS"));
        let current = current?;
        let previous = match previous {
            Ok(version) => Some(version),
            // Before the first rotation there is none.
            Err(SourceError::Missing(..)) => None,
            Err(error) => return Err(error),
        };
        let previous_id = previous.as_ref().map_or("", |version| version.id.as_str());
        Ok(Snapshot {
            version: format!("{}/{previous_id}", current.id),
            current: current.document,
            previous: previous.map(|version| version.document),
        })
    }
}
