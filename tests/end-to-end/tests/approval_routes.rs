//! Approvals over HTTP: what is refused before anybody is asked, who decides, and what the token is worth.
#![cfg(test)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_harness::app::App;
use portcullis_harness::authenticator::Authenticator;
use portcullis_harness::person::{Person, unix_now};
use portcullis_harness::process::Target;
use portcullis_harness::reply::Reply;
use portcullis_harness::service::{Service, service_token, service_tokens};
use reqwest::Method;
use serde_json::{Value, json};

const ASHA: &str = "asha@example.com";
const SERVICES: &str = r#"{"desk":["approval:request"],"executor":["approval:redeem"]}"#;

/// Somebody with an app and a trading account, and two services.
struct Scene {
    app: App,
    asha: Person,
    factor: Authenticator,
    desk: Service,
    executor: Service,
    order: Value,
}

impl Scene {
    async fn start() -> Self {
        let tokens = service_tokens(&["desk", "executor"]);
        let app = App::on(Target::Local, &[("SERVICES", SERVICES), ("SERVICE_TOKENS", &tokens)]);
        let asha = app.person(ASHA).await;
        let kite = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "k", "api_secret": "s"});
        let linked = asha.post("/v1/trading-accounts", kite).await.assert_status(201);
        let factor = asha.enable_factor().await;
        let order = json!({
            "type": "order", "account_id": linked["account_id"], "exchange": "NSE", "symbol": "INFY",
            "side": "buy", "quantity": "10", "order_type": "limit", "price": "1500.50",
        });
        let (desk, executor) = (app.service(service_token("desk")), app.service(service_token("executor")));
        Self { app, asha, factor, desk, executor, order }
    }

    fn body(&self) -> Value {
        json!({"authorization_details": [self.order]})
    }

    async fn asked(&self) -> Reply {
        self.asha.post("/v1/approvals", self.body()).await.assert_status(201)
    }

    async fn redeem(&self, id: &str, order: &Value) -> Reply {
        let body = json!({"authorization_details": [order]});
        self.executor.post(format!("/v1/internal/approvals/{id}/redeem"), body).await
    }
}

#[tokio::test]
async fn an_order_is_approved_by_code_and_its_token_is_checked_by_the_published_keys_and_opens_nothing() {
    let scene = Scene::start().await;
    let asked = scene.asked().await;
    let id = asked.text("approval_id");
    assert_eq!((asked.text("status"), asked.text("order_tag").len()), ("pending", 20));
    let challenge =
        scene.asha.post(format!("/v1/approvals/{id}/challenge"), json!({})).await.assert_status(200);
    assert_eq!(challenge["methods"], json!(["code"]));
    let body = json!({"decision": "approve", "code": scene.factor.code_at(unix_now())});
    let decided = scene.asha.post(format!("/v1/approvals/{id}/decide"), body).await.assert_status(200);
    assert_eq!((decided.text("status"), &decided["expires_in"]), ("approved", &json!(120)));

    let token = decided.text("approval_token");
    let jwks = scene.app.get("/v1/auth/.well-known/jwks.json").await.assert_status(200).body;
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("approval+jwt"));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).unwrap();
    let jwk = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut expected = jsonwebtoken::Validation::new(header.alg);
    expected.set_audience(&["trading_platform/execution"]);
    expected.set_issuer(&["user_service"]);
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let said = jsonwebtoken::decode::<Value>(token, &key, &expected).unwrap().claims;
    assert_eq!((&said["jti"], &said["authorization_details"]), (&json!(id), &json!([scene.order])));
    assert_eq!(said["details_digest"], asked["details_digest"]);
    // It is no access token, and an access token is none of it.
    scene.app.get("/v1/users/me").bearer(token).await.assert_problem(401, "invalid_token");
    assert!(jsonwebtoken::decode::<Value>(scene.asha.access_token(), &key, &expected).is_err());

    let redeemed = scene.redeem(id, &scene.order).await.assert_status(200);
    assert_eq!((redeemed.text("user_id"), redeemed.text("acr")), (scene.asha.user_id(), "aal2"));
    scene.redeem(id, &scene.order).await.assert_problem(409, "already_redeemed");
    let seen = scene.asha.get(format!("/v1/approvals/{id}")).await.assert_status(200);
    assert_eq!((seen.text("status"), &seen["evidence"]), ("redeemed", &Value::Null));
}

