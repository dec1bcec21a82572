//! Sessions whose clients refresh without a pause, through several rotations.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::milliseconds;
use crate::client::{Answer, Trouble};
use crate::keys::Keys;
use crate::people::{Session, refresh, sign_in};
use crate::probe::Probe;
use crate::report::Finding;

const SESSIONS: usize = 3;
const CLIENTS: usize = 4;
/// Each client waits so long between two requests; together they ask about fifty times a second.
const PAUSE: Duration = Duration::from_millis(240);

/// What the clients of a session share, as tabs share a cookie.
#[derive(Debug, Default)]
struct Line {
    newest: String,
    /// Which token came after which.
    successors: BTreeMap<String, String>,
    refreshes: usize,
    slowest: Duration,
    broken: Vec<String>,
}

impl Line {
    /// Takes an answer to the token that was shown; a late one does not take the place of a newer.
    fn take(&mut self, shown: &str, answer: &Answer, verifies: bool) {
        self.refreshes += 1;
        self.slowest = self.slowest.max(answer.took);
        if !verifies {
            self.broken.push("an access token is not signed with a key that is published".to_owned());
        }
        if answer.status != 200 {
            self.broken.push(format!("a client in good order was refused: {}", answer.shown()));
            return;
        }
        let next = answer.text("refresh_token");
        if next == shown {
            return;
        }
        let earlier = self.successors.insert(shown.to_owned(), next.to_owned());
        if earlier.is_some_and(|earlier| earlier != next) {
            self.broken.push(
                "one token was replaced by two different ones: the session has two branches".to_owned(),
            );
        }
        if self.newest == shown {
            next.clone_into(&mut self.newest);
        }
    }
}

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let keys = Keys::fetch(&probe.client).await?;
    let mut lines = Vec::new();
    for _ in 0..SESSIONS {
        let answer = probe.client.ask(&sign_in(&person.address, &person.password)).await?.wants(200)?;
        lines.push(Mutex::new(Line { newest: Session::read(&answer)?.refresh, ..Line::default() }));
    }
    let clients = lines.iter().flat_map(|line| (0..CLIENTS).map(|_| go_on(probe, &keys, line)));
    let ended: Vec<Result<(), Trouble>> = join_all(clients).await;
    let lines: Vec<Line> =
        lines.into_iter().map(|line| line.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    let broken: Vec<String> = lines.iter().flat_map(|line| line.broken.iter().cloned()).collect();
    // What was seen before the time was over counts.
    if broken.is_empty() {
        ended.into_iter().collect::<Result<(), _>>()?;
    }
    let refreshes: usize = lines.iter().map(|line| line.refreshes).sum();
    let rotations: usize = lines.iter().map(|line| line.successors.len()).sum();
    let slowest = lines.iter().map(|line| line.slowest).max().unwrap_or_default();
    let said = format!(
        "{SESSIONS} sessions with {CLIENTS} clients each: {refreshes} refreshes, {rotations} rotations, the slowest {} ms",
        milliseconds(slowest)
    );
    let finding = Finding::saying(said)
        .figure("refreshes", refreshes)
        .figure("rotations", rotations)
        .figure("slowest_ms", milliseconds(slowest));
    Ok(Finding { broken, ..finding })
}

/// One client of a session: refreshes until it was rotated often enough, or something is wrong.
async fn go_on(probe: &Probe, keys: &Keys, line: &Mutex<Line>) -> Result<(), Trouble> {
    loop {
        let token = {
            let line = locked(line);
            if line.successors.len() >= probe.options.rotations || !line.broken.is_empty() {
                return Ok(());
            }
            line.newest.clone()
        };
        let answer = probe.client.ask(&refresh(&token)).await?;
        let access = answer.text("access_token");
        // A key that began to sign meanwhile is published before it does.
        let verifies = answer.status != 200
            || keys.claims(access).is_some()
            || Keys::fetch(&probe.client).await?.claims(access).is_some();
        locked(line).take(&token, &answer, verifies);
        tokio::time::sleep(PAUSE).await;
    }
}

fn locked(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
