//! HashiCorp Vault, KV version 2: the latest version of one secret, and the one before it.

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;

use super::{Document, Malformed, Snapshot, Source, SourceError};
use crate::settings::{HashicorpVaultSettings, HashicorpVaultVerification};

/// The maximum size of a response in bytes; the secrets are a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// A [`Source`] that reads the whole document from one secret of HashiCorp Vault.
#[derive(Debug, Clone)]
pub struct HashicorpVault {
    client: Client,
    url: Url,
    path: String,
}

/// The error for a configuration from which no client can be built.
#[derive(Debug, thiserror::Error)]
#[error("Vault cannot be reached as configured")]
pub struct HashicorpVaultUnusable(#[source] Option<reqwest::Error>);

#[derive(Deserialize)]
struct KvResponse {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    data: Document,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

impl HashicorpVault {
    /// Returns the source for the configured server and secret, not connected yet; fails when the token, the certificate
    /// or the path cannot be used.
    pub fn new(settings: &HashicorpVaultSettings) -> Result<Self, HashicorpVaultUnusable> {
        let mut token = HeaderValue::from_str(settings.token.expose_secret())
            .map_err(|_| HashicorpVaultUnusable(None))?;
        token.set_sensitive(true);
        let mut builder = Client::builder()
            .default_headers(HeaderMap::from_iter([(
                "x-vault-token".parse().map_err(|_| HashicorpVaultUnusable(None))?,
                token,
            )]))
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            // The token must not follow a redirect to another host.
            .redirect(reqwest::redirect::Policy::none());
        builder = match &settings.verify {
            HashicorpVaultVerification::System => builder,
            HashicorpVaultVerification::Off => builder.tls_danger_accept_invalid_certs(true),
            HashicorpVaultVerification::Authority(pem) => builder.tls_certs_only(
                Certificate::from_pem_bundle(pem).map_err(|error| HashicorpVaultUnusable(Some(error)))?,
            ),
        };
        Ok(Self {
            client: builder.build().map_err(|error| HashicorpVaultUnusable(Some(error)))?,
            url: endpoint(&settings.address, &settings.path).ok_or(HashicorpVaultUnusable(None))?,
            path: settings.path.clone(),
        })
    }

    async fn version(&self, number: Option<u64>) -> Result<Data, SourceError> {
        let mut url = self.url.clone();
        if let Some(number) = number {
            url.query_pairs_mut().append_pair("version", &number.to_string());
        }
        let unavailable =
            |error: reqwest::Error| SourceError::Unavailable(self.path.clone(), error.without_url().into());
        let mut response = self.client.get(url).send().await.map_err(unavailable)?;
        let status = response.status();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) {
            return Err(SourceError::Missing(self.path.clone(), format!("Vault answered {status}").into()));
        }
        if !status.is_success() {
            return Err(SourceError::Unavailable(
                self.path.clone(),
                format!("Vault answered {status}").into(),
            ));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Err(SourceError::Malformed(self.path.clone(), Malformed));
            }
        }
        let body = SecretSlice::from(body);
        let response: KvResponse = serde_json::from_slice(body.expose_secret())
            .map_err(|_| SourceError::Malformed(self.path.clone(), Malformed))?;
        Ok(response.data)
    }
}

/// Returns the URL `/v1/<mount>/data/<path>`, from a path as the command line takes it or as the API does; none when
/// the path has no mount.
fn endpoint(address: &Url, path: &str) -> Option<Url> {
    let (mount, rest) = path.trim_matches('/').split_once('/')?;
    let rest = rest.strip_prefix("data/").unwrap_or(rest);
    let mut url = address.clone();
    url.path_segments_mut().ok()?.clear().push("v1").push(mount).push("data").extend(rest.split('/'));
    Some(url)
}

#[async_trait]
impl Source for HashicorpVault {
    async fn read(&self) -> Result<Snapshot, SourceError> {
        let current = self.version(None).await?;
        let number = current.metadata.version;
        let previous = match number {
            0 | 1 => None,
            number => match self.version(Some(number - 1)).await {
                Ok(previous) => Some(previous.data),
                // Deleted or destroyed on purpose: what it signed must be refused.
                Err(SourceError::Missing(..)) => None,
                Err(error) => return Err(error),
            },
        };
        let version = format!("{number}/{}", previous.is_some());
        Ok(Snapshot { current: current.data, previous, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_path_mean_the_same_secret() {
        let address = Url::parse("https://vault.example:8200").unwrap();
        for path in ["secret/team/portcullis", "secret/data/team/portcullis", "/secret/team/portcullis/"] {
            let url = endpoint(&address, path).unwrap();
            assert_eq!(url.as_str(), "https://vault.example:8200/v1/secret/data/team/portcullis");
        }
        assert!(endpoint(&address, "portcullis").is_none());
    }

    /// Returns a Vault with one response per requested version; `0` is the latest.
    async fn vault(answer: fn(u64) -> (u16, &'static str)) -> HashicorpVault {
        use axum::extract::Query;
        use axum::http::{HeaderMap, StatusCode};

        #[derive(Deserialize)]
        struct Asked {
            #[serde(default)]
            version: u64,
        }
        let handler = async move |headers: HeaderMap, Query(asked): Query<Asked>| {
            let is_known = headers.get("x-vault-token").is_some_and(|token| token == "hvs.hunter2");
            let (status, body) = if is_known { answer(asked.version) } else { (403, "") };
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let path = "/v1/secret/data/portcullis";
        let router = axum::Router::new().route(path, axum::routing::get(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        HashicorpVault::new(&HashicorpVaultSettings {
            address: Url::parse(&address).unwrap(),
            path: "secret/portcullis".to_owned(),
            token: "hvs.hunter2".into(),
            verify: HashicorpVaultVerification::System,
            timeout: std::time::Duration::from_secs(2),
        })
        .unwrap()
    }

    const SECOND: &str = r#"{"data": {"data": {"SESSION_SECRET_KEY": "two"}, "metadata": {"version": 2}}}"#;
    const FIRST: &str = r#"{"data": {"data": {"SESSION_SECRET_KEY": "one"}, "metadata": {"version": 1}}}"#;

    #[tokio::test]
    async fn the_latest_version_is_read_with_the_one_before_it() {
        let snapshot =
            vault(|version| (200, if version == 1 { FIRST } else { SECOND })).await.read().await.unwrap();
        let name = portcullis_platform::SecretName::SessionSecretKey;
        let versions = snapshot.current.versions(name, snapshot.previous.as_ref()).unwrap();
        assert_eq!((versions.current.expose_secret(), versions.accepted.len()), (&b"two"[..], 1));
        let alone = vault(|version| if version == 1 { (404, "{}") } else { (200, SECOND) }).await;
        assert!(alone.read().await.unwrap().previous.is_none(), "a version that was destroyed is refused");
    }

    #[tokio::test]
    async fn what_takes_a_person_is_told_from_what_passes() {
        let refused = vault(|_| (403, "{}")).await.read().await;
        assert!(matches!(refused, Err(SourceError::Missing(..))), "{refused:?}");
        let sealed = vault(|_| (503, "{}")).await.read().await;
        assert!(matches!(sealed, Err(SourceError::Unavailable(..))), "{sealed:?}");
        let garbled = vault(|_| (200, r#"{"data": "hunter2"}"#)).await.read().await.unwrap_err();
        assert!(matches!(garbled, SourceError::Malformed(..)) && !format!("{garbled:?}").contains("hunter2"));
    }
}
