//! Changes of address and username on AWS, with the rights that the template gives their function.
#![cfg(test)]

use portcullis_gateway::{notifications_to, token_in};
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::Target;
use portcullis_platform::Environment;
use serde_json::json;

const OLD: &str = "asha@sign-in-names.example.com";
const NEW: &str = "asha@sign-in-names.example.org";
const ANOTHER: &str = "velvet harbour counts seventeen";

/// Returns the token in the last mail to this address.
async fn token(address: &str) -> String {
    let moto = Environment::of_process().raw("AWS_ENDPOINT_URL").unwrap().to_owned();
    token_in(notifications_to(&moto, address).await.unwrap().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_changed_and_restored_and_a_username_with_the_rights_of_the_function() {
    let app = App::on(Target::Functions, &[("EMAIL_VERIFICATION", "required")]);
    app.register(OLD).await.assert_status(202);
    app.post("/v1/auth/email/verify", json!({"token": token(OLD).await})).await.assert_status(200);
    let asha = app.sign_in(OLD).await;
    let named = asha.put("/v1/users/me/username", json!({"username": "asha", "password": PASSWORD}));
    assert_eq!(named.await.assert_status(200)["username"], "asha");

    let wanted = json!({"email": NEW, "password": PASSWORD});
    asha.post("/v1/users/me/email", wanted).await.assert_status(202);
    let changed =
        app.post("/v1/auth/email/change", json!({"token": token(NEW).await})).await.assert_status(200);
    assert_eq!((&changed["email"], &changed["username"]), (&json!(NEW), &json!("asha")));
    asha.me().await.assert_status(200);
    app.sign_in(NEW).await;
    app.sign_in("asha").await;

    let back = token(OLD).await;
    // It is held for her: whoever registers it gets no account, and no other response either.
    app.register(OLD).await.assert_status(202);
    let restored = app.post("/v1/auth/email/restore", json!({"token": back})).await.assert_status(200);
    assert_eq!(restored["status"], "restored");
    asha.me().await.assert_status(401);
    let chosen = json!({"token": token(OLD).await, "new_password": ANOTHER});
    app.post("/v1/auth/password/reset", chosen).await.assert_status(200);
    app.login(OLD, ANOTHER).await.assert_status(200);
    app.login(NEW, PASSWORD).await.assert_status(401);
}
