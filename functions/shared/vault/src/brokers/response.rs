//! Sending requests to brokers and reading their responses.

use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse};
use secrecy::ExposeSecret;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::BrokerError;

/// Returns the response to a request; fails when the broker is unreachable, limits the rate or responds with a server error.
pub(super) async fn send(
    http: &dyn BrokerHttp,
    request: BrokerRequest,
) -> Result<BrokerResponse, BrokerError> {
    let response = http.send(request).await.map_err(|error| {
        tracing::warn!(%error, cause = %error.0, "a broker is out of reach");
        BrokerError::Down
    })?;
    match response.status {
        429 => Err(BrokerError::RateLimited),
        // A redirect comes from a proxy or a maintenance page in the broker's place, and is not followed.
        200..=299 | 400..=499 => Ok(response),
        _ => Err(BrokerError::Down),
    }
}

/// Succeeds when the broker's API responds. A refusal counts as a response: it is JSON as well, unlike the page of a proxy
/// in the broker's place.
pub(super) async fn check_reachable(
    http: &dyn BrokerHttp,
    request: BrokerRequest,
) -> Result<(), BrokerError> {
    read::<IgnoredAny>(&send(http, request).await?).map(drop)
}

/// Returns the body of a response; fails with [`BrokerError::Down`] when it is not of the expected form.
pub(super) fn read<T: DeserializeOwned>(response: &BrokerResponse) -> Result<T, BrokerError> {
    serde_json::from_slice(response.body.expose_secret()).map_err(|_| BrokerError::Down)
}
