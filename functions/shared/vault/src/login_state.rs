//! The `state` of a login at a broker (RFC 6749, 10.12; RFC 9700, 4.7): what a browser brings back must have been begun by the
//! person who brings it, for this very account. Otherwise whoever leads a signed-in person to the way back with a code of
//! their own would have their session stored in the other's account.
//!
//! It is kept nowhere: it is a MAC over the owner, the account, its end, and what the row says of the last success. A login that
//! succeeds changes that, so a state works once, and all others of the account are dead with it.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_identity::{InvalidValue, Keyring};
use portcullis_store::StoredTradingAccount;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;

/// How long after the page was shown a login may lead back: somebody has to find their phone, and a page stays open a while.
const LIVES: Duration = Duration::from_mins(30);
/// Longer than a state is: an id of 36 characters, a time, a MAC of 43.
const LONGEST: usize = 128;

/// What came back from a login beside its code, as it was sent.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "SecretString")]
pub struct LoginState(SecretString);

impl LoginState {
    /// Returns the state; fails when it is not 1 to 128 visible ASCII characters.
    pub fn parse(text: &SecretString) -> Result<Self, InvalidValue> {
        let shown = text.expose_secret();
        if (1..=LONGEST).contains(&shown.len()) && shown.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.clone()));
        }
        Err(InvalidValue::new(format!("1 to {LONGEST} visible ASCII characters are needed")))
    }
}

impl TryFrom<SecretString> for LoginState {
    type Error = InvalidValue;

    fn try_from(text: SecretString) -> Result<Self, InvalidValue> {
        Self::parse(&text)
    }
}

/// Returns the state of a login that is begun now: the account's id, by which the page that it leads back to knows the account,
/// the second in which it ends, and the MAC. Fails if there is no key for it.
pub(crate) fn issue(
    keyring: &Keyring,
    account: &StoredTradingAccount,
    now: Timestamp,
) -> Result<String, Error> {
    let ends = (now + LIVES).as_second();
    let mac = BASE64URL.encode(mac(keyring, account, ends)?);
    Ok(format!("{}.{ends}.{mac}", account.id))
}

/// Returns whether a state was issued for this account to its owner, has not ended, and no login has succeeded since. Fails if
/// there is no key to tell it by.
pub(crate) fn is_valid(
    keyring: &Keyring,
    account: &StoredTradingAccount,
    state: &LoginState,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut parts = state.0.expose_secret().split('.');
    let (Some(_), Some(ends), Some(shown), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(false);
    };
    let (Ok(ends), Ok(shown)) = (ends.parse::<i64>(), BASE64URL.decode(shown)) else { return Ok(false) };
    // The id in front is for the page alone: the MAC is over the id of the row.
    let is_own = verify_slices_are_equal(&mac(keyring, account, ends)?, &shown).is_ok();
    Ok(is_own && now.as_second() < ends)
}

