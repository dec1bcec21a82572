//! The secret [`SERVICE_TOKENS`](crate::SecretName::ServiceTokens): its format, and what becomes of its tokens.
//!
//! A service has a list of tokens, the newest first, and all of them are valid. What is in a list was given to somebody
//! whom no rotation can tell of its successor. So an older token is forgotten only when a newer one was presented by its
//! holder, and nothing is added in front of a token that nobody has presented: a list grows no longer than
//! [`MOST_SERVICE_TOKENS`], however many rotations there are. What has leaked does not wait: [`ServiceTokens::withdraw`]
//! and [`ServiceTokens::replace`].

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::new_secret::new_random_text;
use crate::{Entropy, EntropyUnavailable};

/// The services that every deployment has: a first start generates tokens for them.
pub const FIRST_SERVICES: [&str; 3] = ["edge", "ticker", "trading"];
/// The maximum number of valid tokens of one service: one that nobody has presented yet, its predecessor, and the one before
/// as long as some holder still presents it.
pub const MOST_SERVICE_TOKENS: usize = 3;
/// For so long after it was last presented, a token is taken to be in use: holders do not all change theirs at once.
const IN_USE: Duration = Duration::from_hours(24);

const SHORTEST: usize = 32;
const LONGEST: usize = 256;
/// Bytes of a fingerprint.
const FINGERPRINT: usize = 16;

/// One token or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(SecretString),
    Several(Vec<SecretString>),
}

/// When each token of each service was last presented: by service, and then by fingerprint.
pub type ServiceTokensInUse = BTreeMap<String, BTreeMap<String, Timestamp>>;

/// The tokens of every service, the newest of each first.
#[derive(Debug, Default)]
pub struct ServiceTokens(BTreeMap<String, Vec<SecretString>>);

/// Returns what a token of a service is called where it was presented. It is a MAC under the token itself, so that who
/// reads it has no token, and cannot tell that two services share one.
pub fn service_token_fingerprint(service: &str, token: &SecretString) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(b"a service token in use: ");
    context.update(service.as_bytes());
    let mac = context.sign();
    URL_SAFE_NO_PAD.encode(mac.as_ref().get(..FINGERPRINT).unwrap_or_default())
}

impl ServiceTokens {
    /// Returns the tokens in the secret; fails unless it is a JSON object of names, each with one token or a list of one to
    /// three, of 32 to 256 bytes. The error text never quotes the input.
    pub fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let written: BTreeMap<String, Written> = serde_json::from_slice(json)
            .map_err(|_| r#"is not a JSON object of service names with their tokens, such as {"edge":"svc_…","ticker":["svc_…"]}"#)?;
        let mut services = BTreeMap::new();
        for (name, written) in written {
            let tokens = match written {
                Written::One(token) => vec![token],
                Written::Several(tokens) => tokens,
            };
            if !(1..=MOST_SERVICE_TOKENS).contains(&tokens.len()) {
                return Err("does not have one to three tokens for each service");
            }
            let of_good_length =
                |token: &SecretString| (SHORTEST..=LONGEST).contains(&token.expose_secret().len());
            if !tokens.iter().all(of_good_length) {
                return Err("has a token that is not 32 to 256 bytes long");
            }
            services.insert(name, tokens);
        }
        Ok(Self(services))
    }

    /// Returns the secret that [`parse`](Self::parse) reads. People read it, too.
    pub fn to_json(&self) -> SecretString {
        let texts = |tokens: &Vec<SecretString>| -> serde_json::Value {
            tokens.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>().into()
        };
        let services: serde_json::Map<_, _> =
            self.0.iter().map(|(name, tokens)| (name.clone(), texts(tokens))).collect();
        format!("{:#}", serde_json::Value::from(services)).into()
    }

