//! What a deployment decides: the worker's variables and secrets, checked once when an isolate starts.

use std::fmt;

use portcullis_verifier::jwks::{JwkSet, JwksError};
use portcullis_verifier::policy::{Policy, PolicyError};
use portcullis_verifier::route::{Route, RouteTable, RouteTableError, is_encrypted_or_local};
use portcullis_verifier::{Algorithm, Expectations};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::Millis;
use crate::proof::ProofKeys;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Settings {
    pub(crate) routes: RouteTable,
    pub(crate) policy: Policy,
    pub(crate) expectations: Expectations,
    pub(crate) origins: Vec<String>,
    pub(crate) proof_keys: ProofKeys,
    pub(crate) bundle: Option<JwkSet>,
    pub(crate) addresses: Addresses,
    pub(crate) service_token: ServiceToken,
    /// `None` if revocations are not followed.
    pub(crate) revocation_poll: Option<Millis>,
    pub(crate) revocation_max_staleness: Millis,
    pub(crate) upstream_timeout: Millis,
}

/// What the edge shows to the identity service. It is not printed.
#[derive(Clone)]
pub struct ServiceToken(Zeroizing<String>);

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceToken(…)")
    }
}

impl ServiceToken {
    /// Returns the value of the header `X-Service-Token`.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The addresses of the identity service.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The key set.
    pub jwks: String,
    /// The feed of revocations.
    pub revocations: String,
    /// The look-up of API keys.
    pub api_keys: String,
    /// What the id of an approval stands behind.
    pub approvals: String,
}

/// The variable that cannot be used, and why. Values of secrets are never quoted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The environment is not a set of variables.
    #[error("the environment is not an object of texts")]
    Environment,
    /// A variable without a default is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable is not what it should be.
    #[error("{0} is not {1}")]
    Unusable(&'static str, &'static str),
    /// The route table.
    #[error("ROUTES: {0}")]
    Routes(#[source] RouteTableError),
    /// `ROLE_DEFINITIONS` is no policy.
    #[error("ROLE_DEFINITIONS: {0}")]
    Policy(#[source] PolicyError),
    /// The keys that ship.
    #[error("JWKS_BUNDLE: {0}")]
    Bundle(#[source] JwksError),
}

/// Names and values. A handful, each looked for once.
struct Variables(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Variables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variables, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Variables(pairs))
    }
}

