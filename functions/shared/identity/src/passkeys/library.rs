//! The seam to `webauthn-rs`: its ceremonies with a challenge of ours, and its passkeys from rows of ours.
//!
//! The library draws challenges itself, from the ambient source of randomness, and keeps them where nothing reaches them but
//! its own serialised form. So the challenge is put there. The version is pinned, and the tests below hold what is assumed of
//! it: another one is taken once they pass, and not before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_store::Passkey as StoredPasskey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webauthn_rs::Webauthn;
use webauthn_rs::prelude::{
    COSEKey, DiscoverableAuthentication, Passkey, PasskeyRegistration, Uuid, WebauthnResult,
};

use super::CHALLENGE_LENGTH;
use crate::error::Error;

/// The algorithms of keys that are taken, as COSE numbers them, the first one first: ES256, ES384 and RS256. `webauthn-rs`
/// knows Ed25519 and refuses it.
pub const ALGORITHMS: [i64; 3] = [-7, -35, -257];

/// Returns the state of a registration that was begun with this challenge: user verification is required, and nothing is said
/// about who made the authenticator.
pub(super) fn registration(
    webauthn: &Webauthn,
    challenge: &[u8; CHALLENGE_LENGTH],
) -> Result<PasskeyRegistration, Error> {
    let begun = webauthn.start_passkey_registration(Uuid::nil(), "nobody", "nobody", None);
    with_challenge("rs", begun.map(|(_, state)| state), challenge)
}

/// Returns the state of an assertion that was begun with this challenge: user verification is required, and whether a
/// credential may be copied must not change. (That of `start_passkey_authentication` lets it change.)
pub(super) fn assertion(webauthn: &Webauthn, challenge: &[u8]) -> Result<DiscoverableAuthentication, Error> {
    let begun = webauthn.start_discoverable_authentication();
    with_challenge("ast", begun.map(|(_, state)| state), challenge)
}

/// Returns the passkey of the library in a row; fails where the row has no key that it knows.
pub(super) fn passkey(row: &StoredPasskey) -> Result<Passkey, Error> {
    let broken = || Error::Internal("a stored passkey has no usable key");
    let key: serde_cbor_2::Value = serde_cbor_2::from_slice(&row.public_key).map_err(|_| broken())?;
    let key = COSEKey::try_from(&key).map_err(|_| broken())?;
    let credential = json!({
        "cred_id": BASE64URL.encode(&row.credential_id),
        "cred": serde_json::to_value(&key).map_err(|_| broken())?,
        "counter": row.sign_count,
        "transports": null,
        "user_verified": true,
        "backup_eligible": row.backup_eligible,
        "backup_state": row.backed_up,
        "registration_policy": "required",
        "extensions": {},
        "attestation": {"data": "None", "metadata": "None"},
        "attestation_format": "none",
    });
    serde_json::from_value(json!({"cred": credential})).map_err(|_| broken())
}

fn with_challenge<S: Serialize + DeserializeOwned>(
    member: &str,
    state: WebauthnResult<S>,
    challenge: &[u8],
) -> Result<S, Error> {
    let failed = || Error::Internal("a ceremony of webauthn-rs has another form");
    let mut written = serde_json::to_value(state.map_err(|_| failed())?).map_err(|_| failed())?;
    let place = written.get_mut(member).and_then(|state| state.get_mut("challenge")).ok_or_else(failed)?;
    *place = Value::String(BASE64URL.encode(challenge));
    serde_json::from_value(written).map_err(|_| failed())
}

#[cfg(test)]
mod tests {
    use webauthn_rs::WebauthnBuilder;
    use webauthn_rs::prelude::Url;

    use super::*;

    fn webauthn() -> Webauthn {
        let origin = Url::parse("https://auth.example.com").unwrap();
        WebauthnBuilder::new("example.com", &origin).unwrap().build().unwrap()
    }

    #[test]
    fn the_state_of_a_registration_is_what_is_assumed_of_it() {
        let state = registration(&webauthn(), &[7; CHALLENGE_LENGTH]).unwrap();
        let expected = json!({"rs": {
            "policy": "required",
            "exclude_credentials": [],
            "challenge": BASE64URL.encode([7; CHALLENGE_LENGTH]),
            "credential_algorithms": ["ES256", "ES384", "RS256"],
            "require_resident_key": false,
            "authenticator_attachment": null,
            "extensions": {
                "credentialProtectionPolicy": "userVerificationRequired",
                "enforceCredentialProtectionPolicy": false,
                "uvm": true,
                "credProps": true,
            },
            "allow_synchronised_authenticators": true,
        }});
        assert_eq!(serde_json::to_value(state).unwrap(), expected);
    }

    #[test]
    fn the_state_of_an_assertion_is_what_is_assumed_of_it() {
        let state = assertion(&webauthn(), &[7; CHALLENGE_LENGTH]).unwrap();
        let expected = json!({"ast": {
            "credentials": [],
            "policy": "required",
            "challenge": BASE64URL.encode([7; CHALLENGE_LENGTH]),
            "appid": null,
            "allow_backup_eligible_upgrade": false,
        }});
        assert_eq!(serde_json::to_value(state).unwrap(), expected);
    }

    #[test]
    fn the_algorithms_that_are_offered_are_those_that_are_taken() {
        let begun = webauthn().start_passkey_registration(Uuid::nil(), "a", "a", None).unwrap().0;
        let taken: Vec<i64> = begun.public_key.pub_key_cred_params.iter().map(|params| params.alg).collect();
        assert_eq!(taken, ALGORITHMS);
    }
}
