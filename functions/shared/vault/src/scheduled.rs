//! What scheduled jobs need of the vault: one run at a time, and a look at the service from outside.

use std::time::Duration;

use portcullis_platform::{BrokerRequest, BrokerUnreachable};

use crate::Vault;
use crate::error::Error;

/// Published to everyone, and answered only where the secrets are readable and the way to the service is open.
const KEYS: &str = "/v1/auth/.well-known/jwks.json";

/// The error when the service does not answer its clients.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    /// No response came from the address.
    #[error("{0} does not answer")]
    NoResponse(String, #[source] BrokerUnreachable),
    /// A response came that clients cannot use.
    #[error("{0} answers {1}")]
    Status(String, u16),
}

impl Vault {
    /// Does the work of a scheduled job unless another run is doing it, and returns its result; `None` where another run
    /// is. A run that dies is taken for running until `longest` has passed. Fails as the work does, and when the store
    /// does before the work begins.
    pub async fn alone<T>(
        &self,
        job: &str,
        longest: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        let (store, clock) = (self.store(), &self.identity.clock);
        let holder = self.new_holder()?;
        let now = clock.now();
        if !store.take_lease(job, &holder, now, now + longest).await? {
            return Ok(None);
        }
        let done = work.await;
        if let Err(error) = store.release_lease(job, &holder, clock.now()).await {
            tracing::warn!(%error, job, "a lease was not given back; it ends by itself");
        }
        done.map(Some)
    }

    /// Returns whether the turn of a job that is due once in `every` is this process's: of all that ask, however many and
    /// whenever they began, one gets it. Fails when the store does.
    pub async fn take_turn(&self, job: &str, every: Duration) -> Result<bool, Error> {
        let now = self.identity.clock.now();
        // Nobody gives a turn back, so that it ends by itself: a little early, or whoever had it would come too soon for the
        // next by the moments that its timer is exact.
        let until = now + every.mul_f64(0.9);
        Ok(self.store().take_lease(&format!("turn of {job}"), &self.new_holder()?, now, until).await?)
    }

    /// Returns what tells one run from every other, also of the same process.
    fn new_holder(&self) -> Result<String, Error> {
        let mut holder = [0; 16];
        self.identity.entropy.fill(&mut holder)?;
        Ok(format!("{:032x}", u128::from_be_bytes(holder)))
    }

    /// Asks the service for its published keys where clients reach it, by name, certificate and whatever stands in front;
    /// fails when it does not answer, or not with 200.
    pub async fn reach_public_url(&self) -> Result<(), NotReached> {
        let url = format!("{}{KEYS}", self.identity.public_url);
        let response = self.http.send(BrokerRequest::new(http::Method::GET, url.clone())).await;
        match response {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(response) => Err(NotReached::Status(url, response.status)),
            Err(error) => Err(NotReached::NoResponse(url, error)),
        }
    }
}
