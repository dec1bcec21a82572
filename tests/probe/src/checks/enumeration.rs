//! Wrong passwords for addresses that have an account and for such that have none, in turns.

use std::time::Duration;

use super::milliseconds;
use crate::client::{Answer, Trouble};
use crate::people::sign_in;
use crate::probe::Probe;
use crate::report::Finding;
use crate::statistics::Middle;

const WRONG: &str = "not this one, surely";
/// So many wrong passwords of a name are answered at once.
const FREE: u32 = 5;
/// A difference that counts, in milliseconds, and as a part of what a refusal takes: an attacker from elsewhere has five answers
/// for each name and network, and this much between them and the noise of the way.
const COUNTS: f64 = 5.0;
const PART: f64 = 0.1;

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..probe.options.pairs.div_ceil(FREE) {
        known.push(probe.people.person().await?.address);
        unknown.push(probe.people.new_address()?);
    }
    // Connections are open, and whatever loads at a first refusal is there.
    probe.client.ask(&sign_in(&probe.people.new_address()?, WRONG)).await?;
    let (mut differences, mut times) = (Vec::new(), Vec::new());
    let mut differ = None;
    let addresses = known.iter().zip(&unknown).cycle();
    for (number, (known, unknown)) in (0..probe.options.pairs).zip(addresses) {
        let (there, nowhere) = if number % 2 == 0 {
            let there = refused(probe, known).await?;
            (there, refused(probe, unknown).await?)
        } else {
            let nowhere = refused(probe, unknown).await?;
            (refused(probe, known).await?, nowhere)
        };
        if words(&there) != words(&nowhere) {
            differ = Some(format!("{} against {}", there.shown(), nowhere.shown()));
        }
        differences.push(fine(there.took) - fine(nowhere.took));
        times.push(nowhere.took);
    }
    times.sort();
    let usual = times.get(times.len() / 2).copied().unwrap_or_default();
    let finding = judged(&differences, usual)?;
    Ok(finding.holds(differ.is_none(), format!("the answers differ: {}", differ.unwrap_or_default())))
}

fn judged(differences: &[f64], usual: Duration) -> Result<Finding, Trouble> {
    let middle = Middle::of(differences)
        .ok_or_else(|| Trouble::Unexpected("too few pairs for a statement".to_owned()))?;
    let matters = COUNTS.max(PART * fine(usual));
    let said = format!(
        "known addresses take {:.1} ms longer at the median, with {:.1} % confidence between {:.1} and {:.1} ms ({} pairs, \
         a refusal takes {} ms; from {matters:.1} ms on a difference counts)",
        middle.median,
        100.0 * middle.confidence,
        middle.lower,
        middle.upper,
        middle.pairs,
        milliseconds(usual)
    );
    let figures = serde_json::to_value(middle).map_err(|error| Trouble::Unexpected(error.to_string()))?;
    let tells = middle.lower > matters || middle.upper < -matters;
    let broken = format!("the time of a refusal tells who has an account: {:.1} ms", middle.median);
    let finding =
        Finding::saying(said).figure("difference_ms", figures).figure("refusal_ms", milliseconds(usual));
    Ok(finding.holds(!tells, broken))
}

async fn refused(probe: &Probe, address: &str) -> Result<Answer, Trouble> {
    probe.client.send(&sign_in(address, WRONG)).await?.wants(401)
}

fn words(answer: &Answer) -> [&str; 3] {
    ["code", "title", "detail"].map(|name| answer.text(name))
}

fn fine(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_is_sure_and_large_tells_and_no_other_does() {
        let usual = Duration::from_millis(20);
        let spread =
            |middle: f64| (0..15).map(|number| middle + f64::from(number % 5) - 2.0).collect::<Vec<_>>();
        let is_broken = |differences: &[f64], usual| !judged(differences, usual).unwrap().broken.is_empty();
        assert!(is_broken(&spread(12.0), usual));
        assert!(is_broken(&spread(-12.0), usual), "faster tells as much");
        assert!(!is_broken(&spread(3.0), usual), "small");
        assert!(!is_broken(&spread(12.0), Duration::from_millis(400)), "small beside what a refusal takes");
        let noisy: Vec<f64> = (0..15).map(|number| if number % 2 == 0 { 90.0 } else { -60.0 }).collect();
        assert!(!is_broken(&noisy, usual), "not sure");
        assert!(judged(&[1.0; 5], usual).is_err(), "five pairs bear no statement");
    }
}
