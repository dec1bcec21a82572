//! What a proof is worth, and what is worth none.

use std::net::SocketAddr;

use aws_lc_rs::{hkdf, hmac};
use axum::Router;
use axum::extract::connect_info::MockConnectInfo;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use http::HeaderValue;
use portcullis_platform::Environment;
use portcullis_verifier::origin_proof::Mark;

use super::*;
use crate::testing::{Stopped, TestResponse, app_with, request, send};
use crate::{Client, address_of_socket};

const ROOT: [u8; 32] = [0; 32];
/// The same, as a secret holds it.
const KEY_TEXT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER_KEY_TEXT: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
/// What the clock of the tests says.
const NOW: u64 = 0;
const CLIENT: &str = "203.0.113.7";
const TRANSPORT: &str = "192.0.2.1";

const MARK: Mark<'_> = Mark { key: "1", time: NOW, nonce: "isolate-1" };

const STATEMENT: Statement<'_> = Statement {
    mark: MARK,
    service: "identity",
    method: "POST",
    target: "/v1/auth/login?x=1",
    headers: IdentityHeaders {
        user_id: "",
        email: "",
        roles: "",
        scopes: "",
        session_id: "",
        auth_method: "",
        request_id: "r-1",
        client_address: CLIENT,
        approval_id: "",
        approval_order_tag: "",
    },
};

fn keys(texts: &[&str]) -> EdgeProofKeys {
    let versions: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec().into()).collect();
    EdgeProofKeys::derive(versions.iter()).unwrap()
}

/// The value of the header for this statement, as the edge makes it.
fn proof(statement: &Statement<'_>) -> String {
    proof_with_the_key_of(statement.service, statement)
}

/// The proof that is made with the key of this service, whatever the statement says.
fn proof_with_the_key_of(service: &str, statement: &Statement<'_>) -> String {
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, origin_proof::KEY_SALT).extract(&ROOT);
    let purpose = origin_proof::key_purpose(service, statement.mark.key);
    let purpose = [purpose.as_bytes()];
    let key = hmac::Key::from(root.expand(&purpose, hmac::HMAC_SHA256).unwrap());
    let mac = hmac::sign(&key, statement.canonical().unwrap().as_bytes());
    origin_proof::header_value(statement.mark, mac.as_ref().try_into().unwrap())
}

async fn whoami(client: Client) -> String {
    client.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
}

/// A service that calls come to from [`TRANSPORT`].
fn service(variables: &[(&str, &str)], keys: EdgeProofKeys) -> Router {
    let settings = HttpSettings::read(&variables.iter().copied().collect::<Environment>()).unwrap();
    let routes = Router::new()
        .route("/v1/auth/login", post(whoami))
        .route("/healthz", get(whoami))
        .route("/v1/auth/.well-known/jwks.json", get(whoami))
        .route("/v1/internal/revocations", get(whoami))
        .route("/v1/internals", get(whoami));
    let transport: SocketAddr = format!("{TRANSPORT}:4711").parse().unwrap();
    app_with(routes, &settings, keys).layer(from_fn(address_of_socket)).layer(MockConnectInfo(transport))
}

/// The request of [`STATEMENT`] with this proof and these more headers.
async fn login(app: &Router, proof: &str, more: &[(&str, &str)]) -> TestResponse {
    let mut headers = vec![("x-edge-proof", proof), ("x-request-id", "r-1"), ("x-client-address", CLIENT)];
    headers.extend(more);
    send(app, request("POST", "/v1/auth/login?x=1", &headers)).await
}

