//! What an attacker may send, and the result of each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use crate::{Claims, Expectations, MAX_TOKEN_BYTES, Rejection, UnverifiedToken};

const NOW: u64 = 1_000_000;
const KID: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
const CLAIMS: &str = r#""iss":"i","aud":"a","sub":"s","iat":999990,"exp":1000900,"jti":"j","email":"e@x","roles":["user"],"session_id":"x","token_type":"access","auth_time":999990,"amr":["pwd"]"#;

fn b64(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn signature() -> String {
    b64([7; 256])
}

fn header() -> String {
    format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{KID}"}}"#)
}

fn parse_header(header: &str) -> Result<(), Rejection> {
    UnverifiedToken::parse(&format!("{}.e30.{}", b64(header), signature())).map(drop)
}

fn accept(payload: &str) -> Result<Claims, Rejection> {
    let token = format!("{}.{}.{}", b64(header()), b64(payload), signature());
    UnverifiedToken::parse(&token)?.accept(true, &Expectations::new("i", "a"), NOW)
}

fn with(name: &str, value: &str) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&format!("{{{CLAIMS}}}")).unwrap();
    object.remove(name);
    let rest = serde_json::to_string(&object).unwrap();
    if value.is_empty() { rest } else { format!("{},\"{name}\":{value}}}", rest.trim_end_matches('}')) }
}

