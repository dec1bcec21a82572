//! The gate as JavaScript sees it. Moments are numbers of milliseconds, as `Date.now()` has them.

use portcullis_verifier::jwks::{Jwk, Material};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::headers::{ALWAYS, BY_DEFAULT};
use crate::{Ask, Check, Code, Gate, KeyNumber, Millis, Ticket, Verdict, is_reserved};

#[wasm_bindgen]
extern "C" {
    /// What the shell lends: one call out of a decision.
    pub type Shell;

    /// Begins to verify a signature, whose outcome comes back with the ticket. The bytes are views that last as long as
    /// the call.
    #[wasm_bindgen(method)]
    fn verify(this: &Shell, ticket: Ticket, key: KeyNumber, signature: &[u8], signed: &[u8]);
}

/// The gate of one isolate, with the shell it belongs to.
#[wasm_bindgen]
#[allow(missing_debug_implementations, reason = "JavaScript objects have none")]
pub struct Edge {
    gate: Gate,
    shell: Shell,
}

#[wasm_bindgen]
impl Edge {
    /// Reads the variables, or says in one line which cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(variables: &str, instance: &str, now: f64, shell: Shell) -> Result<Edge, String> {
        let gate = Gate::new(variables, instance, millis(now)).map_err(|error| error.to_string())?;
        Ok(Self { gate, shell })
    }

    /// Decides on a request, described in UTF-8, or says what is needed first; nothing when that is a signature, which
    /// is then being verified.
    pub fn admit(&mut self, ask: Vec<u8>, asked_at: f64, now: f64) -> Option<String> {
        let Self { gate, shell } = self;
        let Ok(lines) = String::from_utf8(ask) else {
            let check = Check::Answer(gate.answer(Code::BadRequest, None, ""));
            return text(&Verdict { check, keys_are_due: false, list_is_due: false });
        };
        text(&gate.admit(lines, millis(asked_at), millis(now), &mut verifying(shell)))
    }

    /// Goes on with the request of this ticket, now that its signature has been verified.
    pub fn resume(&mut self, ticket: Ticket, is_valid: bool) -> Option<String> {
        let Self { gate, shell } = self;
        text(&gate.resume(ticket, is_valid, &mut verifying(shell)))
    }

    /// An answer for what happened outside.
    pub fn answer(&mut self, code: &str, ask: &[u8], request_id: &str) -> String {
        self.gate.answer(Code::from_word(code), described(ask).as_ref(), request_id).to_text()
    }

    /// Where the identity service answers, as JSON.
    pub fn addresses(&self) -> String {
        self.gate.addresses()
    }

    /// The public keys to import, as a JSON array of pairs: number and JWK.
    pub fn keys(&self) -> String {
        let pair = |(number, key)| PublicJwk::of(key).map(|key| (number, key));
        let keys: Vec<_> = self.gate.keys().filter_map(pair).collect();
        serde_json::to_string(&keys).unwrap_or_default()
    }

    /// A fetch of the keys begins.
    pub fn keys_fetching(&mut self, now: f64) {
        self.gate.keys_fetching(millis(now));
    }

    /// The keys, or why they cannot be used. A negative `max_age` stands for none.
    pub fn keys_arrived(&mut self, json: &[u8], max_age: f64, now: f64) -> Result<(), String> {
        let max_age = (max_age >= 0.0).then(|| millis(max_age));
        self.gate.keys_arrived(json, max_age, millis(now)).map_err(|error| error.to_string())
    }

    /// The fetch of the keys brought nothing.
    pub fn keys_failed(&mut self) {
        self.gate.keys_failed();
    }

    /// The list of revocations, or why it cannot be used.
    pub fn revocations_arrived(&mut self, json: &[u8], asked_at: f64) -> Result<(), String> {
        self.gate.revocations_arrived(json, millis(asked_at)).map_err(|error| error.to_string())
    }

    /// The list of revocations has not changed.
    pub fn revocations_unchanged(&mut self, asked_at: f64) {
        self.gate.revocations_unchanged(millis(asked_at));
    }

    /// The list of revocations could not be had.
    pub fn revocations_failed(&mut self, now: f64) {
        self.gate.revocations_failed(millis(now));
    }

    /// The answer about an API key, or why it cannot be used. A negative `ends_at` stands for none.
    pub fn api_key_answered(
        &mut self,
        key: &str,
        json: &[u8],
        ends_at: f64,
        asked_at: f64,
    ) -> Result<(), String> {
        let ends_at = (ends_at >= 0.0).then(|| millis(ends_at));
        self.gate.api_key_answered(key, json, ends_at, millis(asked_at)).map_err(|error| error.to_string())
    }
}

/// What a deployed worker has no use for: a token is verified and no more, to be held against libraries that do the same.
#[cfg(feature = "measure")]
#[wasm_bindgen]
impl Edge {
    /// Whether a token is good, or nothing while its signature is being verified.
    pub fn verify_token(&mut self, token: Vec<u8>, now: f64) -> Option<bool> {
        let Self { gate, shell } = self;
        let Ok(token) = String::from_utf8(token) else { return Some(false) };
        gate.verify_token(token, millis(now), &mut verifying(shell))
    }

    /// Whether the token of this ticket is good.
    pub fn token_verified(&mut self, ticket: Ticket, is_valid: bool) -> bool {
        self.gate.token_verified(ticket, is_valid)
    }
}

fn verifying(shell: &Shell) -> impl FnMut(Ticket, KeyNumber, &[u8], &[u8]) {
    |ticket, key, signature, signed| shell.verify(ticket, key, signature, signed)
}

fn text(verdict: &Verdict) -> Option<String> {
    (!matches!(verdict.check, Check::Signature(_))).then(|| verdict.to_text())
}

/// A request comes as bytes: a text would be copied letter by letter, which is most of the cost while V8 has not
/// optimised the loop yet.
fn described(ask: &[u8]) -> Option<Ask<'_>> {
    str::from_utf8(ask).ok().and_then(Ask::parse)
}

/// Whether a client's header of this name must not reach a service.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "JavaScript reaches it")]
pub fn reserved(name: &str) -> bool {
    is_reserved(name)
}

/// The headers every answer carries, as JSON: those that replace what a service set, then those that do not.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "JavaScript reaches it")]
pub fn answer_headers() -> String {
    serde_json::to_string(&(ALWAYS, BY_DEFAULT)).unwrap_or_default()
}

/// A key as WebCrypto imports it.
#[derive(Serialize)]
struct PublicJwk<'k> {
    kty: &'static str,
    alg: &'static str,
    kid: &'k str,
    n: &'k str,
    e: &'static str,
}

impl<'k> PublicJwk<'k> {
    /// Only RSA keys: other algorithms are not expected of a token.
    fn of(key: &'k Jwk) -> Option<Self> {
        match key.material() {
            Material::Rsa { n } => Some(Self { kty: "RSA", alg: "RS256", kid: key.kid(), n, e: "AQAB" }),
            _ => None,
        }
    }
}

/// A cast of a float saturates: nothing wraps around.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating, and years after 1970"
)]
fn millis(number: f64) -> Millis {
    number as Millis
}
