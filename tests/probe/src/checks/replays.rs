//! What was used, replaced or signed out, shown once more.

use std::time::Duration;

use super::codes::{begin, show};
use super::sign_out;
use crate::client::{Answer, Trouble};
use crate::people::{Session, me, refresh, sign_in};
use crate::probe::Probe;
use crate::report::Finding;

/// How often it is looked whether a token may be replaced again.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let finding =
        Finding::saying("a replaced refresh token, a session that was signed out, and codes that were used");
    let finding = replaced(probe, finding).await?;
    let finding = signed_out(probe, finding).await?;
    codes(probe, finding).await
}

/// The token of two rotations ago ends the session: whoever copied it goes no further than the owner.
async fn replaced(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let oldest = person.session.refresh;
    let mut latest = Session { refresh: oldest.clone(), ..person.session };
    for _ in 0..2 {
        latest = rotated(probe, &latest).await?;
    }
    let replayed = probe.client.ask(&refresh(&oldest)).await?;
    let after = probe.client.ask(&refresh(&latest.refresh)).await?;
    let access = probe.client.ask(&me(&latest.access)).await?;
    Ok(finding
        .holds(replayed.status == 401, format!("a replaced refresh token was accepted: {}", replayed.shown()))
        .holds(after.status == 401, format!("the session outlived the replay: {}", after.shown()))
        .holds(access.status == 401, format!("its access token outlived the replay: {}", access.shown())))
}

/// Refreshes until there is another token; the service replaces one only so often.
async fn rotated(probe: &Probe, session: &Session) -> Result<Session, Trouble> {
    loop {
        let next = Session::read(&probe.client.ask(&refresh(&session.refresh)).await?.wants(200)?)?;
        if next.refresh != session.refresh {
            return Ok(next);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn signed_out(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let session =
        Session::read(&probe.client.ask(&sign_in(&person.address, &person.password)).await?.wants(200)?)?;
    probe.client.ask(&sign_out(&session.refresh)).await?.wants(200)?;
    let again = probe.client.ask(&refresh(&session.refresh)).await?;
    let access = probe.client.ask(&me(&session.access)).await?;
    let other = probe.client.ask(&refresh(&person.session.refresh)).await?;
    Ok(finding
        .holds(again.status == 401, format!("a signed-out refresh token was accepted: {}", again.shown()))
        .holds(access.status == 401, format!("a signed-out access token was accepted: {}", access.shown()))
        .holds(other.status == 200, format!("the other session ended with it: {}", other.shown())))
}

async fn codes(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let (used, backup) = probe.people.second_factor(&person).await?;
    let [first, second, ..] = backup.as_slice() else {
        return Err(Trouble::Unexpected("there are no backup codes".to_owned()));
    };
    let token = begin(probe, &person).await?;
    let again = show(probe, &token, &used).await?;
    show(probe, &token, first).await?.wants(200)?;
    let finished = show(probe, &token, second).await?;
    let twice = show(probe, &begin(probe, &person).await?, first).await?;
    let refused = |answer: &Answer| answer.status == 401;
    Ok(finding
        .holds(refused(&again), format!("a code of the second factor was accepted twice: {}", again.shown()))
        .holds(refused(&twice), format!("a backup code was accepted twice: {}", twice.shown()))
        .holds(refused(&finished), format!("a finished sign-in was finished again: {}", finished.shown())))
}