fn mac(keyring: &Keyring, account: &StoredTradingAccount, ends: i64) -> Result<[u8; 32], Error> {
    let milliseconds = |at: Timestamp| at.as_millisecond().to_be_bytes();
    Ok(keyring.fingerprint(&[
        b"state of a login at a broker",
        account.owner.to_string().as_bytes(),
        account.id.to_string().as_bytes(),
        account.broker.as_bytes(),
        &ends.to_be_bytes(),
        &milliseconds(account.sealed_at),
        &account.verified_at.map(milliseconds).unwrap_or_default(),
    ])?)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::SignedDuration;
    use portcullis_platform::{
        SecretName, SecretPurpose, SecretVersions, Secrets, SecretsError, SigningAlgorithm, SystemEntropy,
        new_secret,
    };
    use portcullis_store::{Id, SealedSecret, TradingAccountStatus};
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use secrecy::SecretSlice;

    use super::*;

    #[derive(Debug)]
    struct NewSecrets;

    #[async_trait]
    impl Secrets for NewSecrets {
        async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
            let text = new_secret(name, SigningAlgorithm::EdDSA, &SystemEntropy)
                .map_err(|_| SecretsError::Missing(name))?;
            let current = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
            Ok(SecretVersions { current, accepted: Vec::new() })
        }
    }

    async fn keyring() -> Keyring {
        Keyring::load(&NewSecrets, &[SecretPurpose::Signing, SecretPurpose::Records]).await.unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn account(owner: u128, id: u128, verified_at: Option<i64>) -> StoredTradingAccount {
        StoredTradingAccount {
            id: Id::derived(id.to_be_bytes()),
            owner: Id::derived(owner.to_be_bytes()),
            broker: "upstox".to_owned(),
            broker_user: "UP1234".to_owned(),
            label: None,
            status: TradingAccountStatus::Pending,
            created_at: at(0),
            verified_at: verified_at.map(at),
            api_key_hint: "…9f3c".to_owned(),
            login_url: None,
            order_ips: None,
            session_mails: None,
            credentials: SealedSecret { wrapped_key: Vec::new(), ciphertext: Vec::new() },
            sealed_at: at(1),
            session: None,
            version: 0,
        }
    }

    fn state(text: &str) -> LoginState {
        LoginState::parse(&text.into()).unwrap()
    }

    /// A test of what must hold for all accounts and times.
    async fn holds<S: Strategy>(
        strategy: S,
        property: impl Fn(&Keyring, S::Value) -> Result<(), TestCaseError>,
    ) {
        let keyring = keyring().await;
        let mut runner = TestRunner::new(Config::with_cases(256));
        runner.run(&strategy, |value| property(&keyring, value)).unwrap();
    }

    const NOW: std::ops::Range<i64> = 1..4_000_000_000;

    #[tokio::test]
    async fn a_state_is_good_for_half_an_hour() {
        holds((any::<u128>(), any::<u128>(), NOW, 0..7_200_i64), |keyring, (owner, id, now, later)| {
            let account = account(owner, id, None);
            let issued = state(&issue(keyring, &account, at(now)).unwrap());
            let valid = is_valid(keyring, &account, &issued, at(now + later)).unwrap();
            prop_assert_eq!(valid, later < 1_800);
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn it_is_bound_to_the_person_the_account_and_what_the_row_says() {
        let changes = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        holds((any::<u128>(), any::<u128>(), NOW, changes), |keyring, (owner, id, now, changed)| {
            let before = account(owner, id, Some(5));
            let issued = state(&issue(keyring, &before, at(now)).unwrap());
            let mut after = before.clone();
            let (person, account, success, sealed, broker) = changed;
            if person {
                after.owner = Id::derived((owner ^ 1).to_be_bytes());
            }
            if account {
                after.id = Id::derived((id ^ (1 << 100)).to_be_bytes());
            }
            if success {
                after.verified_at = Some(at(5) + SignedDuration::from_millis(1));
            }
            if sealed {
                after.sealed_at = at(2);
            }
            if broker {
                "fyers".clone_into(&mut after.broker);
            }
            let valid = is_valid(keyring, &after, &issued, at(now)).unwrap();
            prop_assert_eq!(valid, !(person || account || success || sealed || broker));
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn nothing_else_is_a_state() {
        let change = (any::<prop::sample::Index>(), "[!-~]");
        holds((NOW, change, "[!-~]{1,128}"), |keyring, (now, (place, letter), other)| {
            let account = account(1, 2, None);
            let issued = issue(keyring, &account, at(now)).unwrap();
            let mac_at = issued.rfind('.').unwrap() + 1;
            // The very last letter of a MAC has two bits that say nothing, and are refused where they are not zero.
            let place = account.id.to_string().len()
                + 1
                + place.index(issued.len() - account.id.to_string().len() - 1);
            let mut bent = issued.clone();
            bent.replace_range(place..=place, &letter);
            if bent != issued {
                prop_assert!(!is_valid(keyring, &account, &state(&bent), at(now)).unwrap(), "{}", bent);
            }
            prop_assert!(!is_valid(keyring, &account, &state(&other), at(now)).unwrap());
            let shorter = state(issued.get(..mac_at).unwrap());
            prop_assert!(!is_valid(keyring, &account, &shorter, at(now)).unwrap());
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn another_key_knows_nothing_of_it_and_it_fits_where_it_is_read() {
        let (one, other) = (keyring().await, keyring().await);
        let account = account(1, 2, None);
        let issued = issue(&one, &account, at(1_795_280_400)).unwrap();
        assert!(issued.len() <= LONGEST && issued.starts_with(&format!("{}.", account.id)));
        assert!(is_valid(&one, &account, &state(&issued), at(1_795_280_400)).unwrap());
        assert!(!is_valid(&other, &account, &state(&issued), at(1_795_280_400)).unwrap());
        let tomorrow = issued.replace(".1795282200.", ".1795368600.");
        assert!(
            tomorrow != issued && !is_valid(&one, &account, &state(&tomorrow), at(1_795_280_400)).unwrap()
        );
        assert!(LoginState::parse(&"a b".into()).is_err() && LoginState::parse(&"".into()).is_err());
        assert!(!format!("{:?}", state("hunter2")).contains("hunter2"));
    }
}
