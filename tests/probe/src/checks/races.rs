//! The same thing asked for many times at once.

use futures_util::future::join_all;

use super::codes::{begin, show};
use super::sign_out;
use crate::client::{Answer, Trouble};
use crate::people::{me, refresh, something_new};
use crate::probe::Probe;
use crate::report::Finding;

/// So many at once; a name may be registered ten times an hour.
const AT_ONCE: usize = 8;

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let said =
        format!("{AT_ONCE} registrations, sign-ins with one code, and refreshes against a sign-out, at once");
    let finding = registrations(probe, Finding::saying(said)).await?;
    let finding = one_code(probe, finding).await?;
    refreshes_against_a_sign_out(probe, finding).await
}

fn all(answers: Vec<Result<Answer, Trouble>>) -> Result<Vec<Answer>, Trouble> {
    answers.into_iter().collect()
}

async fn registrations(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let (address, password) = (probe.people.new_address()?, something_new(12)?);
    probe.people.remember(&address, &password);
    let ask = probe.people.making(&address, &password);
    let answers = all(join_all((0..AT_ONCE).map(|_| probe.client.send(&ask))).await)?;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let pending = answers.iter().filter(|answer| answer.status == 202).count();
    let odd = answers.iter().find(|answer| !matches!(answer.status, 201 | 202 | 409 | 503));
    if let Some(odd) = odd {
        odd.clone().wants(201)?;
    }
    Ok(finding
        .figure("registered", made)
        .holds(made <= 1, format!("{made} of {AT_ONCE} registrations of one address were accepted"))
        .holds(made + pending > 0, "none of the registrations was accepted"))
}

async fn one_code(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let (_, backup) = probe.people.second_factor(&person).await?;
    let code = backup.first().cloned().unwrap_or_default();
    let mut begun = Vec::new();
    for _ in 0..AT_ONCE {
        begun.push(begin(probe, &person).await?);
    }
    let answers = all(join_all(begun.iter().map(|token| show(probe, token, &code))).await)?;
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    Ok(finding
        .figure("accepted_of_one_code", accepted)
        .holds(accepted == 1, format!("one code finished {accepted} of {AT_ONCE} sign-ins")))
}

async fn refreshes_against_a_sign_out(probe: &Probe, finding: Finding) -> Result<Finding, Trouble> {
    let session = probe.people.person().await?.session;
    let (going_on, ending) = (refresh(&session.refresh), sign_out(&session.refresh));
    let all_refreshes = join_all((0..AT_ONCE).map(|_| probe.client.ask(&going_on)));
    let (answers, ended) = tokio::join!(all_refreshes, probe.client.ask(&ending));
    ended?.wants(200)?;
    let served: Vec<Answer> = all(answers)?.into_iter().filter(|answer| answer.status == 200).collect();
    let mut alive = Vec::new();
    for answer in &served {
        let again = probe.client.ask(&refresh(answer.text("refresh_token"))).await?;
        let access = probe.client.ask(&me(answer.text("access_token"))).await?;
        alive.extend([again, access].into_iter().filter(|answer| answer.status != 401));
    }
    let again = probe.client.ask(&refresh(&session.refresh)).await?;
    alive.extend((again.status != 401).then_some(again));
    let first = alive.first().map(Answer::shown).unwrap_or_default();
    Ok(finding
        .figure("refreshed_before_the_sign_out", served.len())
        .holds(alive.is_empty(), format!("a refresh that crossed a sign-out outlived it: {first}")))
}
