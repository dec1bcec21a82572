//! The vault on the function binaries, each with no more rights than the template gives it.
#![cfg(test)]

use portcullis_gateway::Cloud;
use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE};
use portcullis_harness::process::{Running, Target};
use portcullis_platform::{Environment, SecretName};
use portcullis_platform_aws::AwsConnection;
use portcullis_platform_aws::secrets::{SecretsManager, Source};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";

async fn answer(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Every row of the table, as somebody with a dump of it has them.
async fn table(name: &str) -> String {
    // The engine wants a signature to be there and takes any.
    let signed = "AWS4-HMAC-SHA256 Credential=test/20261121/ap-south-1/dynamodb/aws4_request, SignedHeaders=host, \
                  Signature=00";
    let environment = Environment::of_process();
    let scan = Client::new()
        .post(environment.raw("AWS_ENDPOINT_URL_DYNAMODB").expect("tests/with-cloud"))
        .header("x-amz-target", "DynamoDB_20120810.Scan")
        .header("x-amz-date", "20261121T000000Z")
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", signed)
        .body(json!({"TableName": name, "ConsistentRead": true}).to_string());
    let rows = answer(scan, 200).await;
    assert!(rows.get("LastEvaluatedKey").is_none(), "one page holds it all");
    rows["Items"].to_string()
}

/// What is under seal in a table, data keys and ciphertexts.
fn sealed(table: &str) -> Vec<String> {
    let rows: Value = serde_json::from_str(table).unwrap();
    let accounts = rows.as_array().unwrap().iter().filter(|row| row.get("credentials_key").is_some());
    let values = accounts.flat_map(|row| row.as_object().unwrap().values());
    values.filter_map(|value| value["B"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_an_account_works_with_the_rights_of_its_function() {
    let brokers = FakeBrokers::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let of_brokers = brokers.variables();
    let mut variables: Vec<(&str, &str)> =
        of_brokers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("CREDENTIAL_MAX_AGE", "3600"));
    let gateway = Running::start_target(Target::Functions, folder.path(), &variables).unwrap();
    let cloud = Cloud::of_folder(folder.path(), &Environment::of_process()).await.unwrap();
    let secret = SecretsManager::new(&AwsConnection::of_process().await, &cloud.secret).read().await.unwrap();
    let tokens = secret.current.versions(SecretName::ServiceTokens, None).unwrap();
    let tokens: Value = serde_json::from_slice(tokens.current.expose_secret()).unwrap();
    let ticker = tokens["ticker"][0].as_str().unwrap();

    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = |method: Method, path: &str| client.request(method, format!("{}{path}", gateway.url));
    let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    answer(request(Method::POST, "/v1/auth/register").json(&body), 201).await;
    let session = answer(request(Method::POST, "/v1/auth/login").json(&body), 200).await;
    let asha = session["access_token"].as_str().unwrap();
    let by_asha = |method: Method, path: &str| request(method, &format!("/v1{path}")).bearer_auth(asha);

    let mut ids = Vec::new();
    for (broker, (key, secret, user)) in [("kite", KITE), ("alpaca", ALPACA)] {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        let link = by_asha(Method::POST, "/trading-accounts").header("idempotency-key", broker).json(&body);
        let linked = answer(link.try_clone().unwrap(), 201).await;
        assert_eq!(answer(link, 201).await, linked);
        ids.push(linked["account_id"].as_str().unwrap().to_owned());
    }
    let [kite, alpaca] = [&ids[0], &ids[1]];
    let asked = answer(by_asha(Method::POST, &format!("/trading-accounts/{kite}/verify")), 200).await;
    let led = client.get(asked["login_url"].as_str().unwrap()).send().await.unwrap();
    let back = led.headers()["location"].to_str().unwrap();
    let body = json!({"request_token": back.rsplit_once('=').unwrap().1});
    let begun = by_asha(Method::POST, &format!("/trading-accounts/{kite}/session")).json(&body);
    assert_eq!(answer(begun, 200).await["status"], "active");
    let verified = by_asha(Method::POST, &format!("/trading-accounts/{alpaca}/verify"));
    assert_eq!(answer(verified, 200).await["status"], "active");

    let read = |account: &str| {
        request(Method::POST, &format!("/v1/internal/trading-accounts/{account}/credentials"))
            .header("x-service-token", ticker)
            .json(&json!({"purpose": "market-stream"}))
    };
    let before = answer(read(kite), 200).await;
    assert!(before["api_secret"] == KITE.1 && before["access_token"].is_string());
    // What the schedules call, called by hand. Nothing is old enough to be sealed anew, and nothing breaks.
    for function in ["ProviderCheckFunction", "CredentialRotationFunction"] {
        answer(request(Method::POST, &format!("/_test/invoke/{function}")).json(&json!({})), 200).await;
    }
    assert_eq!(answer(read(kite), 200).await, before);
    let kites = answer(by_asha(Method::GET, "/providers/kite"), 200).await;
    assert!(kites["status"] == "healthy" && kites["last_check"].is_string(), "{kites}");
    let outcome =
        request(Method::POST, "/v1/internal/providers/kite/outcomes").header("x-service-token", ticker);
    answer(outcome.json(&json!({"ok": false, "error": "timeout"})), 202).await;
    answer(by_asha(Method::GET, "/providers/fallback?primary=kite&fallbacks=alpaca"), 200).await;
    assert_eq!(answer(by_asha(Method::GET, "/providers"), 200).await["items"].as_array().unwrap().len(), 3);

    let proof = json!({"password": PASSWORD});
    let frozen = answer(by_asha(Method::POST, "/trading-accounts/freeze").json(&proof), 200).await;
    assert_eq!(frozen["accounts"][0]["session"], "ended", "{frozen}");
    assert_eq!(answer(read(alpaca), 403).await["code"], "credentials_frozen");
    answer(by_asha(Method::POST, "/trading-accounts/unfreeze").json(&proof), 200).await;
    answer(read(alpaca), 200).await;

    let mut ever_sealed = sealed(&table(&cloud.table).await);
    assert_eq!(ever_sealed.len(), 4, "the session was ended, so there are two accounts' credentials");
    let one = format!("/trading-accounts/{kite}");
    answer(by_asha(Method::PATCH, &one).json(&json!({"label": "mine"})), 200).await;
    let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    answer(by_asha(Method::PUT, &format!("{one}/credentials")).json(&body), 200).await;
    assert_eq!(answer(read(kite), 200).await["api_secret"], "another");
    ever_sealed.extend(sealed(&table(&cloud.table).await));
    ever_sealed.sort();
    ever_sealed.dedup();
    assert_eq!(ever_sealed.len(), 6, "a data key and a ciphertext more");
    answer(by_asha(Method::DELETE, &one), 204).await;
    // Erasing oneself takes the rest along.
    answer(by_asha(Method::DELETE, "/users/me").json(&proof), 204).await;
    answer(read(alpaca), 404).await;

    let dump = table(&cloud.table).await;
    assert!(dump.contains("trading_account_unlinked"), "this is where a secret would be");
    let secrets = [KITE.1, ALPACA.1, "anotherkey-1a2b", before["access_token"].as_str().unwrap()];
    assert!(secrets.iter().all(|secret| !dump.contains(secret)));
    assert!(ever_sealed.iter().all(|sealed| !dump.contains(sealed)), "nor is what was sealed");

    let log = std::fs::read_to_string(folder.path().join("functions.log")).unwrap();
    for secret in [KITE.1, ALPACA.1, before["access_token"].as_str().unwrap()] {
        assert!(!log.contains(secret));
    }
}