impl Variables {
    /// A variable, if it is set to something.
    fn find(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn need(&self, name: &'static str) -> Result<&str, SettingsError> {
        self.find(name).ok_or(SettingsError::Missing(name))
    }

    /// A number of seconds, in milliseconds.
    fn seconds(&self, name: &'static str, default: u64, most: u64) -> Result<Millis, SettingsError> {
        let unusable = SettingsError::Unusable(name, "a number of seconds within its bounds");
        let seconds = match self.find(name) {
            None => default,
            Some(text) => text.parse().ok().filter(|seconds| *seconds <= most).ok_or(unusable)?,
        };
        Ok(seconds * 1000)
    }

    /// An origin, optionally followed by a path, without a slash at the end. The service token is shown there.
    fn address(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        let plain = |text: &&str| {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
                && !text.contains(['?', '#', '@'])
                && is_encrypted_or_local(text)
        };
        let unusable = SettingsError::Unusable(name, "an absolute https URL");
        let Some(text) = self.find(name) else { return Ok(None) };
        Some(text.trim_end_matches('/')).filter(plain).map(|text| Some(text.into())).ok_or(unusable)
    }
}

impl Settings {
    /// Reads the variables: a JSON object of texts.
    pub fn parse(json: &str) -> Result<Self, SettingsError> {
        let variables = serde_json::from_str::<Variables>(json).map_err(|_| SettingsError::Environment)?;
        let identity = variables.address("IDENTITY_URL")?.ok_or(SettingsError::Missing("IDENTITY_URL"))?;
        let jwks = variables.address("JWKS_URL")?;
        let service_token = variables.need("SERVICE_TOKEN")?;
        let poll = variables.seconds("REVOCATION_POLL", 5, 300)?;
        let routes = RouteTable::parse(variables.need("ROUTES")?).map_err(SettingsError::Routes)?;
        // Nobody would tell the edge that somebody froze.
        if poll == 0 && routes.iter().any(Route::is_trading) {
            return Err(SettingsError::Unusable("REVOCATION_POLL", "more than 0 beside a route of trading"));
        }
        Ok(Self {
            proof_keys: ProofKeys::derive(variables.need("EDGE_PROOF_KEY")?, &routes)
                .ok_or(SettingsError::Unusable("EDGE_PROOF_KEY", "base64url of 32 bytes or more"))?,
            routes,
            policy: match variables.find("ROLE_DEFINITIONS") {
                Some(json) => Policy::parse(json).map_err(SettingsError::Policy)?,
                None => Policy::default(),
            },
            expectations: Expectations {
                // The issuer chooses by the keys it publishes, each of which is for one algorithm.
                algorithms: Algorithm::ALL.to_vec(),
                ..Expectations::new(
                    variables.find("TOKEN_ISSUER").unwrap_or("user_service"),
                    variables.find("TOKEN_AUDIENCE").unwrap_or("trading_platform"),
                )
            },
            origins: origins(variables.find("ALLOWED_ORIGINS").unwrap_or_default())?,
            bundle: match variables.find("JWKS_BUNDLE") {
                Some(json) => Some(JwkSet::parse(json.as_bytes()).map_err(SettingsError::Bundle)?),
                None => None,
            },
            addresses: Addresses {
                jwks: jwks.unwrap_or_else(|| format!("{identity}/v1/auth/.well-known/jwks.json")),
                revocations: format!("{identity}/v1/internal/revocations"),
                api_keys: format!("{identity}/v1/internal/api-keys/verify"),
                approvals: format!("{identity}/v1/internal/approvals"),
            },
            service_token: ServiceToken(Zeroizing::new(service_token.to_owned())),
            revocation_poll: Some(poll).filter(|poll| *poll > 0),
            revocation_max_staleness: variables.seconds("REVOCATION_MAX_STALENESS", 60, 3600)?,
            upstream_timeout: variables.seconds("UPSTREAM_TIMEOUT", 15, 300)?.max(1000),
        })
    }
}

/// Exact origins, separated by commas.
fn origins(text: &str) -> Result<Vec<String>, SettingsError> {
    let is_origin = |text: &str| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        host.is_some_and(|host| {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
            !host.is_empty() && host.bytes().all(plain)
        })
    };
    let listed: Vec<_> = text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    if listed.iter().all(|text| is_origin(text)) {
        Ok(listed.into_iter().map(str::to_owned).collect())
    } else {
        Err(SettingsError::Unusable("ALLOWED_ORIGINS", "a list of exact origins"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn variables() -> Value {
        json!({
            "IDENTITY_URL": "https://id.example/",
            "SERVICE_TOKEN": "s",
            "EDGE_PROOF_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "ALLOWED_ORIGINS": "https://app.example, http://localhost:3000",
            "ROUTES": r#"[
                {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://p1.example", "https://p2.example"]},
                {"prefix": "/v1/trading", "service": "trading", "upstreams": ["https://t.example"], "critical": true},
                {"prefix": "/v1/auth", "service": "identity", "upstreams": ["https://id.example"], "public": true}
            ]"#,
        })
    }

    fn error(name: &str, value: Value) -> String {
        let mut variables = variables();
        variables[name] = value;
        Settings::parse(&variables.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_set_has_a_safe_default() {
        let settings = Settings::parse(&variables().to_string()).unwrap();
        assert_eq!(settings.revocation_poll, Some(5000));
        assert_eq!(settings.addresses.jwks, "https://id.example/v1/auth/.well-known/jwks.json");
        assert_eq!(settings.origins, ["https://app.example", "http://localhost:3000"]);
        assert!(!format!("{settings:?}").contains("AAECAwQF"), "a secret is not printed");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for name in ["IDENTITY_URL", "SERVICE_TOKEN", "EDGE_PROOF_KEY", "ROUTES"] {
            assert_eq!(error(name, json!("")), format!("{name} is not set"));
        }
        for (name, value) in [
            ("EDGE_PROOF_KEY", "c2hvcnQ"),
            ("EDGE_PROOF_KEY", "not base64 not base64 not base64 not base64"),
            ("IDENTITY_URL", "id.example"),
            ("IDENTITY_URL", "https://user@id.example"),
            ("IDENTITY_URL", "http://id.example"),
            ("JWKS_URL", "http://id.example/keys"),
            ("JWKS_URL", "file:///etc/passwd"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "https://app.example/"),
            ("ALLOWED_ORIGINS", "null"),
            ("REVOCATION_POLL", "often"),
            ("REVOCATION_POLL", "301"),
            ("UPSTREAM_TIMEOUT", "-1"),
            ("JWKS_BUNDLE", "{}"),
            ("ROUTES", "[]"),
            ("ROLE_DEFINITIONS", "{}"),
        ] {
            let message = error(name, json!(value));
            assert!(message.starts_with(name) && !message.contains("not base64 not"), "{message}");
        }
        assert!(Settings::parse("[]").is_err());
        // Nobody would tell the edge of a freeze.
        let mut variables = variables();
        let routes = variables["ROUTES"].as_str().unwrap().replace("\"critical\"", "\"trading\"");
        variables["ROUTES"] = json!(routes);
        assert!(Settings::parse(&variables.to_string()).is_ok());
        variables["REVOCATION_POLL"] = json!("0");
        let refused = Settings::parse(&variables.to_string()).unwrap_err().to_string();
        assert_eq!(refused, "REVOCATION_POLL is not more than 0 beside a route of trading");
    }
}
