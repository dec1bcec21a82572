//! The format of the secret [`SERVICE_TOKENS`](crate::SecretName::ServiceTokens).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The services that every deployment has: a first start generates tokens for them.
pub const FIRST_SERVICES: [&str; 3] = ["edge", "ticker", "trading"];
/// The maximum number of valid tokens of one service: the old one and the new one, during a rotation.
pub const MOST_SERVICE_TOKENS: usize = 2;

const SHORTEST: usize = 32;
const LONGEST: usize = 256;

/// One token or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(SecretString),
    Several(Vec<SecretString>),
}

/// Returns the tokens by service name; fails unless the JSON is an object of names, each with one token or a list of one
/// or two, of 32 to 256 bytes. The error text never quotes the input.
pub fn parse_service_tokens(json: &[u8]) -> Result<BTreeMap<String, Vec<SecretString>>, &'static str> {
    let written: BTreeMap<String, Written> = serde_json::from_slice(json)
        .map_err(|_| r#"is not a JSON object of service names with their tokens, such as {"edge":"svc_…","ticker":["svc_…"]}"#)?;
    let mut services = BTreeMap::new();
    for (name, written) in written {
        let tokens = match written {
            Written::One(token) => vec![token],
            Written::Several(tokens) => tokens,
        };
        if !(1..=MOST_SERVICE_TOKENS).contains(&tokens.len()) {
            return Err("does not have one or two tokens for each service");
        }
        let of_good_length =
            |token: &SecretString| (SHORTEST..=LONGEST).contains(&token.expose_secret().len());
        if !tokens.iter().all(of_good_length) {
            return Err("has a token that is not 32 to 256 bytes long");
        }
        services.insert(name, tokens);
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_tokens_of_enough_length() {
        let (a, b) = ("a".repeat(32), "b".repeat(256));
        let read = parse_service_tokens(format!(r#"{{"edge":"{a}","trading":["{a}","{b}"]}}"#).as_bytes());
        assert_eq!(read.unwrap().values().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        for bad in [
            "[]".to_owned(),
            r#"{"edge":7}"#.to_owned(),
            r#"{"edge":[]}"#.to_owned(),
            format!(r#"{{"edge":"{}"}}"#, &a[1..]),
            format!(r#"{{"edge":"{b}b"}}"#),
            format!(r#"{{"edge":["{a}","{b}","{a}"]}}"#),
        ] {
            assert!(parse_service_tokens(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
