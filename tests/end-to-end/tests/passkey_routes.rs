//! Passkeys over HTTP: what a browser is given, and what becomes of what it returns.
#![cfg(test)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::person::Person;
use portcullis_harness::reply::Reply;
use serde_json::{Value, json};

const ASHA: &str = "asha@example.com";

async fn origin(app: &App) -> String {
    let related = app.get("/.well-known/webauthn").await.assert_status(200);
    related["origins"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned()
}

async fn begin_sign_in(app: &App) -> Reply {
    app.post("/v1/auth/passkey/options", json!({})).await.assert_status(200)
}

async fn finish_sign_in(app: &App, begun: &Reply, credential: Value) -> Reply {
    let token = begun.text("ceremony_token");
    let body = json!({"ceremony_token": token, "credential": credential, "token_delivery": "body"});
    app.post("/v1/auth/passkey/verify", body).await
}

async fn begin_passkey(person: &Person) -> Reply {
    person.post("/v1/passkeys/options", json!({"password": PASSWORD})).await.assert_status(200)
}

async fn add(person: &Person, begun: &Reply, credential: Value, name: &str) -> Reply {
    let token = begun.text("ceremony_token");
    let body = json!({"ceremony_token": token, "credential": credential, "name": name});
    person.post("/v1/passkeys", body).await
}

#[tokio::test]
async fn a_passkey_is_made_and_signs_in_without_a_name() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let begun = begin_passkey(&asha).await;
    let added = add(&asha, &begun, passkey.create(&begun["publicKey"]), "Phone").await.assert_status(201);
    assert_eq!((added.text("name"), &added["last_used_at"]), ("Phone", &Value::Null));

    let begun = begin_sign_in(&app).await;
    let credential = passkey.get(&begun["publicKey"]);
    let session = finish_sign_in(&app, &begun, credential.clone()).await.assert_status(200);
    assert_eq!(session["user"]["email"], ASHA);
    let claims = session.text("access_token").split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
    assert_eq!(claims["amr"], json!(["hwk", "user"]));
    finish_sign_in(&app, &begun, credential).await.assert_problem(401, "invalid_session_token");
    let listed = asha.get("/v1/passkeys").await.assert_status(200);
    assert!(listed.items()[0]["last_used_at"].is_string());
}

fn decoded(text: &str) -> Vec<u8> {
    BASE64URL.decode(text).unwrap()
}

#[tokio::test]
async fn the_options_of_a_sign_in_are_the_same_for_everybody_and_name_no_credential() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let without_what_is_random = |mut begun: Value| {
        begun["ceremony_token"] = Value::Null;
        begun["publicKey"]["challenge"] = Value::Null;
        begun
    };
    let before = begin_sign_in(&app).await.body;
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let begun = begin_passkey(&asha).await;
    add(&asha, &begun, passkey.create(&begun["publicKey"]), "Phone").await.assert_status(201);
    let known = asha.post("/v1/auth/passkey/options", json!({"email": ASHA})).await.assert_status(200).body;
    assert_ne!(known["publicKey"]["challenge"], before["publicKey"]["challenge"]);
    let seen = without_what_is_random(known);
    assert_eq!(seen, without_what_is_random(before));
    let members: Vec<&String> = seen["publicKey"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["challenge", "rpId", "timeout", "userVerification"]);
    assert_eq!(seen["publicKey"]["userVerification"], "required");
}