#[tokio::test]
async fn a_request_with_a_valid_proof_comes_from_whom_the_proof_names() {
    let good = proof(&STATEMENT);
    for keys in [keys(&[KEY_TEXT]), keys(&[OTHER_KEY_TEXT, KEY_TEXT])] {
        for required in ["true", "false"] {
            let app = service(&[("REQUIRE_EDGE", required)], keys.clone());
            let answer = login(&app, &good, &[("x-forwarded-for", "6.6.6.6")]).await;
            assert_eq!((answer.status, &*answer.body), (200, CLIENT.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_proof_of_anything_else_never_sets_an_address_and_is_refused_where_the_edge_is_required() {
    let lenient = service(&[], keys(&[KEY_TEXT]));
    let strict = service(&[("REQUIRE_EDGE", "true")], keys(&[KEY_TEXT]));
    let headers = STATEMENT.headers;
    let good = proof(&STATEMENT);
    let spoilt = good.replace(&good[good.len() - 1..], if good.ends_with('0') { "1" } else { "0" });
    for (bad, why) in [
        (String::new(), "none"),
        (spoilt, "forged"),
        (proof(&Statement { mark: Mark { time: NOW + 31, ..MARK }, ..STATEMENT }), "from another time"),
        (
            proof(&Statement { mark: Mark { key: "2", ..MARK }, ..STATEMENT }),
            "under a key that was never handed out",
        ),
        (good.replace("isolate-1", "isolate-2"), "another one"),
        (proof_with_the_key_of("portfolio", &STATEMENT), "made by another service"),
        (proof(&Statement { service: "portfolio", ..STATEMENT }), "for another service"),
        (proof(&Statement { method: "GET", ..STATEMENT }), "for another method"),
        (proof(&Statement { target: "/v1/auth/login", ..STATEMENT }), "for another target"),
        (
            proof(&Statement {
                headers: IdentityHeaders { client_address: "6.6.6.6", ..headers },
                ..STATEMENT
            }),
            "for another client",
        ),
        (
            proof(&Statement { headers: IdentityHeaders { user_id: "usr_1", ..headers }, ..STATEMENT }),
            "for another caller",
        ),
    ] {
        let answer = login(&lenient, &bad, &[]).await;
        assert_eq!((answer.status, &*answer.body), (200, TRANSPORT.as_bytes()), "{why}");
        assert_eq!(login(&strict, &bad, &[]).await.problem(), (403, "edge_required".to_owned()), "{why}");
    }
    for twice in ["x-client-address", "x-edge-proof", "x-user-id"] {
        let answer = login(&lenient, &good, &[(twice, CLIENT), (twice, CLIENT)]).await;
        assert_eq!(&*answer.body, TRANSPORT.as_bytes(), "{twice}");
    }
    let of_another_key = service(&[], keys(&[OTHER_KEY_TEXT]));
    assert_eq!(&*login(&of_another_key, &good, &[]).await.body, TRANSPORT.as_bytes());
}

#[tokio::test]
async fn without_a_proof_trusted_proxies_name_the_client() {
    let app = service(&[("TRUSTED_PROXIES", "192.0.2.0/24")], keys(&[KEY_TEXT]));
    let listed = [("x-forwarded-for", "6.6.6.6, 198.51.100.9, 192.0.2.2")];
    assert_eq!(&*login(&app, "", &listed).await.body, b"198.51.100.9");
    assert_eq!(&*login(&app, "", &[]).await.body, TRANSPORT.as_bytes());
    let nobody = service(&[], keys(&[KEY_TEXT]));
    assert_eq!(&*login(&nobody, "", &listed).await.body, TRANSPORT.as_bytes());
}

#[tokio::test]
async fn what_the_edge_and_services_call_themselves_is_reached_directly() {
    let app = service(&[("REQUIRE_EDGE", "true")], keys(&[KEY_TEXT]));
    for path in ["/healthz", "/v1/auth/.well-known/jwks.json", "/v1/internal/revocations"] {
        assert_eq!(send(&app, request("GET", path, &[])).await.status, 200, "{path}");
    }
    for path in ["/v1/internals", "/v1/internal", "/nowhere", "/healthz/", "/v1//internal/revocations"] {
        let refused = send(&app, request("GET", path, &[])).await.problem();
        assert_eq!(refused, (403, "edge_required".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_service_without_the_key_sends_nobody_to_an_edge_that_it_could_not_believe() {
    let app = service(&[("REQUIRE_EDGE", "true")], EdgeProofKeys::default());
    assert_eq!(login(&app, &proof(&STATEMENT), &[]).await.problem(), (503, "unavailable".to_owned()));
}

#[tokio::test]
async fn a_proof_that_names_no_address_leaves_that_of_the_transport() {
    let app = service(&[("REQUIRE_EDGE", "true")], keys(&[KEY_TEXT]));
    let headers = IdentityHeaders { client_address: "", ..STATEMENT.headers };
    let unnamed = proof(&Statement { headers, ..STATEMENT });
    let mut request = request("POST", "/v1/auth/login?x=1", &[("x-request-id", "r-1")]);
    request.headers_mut().insert("x-edge-proof", HeaderValue::from_str(&unnamed).unwrap());
    let answer = send(&app, request).await;
    assert_eq!((answer.status, &*answer.body), (200, TRANSPORT.as_bytes()));
}

#[test]
fn the_clock_of_these_tests_is_the_one_the_proofs_are_made_by() {
    assert_eq!(Stopped.now().as_second(), i64::try_from(NOW).unwrap());
}
