//! The vectors of `edge/proof-vectors.json`, made here and read by every package that checks proofs: one file, so that no
//! two of them can mean different things. To write it again:
//!
//! ```text
//! UPDATE_PROOF_VECTORS=1 cargo test --workspace --all-features proof_vectors
//! ```

use std::path::{Path, PathBuf};

use portcullis_verifier::origin_proof::UnverifiedProof;
use serde_json::{Map, Value, json};

use super::*;

const ROOT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const NEXT_ROOT: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
const TIME: u64 = 1_760_000_000;
const NONCE: &str = "9f2c4a1b7d3e4f60-1f";
const TARGET: &str = "/v1/portfolio?page=2&q=%2F";

const ASHA: IdentityHeaders<&str> = IdentityHeaders {
    user_id: "usr_1",
    email: "asha@example.com",
    roles: "user,trader",
    scopes: "",
    session_id: "ses_1",
    auth_method: "jwt",
    request_id: "r-1",
    client_address: "192.0.2.7",
    approval_id: "",
    approval_order_tag: "",
};

/// Those of a program, whose values want escapes.
const BOT: IdentityHeaders<&str> = IdentityHeaders {
    user_id: "usr_%E2%82%AC",
    email: "",
    roles: "user,a%2Cb",
    scopes: "market:read,portfolio:*",
    session_id: "",
    auth_method: "api_key",
    request_id: "r-2",
    client_address: "2001:db8::7",
    approval_id: "",
    approval_order_tag: "",
};

/// Asha, with an order that she approved.
const APPROVED: IdentityHeaders<&str> = IdentityHeaders {
    approval_id: "apr_0199f3c2a6e47d0c8f21b7e5d4a39c10",
    approval_order_tag: "7d0c8f21b7e5d4a39c10",
    ..ASHA
};

const NOBODY: IdentityHeaders<&str> = IdentityHeaders {
    user_id: "",
    email: "",
    roles: "",
    scopes: "",
    session_id: "",
    auth_method: "",
    ..ASHA
};

/// A request as a service gets it, with what the service holds.
#[derive(Debug, Clone)]
struct Case {
    name: &'static str,
    /// Where and under which id: the keys that the service holds.
    held: Vec<(&'static str, &'static str)>,
    service: &'static str,
    target: &'static str,
    proof: String,
    headers: IdentityHeaders<&'static str>,
    now: u64,
    is_valid: bool,
}

fn key(root: &str, service: &str, id: &str) -> ServiceKey {
    let bytes = URL_SAFE_NO_PAD.decode(root).unwrap();
    ServiceKey::derive(&Hkdf::new(Some(KEY_SALT), &bytes), service, id).unwrap()
}

