//! Tabs that refresh at once, with one cookie between them.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::milliseconds;
use crate::client::{Answer, Trouble};
use crate::people::{me, refresh};
use crate::probe::Probe;
use crate::report::Finding;

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let (tabs, ask) = (probe.options.tabs, refresh(&person.session.refresh));
    let answers = join_all((0..tabs).map(|_| probe.client.ask(&ask))).await;
    let answers: Vec<Answer> = answers.into_iter().collect::<Result<_, _>>()?;
    let (served, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    let tokens: BTreeSet<&str> = served.iter().map(|answer| answer.text("refresh_token")).collect();
    let slowest = answers.iter().map(|answer| answer.took).max().unwrap_or_default();
    let finding = Finding::saying(format!(
        "{tabs} tabs showed one refresh token at once; the slowest answer took {} ms",
        milliseconds(slowest)
    ));
    let first = refused.first().map(|answer| answer.shown()).unwrap_or_default();
    let finding = finding
        .figure("tabs", tabs)
        .figure("refused", refused.len())
        .figure("tokens", tokens.len())
        .figure("slowest_ms", milliseconds(slowest))
        .holds(refused.is_empty(), format!("{} of {tabs} tabs were signed out: {first}", refused.len()))
        .holds(tokens.len() <= 1, format!("the tabs hold {} different tokens", tokens.len()));
    // And it goes on from there.
    let Some(token) = tokens.first() else { return Ok(finding) };
    let next = probe.client.ask(&refresh(token)).await?;
    let served = probe.client.ask(&me(next.text("access_token"))).await?;
    Ok(finding.holds(
        next.status == 200 && served.status == 200,
        format!("the session does not go on afterwards: {}, {}", next.shown(), served.shown()),
    ))
}
