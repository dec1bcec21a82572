//! Codes of a second factor, at a sign-in that waits for one.

use serde_json::json;

use crate::client::{Answer, Ask, Trouble};
use crate::people::{Person, sign_in};
use crate::probe::Probe;

/// Begins a sign-in, and returns the token that waits for a code.
pub(super) async fn begin(probe: &Probe, person: &Person) -> Result<String, Trouble> {
    let answer = probe.client.ask(&sign_in(&person.address, &person.password)).await?.wants(200)?;
    match answer.text("session_token") {
        "" => Err(Trouble::Unexpected(format!("{}, and no code is asked for", answer.shown()))),
        token => Ok(token.to_owned()),
    }
}

/// Shows a code for it.
pub(super) async fn show(probe: &Probe, token: &str, code: &str) -> Result<Answer, Trouble> {
    let body = json!({"session_token": token, "code": code});
    probe.client.ask(&Ask::post("/v1/auth/mfa/verify", body)).await
}
