//! Strangers who guess at somebody's password, and the owner who comes home.

use crate::client::{Answer, Trouble};
use crate::people::{refresh, sign_in, sign_in_on};
use crate::probe::Probe;
use crate::report::Finding;

const WRONG: &str = "not this one, surely";
/// Guesses at most; the documented limit for a name and network is five at once.
const GUESSES: usize = 12;

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let owner = probe.people.person().await?;
    let (answered, last) = guess(probe, &owner.address).await?;
    let (of_nobody, _) = guess(probe, &probe.people.new_address()?).await?;
    let home = sign_in_on(&owner.address, &owner.password, &owner.session.device);
    let home = probe.client.ask(&home).await?;
    let goes_on = probe.client.ask(&refresh(&owner.session.refresh)).await?;
    let said = format!(
        "a stranger got {answered} answers to {GUESSES} guesses, {of_nobody} for an address without an account, and then {}",
        last.shown()
    );
    Ok(Finding::saying(said)
        .figure("answered", answered)
        .figure("answered_of_nobody", of_nobody)
        .holds(answered < GUESSES, "guessing is not throttled")
        .holds(answered == of_nobody, "throttling tells who has an account")
        .holds(home.status == 200, format!("the owner's known device is kept out: {}", home.shown()))
        .holds(goes_on.status == 200, format!("the owner's session does not go on: {}", goes_on.shown())))
}

/// Guesses until it is throttled; returns how many guesses were answered, and the last answer.
async fn guess(probe: &Probe, address: &str) -> Result<(usize, Answer), Trouble> {
    let mut answered = 0;
    loop {
        let answer = probe.client.ask(&sign_in(address, WRONG)).await?;
        if answer.status != 401 {
            // Anything else than being throttled says nothing about guessing.
            return Ok((answered, answer.wants(429)?));
        }
        answered += 1;
        if answered == GUESSES {
            return Ok((answered, answer));
        }
    }
}