#[tokio::test]
async fn the_digest_is_what_any_program_makes_of_the_order() {
    let scene = Scene::start().await;
    let asked = scene.asked().await;
    // All members are texts, so that sorted members without space are the canonical form.
    let canonical = serde_json::to_string(&json!([scene.order])).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    assert_eq!(asked["details_digest"], BASE64URL.encode(digest));
}

#[tokio::test]
async fn nobody_is_asked_for_what_is_not_shown_or_means_nothing() {
    let scene = Scene::start().await;
    let with = |name: &str, value: Value| {
        let mut order = scene.order.clone();
        order[name] = value;
        order
    };
    let without = |name: &str| {
        let mut order = scene.order.clone();
        order.as_object_mut().unwrap().remove(name);
        order
    };
    let long = "9".repeat(12_000);
    for (order, member) in [
        (with("iceberg", json!("1")), "/iceberg"),
        (with("tag", Value::Null), "/tag"),
        (with("quantity", json!(10)), "/quantity"),
        (with("quantity", json!("1e3")), "/quantity"),
        (with("quantity", json!("0")), "/quantity"),
        (with("quantity", json!("-1")), "/quantity"),
        (with("quantity", json!(long)), "/quantity"),
        (with("price", json!("1,500")), "/price"),
        (with("price", Value::Null), "/price"),
        (with("price", json!("")), "/price"),
        (with("product", json!("")), "/product"),
        (with("validity", json!("forever")), "/validity"),
        (with("symbol", json!("infy")), "/symbol"),
        (with("symbol", json!("INFY\u{202e}")), "/symbol"),
        (with("exchange", json!("")), "/exchange"),
        (with("side", json!("short")), "/side"),
        (with("type", json!("payment")), "/type"),
        (with("account_id", json!("acc_1")), "/account_id"),
        (with("order_type", json!("market")), "/price"),
        (with("order_type", json!("stop_limit")), "/trigger_price"),
        (with("trigger_price", json!("1490")), "/trigger_price"),
        (without("price"), "/price"),
        (without("symbol"), "/symbol"),
    ] {
        let reply = scene.asha.post("/v1/approvals", json!({"authorization_details": [order]})).await;
        let reply = reply.assert_problem(422, "validation_failed");
        let pointer = format!("/authorization_details/0{member}");
        assert_eq!(reply["errors"][0]["pointer"], pointer, "{order}: {reply}");
    }
    for (body, pointer) in [
        (json!({"authorization_details": []}), "/authorization_details"),
        (json!({"authorization_details": [scene.order, scene.order]}), "/authorization_details"),
        (json!({"authorization_details": scene.order}), "/authorization_details"),
        (json!({"authorization_details": [scene.order], "expires_in": 901}), "/expires_in"),
        (json!({"authorization_details": [scene.order], "expires_in": 1_000_000}), "/expires_in"),
        (json!({"authorization_details": [scene.order], "expires_in": 0}), "/expires_in"),
        (json!({"authorization_details": [scene.order], "display": "Buy nothing"}), "/display"),
        (json!({"authorization_details": [scene.order], "user_id": scene.asha.user_id()}), "/user_id"),
    ] {
        let reply = scene.asha.post("/v1/approvals", body.clone()).await;
        let reply = reply.assert_problem(422, "validation_failed");
        assert_eq!(reply["errors"][0]["pointer"], pointer, "{body}: {reply}");
    }
    let larger = json!({"authorization_details": [with("symbol", json!("A".repeat(1_000_000)))]});
    scene.asha.post("/v1/approvals", larger).await.assert_problem(413, "payload_too_large");
    let many = vec![scene.order.clone(); 100];
    let reply = scene.asha.post("/v1/approvals", json!({"authorization_details": many})).await;
    assert!([413, 422].contains(&reply.status), "{reply}");
    assert!(scene.asha.get("/v1/approvals").await.assert_status(200).items().is_empty());
}

