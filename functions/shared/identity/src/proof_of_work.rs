//! Proof of work: what a client computes before it may make accounts or have mail sent, where `PROOF_OF_WORK` asks for it.
//!
//! Hashcash on SHA-256. The challenge is signed and not stored; it is bound to what is asked for and to the email address,
//! is good for a few minutes, and once. Who comes without a proof costs one signature, and who comes with a wrong one
//! one hash: no row, no password hash, no mail.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_store::Use;

use crate::Identity;
use crate::accounts::email::Email;
use crate::error::Error;
use crate::sha256::sha256;

/// Time to compute a proof: a phone that is slow a hundredfold makes it, too.
const VALID_FOR: Duration = Duration::from_mins(5);
/// No proof of ours is longer.
const LONGEST: usize = 256;

/// What a proof of work is asked for. A proof of one kind is none of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Work {
    /// An account to be made, confirmed or not.
    Registration,
    /// A link by mail to reset a forgotten password.
    ForgottenPassword,
}

/// A puzzle. It is solved by `challenge:counter`, with any counter for which the SHA-256 digest of that text begins with
/// as many zero bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkChallenge {
    /// The text to be continued.
    pub challenge: String,
    /// Leading zero bits of the digest.
    pub bits: u8,
}

/// What is left of a proof once it is seen to be right: the challenge it spends.
struct Solved<'a> {
    challenge: &'a str,
    expires_at: Timestamp,
}

impl Identity {
    /// Returns once the work for a request about this address was done, or none is asked for. Fails with
    /// [`Error::WorkRequired`], which brings a new challenge, where the proof is missing, wrong, too old, of another
    /// request, or was used before.
    pub async fn demand_work(&self, work: Work, email: &Email, proof: Option<&str>) -> Result<(), Error> {
        let Some(bits) = self.settings.proof_of_work else { return Ok(()) };
        let now = self.clock.now();
        let solved = proof.and_then(|proof| self.solved(work, email, proof, now));
        let is_fresh = match solved {
            Some(Solved { challenge, expires_at }) => {
                let window = expires_at.as_second();
                let spent = Use { what: "proof", who: challenge, window, ends: expires_at };
                Box::pin(self.store.count_use(spent, 1)).await?
            }
            None => false,
        };
        if is_fresh { Ok(()) } else { Err(Error::WorkRequired(self.work_challenge(work, email, bits, now)?)) }
    }

    fn work_challenge(
        &self,
        work: Work,
        email: &Email,
        bits: u8,
        now: Timestamp,
    ) -> Result<WorkChallenge, Error> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        let text = format!("{}.{bits}.{:032x}", (now + VALID_FOR).as_second(), u128::from_be_bytes(random));
        let key = self.keyring.work_macs().next().ok_or(Error::Internal("there is no key for challenges"))?;
        let mac = BASE64URL.encode(hmac::sign(key, &signed(work, email, &text)));
        Ok(WorkChallenge { challenge: format!("{text}.{mac}"), bits })
    }

    /// Returns what the proof spends; `None` unless it is a right one for a challenge of ours that is still good.
    fn solved<'a>(&self, work: Work, email: &Email, proof: &'a str, now: Timestamp) -> Option<Solved<'a>> {
        if proof.len() > LONGEST {
            return None;
        }
        let (challenge, _counter) = proof.split_once(':')?;
        let (text, mac) = challenge.rsplit_once('.')?;
        let mut parts = text.split('.');
        let expires_at = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let bits: u32 = parts.next()?.parse().ok()?;
        if expires_at <= now || leading_zero_bits(&sha256(proof)) < bits {
            return None;
        }
        let (mac, signed) = (BASE64URL.decode(mac).ok()?, signed(work, email, text));
        let is_ours = self.keyring.work_macs().any(|key| hmac::verify(key, &signed, &mac).is_ok());
        is_ours.then_some(Solved { challenge, expires_at })
    }
}

/// An address has no line feed, so that no part can pass for another.
fn signed(work: Work, email: &Email, text: &str) -> Vec<u8> {
    let work: &str = work.into();
    format!("{work}\n{}\n{text}", email.as_str()).into_bytes()
}

fn leading_zero_bits(digest: &[u8]) -> u32 {
    let zeros = digest.iter().take_while(|byte| **byte == 0).count();
    let rest = digest.get(zeros).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(zeros).unwrap_or(u32::MAX).saturating_mul(8).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_bits_are_counted_over_the_bytes() {
        for (digest, bits) in [(&[0x80, 0][..], 0), (&[1], 7), (&[0, 0x40], 9), (&[0, 0], 16)] {
            assert_eq!(leading_zero_bits(digest), bits, "{digest:?}");
        }
    }
}