#[test]
fn a_good_token_is_accepted() {
    let claims = accept(&format!("{{{CLAIMS},\"extra\":{{\"a\":1}}}}")).unwrap();
    assert_eq!((claims.sub.as_str(), claims.exp, claims.nbf), ("s", 1_000_900, None));
    assert!(accept(&with("aud", r#"["b","a"]"#)).is_ok_and(|claims| claims.aud == "a"));
}

#[test]
fn headers_that_are_refused() {
    let good = header();
    for alg in ["\"none\"", "\"HS256\"", "\"rs256\"", "null", "1"] {
        assert_eq!(
            parse_header(&good.replace("\"RS256\"", alg)),
            Err(Rejection::AlgorithmNotAllowed),
            "{alg}"
        );
    }
    for typ in ["\"JWT\"", "\"\"", "null", "\"at+jwt \"", "\"text/at+jwt\""] {
        assert_eq!(parse_header(&good.replace("\"at+jwt\"", typ)), Err(Rejection::WrongType), "{typ}");
    }
    for kid in ["", "../../etc/passwd", &"a".repeat(42), &"a".repeat(44), &format!("{}'", &KID[1..])] {
        assert!(matches!(parse_header(&good.replace(KID, kid)), Err(Rejection::Malformed(_))), "{kid}");
    }
    for extra in [
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""cr\u0069t":["b64"]"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""enc":1"#,
        r#""\u0061lg":"RS256""#,
        r#""x":1,"x":1"#,
    ] {
        assert!(
            matches!(parse_header(&good.replace('}', &format!(",{extra}}}"))), Err(Rejection::Malformed(_))),
            "{extra}"
        );
    }
    for text in ["[]", "", "{", "null", "{} {}"] {
        assert!(parse_header(text).is_err(), "{text}");
    }
    assert!(parse_header(&good.replace("at+jwt", "APPLICATION/At+JWT")).is_ok());
    assert!(parse_header(&good.replace('}', r#","jwk":{},"jku":"u","x5u":1,"x5c":[]}"#)).is_ok());
}

#[test]
fn shapes_that_are_refused() {
    let h = b64(header());
    let bad = [
        "",
        ".",
        "..",
        "a.b",
        "H.e30.",
        "H..SIG",
        ".e30.SIG",
        "H.e30.SIG.x",
        "H.e30=.SIG",
        "H.e31.SIG",
        "H.e30.c2l=",
        "H.e30.c2m",
        "H.e30.c",
        "H.e+0.SIG",
        "H.e30.SIG ",
        "H.e3.SIG\n",
    ];
    for token in bad {
        assert!(
            matches!(
                UnverifiedToken::parse(&token.replace('H', &h).replace("SIG", &signature())),
                Err(Rejection::Malformed(_))
            ),
            "{token}"
        );
    }
    assert_eq!(UnverifiedToken::parse(&"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(), Rejection::TooLarge);
}

#[test]
fn every_claim_refuses_every_other_type() {
    let texts = ["", "null", "1", "true", "[]", "{}", "\"\""];
    let times =
        ["", "null", "true", "[]", "{}", "\"1\"", "1.5", "1.0", "1e400", "-1", "-0", "18446744073709551616"];
    let lists = ["", "null", "1", "true", "{}", "\"user\"", "[1]", "[null]"];
    let table: [(&[&'static str], &[&str]); 4] = [
        (&["sub", "jti", "session_id", "token_type"], &texts),
        (&["iss", "aud"], &["", "null", "1", "true", "{}"]),
        (&["iat", "exp", "auth_time"], &times),
        (&["roles", "amr"], &lists),
    ];
    for (names, values) in table {
        for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (*name, *value))) {
            assert_eq!(accept(&with(name, value)), Err(Rejection::Claim(name)), "{name} {value}");
        }
    }
    assert!(times.iter().skip(1).all(|value| accept(&with("nbf", value)) == Err(Rejection::Claim("nbf"))));
    assert!(
        texts.iter().skip(1).all(|value| accept(&with("email", value)) == Err(Rejection::Claim("email")))
    );
    assert_eq!(accept(&with("email", "")).unwrap().email, None, "an account may have no address");
}

#[test]
fn values_that_are_refused() {
    assert_eq!(accept(&with("iss", "\"I\"")), Err(Rejection::Issuer));
    assert_eq!(accept(&with("aud", r#"["b"]"#)), Err(Rejection::Audience));
    assert_eq!(accept(&with("aud", r#"["a",1]"#)), Err(Rejection::Claim("aud")));
    assert_eq!(accept(&with("token_type", "\"refresh\"")), Err(Rejection::Claim("token_type")));
    for twice in [r#""exp":1"#, r#""\u0065xp":1"#, r#""z":1,"z":2"#] {
        assert!(matches!(accept(&format!("{{{CLAIMS},{twice}}}")), Err(Rejection::Malformed(_))), "{twice}");
    }
}

#[test]
fn leeway_is_five_seconds_and_no_more() {
    assert!(accept(&with("exp", "999996")).is_ok());
    assert_eq!(accept(&with("exp", "999995")), Err(Rejection::Expired));
    for name in ["iat", "nbf"] {
        assert!(accept(&with(name, "1000005")).is_ok());
        assert_eq!(accept(&with(name, "1000006")), Err(Rejection::NotYetValid));
    }
    assert_eq!(accept(&with("exp", "999990")), Err(Rejection::Claim("exp")));
}

#[test]
fn a_bad_signature_hides_bad_claims() {
    let token = format!("{}.{}.{}", b64(header()), b64("not json"), signature());
    let parsed = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(parsed.accept(false, &Expectations::new("i", "a"), NOW), Err(Rejection::Signature));
}

proptest! {
    #[test]
    fn no_text_panics(token in ".{0,80}", payload in "\\PC{0,60}") {
        let _ = UnverifiedToken::parse(&token);
        let _ = accept(&payload);
        let _ = parse_header(&payload);
    }

    #[test]
    fn claims_survive_the_round_trip(sub in "\\PC{1,20}", roles in prop::collection::vec("\\PC{0,9}", 0..4)) {
        let json = with("sub", &serde_json::to_string(&sub).unwrap());
        let mut claims = accept(&json).unwrap();
        claims.roles = roles;
        prop_assert_eq!(accept(&serde_json::to_string(&claims).unwrap()), Ok(claims));
    }
}
