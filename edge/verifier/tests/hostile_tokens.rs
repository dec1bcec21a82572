//! What Mallory may send, and that none of it becomes claims. No key is needed: every signature is said to be valid.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail by panicking; clippy only knows so of its `#[test]` functions"
)]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_verifier::{Assurance, Claims, Expectations, MAX_TOKEN_BYTES, Rejection, UnverifiedToken};
use proptest::prelude::*;

const NOW: u64 = 1_760_000_000;
const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const MEMBERS: [(&str, &str); 13] = [
    ("iss", "\"user_service\""),
    ("aud", "\"trading_platform\""),
    ("sub", "\"usr_alice\""),
    ("iat", "1760000000"),
    ("exp", "1760000900"),
    ("jti", "\"tok_1\""),
    ("email", "\"alice@example.com\""),
    ("roles", "[\"user\"]"),
    ("session_id", "\"ses_1\""),
    ("token_type", "\"access\""),
    ("auth_time", "1760000000"),
    ("amr", "[\"pwd\",\"otp\"]"),
    ("acr", "\"aal2\""),
];

fn header_with(rest: &str) -> String {
    format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{KID}"{rest}}}"#)
}

/// The payload of a sound token with one member replaced, added or (`None`) left out.
fn payload_with(name: &str, value: Option<&str>) -> String {
    let mut json = String::from("{");
    let others = MEMBERS.into_iter().filter(|(member, _)| *member != name);
    for (member, value) in others.chain(value.map(|value| (name, value))) {
        let comma = if json.len() > 1 { "," } else { "" };
        write!(json, "{comma}\"{member}\":{value}").unwrap();
    }
    json + "}"
}

fn payload() -> String {
    payload_with("", None)
}

fn token(header: &str, payload: &str) -> String {
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([7; 256]))
}

fn accept(token: &str, now: u64) -> Result<Claims, Rejection> {
    UnverifiedToken::parse(token)?.accept(true, &Expectations::new("user_service", "trading_platform"), now)
}

fn with_header(header: &str) -> Result<Claims, Rejection> {
    accept(&token(header, &payload()), NOW)
}

fn with_payload(payload: &str) -> Result<Claims, Rejection> {
    accept(&token(&header_with(""), payload), NOW)
}

#[test]
fn the_token_all_others_are_made_from_is_sound() {
    assert_eq!(with_payload(&payload()).unwrap().sub, "usr_alice");
}

