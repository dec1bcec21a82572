//! What it costs to judge a passkey, beside the one ES256 verification that it cannot do without.

use std::hint::black_box;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_harness::passkey::SoftPasskey;
use portcullis_identity::{CHALLENGE_LENGTH, Passkey, PublicKeyCredential, RelyingParty};
use portcullis_platform::{Clock, Environment, SystemClock, SystemEntropy};
use portcullis_store::Id;
use serde_json::{Value, json};

use crate::report::Report;

const PAGE: &str = "https://auth.example.com";
const CHALLENGE: [u8; CHALLENGE_LENGTH] = [7; CHALLENGE_LENGTH];

/// No more than 0.6 ms are to be spent on one.
pub(crate) fn measure(report: &mut Report) {
    let relying_party = RelyingParty::read(&Environment::default(), "Bench", PAGE, std::iter::empty());
    let relying_party = relying_party.expect("a page").expect("a relying party");
    let mut authenticator = SoftPasskey::on(PAGE);
    authenticator.user_handle = Some(vec![9; 64]);
    let options = json!({"challenge": BASE64URL.encode(CHALLENGE), "rpId": relying_party.id()});
    let shown = authenticator.get(&options);
    let row = row(&authenticator);
    let credential: PublicKeyCredential = serde_json::from_value(shown.clone()).expect("a credential");
    let mut bare = bare_verification(&authenticator, &shown);
    report.ratio("a passkey judged / bare ES256 verification", None, &mut bare, || {
        let verified = relying_party.verify_assertion(&CHALLENGE, black_box(&credential), &row);
        assert!(black_box(verified).expect("a key").is_ok(), "it verifies");
    });
}

/// The verification alone, with a key that was parsed before.
fn bare_verification(authenticator: &SoftPasskey, shown: &Value) -> impl FnMut() + use<> {
    let member = |name: &str| {
        let text = shown.pointer(&format!("/response/{name}")).and_then(Value::as_str).expect("a member");
        BASE64URL.decode(text).expect("base64url")
    };
    let client_data = digest(&SHA256, &member("clientDataJSON"));
    let message = [member("authenticatorData").as_slice(), client_data.as_ref()].concat();
    let signature = member("signature");
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, authenticator.point()).expect("a key");
    move || key.verify_sig(black_box(&message), &signature).expect("a signature")
}

fn row(authenticator: &SoftPasskey) -> Passkey {
    let now = SystemClock.now();
    Passkey {
        id: Id::generate(now, &SystemEntropy).expect("randomness"),
        account: Id::generate(now, &SystemEntropy).expect("randomness"),
        name: "Phone".to_owned(),
        credential_id: authenticator.credential_id.clone(),
        public_key: authenticator.public_key(),
        user_handle: authenticator.user_handle.clone().unwrap_or_default(),
        sign_count: 0,
        backup_eligible: false,
        backed_up: false,
        transports: Vec::new(),
        aaguid: [0; 16],
        created_at: now,
        last_used_at: None,
    }
}
