//! Requests to brokers over TLS: `platform::BrokerHttp` for the local service and for AWS alike.
#![doc = include_str!("../README.md")]

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_platform::{BrokerAnswer, BrokerHttp, BrokerRequest, BrokerUnreachable};
use reqwest::Client;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// A request of ours ends after five seconds; the broker gets what is left when the vault has done its part.
const ANSWER: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(1);
/// Profiles are a few kilobytes.
const MOST: usize = 64 * 1024;

/// One pool of connections, made when the first request is sent: reading the authorities of the system takes longer
/// than the rest of a function's start, and most functions never ask a broker.
#[derive(Debug, Default)]
pub struct HttpsBrokers(OnceLock<Client>);

/// A header field with a line break, or an answer that does not end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Unusable {
    #[error("a header field cannot be sent")]
    Header,
    #[error("the answer is too large")]
    TooLarge,
}

impl HttpsBrokers {
    fn client(&self) -> Result<&Client, BrokerUnreachable> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .user_agent("portcullis")
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // The buffers of a connection hold what was sent on it for as long as it is kept.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment would see every key, and none is wanted where TLS ends at the broker.
            .no_proxy();
        let client = builder.build().map_err(unreachable)?;
        Ok(self.0.get_or_init(|| client))
    }
}

#[async_trait]
impl BrokerHttp for HttpsBrokers {
    async fn send(&self, request: BrokerRequest) -> Result<BrokerAnswer, BrokerUnreachable> {
        let mut sent = self.client()?.request(request.method, &request.url);
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose_secret())
                .map_err(|_| BrokerUnreachable(Unusable::Header.into()))?;
            value.set_sensitive(true);
            sent = sent.header(*name, value);
        }
        if !request.query.is_empty() {
            sent = sent.query(&exposed(&request.query));
        }
        if !request.form.is_empty() {
            sent = sent.form(&exposed(&request.form));
        }
        let mut answer = sent.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let mut body = Vec::with_capacity(MOST);
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MOST {
                return Err(BrokerUnreachable(Unusable::TooLarge.into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(BrokerAnswer { status, body: SecretSlice::from(body) })
    }
}

fn exposed<'a>(pairs: &'a [(&'static str, SecretString)]) -> Vec<(&'static str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.expose_secret())).collect()
}

/// The URL of an error may have a token in its query.
fn unreachable(error: reqwest::Error) -> BrokerUnreachable {
    BrokerUnreachable(error.without_url().into())
}
