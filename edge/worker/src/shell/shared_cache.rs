//! What isolates of one data centre leave for each other: the Cache API, a namespace of its own.

use worker::{Cache, Response};

use super::bounded_fetch::read_bounded;
use super::fault::Fault;
use super::timer::within;
use crate::Millis;

/// Apart from what the zone caches.
const CACHE: &str = "portcullis-edge";
const TIMEOUT: Millis = 500;

/// Something an isolate was given by the identity service.
pub(super) struct Shared {
    pub(super) body: Vec<u8>,
    /// The `max-age` it came with, in seconds.
    pub(super) max_age: Option<u64>,
    pub(super) obtained_at: Millis,
}

impl Shared {
    /// Leaves it to isolates that ask for the same address within `seconds`. It ages from when it was obtained.
    pub(super) async fn leave(self, url: &str, seconds: u32) -> Result<(), Fault> {
        let mut builder = Response::builder()
            .with_header("cache-control", &format!("max-age={seconds}"))?
            .with_header("x-obtained-at", &self.obtained_at.to_string())?;
        if let Some(max_age) = self.max_age {
            builder = builder.with_header("x-max-age", &max_age.to_string())?;
        }
        let cache = Cache::open(CACHE.to_owned()).await;
        Ok(cache.put(url, builder.fixed(self.body)).await?)
    }

    /// Returns what another isolate left, if it is no longer than `most` bytes and the cache responds in time.
    pub(super) async fn find(url: &str, most: usize, now: Millis) -> Result<Option<Self>, Fault> {
        within(TIMEOUT, take(url, most, now)).await.unwrap_or(Ok(None))
    }
}

async fn take(url: &str, most: usize, now: Millis) -> Result<Option<Shared>, Fault> {
    let Some(mut response) = Cache::open(CACHE.to_owned()).await.get(url, false).await? else {
        return Ok(None);
    };
    let body = read_bounded(&mut response, most).await?;
    let number =
        |name| Ok::<_, Fault>(response.headers().get(name)?.and_then(|value| value.parse::<u64>().ok()));
    let obtained_at = number("x-obtained-at")?.unwrap_or_default().min(now);
    Ok(Some(Shared { body, max_age: number("x-max-age")?, obtained_at }))
}