    /// Returns each service with its tokens, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[SecretString])> {
        self.0.iter().map(|(name, tokens)| (name.as_str(), tokens.as_slice()))
    }

    /// Gives the [`FIRST_SERVICES`] a token where they have none; fails when the random number generator does.
    pub fn complete(&mut self, entropy: &dyn Entropy) -> Result<(), EntropyUnavailable> {
        for name in FIRST_SERVICES {
            if !self.0.contains_key(name) {
                self.0.insert(name.to_owned(), vec![fresh(entropy)?]);
            }
        }
        Ok(())
    }

    /// Forgets tokens whose successor is in use and that were not presented for a day, and gives each service a new first
    /// one whose newest is in use. Where as many as may be are in use, no further one is made. Fails when the random number
    /// generator does.
    pub fn rotate(
        &mut self,
        in_use: &ServiceTokensInUse,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(), EntropyUnavailable> {
        for (name, tokens) in &mut self.0 {
            let presented = |token: &SecretString| {
                in_use.get(name)?.get(&service_token_fingerprint(name, token)).copied()
            };
            let Some(newest) = tokens.iter().position(|token| presented(token).is_some()) else { continue };
            let mut place = 0;
            tokens.retain(|token| {
                place += 1;
                place <= newest + 1 || presented(token).is_some_and(|at| at + IN_USE > now)
            });
            if newest == 0 && tokens.len() < MOST_SERVICE_TOKENS {
                tokens.insert(0, fresh(entropy)?);
            }
        }
        Ok(())
    }

    /// Gives a service, which may be new, another first token, which is returned, beside those that it has; fails when it has
    /// as many as it may have.
    pub fn add(&mut self, service: &str, entropy: &dyn Entropy) -> Result<SecretString, NotAdded> {
        let token = fresh(entropy)?;
        let tokens = self.0.entry(service.to_owned()).or_default();
        if tokens.len() >= MOST_SERVICE_TOKENS {
            return Err(NotAdded::Full);
        }
        tokens.insert(0, token.clone());
        Ok(token)
    }

    /// Gives a service a new token in place of all that it has, whoever uses them; returns it, or `None` if there is no such
    /// service. Fails when the random number generator does.
    pub fn replace(
        &mut self,
        service: &str,
        entropy: &dyn Entropy,
    ) -> Result<Option<SecretString>, EntropyUnavailable> {
        let Some(tokens) = self.0.get_mut(service) else { return Ok(None) };
        let token = fresh(entropy)?;
        *tokens = vec![token.clone()];
        Ok(Some(token))
    }

    /// Forgets all tokens of a service but its newest, whoever uses them. Returns how many were forgotten; `None` if there is
    /// no such service.
    pub fn withdraw(&mut self, service: &str) -> Option<usize> {
        let tokens = self.0.get_mut(service)?;
        let before = tokens.len();
        tokens.truncate(1);
        Some(before - tokens.len())
    }
}

/// Why a service got no further token.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum NotAdded {
    /// It has as many as it may have.
    #[error("the service has {MOST_SERVICE_TOKENS} tokens; withdraw the older ones first")]
    Full,
    /// The random number generator failed.
    #[error(transparent)]
    Entropy(#[from] EntropyUnavailable),
}