#[tokio::test]
async fn keys_and_services_ask_and_never_decide() {
    let scene = Scene::start().await;
    scene.asha.post("/v1/auth/step-up", json!({"code": scene.factor.code_at(unix_now())})).await;
    let fresh = scene.app.person("ravi@example.com").await;
    let kite = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "k", "api_secret": "s"});
    let linked = fresh.post("/v1/trading-accounts", kite).await.assert_status(201);
    let wanted = json!({"name": "nightly", "scopes": ["approval:request"]});
    let key = fresh.post("/v1/api-keys", wanted).await.assert_status(201).text("api_key").to_owned();
    let mut order = scene.order.clone();
    order["account_id"] = linked["account_id"].clone();
    let body = json!({"authorization_details": [order]});
    let by_key =
        scene.app.post("/v1/approvals", body.clone()).header("x-api-key", &key).await.assert_status(201);
    let mut for_ravi = body.clone();
    for_ravi["user_id"] = fresh.user_id().into();
    let by_service = scene.desk.post("/v1/approvals", for_ravi).await.assert_status(201);
    scene.desk.post("/v1/approvals", body.clone()).await.assert_problem(422, "validation_failed");
    scene.executor.post("/v1/approvals", scene.body()).await.assert_status(422);
    for asked in [&by_key, &by_service] {
        let id = asked.text("approval_id");
        for (what, path) in [("challenge", "challenge"), ("decide", "decide")] {
            let path = format!("/v1/approvals/{id}/{path}");
            for body in [json!({"decision": "deny"}), json!({"decision": "approve", "code": "050471"})] {
                let with_key = scene.app.post(&path, body.clone()).header("x-api-key", &key).await;
                with_key.assert_problem(401, "authentication_required");
                scene.desk.post(&path, body.clone()).await.assert_problem(401, "authentication_required");
                let as_bearer = scene.app.post(&path, body.clone()).bearer(&key).await;
                as_bearer.assert_problem(401, "invalid_token");
                let as_bearer = scene.app.post(&path, body).bearer(service_token("desk")).await;
                as_bearer.assert_problem(401, "invalid_token");
            }
            assert!(!what.is_empty());
        }
        // Not somebody else either.
        let path = format!("/v1/approvals/{id}/decide");
        scene.asha.post(path, json!({"decision": "deny"})).await.assert_problem(404, "not_found");
        let seen = fresh.get(format!("/v1/approvals/{id}")).await.assert_status(200);
        assert_eq!(seen.text("status"), "pending");
    }
    let id = by_service.text("approval_id");
    scene.desk.get(format!("/v1/approvals/{id}")).await.assert_status(200);
    scene.executor.get(format!("/v1/approvals/{id}")).await.assert_problem(403, "forbidden");
    let both =
        scene.app.post("/v1/approvals", body).header("x-api-key", &key).bearer(fresh.access_token()).await;
    both.assert_problem(400, "bad_request");
}

