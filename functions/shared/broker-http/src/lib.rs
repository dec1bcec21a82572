//! Requests to brokers over TLS: `platform::BrokerHttp` for the local service and for AWS alike.
#![doc = include_str!("../README.md")]

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, BrokerUnreachable};
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// The timeout of a whole exchange. A request to the service ends after five seconds; the broker gets what is left when
/// the vault has done its part.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout of TCP and TLS together; it counts toward [`RESPONSE_TIMEOUT`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// An HTTPS client that is created when the first request is sent: reading the certification authorities of the system
/// takes longer than the rest of a function's start, and most functions never send a request to a broker.
#[derive(Debug, Default)]
pub struct HttpsBrokers(OnceLock<Client>);

/// The bytes of a body that room is made for before they come.
const FIRST_PART: usize = 64 * 1024;

/// The error for a header field that cannot be sent (a line break in it), or a response that is longer than its request takes.
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
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            // The buffers of a connection hold what was sent on it for as long as it is kept.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment would see every key, and none is wanted where TLS ends at the broker.
            .no_proxy();
        let client = builder.build().map_err(unreachable)?;
        // Of two first requests at once, one client is kept and both use it.
        Ok(self.0.get_or_init(|| client))
    }
}

#[async_trait]
impl BrokerHttp for HttpsBrokers {
    async fn send(&self, request: BrokerRequest) -> Result<BrokerResponse, BrokerUnreachable> {
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
        } else if let Some(document) = &request.json {
            let document = document.expose_secret().to_owned();
            sent = sent.header(CONTENT_TYPE, "application/json").body(document);
        }
        let most = request.most;
        let mut response = sent.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::with_capacity(most.min(FIRST_PART));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > most {
                return Err(BrokerUnreachable(Unusable::TooLarge.into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(BrokerResponse { status, body: SecretSlice::from(body) })
    }
}

fn exposed<'a>(pairs: &'a [(&'static str, SecretString)]) -> Vec<(&'static str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.expose_secret())).collect()
}

/// Returns the error without its URL, which may have a token in its query.
fn unreachable(error: reqwest::Error) -> BrokerUnreachable {
    BrokerUnreachable(error.without_url().into())
}
