//! The published keys, and whether a token is signed with one of them.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use crate::client::{Ask, Client, Trouble};

const KEYS: &str = "/v1/auth/.well-known/jwks.json";
/// Members of a private or symmetric key (RFC 7518, section 6), none of which is ever published.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// A published key set as it came.
#[derive(Debug, Clone)]
pub struct Keys(Value);

impl Keys {
    /// Fetches them; fails when they are not there.
    pub async fn fetch(client: &Client) -> Result<Self, Trouble> {
        Ok(Self(client.ask(&Ask::get(KEYS)).await?.wants(200)?.body))
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.0.get("keys").and_then(Value::as_array).into_iter().flatten()
    }

    /// Returns the ids of the keys.
    pub fn ids(&self) -> Vec<&str> {
        self.all().filter_map(|key| key.get("kid").and_then(Value::as_str)).collect()
    }

    /// Returns a member of the first key that has it, such as the modulus.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.all().find_map(|key| key.get(name).and_then(Value::as_str))
    }

    /// Whether a private half is among them.
    pub fn are_private(&self) -> bool {
        self.all().any(|key| PRIVATE.iter().any(|name| key.get(name).is_some()))
    }

    /// Returns the claims of a token whose signature holds under the key that it names; `None` for any other.
    pub fn claims(&self, token: &str) -> Option<Value> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let set: JwkSet = serde_json::from_value(self.0.clone()).ok()?;
        let key = set.find(header.kid.as_deref()?)?;
        // Whom it is for and how long it lives is the deployment's to judge; this is about the signature.
        let mut rules = Validation::new(header.alg);
        rules.validate_aud = false;
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let key = DecodingKey::from_jwk(key).ok()?;
        jsonwebtoken::decode::<Value>(token, &key, &rules).ok().map(|token| token.claims)
    }
}