/// The key of a service as text, from the same derivation once more.
fn key_text(root: &str, service: &str, id: &str) -> String {
    let root = Hkdf::<Sha256>::new(Some(KEY_SALT), &URL_SAFE_NO_PAD.decode(root).unwrap());
    let mut bytes = [0; 32];
    root.expand(key_purpose(service, id).as_bytes(), &mut bytes).unwrap();
    format!("{id}:{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn good(name: &'static str, key: &ServiceKey, headers: IdentityHeaders<&'static str>) -> Case {
    let proof = key.sign(TIME, NONCE, "GET", TARGET, headers).unwrap();
    let held = vec![(ROOT, "1")];
    Case { name, held, service: "portfolio", target: TARGET, proof, headers, now: TIME, is_valid: true }
}

fn cases() -> Vec<Case> {
    let (first, second) = (key(ROOT, "portfolio", "1"), key(ROOT, "portfolio", "2"));
    let (trading, next) = (key(ROOT, "trading", "1"), key(NEXT_ROOT, "portfolio", "1"));
    let identity = key(ROOT, "identity", "1");
    let person = good("a person", &first, ASHA);
    let by_second = good("by the second key", &second, ASHA);
    let mut all = vec![
        person.clone(),
        good("a program, with escaped values", &first, BOT),
        good("nobody, on a public route", &first, NOBODY),
        good("a person who approved the order", &first, APPROVED),
        Case { name: "thirty seconds later", now: TIME + 30, ..person.clone() },
        Case { name: "thirty seconds early", now: TIME - 30, ..person.clone() },
        Case { name: "to the identity service", service: "identity", ..good("", &identity, NOBODY) },
        Case { name: "by the first key of two", held: vec![(ROOT, "1"), (ROOT, "2")], ..person.clone() },
        Case { name: "by the second key of two", held: vec![(ROOT, "1"), (ROOT, "2")], ..by_second.clone() },
        Case {
            name: "by the key of the next root key",
            held: vec![(ROOT, "1"), (NEXT_ROOT, "1")],
            ..good("", &next, ASHA)
        },
    ];
    let with = |proof: String| Case { proof, ..person.clone() };
    // What another service can make: it has its own key, and may write what it likes under it.
    let forged = ServiceKey { service: "portfolio".to_owned(), ..key(ROOT, "trading", "1") };
    let refused = vec![
        ("made with the key of another service", good("", &forged, ASHA)),
        ("for another service", good("", &trading, ASHA)),
        ("by a key that was removed", Case { held: vec![(ROOT, "2")], ..person.clone() }),
        ("by a key that is not there yet", by_second.clone()),
        (
            "by one key under the id of another",
            Case {
                proof: person.proof.replace("k=1;", "k=2;"),
                held: vec![(ROOT, "1"), (ROOT, "2")],
                ..person.clone()
            },
        ),
        ("by the key of a root key that is not valid yet", good("", &next, ASHA)),
        (
            "to the identity service under another id",
            Case { service: "identity", ..good("", &key(ROOT, "identity", "2"), NOBODY) },
        ),
        (
            "to the identity service by another one",
            Case {
                service: "identity",
                ..good(
                    "",
                    &ServiceKey { service: "identity".to_owned(), ..key(ROOT, "trading", "1") },
                    NOBODY,
                )
            },
        ),
        ("too late", Case { now: TIME + 31, ..person.clone() }),
        ("too early", Case { now: TIME - 31, ..person.clone() }),
        ("with another time", with(person.proof.replace("t=1760000000", "t=1760000001"))),
        ("with another nonce", with(person.proof.replace("-1f;", "-20;"))),
        ("of another target", Case { target: "/v1/portfolio?page=3&q=%2F", ..person.clone() }),
        (
            "of another caller",
            Case { headers: IdentityHeaders { user_id: "usr_2", ..ASHA }, ..person.clone() },
        ),
        (
            "of more roles",
            Case { headers: IdentityHeaders { roles: "user,trader,admin", ..ASHA }, ..person.clone() },
        ),
        ("with an approval that there was none of", Case { headers: APPROVED, ..person.clone() }),
        ("without its approval", Case { headers: ASHA, ..good("", &first, APPROVED) }),
        (
            "with another approval",
            Case {
                headers: IdentityHeaders { approval_id: "apr_0199f3c2a6e47d0c8f21b7e5d4a39c11", ..APPROVED },
                ..good("", &first, APPROVED)
            },
        ),
        (
            "with another tag of its order",
            Case {
                headers: IdentityHeaders { approval_order_tag: "7d0c8f21b7e5d4a39c11", ..APPROVED },
                ..good("", &first, APPROVED)
            },
        ),
        ("in capitals", with(person.proof.to_uppercase())),
        ("cut short", with(person.proof[..person.proof.len() - 1].to_owned())),
        ("in the form of before", with(format!("v1;t={TIME};{}", "0".repeat(64)))),
        ("none", with(String::new())),
    ];
    all.extend(refused.into_iter().map(|(name, case)| Case { name, is_valid: false, ..case }));
    all
}

/// Whether a service that holds these keys believes the request, by the words of the README.
fn is_believed(case: &Case) -> bool {
    let Some(proof) = UnverifiedProof::parse(&case.proof).filter(|proof| proof.is_fresh(case.now)) else {
        return false;
    };
    let (service, target, headers) = (case.service, case.target, case.headers);
    let text = Statement { mark: proof.mark, service, method: "GET", target, headers }.canonical().unwrap();
    case.held
        .iter()
        .filter(|(_, id)| *id == proof.mark.key)
        .any(|(root, id)| key(root, service, id).mac.chain_update(&text).verify_slice(&proof.mac).is_ok())
}

/// The caller whom a client package makes of the headers.
fn caller(headers: IdentityHeaders<&str>) -> Value {
    let plain = |value: &str| percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned();
    let some = |value: &str| (!value.is_empty()).then(|| plain(value));
    let list = |value: &str| value.split(',').filter(|one| !one.is_empty()).map(plain).collect::<Vec<_>>();
    if headers.user_id.is_empty() {
        return Value::Null;
    }
    let is_key = headers.auth_method == "api_key";
    json!({
        "user_id": plain(headers.user_id),
        "email": some(headers.email),
        "roles": list(headers.roles),
        "method": if is_key { "api_key" } else { "access_token" },
        "session_id": some(headers.session_id),
        "scopes": is_key.then(|| list(headers.scopes)),
        "request_id": some(headers.request_id),
        "client_address": some(headers.client_address),
        "approval_id": some(headers.approval_id),
        "approval_order_tag": some(headers.approval_order_tag),
    })
}

fn written(case: &Case) -> Value {
    let keys: Vec<_> = case.held.iter().map(|(root, id)| key_text(root, case.service, id)).collect();
    let headers = case.headers.into_iter().chain([("x-edge-proof", case.proof.as_str())]);
    let headers: Map<_, _> = headers
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut vector = json!({
        "name": case.name,
        "keys": keys.join(","),
        "service": case.service,
        "method": "GET",
        "target": case.target,
        "now": case.now,
        "headers": headers,
        "valid": case.is_valid,
    });
    if case.is_valid {
        vector["caller"] = caller(case.headers);
    }
    vector
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proof-vectors.json")
}

#[test]
fn what_is_valid_is_believed_and_nothing_else() {
    for case in cases() {
        assert_eq!(is_believed(&case), case.is_valid, "{}", case.name);
    }
}

#[test]
fn proof_vectors_in_the_tree_are_these() {
    let keys = [("portfolio", "1"), ("portfolio", "2"), ("trading", "1")].map(|(service, id)| {
        json!({"root_key": ROOT, "service": service, "id": id, "key": key_text(ROOT, service, id)})
    });
    let vectors = json!({
        "about": "Made by edge/worker/src/proof/tests.rs. All keys are for tests.",
        "keys": keys,
        "proofs": cases().iter().map(written).collect::<Vec<_>>(),
    });
    let text = format!("{vectors:#}\n");
    if std::env::var_os("UPDATE_PROOF_VECTORS").is_some() {
        std::fs::write(file(), text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(file()).unwrap();
    assert!(
        kept == text,
        "edge/proof-vectors.json is not what the edge makes; the head of this file says how to write it"
    );
}

#[test]
fn a_table_has_one_key_for_each_service_and_id() {
    let route = |prefix: &str, service: &str, key: &str| json!({"prefix": prefix, "service": service, "proof_key": key, "upstreams": ["https://x.example"]});
    let table = json!([
        route("/a", "portfolio", "1"),
        route("/a/b", "portfolio", "1"),
        route("/b", "portfolio", "2"),
        route("/c", "trading", "1"),
    ]);
    let routes = RouteTable::parse(&table.to_string()).unwrap();
    let keys = ProofKeys::derive(ROOT, &routes).unwrap();
    assert_eq!(keys.0.len(), 3);
    let proof =
        |path| keys.of(routes.find(path).unwrap()).unwrap().sign(TIME, NONCE, "GET", TARGET, ASHA).unwrap();
    assert_eq!(proof("/a"), proof("/a/b"));
    assert!(proof("/a").starts_with("v2;k=1;t=1760000000;n=9f2c4a1b7d3e4f60-1f;"));
    assert!(proof("/b").starts_with("v2;k=2;"));
    let mac = |path| proof(path).split(';').next_back().unwrap().to_owned();
    assert!(mac("/a") != mac("/b") && mac("/a") != mac("/c"));
    assert!(ProofKeys::derive("c2hvcnQ", &routes).is_none());
}
