//! How often somebody may ask that an address be sent a link.
//!
//! Two limits, both of which must have room, and neither of which keeps an owner out:
//! - each requester has a backoff of their own, so that one who asks all day uses up nobody else's mails;
//! - all strangers together have a cap, so that a mailbox is not flooded from many addresses. A request that its own
//!   backoff refuses uses nothing of it, and a known device of the owner has no part in it.
//!
//! **Whoever asks, from wherever: a link is sent now, or one was sent within the last twenty minutes**, and works for
//! the rest of its half hour. For the backoff never waits longer than that after a link of its own, and the cap is used
//! up only within a quarter of an hour of the last link that it let through. All links are alive at the same time; the
//! first one that is used ends the others by raising the session epoch, and the counts are of one session epoch, so that
//! they begin anew where the links ended.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AttemptSource, Cap};

use crate::Identity;
use crate::accounts::email::Email;
use crate::error::Error;
use crate::passwords::recovery::Wanted;
use crate::sign_in::attempts::BackoffPolicy;

/// Between the links that one requester asks for. The longest wait leaves ten minutes to find the last link.
const REQUESTER: BackoffPolicy =
    BackoffPolicy { free: 3, first: Duration::from_mins(1), longest: Duration::from_mins(20) };
/// Links to one address that all strangers ask for. At once it lets more through than one requester can use up.
const STRANGERS: Cap = Cap { at_once: 8, every: Duration::from_mins(15) };

impl Identity {
    /// Returns whether another link of this kind may be sent to the address now, which belongs to this account or to
    /// none; the same calls for every address.
    ///
    /// The cap is looked at first and counted last: a request that it refuses must not prolong the requester's own
    /// backoff. Where another request took the last place in between, its link is as fresh as this one would have been.
    pub(crate) async fn reserve_mail(
        &self,
        wanted: &Wanted,
        (email, account): (&Email, Option<&Account>),
        requester: &AttemptSource,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (purpose, epoch) = (wanted.counted_as, account.map_or(0, |account| account.session_epoch));
        let name = |requester: &str| format!("mail:{purpose}:{epoch}:{requester}:{}", email.as_str());
        let (own, all) = (name(&requester.to_string()), name("strangers"));
        if matches!(requester, AttemptSource::Device(_)) {
            return Ok(self.reserve(&own, REQUESTER, now).await?.is_ok());
        }
        if self.store.check_cap(&all, STRANGERS, now).await?.is_err()
            || self.reserve(&own, REQUESTER, now).await?.is_err()
        {
            return Ok(false);
        }
        let passed = self.store.pass_cap(&all, STRANGERS, now).await?.is_ok();
        if !passed {
            self.withdraw(&own).await;
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the module promises, of two constants.
    #[test]
    fn a_link_outlives_every_wait() {
        let half_hour = Duration::from_mins(30);
        assert!(REQUESTER.longest + Duration::from_mins(10) <= half_hour);
        assert!(STRANGERS.every + Duration::from_mins(10) <= half_hour);
    }

    #[test]
    fn one_requester_does_not_use_up_the_cap() {
        // What one asks for as soon as the backoff lets them, less what came back of the cap meanwhile.
        let (mut at, mut most_in_use) = (0.0_f64, 0.0_f64);
        for sent in 0..60_u64 {
            let came_back = at / STRANGERS.every.as_secs_f64();
            most_in_use = most_in_use.max(f64::from(u32::try_from(sent).unwrap()) + 1.0 - came_back);
            at += REQUESTER.wait_after(sent + 1).map_or(0.0, |wait| wait.as_secs_f64());
        }
        assert!(most_in_use <= f64::from(STRANGERS.at_once) - 1.0, "{most_in_use}");
    }
}
