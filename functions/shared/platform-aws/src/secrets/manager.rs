//! AWS Secrets Manager: the version marked `AWSCURRENT`, and `AWSPREVIOUS` beside it, of a secret for each purpose.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use futures_util::future::try_join_all;
use portcullis_platform::SecretPurpose;
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

/// A [`Source`] that reads the document from the secrets of some purposes. Of others nothing is asked for.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    name: String,
    purposes: Vec<SecretPurpose>,
}

struct Version {
    id: String,
    document: Document,
}

impl SecretsManager {
    /// Returns the source for these purposes, beside [`SecretPurpose::Callers`], of the deployment whose secrets are named so;
    /// nothing is read yet.
    pub fn new(connection: &AwsConnection, name: impl Into<String>, purposes: &[SecretPurpose]) -> Self {
        let others = purposes.iter().copied().filter(|purpose| *purpose != SecretPurpose::Callers);
        let purposes = std::iter::once(SecretPurpose::Callers).chain(others).collect();
        Self { client: Client::new(connection.config()), name: name.into(), purposes }
    }

    fn name(&self, purpose: SecretPurpose) -> String {
        format!("{}{}", self.name, purpose.suffix())
    }

    /// Puts into force what `change` makes of the current document of one purpose, and returns what it returns; where that is
    /// an error, nothing is changed. Fails while a rotation is under way, which would undo it, and when Secrets Manager does.
    pub async fn change<T, E>(
        &self,
        purpose: SecretPurpose,
        change: impl FnOnce(&mut Document) -> Result<T, E>,
    ) -> Result<Result<T, E>, SourceError> {
        let name = self.name(purpose);
        let (current, pending) =
            tokio::join!(self.version(&name, "AWSCURRENT"), self.version(&name, "AWSPENDING"));
        let Version { id, mut document } = current?;
        if pending.is_ok_and(|pending| pending.id != id) {
            let cause = "a rotation is under way, or was not finished";
            return Err(SourceError::Unavailable(name, cause.into()));
        }
        let made = match change(&mut document) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        self.replace(&name, id, &document).await.map(|()| Ok(made))
    }

    /// Puts a document into force in place of the version of this id; fails when another one is in force by now. In the steps
    /// of a rotation, whose label goes along: left behind, it would keep the next rotation from beginning.
    async fn replace(&self, name: &str, id: String, document: &Document) -> Result<(), SourceError> {
        let text = document.to_json();
        let put = self.client.put_secret_value().secret_id(name).secret_string(text.expose_secret());
        let put = put.version_stages("AWSPENDING").send().await;
        let made = put.map_err(|error| source_error(name, error))?.version_id.unwrap_or_default();
        let label = self.client.update_secret_version_stage().secret_id(name).version_stage("AWSCURRENT");
        let moved = label.move_to_version_id(made).remove_from_version_id(id).send().await;
        moved.map(drop).map_err(|error| source_error(name, error))
    }

    /// Returns the current version of one purpose and the one before it.
    async fn versions(&self, purpose: SecretPurpose) -> Result<(Version, Option<Version>), SourceError> {
        let name = self.name(purpose);
        let (current, previous) =
            tokio::join!(self.version(&name, "AWSCURRENT"), self.version(&name, "AWSPREVIOUS"));
        let previous = match previous {
            Ok(version) => Some(version),
            // Before the first rotation there is none.
            Err(SourceError::Missing(..)) => None,
            Err(error) => return Err(error),
        };
        Ok((current?, previous))
    }

    async fn version(&self, name: &str, stage: &str) -> Result<Version, SourceError> {
        let response = self.client.get_secret_value().secret_id(name).version_stage(stage).send().await;
        let response = response.map_err(|error| source_error(name, error))?;
        let malformed = |malformed| SourceError::Malformed(name.to_owned(), malformed);
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
        let all = try_join_all(self.purposes.iter().map(|purpose| self.versions(*purpose))).await?;
        let mut read = Snapshot { current: Document::default(), previous: None, version: String::new() };
        for (current, previous) in all {
            let previous_id = previous.as_ref().map_or("", |version| version.id.as_str());
            read.version.extend([current.id.as_str(), "/", previous_id, " "]);
            read.current.0.extend(current.document.0);
            if let Some(previous) = previous {
                read.previous.get_or_insert_default().0.extend(previous.document.0);
            }
        }
        Ok(read)
    }
}
