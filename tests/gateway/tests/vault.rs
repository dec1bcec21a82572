//! The vault on the function binaries, each with no more rights than the template gives it.
#![cfg(test)]

use portcullis_gateway::Cloud;
use portcullis_harness::app::App;
use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE, UPSTOX};
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::Target;
use portcullis_platform::Environment;
use serde_json::{Value, json};

/// Every row of the table, as somebody with a dump of it has them.
async fn table(name: &str) -> String {
    // The engine wants a signature to be there and takes any.
    let signed = "AWS4-HMAC-SHA256 Credential=test/20261121/ap-south-1/dynamodb/aws4_request, SignedHeaders=host, \
                  Signature=00";
    let environment = Environment::of_process();
    let engine = Endpoint::at(environment.raw("AWS_ENDPOINT_URL_DYNAMODB").expect("tests/with-cloud"));
    let rows = engine
        .post("/", json!({"TableName": name, "ConsistentRead": true}))
        .header("x-amz-target", "DynamoDB_20120810.Scan")
        .header("x-amz-date", "20261121T000000Z")
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", signed)
        .await
        .assert_status(200);
    assert!(rows["LastEvaluatedKey"].is_null(), "one page holds it all");
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
    let of_brokers = brokers.variables();
    let mut variables: Vec<(&str, &str)> =
        of_brokers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("CREDENTIAL_MAX_AGE", "3600"));
    let app = App::on(Target::Functions, &variables);
    let cloud = Cloud::of_folder(app.folder(), &Environment::of_process()).await.unwrap();
    let tokens = cloud.service_tokens().await.unwrap();
    let ticker = app.service(tokens["ticker"][0].as_str().unwrap());
    let trading = app.service(tokens["trading"][0].as_str().unwrap());
    let asha = app.person("asha@example.com").await;

    let mut ids = Vec::new();
    for (broker, (key, secret, user)) in [("kite", KITE), ("alpaca", ALPACA)] {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        let link = asha.post("/v1/trading-accounts", body).header("idempotency-key", broker);
        let linked = link.clone().await.assert_status(201);
        assert_eq!(link.await.assert_status(201).body, linked.body);
        ids.push(linked.text("account_id").to_owned());
    }
    let [kite, alpaca] = [&ids[0], &ids[1]];
    let on = |account: &str, what: &str, body: Value| {
        asha.post(format!("/v1/trading-accounts/{account}/{what}"), body)
    };
    let asked = on(kite, "verify", Value::Null).await.assert_status(200);
    let token = json!({"request_token": brokers.log_in(asked.text("login_url")).await});
    assert_eq!(on(kite, "session", token).await.assert_status(200)["status"], "active");
    assert_eq!(on(alpaca, "verify", Value::Null).await.assert_status(200)["status"], "active");

    let before = ticker.read_credentials(kite).await.assert_status(200);
    assert!(before["api_secret"].is_null() && before["access_token"].is_string());
    assert_eq!(ticker.read_credentials(alpaca).await.assert_status(200)["api_secret"], ALPACA.1);
    // What the schedules call, called by hand. Nothing is old enough to be sealed anew, and nothing breaks.
    for function in
        ["ProviderCheckFunction", "FreezeSweepFunction", "SessionNewsFunction", "CredentialRotationFunction"]
    {
        app.post(format!("/_test/invoke/{function}"), json!({})).await.assert_status(200);
    }
    assert_eq!(ticker.read_credentials(kite).await.assert_status(200).body, before.body);
    let kites = asha.get("/v1/providers/kite").await.assert_status(200);
    assert!(kites["status"] == "healthy" && kites["last_check"].is_string(), "{kites}");
    let failed = json!({"ok": false, "error": "timeout"});
    ticker.post("/v1/internal/providers/kite/outcomes", failed).await.assert_status(202);
    asha.get("/v1/providers/fallback?primary=kite&fallbacks=alpaca").await.assert_status(200);
    assert_eq!(asha.get("/v1/providers").await.assert_status(200).items().len(), 6);

    // A login with a state, and what unlinking does at the broker.
    let (key, secret, user) = UPSTOX;
    let body = json!({"broker": "upstox", "user_id_broker": user, "api_key": key, "api_secret": secret});
    let upstox = asha.post("/v1/trading-accounts", body).await.assert_status(201);
    let back = brokers.led_back(upstox.text("login_url")).await;
    let upstox = upstox.text("account_id");
    let login = json!({"request_token": back["code"], "state": back["state"]});
    assert_eq!(on(upstox, "session", login).await.assert_status(200)["status"], "active");
    assert!(ticker.read_credentials(upstox).await.assert_status(200)["access_token"].is_string());
    asha.delete(format!("/v1/trading-accounts/{upstox}")).await.assert_status(204);
    assert!(brokers.log().await.to_string().contains("/upstox/v2/logout"), "its session was ended");
    let postback = json!({
        "order_id": "1", "order_timestamp": "2022-03-03 09:24:25", "checksum": "0".repeat(64),
    });
    let verify = format!("/v1/internal/trading-accounts/{kite}/postbacks/verify");
    let checked = trading.post(&verify, postback.clone()).await.assert_status(200);
    assert_eq!(checked["valid"], false);
    ticker.post(&verify, postback).await.assert_problem(403, "forbidden");

    let proof = json!({"password": PASSWORD});
    let frozen = asha.post("/v1/trading-accounts/freeze", Value::Null).await.assert_status(200);
    let state = asha.get("/v1/trading-accounts/freeze").await.assert_status(200);
    assert_eq!(state["status"], "frozen");
    assert_eq!(frozen["accounts"][0]["session"], "ended", "{frozen}");
    ticker.read_credentials(alpaca).await.assert_problem(403, "credentials_frozen");
    asha.post("/v1/trading-accounts/unfreeze", proof.clone()).await.assert_status(200);
    ticker.read_credentials(alpaca).await.assert_status(200);

    let mut ever_sealed = sealed(&table(&cloud.table).await);
    assert_eq!(ever_sealed.len(), 4, "the session was ended, so there are two accounts' credentials");
    let one = format!("/v1/trading-accounts/{kite}");
    asha.patch(&one, json!({"label": "mine"})).await.assert_status(200);
    let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    asha.put(format!("{one}/credentials"), body).await.assert_status(200);
    ticker.read_credentials(kite).await.assert_problem(409, "no_broker_session");
    ever_sealed.extend(sealed(&table(&cloud.table).await));
    ever_sealed.sort();
    ever_sealed.dedup();
    assert_eq!(ever_sealed.len(), 6, "a data key and a ciphertext more");
    asha.delete(&one).await.assert_status(204);
    // Erasing oneself takes the rest along.
    asha.delete("/v1/users/me").json(proof).await.assert_status(204);
    ticker.read_credentials(alpaca).await.assert_status(404);

    let dump = table(&cloud.table).await;
    assert!(dump.contains("trading_account_unlinked"), "this is where a secret would be");
    let secrets = [KITE.1, ALPACA.1, "anotherkey-1a2b", before.text("access_token")];
    assert!(secrets.iter().all(|secret| !dump.contains(secret)));
    assert!(ever_sealed.iter().all(|sealed| !dump.contains(sealed)), "nor is what was sealed");

    let log = std::fs::read_to_string(app.folder().join("functions.log")).unwrap();
    for secret in [KITE.1, ALPACA.1, before.text("access_token")] {
        assert!(!log.contains(secret));
    }
}
