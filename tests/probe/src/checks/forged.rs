//! Access tokens that nobody issued, with someone's real one among them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use portcullis_platform::{Entropy, SystemEntropy};
use serde_json::json;
use sha2::Sha256;

use super::milliseconds;
use crate::client::{Answer, Trouble};
use crate::keys::Keys;
use crate::people::{Person, me};
use crate::probe::Probe;
use crate::report::Finding;

/// So many at a time.
const AT_ONCE: usize = 20;
/// One request in so many is an honest one.
const HONEST: u32 = 8;

pub(super) async fn check(probe: &Probe) -> Result<Finding, Trouble> {
    let person = probe.people.person().await?;
    let keys = Keys::fetch(&probe.client).await?;
    let before = probe.client.ask(&me(&person.session.access)).await?.wants(200)?;
    let count = probe.options.forged;
    let mut asks = Vec::new();
    for number in 0..count {
        asks.push((true, me(&forged(number, &keys, &person)?)));
        if number % HONEST == 0 {
            asks.push((false, me(&person.session.access)));
        }
    }
    let client = &probe.client;
    let sent = stream::iter(asks).map(|(is_forged, ask)| async move { (is_forged, client.send(&ask).await) });
    let answers: Vec<_> = sent.buffer_unordered(AT_ONCE).collect().await;
    let mut forgeries = Vec::new();
    let mut honest = Vec::new();
    for (is_forged, answer) in answers {
        if is_forged { forgeries.push(answer?) } else { honest.push(answer?) }
    }
    let after = Keys::fetch(&probe.client).await?;
    Ok(found(&forgeries, &honest, &before).holds(!after.are_private(), "a private key is published"))
}

fn found(forgeries: &[Answer], honest: &[Answer], before: &Answer) -> Finding {
    // 503 says that nothing was decided, which the edge says of ids it has no time to look up.
    let accepted = forgeries.iter().filter(|answer| answer.status < 300);
    let odd = forgeries.iter().filter(|answer| !matches!(answer.status, 200..300 | 401 | 503));
    let (accepted, odd): (Vec<_>, Vec<_>) = (accepted.collect(), odd.collect());
    let undecided = forgeries.iter().filter(|answer| answer.status == 503).count();
    let shut_out: Vec<_> = honest.iter().filter(|answer| answer.status != 200).collect();
    let mut times: Vec<_> = honest.iter().map(|answer| answer.took).collect();
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let first = |answers: &[&Answer]| answers.first().map(|answer| answer.shown()).unwrap_or_default();
    let said = format!(
        "{} forged tokens, {} of them undecided (503), {} honest requests between them: {} ms alone, {} ms at the median",
        forgeries.len(),
        undecided,
        honest.len(),
        milliseconds(before.took),
        milliseconds(median)
    );
    Finding::saying(said)
        .figure("forged", forgeries.len())
        .figure("undecided", undecided)
        .figure("alone_ms", milliseconds(before.took))
        .figure("median_ms", milliseconds(median))
        .holds(
            accepted.is_empty(),
            format!("{} forged tokens were accepted: {}", accepted.len(), first(&accepted)),
        )
        .holds(odd.is_empty(), format!("{} were answered oddly: {}", odd.len(), first(&odd)))
        .holds(
            shut_out.is_empty(),
            format!(
                "{} of {} honest requests were refused: {}",
                shut_out.len(),
                honest.len(),
                first(&shut_out)
            ),
        )
}

/// Returns a token with the claims of an administrator that nobody signed: under an id nobody knows, under a published one,
/// under no algorithm, and under the public key as a shared secret.
fn forged(number: u32, keys: &Keys, person: &Person) -> Result<String, Trouble> {
    let mut random = [0; 256];
    SystemEntropy.fill(&mut random).map_err(|_| Trouble::NoRandomness)?;
    let (id, _) = random.split_at(32);
    let known = keys.ids().first().map(|&kid| kid.to_owned()).unwrap_or_default();
    let (algorithm, kid) = match number % 8 {
        0 => ("RS256", known),
        1 => ("none", known),
        2 => ("HS256", known),
        // Most of a flood.
        _ => ("RS256", URL_SAFE_NO_PAD.encode(id)),
    };
    let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": kid});
    let mut claims = keys.claims(&person.session.access).unwrap_or_default();
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("roles".to_owned(), json!(["admin"]));
    }
    let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = match algorithm {
        "none" => String::new(),
        "HS256" => URL_SAFE_NO_PAD.encode(mac(keys, &signed)),
        _ => URL_SAFE_NO_PAD.encode(random),
    };
    Ok(format!("{signed}.{signature}"))
}

fn mac(keys: &Keys, signed: &str) -> Vec<u8> {
    let public = keys.member("n").or(keys.member("x")).unwrap_or_default();
    let key = URL_SAFE_NO_PAD.decode(public).unwrap_or_default();
    let mac = Hmac::<Sha256>::new_from_slice(&key);
    mac.map(|mac| mac.chain_update(signed).finalize().into_bytes().to_vec()).unwrap_or_default()
}