#[tokio::test]
async fn a_decision_names_one_proof_and_a_refusal_needs_none() {
    let scene = Scene::start().await;
    let id = scene.asked().await.text("approval_id").to_owned();
    let path = format!("/v1/approvals/{id}/decide");
    for body in [
        json!({}),
        json!({"decision": "approve"}),
        json!({"decision": "maybe", "code": "050471"}),
        json!({"decision": "approve", "ceremony_token": "apr_AAAA"}),
        json!({"decision": "approve", "code": "050471", "ceremony_token": "apr_AAAA"}),
        json!({"decision": "approve", "password": "copper lantern drifts upstream"}),
    ] {
        scene.asha.post(&path, body).await.assert_problem(422, "validation_failed");
    }
    let wrong = scene.factor.wrong_code_at(unix_now());
    let body = json!({"decision": "approve", "code": wrong});
    scene.asha.post(&path, body).await.assert_problem(403, "forbidden");
    let denied = scene.asha.post(&path, json!({"decision": "deny"})).await.assert_status(200);
    assert_eq!(denied.body, json!({"status": "denied"}));
    let body = json!({"decision": "approve", "code": scene.factor.code_at(unix_now())});
    scene.asha.post(&path, body).await.assert_problem(409, "approval_decided");
    scene.redeem(&id, &scene.order).await.assert_problem(409, "approval_over");
    let list = scene.asha.get("/v1/approvals?status=denied").await.assert_status(200);
    assert_eq!(list.items()[0]["approval_id"], id);
    scene.asha.get("/v1/approvals?status=lost").await.assert_problem(422, "validation_failed");
    let mut unknown = scene.order.clone();
    unknown["iceberg"] = "1".into();
    scene.redeem(&id, &unknown).await.assert_problem(422, "validation_failed");
    for (user, status, code) in [
        (json!("asha"), 422, "validation_failed"),
        // Nobody is not anybody.
        (json!(""), 422, "validation_failed"),
        (Value::Null, 422, "validation_failed"),
        (json!("usr_0190f5d7a0007000800000000000000a"), 404, "not_found"),
        (json!(scene.asha.user_id()), 409, "approval_over"),
    ] {
        let body = json!({"authorization_details": [scene.order], "user_id": user});
        let path = format!("/v1/internal/approvals/{id}/redeem");
        scene.executor.post(path, body).await.assert_problem(status, code);
    }
    let nobodys = "apr_0190f5d7a0007000800000000000000a";
    scene.redeem(nobodys, &scene.order).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn services_without_an_edge_are_told_that_an_order_needs_an_approval() {
    let policy = json!({
        "admin": {},
        "user": {"permissions": ["trading:*", "api-key:*"], "requires": {"approval": [
            {"permission": "trading:order", "keys": true, "notional_above": "15005"},
            {"service": "execution"},
        ]}},
    });
    let app = App::on(Target::Local, &[("ROLE_DEFINITIONS", &policy.to_string())]);
    let asha = app.person(ASHA).await;
    let order = |notional: &str| json!({"permission": "trading:order", "notional": notional});
    for (body, expected) in [
        (json!({"permission": "trading:cancel"}), "granted"),
        (json!({"permission": "trading:order"}), "approval_required"),
        (order("15005"), "granted"),
        (order("15005.000000001"), "approval_required"),
        (json!({"permission": "trading:cancel", "service": "execution"}), "approval_required"),
        (json!({"permission": "execution:order", "service": "execution"}), "not_granted_by_roles"),
    ] {
        let decided = asha.post("/v1/authz/check", body.clone()).await.assert_status(200).body;
        assert_eq!(decided, json!({"allowed": expected == "granted", "reason": expected}), "{body}");
    }
    for body in [order("1e3"), json!({"permission": "trading:order", "service": "Execution"})] {
        asha.post("/v1/authz/check", body).await.assert_problem(422, "validation_failed");
    }
    let key = json!({"name": "robot", "scopes": ["trading:*"]});
    let key = asha.post("/v1/api-keys", key).await.assert_status(201);
    let robot = app.call(Method::POST, "/v1/authz/check").header("x-api-key", key.text("api_key"));
    let decided = robot.json(order("1")).await.assert_status(200).body;
    assert_eq!(decided, json!({"allowed": false, "reason": "approval_required"}));
}