fn fresh(entropy: &dyn Entropy) -> Result<SecretString, EntropyUnavailable> {
    Ok(format!("svc_{}", new_random_text(entropy)?.expose_secret()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    const DAY: Duration = Duration::from_hours(24);

    fn tokens(texts: &[&str]) -> ServiceTokens {
        let list = texts.iter().map(|text| text.repeat(40).into()).collect();
        ServiceTokens(BTreeMap::from([("edge".to_owned(), list)]))
    }

    fn texts(tokens: &ServiceTokens) -> Vec<String> {
        tokens.0["edge"].iter().map(|token| token.expose_secret()[..1].to_owned()).collect()
    }

    /// What a rotation on day 10 makes of these tokens, which were last presented on these days.
    fn rotated(list: &[&str], presented: &[(&str, u32)]) -> Vec<String> {
        let at = |day: u32| Timestamp::UNIX_EPOCH + DAY * day;
        let rows = presented
            .iter()
            .map(|(text, day)| (service_token_fingerprint("edge", &text.repeat(40).into()), at(*day)));
        let in_use = BTreeMap::from([("edge".to_owned(), rows.collect())]);
        let mut tokens = tokens(list);
        tokens.rotate(&in_use, at(10), &SystemEntropy).unwrap();
        texts(&tokens)
    }

    #[test]
    fn one_to_three_tokens_of_enough_length() {
        let (a, b) = ("a".repeat(32), "b".repeat(256));
        let text = format!(r#"{{"edge":"{a}","trading":["{a}","{b}"]}}"#);
        let read = ServiceTokens::parse(text.as_bytes()).unwrap();
        assert_eq!(read.iter().map(|(_, tokens)| tokens.len()).collect::<Vec<_>>(), [1, 2]);
        let again = ServiceTokens::parse(read.to_json().expose_secret().as_bytes()).unwrap();
        assert_eq!(again.to_json().expose_secret(), read.to_json().expose_secret());
        for bad in [
            "[]".to_owned(),
            r#"{"edge":7}"#.to_owned(),
            r#"{"edge":[]}"#.to_owned(),
            format!(r#"{{"edge":"{}"}}"#, &a[1..]),
            format!(r#"{{"edge":"{b}b"}}"#),
            format!(r#"{{"edge":["{a}","{b}","{a}","{b}"]}}"#),
        ] {
            assert!(ServiceTokens::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_nobody_has_presented_is_neither_followed_nor_replaced() {
        assert_eq!(rotated(&["a"], &[]), ["a"]);
        assert_eq!(rotated(&["b", "a"], &[("a", 1)]), ["b", "a"]);
        assert_eq!(rotated(&["b", "a"], &[("a", 9)]), ["b", "a"]);
    }

    #[test]
    fn a_token_in_use_gets_a_successor_and_its_predecessor_goes() {
        assert_eq!(rotated(&["a"], &[("a", 1)]), ["s", "a"]);
        assert_eq!(rotated(&["b", "a"], &[("b", 1), ("a", 1)]), ["s", "b"]);
        assert_eq!(rotated(&["b", "a"], &[("b", 1)]), ["s", "b"], "of a token that never was presented, too");
        assert_eq!(rotated(&["c", "b", "a"], &[("b", 9), ("a", 9)]), ["c", "b"], "a day is over");
    }

    #[test]
    fn a_holder_that_has_not_changed_yet_is_waited_for_and_then_no_further_token_is_made() {
        let in_use = [("c", 10), ("b", 10), ("a", 10)];
        assert_eq!(rotated(&["b", "a"], &in_use), ["s", "b", "a"]);
        assert_eq!(rotated(&["c", "b", "a"], &in_use), ["c", "b", "a"]);
    }

    #[test]
    fn a_withdrawal_waits_for_nobody() {
        let mut tokens = tokens(&["b", "a"]);
        let made = tokens.add("edge", &SystemEntropy).unwrap();
        assert_eq!(texts(&tokens), ["s", "b", "a"]);
        assert!(matches!(tokens.add("edge", &SystemEntropy), Err(NotAdded::Full)));
        assert_eq!(tokens.withdraw("edge"), Some(2));
        assert_eq!(tokens.0["edge"][0].expose_secret(), made.expose_secret());
        assert_eq!((tokens.withdraw("edge"), tokens.withdraw("other")), (Some(0), None));
        assert!(tokens.add("other", &SystemEntropy).is_ok() && tokens.0["other"].len() == 1);
        let only = tokens.replace("edge", &SystemEntropy).unwrap().unwrap();
        assert_eq!(texts(&tokens), ["s"]);
        assert!(only.expose_secret() != made.expose_secret());
        assert!(tokens.replace("nobody", &SystemEntropy).unwrap().is_none());
    }

    #[test]
    fn a_fingerprint_tells_tokens_and_services_apart_and_is_no_token() {
        let token = SecretString::from("a".repeat(40));
        let one = service_token_fingerprint("edge", &token);
        assert_eq!((one.len(), &one), (22, &service_token_fingerprint("edge", &token)));
        assert_ne!(one, service_token_fingerprint("ticker", &token));
        assert_ne!(one, service_token_fingerprint("edge", &"b".repeat(40).into()));
    }
}