#[test]
fn algorithm_confusion() {
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "ES256K",
        "rs256",
        "RS256 ",
        " RS256",
        "RS256\\u0000",
        "RSA-OAEP",
        "dir",
    ] {
        let header = header_with("").replace("RS256", alg);
        assert_eq!(with_header(&header), Err(Rejection::AlgorithmNotAllowed), "{alg}");
    }
    for alg in ["null", "true", "256", "[\"RS256\"]", "{\"RS256\":1}"] {
        assert!(with_header(&header_with("").replace("\"RS256\"", alg)).is_err(), "{alg}");
    }
    assert!(with_header(&format!(r#"{{"typ":"at+jwt","kid":"{KID}"}}"#)).is_err(), "no alg");
}

#[test]
fn algorithms_the_deployment_did_not_choose() {
    for alg in ["ES256", "EdDSA"] {
        let parts = token(&header_with("").replace("RS256", alg), &payload());
        let (input, _) = parts.rsplit_once('.').unwrap();
        let parts = format!("{input}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        assert_eq!(accept(&parts, NOW), Err(Rejection::AlgorithmNotAllowed), "{alg}");
    }
}

#[test]
fn tokens_of_another_kind() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(with_header(&header_with("").replace("at+jwt", typ)).is_ok(), "{typ}");
    }
    for typ in [
        "JWT",
        "jwt",
        "",
        "rt+jwt",
        "at+jwt ",
        "at_jwt",
        "text/at+jwt",
        "application/jwt",
        "at+jwt;a=b",
        "ａt+jwt",
    ] {
        assert_eq!(with_header(&header_with("").replace("at+jwt", typ)), Err(Rejection::WrongType), "{typ}");
    }
    assert_eq!(with_header(&format!(r#"{{"alg":"RS256","kid":"{KID}"}}"#)), Err(Rejection::WrongType));
}

#[test]
fn key_ids_that_would_reach_a_lookup() {
    let (short, long) = (&KID[1..], format!("{KID}A"));
    for kid in [
        "",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "key|id",
        "https://evil.example/jwks.json",
        short,
        &long,
        &format!("{short}="),
        &format!("{short}."),
        &format!("{short}/"),
        &format!("{short}\\u0000"),
        &"é".repeat(43),
    ] {
        assert!(with_header(&header_with("").replace(KID, kid)).is_err(), "{kid}");
    }
    for kid in ["null", "1", "[]", "{}"] {
        assert!(with_header(&header_with("").replace(&format!("\"{KID}\""), kid)).is_err(), "{kid}");
    }
    assert!(with_header(r#"{"alg":"RS256","typ":"at+jwt"}"#).is_err(), "no kid");
}

#[test]
fn keys_brought_along_are_ignored() {
    let rest = r#","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"},"jku":"https://evil.example","x5u":"https://evil.example","x5c":["MII"]"#;
    let token = token(&header_with(rest), &payload());
    assert_eq!(UnverifiedToken::parse(&token).unwrap().kid(), KID);
}

#[test]
fn extensions_nobody_here_understands() {
    for rest in [
        r#","crit":["exp"]"#,
        r#","crit":["b64"],"b64":false"#,
        r#","crit":["b64"],"b64":true"#,
        r#","crit":[]"#,
        r#","crit":"exp""#,
        r#","crit":null"#,
        r#","crit":["x"],"x":1"#,
        r#","crit":["exp"],"crit":["exp"]"#,
        r#","cr\u0069t":["exp"]"#,
        r#","zip":"DEF""#,
        r#","enc":"A256GCM""#,
    ] {
        assert!(with_header(&header_with(rest)).is_err(), "{rest}");
    }
}

#[test]
fn every_claim_of_every_other_type() {
    let refused = [
        "1.5",
        "1760000000.0",
        "1e9",
        "1e400",
        "-1",
        "-0",
        "18446744073709551616",
        "null",
        "true",
        "false",
        "{}",
    ];
    for (name, sound) in MEMBERS.into_iter().chain([("nbf", "1760000000")]) {
        let kind = &sound[..1];
        let others: &[&str] = match kind {
            "\"" => &["1", "[]", "[1]", "\"\""],
            "[" => &["1", "\"user\"", "[1]", "[null]", "[\"user\",[]]", "{\"0\":\"user\"}"],
            _ => &["\"1760000000\"", "\"\"", "[]", "[1760000000]"],
        };
        // A class that nobody has heard of is the weakest, and so is none.
        let is_class = |value: &&&str| name == "acr" && **value == "\"\"";
        for value in refused.iter().chain(others).filter(|value| !is_class(value)) {
            assert!(with_payload(&payload_with(name, Some(value))).is_err(), "{name}: {value}");
        }
        let absent = with_payload(&payload_with(name, None));
        assert_eq!(absent.is_ok(), ["email", "nbf", "acr"].contains(&name), "{name} left out");
    }
}

#[test]
fn claims_of_somebody_else() {
    for issuer in ["\"user_service \"", "\"User_service\"", "\"user_service/\"", "\"user_servic\""] {
        assert_eq!(with_payload(&payload_with("iss", Some(issuer))), Err(Rejection::Issuer), "{issuer}");
    }
    for audience in ["\"trading\"", "\"trading_platform2\"", "\"TRADING_PLATFORM\""] {
        assert_eq!(
            with_payload(&payload_with("aud", Some(audience))),
            Err(Rejection::Audience),
            "{audience}"
        );
    }
    for kind in ["\"refresh\"", "\"Access\"", "\"mfa_challenge\""] {
        assert_eq!(
            with_payload(&payload_with("token_type", Some(kind))),
            Err(Rejection::Claim("token_type"))
        );
    }
}

#[test]
fn names_that_occur_twice() {
    for (name, value) in MEMBERS {
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        for second in [name, &escaped] {
            let json = payload().replace('}', &format!(",\"{second}\":{value}}}"));
            assert!(with_payload(&json).is_err(), "{second}");
        }
    }
    for rest in [
        r#","alg":"RS256""#,
        r#","\u0061lg":"RS256""#,
        r#","kid":"""#,
        r#","typ":"at+jwt""#,
        r#","x":1,"x":1"#,
    ] {
        assert!(with_header(&header_with(rest)).is_err(), "{rest}");
    }
}

#[test]
fn names_that_occur_twice_further_down() {
    for value in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"a":2}}]"#] {
        assert!(with_payload(&payload_with("act", Some(value))).is_err(), "payload {value}");
        assert!(with_header(&header_with(&format!(",\"x\":{value}"))).is_err(), "header {value}");
    }
    assert!(with_payload(&payload_with("act", Some(r#"{"a":1,"b":{"a":1}}"#))).is_ok(), "not a duplicate");
}

#[test]
fn documents_that_are_not_one_json_object() {
    let sound = payload();
    for json in [
        "null",
        "[]",
        "1",
        "\"\"",
        "{",
        "{}",
        &format!("{sound}{sound}"),
        &format!("{sound} x"),
        &format!("\u{feff}{sound}"),
        &format!("[{sound}]"),
        &sound.replace('}', ",}"),
        &sound.replace('{', "{,"),
        &format!("{sound}\0"),
    ] {
        assert!(with_payload(json).is_err(), "{json}");
        assert!(with_header(json).is_err(), "{json}");
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(700), close.repeat(700));
        assert!(with_payload(&payload_with("x", Some(&deep))).is_err());
        assert!(with_header(&header_with(&format!(",\"x\":{deep}"))).is_err());
    }
}

#[test]
fn spellings_of_base64() {
    let sound = token(&header_with(""), &payload());
    let parts: Vec<_> = sound.split('.').collect();
    let join = |a: &str, b: &str, c: &str| format!("{a}.{b}.{c}");
    let padded = URL_SAFE.encode([7; 256]);
    for broken in [
        join(parts[0], parts[1], &padded),
        format!("{sound}="),
        format!(" {sound}"),
        format!("{sound}\n"),
        sound.replace('.', ". "),
        format!("{}+", &sound[..sound.len() - 1]),
        format!("{}x", &sound[..sound.len() - 1]),
        join("", parts[1], parts[2]),
        join(parts[0], "", parts[2]),
        join(parts[0], parts[1], ""),
        format!("{}.{}", parts[0], parts[1]),
        format!("{sound}."),
        format!(".{sound}"),
        format!("{sound}.{}", parts[2]),
        format!("{sound}.{}.{}", parts[1], parts[2]),
        "..".to_owned(),
        String::new(),
    ] {
        assert!(matches!(UnverifiedToken::parse(&broken), Err(Rejection::Malformed(_))), "{broken}");
    }
}

#[test]
fn tokens_and_signatures_of_another_size() {
    let padding = "a".repeat(MAX_TOKEN_BYTES);
    let large = token(&header_with(""), &payload_with("x", Some(&format!("\"{padding}\""))));
    assert_eq!(UnverifiedToken::parse(&large).map(drop), Err(Rejection::TooLarge));
    let sound = token(&header_with(""), &payload());
    let (input, _) = sound.rsplit_once('.').unwrap();
    for bytes in [1, 64, 255, 1025] {
        let odd = format!("{input}.{}", URL_SAFE_NO_PAD.encode(vec![7; bytes]));
        assert!(UnverifiedToken::parse(&odd).is_err(), "{bytes} bytes are no RSA signature");
    }
}

#[test]
fn times_at_the_borders() {
    let sound = token(&header_with(""), &payload());
    assert!(accept(&sound, NOW - 5).is_ok());
    assert_eq!(accept(&sound, NOW - 6), Err(Rejection::NotYetValid));
    assert!(accept(&sound, NOW + 904).is_ok());
    assert_eq!(accept(&sound, NOW + 905), Err(Rejection::Expired));
    let claim = |name, value: u64| with_payload(&payload_with(name, Some(&value.to_string())));
    assert!(claim("nbf", NOW + 5).is_ok());
    assert_eq!(claim("nbf", NOW + 6), Err(Rejection::NotYetValid));
    assert!(claim("exp", NOW).is_err(), "a token that never lived");
    assert!(claim("iat", u64::MAX).is_err());
    assert!(claim("exp", u64::MAX).is_ok());
}

#[test]
fn leeway_beyond_five_seconds_is_not_to_be_had() {
    let sound = token(&header_with(""), &payload());
    let mut expectations = Expectations::new("user_service", "trading_platform");
    expectations.leeway = 86_400;
    let answer = UnverifiedToken::parse(&sound).unwrap().accept(true, &expectations, NOW + 905);
    assert_eq!(answer, Err(Rejection::Expired));
}

#[test]
fn a_bad_signature_is_all_a_forger_hears() {
    let expectations = Expectations::new("user_service", "trading_platform");
    for payload in
        [payload(), "not json".into(), payload_with("exp", Some("\"x\"")), payload_with("iss", Some("\"y\""))]
    {
        let token = token(&header_with(""), &payload);
        let answer = UnverifiedToken::parse(&token).unwrap().accept(false, &expectations, NOW);
        assert_eq!(answer, Err(Rejection::Signature), "{payload}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(text in ".{0,300}", header in "[\\[\\]{}:,\"a-z0-9\\\\ ]{0,60}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = UnverifiedToken::parse(&text);
        let signature = URL_SAFE_NO_PAD.encode([7; 256]);
        let _ = accept(&format!("{}.e30.{signature}", URL_SAFE_NO_PAD.encode(header)), NOW);
        let header = URL_SAFE_NO_PAD.encode(header_with(""));
        let _ = accept(&format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(payload)), NOW);
    }

    #[test]
    fn what_is_minted_reads_back(
        texts in prop::collection::vec("\\PC{1,20}", 4), lists in prop::collection::vec(prop::collection::vec(".{0,8}", 0..3), 2),
        age in 0_u64..900, nbf in prop::option::of(Just(NOW)), epoch in any::<u64>(), has_address in any::<bool>(),
    ) {
        let minted = Claims {
            iss: "user_service".into(), aud: "trading_platform".into(), sub: texts[0].clone(), iat: NOW - age,
            exp: NOW - age + 900, nbf, jti: texts[1].clone(), email: has_address.then(|| texts[2].clone()), roles: lists[0].clone(),
            session_id: texts[3].clone(), epoch, token_type: "access".into(), auth_time: NOW - age, amr: lists[1].clone(), acr: Assurance::of_methods(&lists[1]),
        };
        let json = serde_json::to_string(&minted).unwrap();
        prop_assert_eq!(json.contains("\"nbf\":"), nbf.is_some());
        prop_assert_eq!(json.contains("\"email\":"), has_address);
        prop_assert_eq!(with_payload(&json), Ok(minted));
    }
}