#[tokio::test]
async fn the_options_of_a_passkey_ask_for_what_a_sign_in_needs_and_for_nothing_of_its_maker() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let begun = begin_passkey(&asha).await;
    let options = &begun["publicKey"];
    assert_eq!(options["attestation"], "none");
    let selection =
        json!({"residentKey": "required", "requireResidentKey": true, "userVerification": "required"});
    assert_eq!(options["authenticatorSelection"], selection);
    assert_eq!(options["excludeCredentials"], json!([]));
    assert_eq!(decoded(options["user"]["id"].as_str().unwrap()).len(), 64);
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let made = passkey.create(options);
    add(&asha, &begun, made.clone(), "Phone").await.assert_status(201);
    let again = begin_passkey(&asha).await;
    let excluded = json!([{"type": "public-key", "id": made["id"], "transports": ["internal"]}]);
    assert_eq!(again["publicKey"]["excludeCredentials"], excluded);
    assert_eq!(again["publicKey"]["user"], options["user"]);
    asha.post("/v1/passkeys/options", json!({})).await.assert_problem(422, "validation_failed");
    asha.post("/v1/passkeys/options", json!({"password": "wrong"})).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn what_is_no_credential_is_422_and_what_does_not_verify_is_401() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let begun = begin_passkey(&asha).await;
    let made = passkey.create(&begun["publicKey"]);
    let mut padded = made.clone();
    padded["response"]["attestationObject"] = "not base64url!".into();
    add(&asha, &begun, padded, "Phone").await.assert_problem(422, "validation_failed");
    let id = add(&asha, &begun, made, "Phone").await.assert_status(201).text("passkey_id").to_owned();

    let begun = begin_sign_in(&app).await;
    let shown = passkey.get(&begun["publicKey"]);
    for (pointer, value, status) in [
        ("/response/signature", json!("AA!"), 422),
        ("/response/authenticatorData", Value::Null, 422),
        ("/response/signature", json!("MEUCIQ"), 401),
        ("/response/userHandle", json!("AAAA"), 401),
        ("/rawId", json!("AAAA"), 401),
        ("/type", json!("password"), 401),
    ] {
        let mut bent = shown.clone();
        *bent.pointer_mut(pointer).unwrap() = value;
        let code = if status == 422 { "validation_failed" } else { "invalid_credentials" };
        finish_sign_in(&app, &begun, bent).await.assert_problem(status, code);
    }
    finish_sign_in(&app, &begun, shown).await.assert_status(200);

    asha.patch(format!("/v1/passkeys/{id}"), json!({"name": "Desk"})).await.assert_status(200);
    let delete = |body: Value| asha.delete(format!("/v1/passkeys/{id}")).json(body);
    delete(json!({})).await.assert_problem(422, "validation_failed");
    delete(json!({"password": PASSWORD})).await.assert_status(204);
    delete(json!({"password": PASSWORD})).await.assert_problem(404, "not_found");
}

/// Whoever has no password changes what they sign in with, and leaves, by a passkey; and by one proof, not by two.
#[tokio::test]
async fn a_passkey_changes_names_and_erases_the_account() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let begun = begin_passkey(&asha).await;
    add(&asha, &begun, passkey.create(&begun["publicKey"]), "Phone").await.assert_status(201);
    let with_proof = async |mut body: Value| {
        let begun = begin_sign_in(&app).await;
        body["ceremony_token"] = begun["ceremony_token"].clone();
        body["credential"] = passkey.get(&begun["publicKey"]);
        body
    };
    let mut named = with_proof(json!({"username": "asha"})).await;
    assert_eq!(asha.put("/v1/users/me/username", named.clone()).await.assert_status(200)["username"], "asha");
    named["username"] = json!("ravi");
    asha.put("/v1/users/me/username", named).await.assert_problem(401, "invalid_session_token");
    let moved = with_proof(json!({"email": "asha@example.org"})).await;
    asha.post("/v1/users/me/email", moved).await.assert_status(202);

    let erase = |body: Value| asha.delete("/v1/users/me").json(body);
    let both = with_proof(json!({"password": PASSWORD})).await;
    for unclear in [json!({}), json!({"code": "123456"}), both] {
        erase(unclear).await.assert_problem(422, "validation_failed");
    }
    let foreign = SoftPasskey::on(&origin(&app).await);
    let begun = begin_sign_in(&app).await;
    let shown =
        json!({"ceremony_token": begun["ceremony_token"], "credential": foreign.get(&begun["publicKey"])});
    erase(shown).await.assert_problem(403, "forbidden");
    asha.me().await.assert_status(200);
    erase(with_proof(json!({})).await).await.assert_status(204);
    asha.me().await.assert_status(401);
}

#[tokio::test]
async fn an_account_says_whether_its_password_was_removed() {
    let app = App::start();
    let asha = app.person(ASHA).await;
    let mut passkey = SoftPasskey::on(&origin(&app).await);
    let begun = begin_passkey(&asha).await;
    add(&asha, &begun, passkey.create(&begun["publicKey"]), "Phone").await.assert_status(201);
    let is_passwordless =
        async || asha.get("/v1/users/me").await.assert_status(200)["passwordless"].as_bool();
    assert_eq!(is_passwordless().await, Some(false));
    for (path, is_removed) in [("/v1/auth/password/remove", true), ("/v1/auth/password/set", false)] {
        let begun = begin_sign_in(&app).await;
        let mut body = json!({
            "ceremony_token": begun.text("ceremony_token"),
            "credential": passkey.get(&begun["publicKey"]),
        });
        if !is_removed {
            body["new_password"] = "granite harbour sings at noon".into();
        }
        asha.post(path, body).await.assert_status(200);
        assert_eq!(is_passwordless().await, Some(is_removed), "{path}");
    }
}
