//! Reading what brokers answer.

use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse};
use secrecy::ExposeSecret;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::BrokerError;

/// The answer to a request, as long as the broker is there at all.
pub(super) async fn ask(
    http: &dyn BrokerHttp,
    request: BrokerRequest,
) -> Result<BrokerResponse, BrokerError> {
    let answer = http.send(request).await.map_err(|error| {
        tracing::warn!(%error, cause = %error.0, "a broker is out of reach");
        BrokerError::Down
    })?;
    match answer.status {
        429 => Err(BrokerError::RateLimited),
        // An answer that points elsewhere comes from something that stands in the broker's place.
        200..=299 | 400..=499 => Ok(answer),
        _ => Err(BrokerError::Down),
    }
}

/// Whether the broker's API answers, a refusal included: those are JSON as well, unlike the page of whatever stands in its
/// place.
pub(super) async fn is_there(http: &dyn BrokerHttp, request: BrokerRequest) -> Result<(), BrokerError> {
    read::<IgnoredAny>(&ask(http, request).await?).map(drop)
}

/// The body as it should be. A broker that answers something else is as good as down.
pub(super) fn read<T: DeserializeOwned>(answer: &BrokerResponse) -> Result<T, BrokerError> {
    serde_json::from_slice(answer.body.expose_secret()).map_err(|_| BrokerError::Down)
}
