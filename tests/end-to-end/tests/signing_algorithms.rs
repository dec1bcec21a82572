//! Access tokens of each algorithm, through the running service.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so"
)]

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_harness::process::{Running, Target, command};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";

/// Registers a person, signs them in and returns the access token and the key set.
async fn token_and_keys(service: &Running, client: &Client) -> (String, JwkSet) {
    let url = |path: &str| format!("{}{path}", service.url);
    let person = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    let registered = client.post(url("/v1/auth/register")).json(&person).send().await.unwrap();
    assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&registered.status()));
    let attempt = json!({"email": "asha@example.com", "password": PASSWORD, "token_delivery": "body"});
    let session = client.post(url("/v1/auth/login")).json(&attempt).send().await.unwrap();
    assert_eq!(session.status(), StatusCode::OK);
    let session: Value = session.json().await.unwrap();
    let keys = client.get(url("/v1/auth/.well-known/jwks.json")).send().await.unwrap();
    (session["access_token"].as_str().unwrap().to_owned(), keys.json().await.unwrap())
}

fn claims(token: &str, key: &Jwk, algorithm: Algorithm) -> Value {
    let mut expected = Validation::new(algorithm);
    expected.set_audience(&["trading_platform"]);
    expected.set_issuer(&["user_service"]);
    jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).unwrap(), &expected).unwrap().claims
}

/// What is advertised exists, and nothing else is: no grant, no endpoint of OAuth 2.0, no provider of identities.
async fn assert_metadata_is_true(service: &Running, client: &Client, algorithm: &str) {
    let at = |path: &str| client.get(format!("{}{path}", service.url)).send();
    let metadata: Value = at("/.well-known/oauth-authorization-server").await.unwrap().json().await.unwrap();
    let issuer = metadata["issuer"].as_str().unwrap();
    let url = reqwest::Url::parse(issuer).unwrap();
    assert!(url.path() == "/" && url.query().is_none() && !issuer.ends_with('/'), "{issuer}");
    let keys = "/v1/auth/.well-known/jwks.json";
    let written = json!({
        "issuer": issuer, "jwks_uri": format!("{issuer}{keys}"),
        "response_types_supported": [], "grant_types_supported": [],
        "access_token_issuer": "user_service", "access_token_audience": "trading_platform",
        "access_token_signing_alg_values_supported": [algorithm],
    });
    assert_eq!(metadata, written);
    assert_eq!(at(keys).await.unwrap().status(), StatusCode::OK);
    assert_eq!(at("/.well-known/openid-configuration").await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_first_start_makes_a_key_of_the_chosen_algorithm_and_later_starts_keep_it() {
    let client = Client::new();
    for (name, algorithm) in
        [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut service = Running::start(folder.path(), &[("TOKEN_SIGNING_ALGORITHM", name)]).unwrap();
        let (token, keys) = token_and_keys(&service, &client).await;
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, algorithm);
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        assert_eq!(claims(&token, key, algorithm)["email"], "asha@example.com");
        let me = client.get(format!("{}/v1/users/me", service.url)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(me.status(), StatusCode::OK, "{name}");
        assert_metadata_is_true(&service, &client, name).await;
        assert!(service.terminate().unwrap().success());

        // The setting is for new keys: this one stays, and what it signed is still accepted.
        let service = Running::start(folder.path(), &[]).unwrap();
        let (_, later) = token_and_keys(&service, &client).await;
        assert_eq!(later, keys);
        let me = client.get(format!("{}/v1/users/me", service.url)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(me.status(), StatusCode::OK, "{name}");
    }
}

#[test]
fn an_unknown_algorithm_ends_the_start_with_one_line() {
    for unknown in ["HS256", "none", "rs256"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let variables = [("TOKEN_SIGNING_ALGORITHM", unknown)];
        let output = command(Target::Local, &data, &variables).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.contains("TOKEN_SIGNING_ALGORITHM: is none of `RS256`, `ES256` and `EdDSA`"), "{text}");
        assert!(!data.exists());
    }
}
