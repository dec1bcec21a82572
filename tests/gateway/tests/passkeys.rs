//! Passkeys on AWS: each function that takes one as a proof opens its ceremony, spends it, and has the rights for that.
#![cfg(test)]

use portcullis_gateway::{notifications_to, token_in};
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::person::Person;
use portcullis_harness::process::Target;
use portcullis_platform::Environment;
use serde_json::{Value, json};

const ASHA: &str = "asha@passkeys.example.com";

/// Asha, who has a passkey and is signed in with her password.
struct Stage {
    app: App,
    asha: Person,
    passkey: SoftPasskey,
}

impl Stage {
    async fn new() -> Self {
        let app = App::on(Target::Functions, &[("EMAIL_VERIFICATION", "required")]);
        app.register(ASHA).await.assert_status(202);
        let moto = Environment::of_process().raw("AWS_ENDPOINT_URL").unwrap().to_owned();
        let token = token_in(notifications_to(&moto, ASHA).await.unwrap().last().unwrap()).unwrap();
        app.post("/v1/auth/email/verify", json!({"token": token})).await.assert_status(200);
        let asha = app.sign_in(ASHA).await;
        let related = app.get("/.well-known/webauthn").await.assert_status(200);
        let mut passkey = SoftPasskey::on(related["origins"][0].as_str().unwrap());
        let begun = asha.post("/v1/passkeys/options", json!({"password": PASSWORD})).await.assert_status(200);
        let made = passkey.create(&begun["publicKey"]);
        let body = json!({"ceremony_token": begun["ceremony_token"], "credential": made});
        asha.post("/v1/passkeys", body).await.assert_status(201);
        Self { app, asha, passkey }
    }

    /// These members, and the passkey shown for a challenge that is spent with them.
    async fn with_proof(&self, members: Value) -> Value {
        let begun = self.app.post("/v1/auth/passkey/options", json!({})).await.assert_status(200);
        let mut body = members;
        body["ceremony_token"] = begun["ceremony_token"].clone();
        body["credential"] = self.passkey.get(&begun["publicKey"]);
        body
    }

    /// Links an account, asks for an order with it, and approves that.
    async fn approve(&self) {
        let account = json!({
            "broker": "kite", "user_id_broker": "AB1234", "api_key": "kitekeyofasha9f3c", "api_secret": "kitesecretofasha",
        });
        let linked = self.asha.post("/v1/trading-accounts", account).await.assert_status(201);
        let order = json!({
            "type": "order", "account_id": linked["account_id"], "exchange": "NSE", "symbol": "INFY",
            "side": "buy", "quantity": "10", "order_type": "market",
        });
        let asked = self.asha.post("/v1/approvals", json!({"authorization_details": [order]})).await;
        let path = format!("/v1/approvals/{}", asked.assert_status(201).text("approval_id"));
        let begun = self.asha.post(format!("{path}/challenge"), json!({})).await.assert_status(200);
        let shown = self.passkey.get(&begun["publicKey"]);
        let body =
            json!({"decision": "approve", "ceremony_token": begun["ceremony_token"], "credential": shown});
        let decided = self.asha.post(format!("{path}/decide"), body).await.assert_status(200);
        assert_eq!(decided["status"], "approved");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_a_proof_wherever_one_is_asked_for() {
    let stage = Stage::new().await;
    let asha = &stage.asha;
    let proof = async || stage.with_proof(json!({})).await;
    asha.post("/v1/auth/step-up", proof().await).await.assert_status(200);
    stage.approve().await;
    asha.post("/v1/trading-accounts/freeze", json!({})).await.assert_status(200);
    asha.post("/v1/trading-accounts/unfreeze", proof().await).await.assert_status(200);
    let named = stage.with_proof(json!({"username": "asha"})).await;
    assert_eq!(asha.put("/v1/users/me/username", named).await.assert_status(200)["username"], "asha");
    let moved = stage.with_proof(json!({"email": "asha@passkeys.example.org"})).await;
    asha.post("/v1/users/me/email", moved).await.assert_status(202);
    asha.post("/v1/auth/password/remove", proof().await).await.assert_status(200);
    asha.delete("/v1/users/me").json(json!({"password": PASSWORD})).await.assert_problem(403, "forbidden");
    asha.delete("/v1/users/me").json(proof().await).await.assert_status(204);
    asha.me().await.assert_status(401);
}
