//! A run: the checks one after the other, and then the erasure of whoever was made for them.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::checks::Check;
use crate::client::{Bounds, Client, Trouble};
use crate::people::People;
use crate::report::{Judged, Report};
use crate::target::{Refused, Target, prove};

/// What the erasure may take, however the run ended.
const ERASURE: Duration = Duration::from_mins(2);
const ERASURE_REQUESTS: u32 = 500;

/// How much is tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tabs that refresh at once.
    pub tabs: u32,
    /// Forged access tokens.
    pub forged: u32,
    /// Pairs of a known and an unknown address.
    pub pairs: u32,
    /// How often each session is rotated under load.
    pub rotations: usize,
    /// Requests at most.
    pub requests: u32,
    /// How long the checks may take together.
    pub time: Duration,
    /// Whom accounts are made for; `{}` is something new each time.
    pub address: String,
    /// The checks.
    pub checks: Vec<Check>,
}

/// A deployment that may be probed.
#[derive(Debug)]
pub struct Probe {
    /// The client.
    pub client: Client,
    /// Who is made for the checks.
    pub people: People,
    /// How much is tried.
    pub options: Options,
    url: String,
    began: Instant,
}

impl Probe {
    /// Returns the probe of a deployment; refuses one that is not this machine without an administrator's token of this very
    /// deployment, before anything is sent there.
    pub async fn of(url: &str, token: Option<SecretString>, options: Options) -> Result<Self, Refused> {
        let target = Target::read(url).await?;
        target.may_be_asked(token.is_some())?;
        let began = Instant::now();
        let bounds = Bounds { requests: options.requests, until: began + options.time };
        let client = Client::new(&target, bounds)?;
        if let Some(token) = &token {
            prove(&client, token).await?;
        }
        let people = People::new(client.clone(), token, &options.address);
        Ok(Self { client, people, options, url: target.url, began })
    }

    /// Tries the checks one after the other until `stop` is ready, tells of each as it is judged, and erases whoever was made.
    pub async fn run(self, stop: impl Future<Output = ()>, mut tell: impl FnMut(&Judged)) -> Report {
        let mut checks = Vec::new();
        let mut stop = std::pin::pin!(stop);
        for &check in &self.options.checks {
            let outcome = tokio::select! {
                outcome = check.try_on(&self) => outcome,
                () = &mut stop => Err(Trouble::Stopped),
            };
            let is_over = matches!(outcome, Err(Trouble::Stopped));
            let judged = Judged::of(check, outcome);
            tell(&judged);
            checks.push(judged);
            if is_over {
                break;
            }
        }
        let erasing = Bounds { requests: ERASURE_REQUESTS, until: Instant::now() + ERASURE };
        let left_behind = self.people.erase_all(&self.client.bounded_anew(erasing)).await;
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let requests = self.options.requests.saturating_sub(self.client.left());
        Report { url: self.url, checks, requests, milliseconds, left_behind }
    }
}
