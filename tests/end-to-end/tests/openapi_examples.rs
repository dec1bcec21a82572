//! Every example of the OpenAPI document is sent as it stands to a running service and is answered with success.
//!
//! Requests come in an order that prepares what each of them needs. What only a running service knows stands in the examples
//! as one of `PLACEHOLDERS`, and is put in its place; nothing else is changed.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use portcullis_harness::app::App;
use portcullis_harness::authenticator::Authenticator;
use portcullis_harness::brokers::FakeBrokers;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::in_process::table::age_passwords;
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::person::unix_now;
use portcullis_harness::process::{Target, tool};
use portcullis_harness::reply::Reply;
use portcullis_http::openapi::PLACEHOLDERS;
use reqwest::Method;
use serde_json::{Map, Value, json};

const ASHA: &str = "asha@example.com";
const PAGE: &str = "https://app.example.com";

/// Those of a first start, of which one may cancel orders.
const SERVICES: &str = r#"{
    "edge": ["api-key:verify", "revocation:read"],
    "ticker": {"rights": ["provider:report", "postback:verify"], "credentials": {"brokers": ["kite"], "kind": "long_lived"}},
    "trading": {"rights": ["approval:request", "approval:redeem", "trading:cancel"], "credentials": {"brokers": ["kite"], "kind": "session"}}
}"#;

/// What a request shows beside what stands in its example.
#[derive(Debug, Clone)]
enum Shows {
    Nothing,
    AccessToken(String),
    ServiceToken(&'static str),
    Cookie(String),
}

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    described: Value,
}

impl Operation {
    /// Returns the path and the query with the examples of the parameters.
    fn target(&self) -> String {
        let mut path = self.path.clone();
        let mut query = Vec::new();
        for parameter in self.described["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str();
            assert!(example.is_some() || parameter["required"] != true, "{path} has no example of {name}");
            match (parameter["in"].as_str(), example) {
                (Some("path"), Some(example)) => path = path.replace(&format!("{{{name}}}"), example),
                (Some("query"), Some(example)) => query.push(format!("{name}={example}")),
                _ => {}
            }
        }
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

/// A service, what its document says, and what is known by now in place of the placeholders.
struct Walk {
    app: App,
    brokers: FakeBrokers,
    document: Value,
    known: BTreeMap<&'static str, String>,
    walked: BTreeSet<(String, String)>,
}

impl Walk {
    async fn begin() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let at_brokers = brokers.variables();
        let mut variables: Vec<(&str, &str)> =
            at_brokers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        variables.extend([("RATE_LIMIT", "off"), ("EMAIL_VERIFICATION", "required")]);
        variables.extend([
            ("PASSWORD_ROTATION_DAYS", "90"),
            ("ALLOWED_ORIGINS", PAGE),
            ("SERVICES", SERVICES),
        ]);
        let app = App::on(Target::Local, &variables);
        let document = app.get("/openapi.json").await.assert_status(200).body;
        Self { app, brokers, document, known: BTreeMap::new(), walked: BTreeSet::new() }
    }

    /// Learns what the placeholder that begins like this stands for.
    fn knows(&mut self, beginning: &str, real: &str) {
        let (placeholder, _) =
            PLACEHOLDERS.iter().find(|(literal, _)| literal.starts_with(beginning)).unwrap();
        self.known.insert(placeholder, real.to_owned());
    }

    /// Learns the token of the link in the last mail.
    fn knows_token_of_mail(&mut self, beginning: &str) {
        let token = self.app.outbox().last().unwrap().token();
        assert!(token.starts_with(beginning), "{token}");
        self.knows(beginning, &token);
    }

    fn with_what_is_known(&self, example: &str) -> String {
        self.known
            .iter()
            .fold(example.to_owned(), |text, (placeholder, real)| text.replace(placeholder, real))
    }

    fn operations(&self) -> impl Iterator<Item = Operation> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, described)| Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                described: described.clone(),
            })
        })
    }

    fn bodies(&self, operation: &Operation) -> Vec<(String, Value)> {
        let content = &operation.described["requestBody"]["content"]["application/json"];
        if content.is_null() {
            return vec![(String::new(), Value::Null)];
        }
        if let Some(named) = content["examples"].as_object() {
            return named.iter().map(|(name, example)| (name.clone(), example["value"].clone())).collect();
        }
        let reference = content["schema"]["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
        let of_schema = self.document.pointer(reference).map(|schema| &schema["example"]);
        let example = Some(&content["example"]).filter(|example| !example.is_null()).or(of_schema).unwrap();
        assert!(example.is_object(), "{} has a body and no example", operation.path);
        vec![(String::new(), example.clone())]
    }

    /// Sends the only example of an operation.
    async fn send(&mut self, id: &str, shows: &Shows) -> Reply {
        self.send_example(id, "", shows).await
    }

    /// Sends an example as it stands.
    async fn send_example(&mut self, id: &str, example: &str, shows: &Shows) -> Reply {
        let operation = self.operations().find(|operation| operation.described["operationId"] == id);
        let operation = operation.unwrap_or_else(|| panic!("there is no operation {id}"));
        let bodies = self.bodies(&operation);
        let (_, body) = bodies.iter().find(|(name, _)| name == example).unwrap();
        let body: Value = serde_json::from_str(&self.with_what_is_known(&body.to_string())).unwrap();
        let path = self.with_what_is_known(&operation.target());
        let reply = self.showing(self.app.call(operation.method, path), shows).json(body).await;
        assert!((200..300).contains(&reply.status), "{id}: {reply}");
        self.walked.insert((id.to_owned(), example.to_owned()));
        reply
    }

    fn showing(&self, call: Call, shows: &Shows) -> Call {
        match shows {
            Shows::Nothing => call,
            Shows::AccessToken(token) => call.bearer(token),
            Shows::Cookie(cookie) => call.header("cookie", cookie).header("origin", PAGE),
            Shows::ServiceToken(name) => {
                let tokens = self.app.generated_service_tokens();
                call.header("x-service-token", tokens[name][0].as_str().unwrap())
            }
        }
    }

    /// Signs Asha in again, as a program.
    async fn asha(&mut self) -> Shows {
        let session = self.app.login(ASHA, PASSWORD).await.assert_status(200);
        self.knows("rt_", session.text("refresh_token"));
        self.knows("usr_", session["user"]["user_id"].as_str().unwrap());
        Shows::AccessToken(session.text("access_token").to_owned())
    }

    /// Gives Asha the password of the examples again.
    fn gives_the_first_password_back(&self) {
        let (status, _, error) = tool(self.app.folder(), &["rotate-password", "asha"], PASSWORD);
        assert_eq!(status, 0, "{error}");
    }

    async fn registers_and_signs_in(&mut self) {
        for id in ["get_health", "get_jwks", "get_server_metadata", "register", "resend_confirmation"] {
            self.send(id, &Shows::Nothing).await;
        }
        self.knows_token_of_mail("vrf_");
        self.send("verify_email", &Shows::Nothing).await;
        for id in ["refresh", "logout"] {
            let signed_in = self.send("login", &Shows::Nothing).await;
            let cookies = signed_in.headers.get_all("set-cookie").iter();
            let cookie = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
            self.send_example(id, "browser", &Shows::Cookie(cookie.collect::<Vec<_>>().join("; "))).await;
            self.asha().await;
            self.send_example(id, "program", &Shows::Nothing).await;
        }
    }

    async fn looks_after_the_account(&mut self) {
        let other = self.asha().await;
        let status = self.send("get_session_status", &other).await;
        self.knows("ses_", status.text("session_id"));
        let asha = self.asha().await;
        self.send("change_username", &asha).await;
        let ids = [
            "get_own_profile",
            "update_own_profile",
            "step_up",
            "list_own_audit_trail",
            "get_own_trail_integrity",
            "list_permissions",
            "check_permission",
            "list_sessions",
            "revoke_session",
            "revoke_other_sessions",
        ];
        for id in ids {
            self.send(id, &asha).await;
        }
    }

    async fn makes_keys(&mut self) {
        let (asha, edge) = (self.asha().await, Shows::ServiceToken("edge"));
        let made = self.send("create_api_key", &asha).await;
        self.knows("key_", made.text("key_id"));
        self.knows("pk_", made.text("api_key"));
        let verified = self.send("verify_api_key", &edge).await;
        assert_eq!(verified["active"], true);
        for id in ["list_api_keys", "rotate_api_key", "delete_api_key"] {
            self.send(id, &asha).await;
        }
        self.send("list_revocations", &edge).await;
    }

    async fn trades(&mut self) {
        let (asha, ticker) = (self.asha().await, Shows::ServiceToken("ticker"));
        let linked = self.send("link_trading_account", &asha).await;
        self.knows("acc_", linked.text("account_id"));
        let ids = [
            "list_trading_accounts",
            "get_trading_account",
            "change_trading_account",
            "replace_broker_credentials",
            "verify_broker_credentials",
            "get_trading_state",
        ];
        for id in ids {
            self.send(id, &asha).await;
        }
        let token = self.brokers.log_in(linked.text("login_url")).await;
        self.knows("Zr7", &token);
        let begun = self.send("begin_broker_session", &asha).await;
        assert_eq!(begun["status"], "active");
        let read = self.send("read_broker_credentials", &ticker).await;
        let leases = self.send("list_leases_of_trading_account", &asha).await;
        assert!(leases.to_string().contains(read.text("lease_id")), "{leases}");
        let checked = self.send("verify_postback", &ticker).await;
        assert_eq!(checked["valid"], false);
        self.send("report_provider_outcome", &ticker).await;
        for id in ["list_providers", "get_provider", "get_provider_fallback"] {
            self.send(id, &asha).await;
        }
        let frozen = self.send("freeze_credentials", &asha).await;
        assert_eq!(frozen["accounts"][0]["orders"], "none", "{frozen}");
        let trading = Shows::ServiceToken("trading");
        self.send("get_freeze_of_account", &trading).await;
        self.send("acknowledge_freeze", &trading).await;
        for id in ["unfreeze_credentials", "unlink_trading_account"] {
            self.send(id, &asha).await;
        }
    }

    async fn uses_a_second_factor(&mut self) {
        let asha = self.asha().await;
        let secret = self.send("set_up_totp", &asha).await;
        let app = Authenticator::scan(secret.text("otpauth_uri"));
        // Each code is good for one use; that of the half minute before is one more.
        self.knows("050471", &app.code_at(unix_now() - 30));
        self.send("enable_totp", &asha).await;
        self.knows("050471", &app.code_at(unix_now()));
        let codes = self.send("renew_backup_codes", &asha).await;
        let pending = self.app.login(ASHA, PASSWORD).await.assert_status(200);
        self.knows("mfa_", pending.text("session_token"));
        self.knows("050471", codes["backup_codes"][0].as_str().unwrap());
        self.send("verify_mfa_code", &Shows::Nothing).await;
        self.knows("050471", codes["backup_codes"][1].as_str().unwrap());
        self.send("disable_totp", &asha).await;
    }

    /// Learns what an authenticator answered with, in place of the members of the example.
    fn knows_credential(&mut self, credential: &Value, members: [(&str, &str); 4]) {
        for (beginning, pointer) in members {
            self.knows(beginning, credential.pointer(pointer).unwrap().as_str().unwrap());
        }
    }

    async fn signs_in_with_a_passkey(&mut self) {
        let related = self.send("get_related_origins", &Shows::Nothing).await;
        let mut passkey = SoftPasskey::on(related["origins"][0].as_str().unwrap());
        let asha = self.asha().await;
        let begun = self.send("begin_passkey", &asha).await;
        self.knows("pkc_", begun.text("ceremony_token"));
        let made = passkey.create(&begun["publicKey"]);
        let members = [
            ("Cm9X", "/rawId"),
            ("eyJ0eXBlIjoid2ViYXV0aG4uY3", "/response/clientDataJSON"),
            ("o2Nm", "/response/attestationObject"),
            ("Cm9X", "/id"),
        ];
        self.knows_credential(&made, members);
        let added = self.send("add_passkey", &asha).await;
        self.knows("psk_", added.text("passkey_id"));
        self.is_shown(&passkey).await;
        self.send("sign_in_with_passkey", &Shows::Nothing).await;
        for id in ["list_passkeys", "rename_passkey"] {
            self.send(id, &asha).await;
        }
        self.lives_without_a_password(&passkey).await;
        let asha = self.asha().await;
        self.send("remove_passkey", &asha).await;
    }

    /// Learns what an authenticator answers to a new challenge.
    async fn is_shown(&mut self, passkey: &SoftPasskey) {
        let begun = self.send("begin_passkey_sign_in", &Shows::Nothing).await;
        self.knows("pkg_", begun.text("ceremony_token"));
        let members = [
            ("eyJ0eXBlIjoid2ViYXV0aG4uZ2", "/response/clientDataJSON"),
            ("SZYN", "/response/authenticatorData"),
            ("MEUC", "/response/signature"),
            ("b3Bh", "/response/userHandle"),
        ];
        self.knows_credential(&passkey.get(&begun["publicKey"]), members);
    }

    /// Passkeys stand for her password for a while; in the end everything is as it was.
    async fn lives_without_a_password(&mut self, passkey: &SoftPasskey) {
        let asha = self.asha().await;
        self.is_shown(passkey).await;
        let removed = self.send("remove_password", &asha).await;
        self.is_shown(passkey).await;
        self.send("set_password", &asha).await;
        self.is_shown(passkey).await;
        self.send("remove_password", &asha).await;
        self.send("forgot_password", &Shows::Nothing).await;
        self.knows_token_of_mail("rst_");
        self.knows("050471", removed["backup_codes"][0].as_str().unwrap());
        self.send("recover_account", &Shows::Nothing).await;
        self.gives_the_first_password_back();
        let (status, _, error) = tool(self.app.folder(), &["reset-mfa", "asha", "--yes"], "");
        assert_eq!(status, 0, "{error}");
    }

    /// With an app, because an approval takes more than a password, and with services that have rights to it.
    async fn approves_orders(&mut self) {
        let asha = self.asha().await;
        let kite = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "k", "api_secret": "s"});
        let linked = self.app.sign_in(ASHA).await.post("/v1/trading-accounts", kite).await.assert_status(201);
        self.knows("acc_", linked.text("account_id"));
        let trading = Shows::ServiceToken("trading");
        let asked = self.send("request_approval", &asha).await;
        self.knows("apr_0199", asked.text("approval_id"));
        for id in ["list_approvals", "get_approval", "decide_approval"] {
            self.send(id, &asha).await;
        }
        let secret = self.app.sign_in(ASHA).await;
        let app = secret.set_up_factor().await;
        let code = |at| json!({"code": app.code_at(at)});
        let enabled = secret.post("/v1/mfa/totp/enable", code(unix_now() - 30)).await.assert_status(200);
        let asked = self.send("request_approval", &asha).await;
        self.knows("apr_0199", asked.text("approval_id"));
        self.send("challenge_approval", &asha).await;
        let mut approve = code(unix_now());
        approve["decision"] = "approve".into();
        let path = format!("/v1/approvals/{}/decide", asked.text("approval_id"));
        secret.post(path, approve).await.assert_status(200);
        self.send("redeem_approval", &trading).await;
        let proof = json!({"password": PASSWORD, "code": enabled["backup_codes"][0]});
        secret.post("/v1/mfa/totp/disable", proof).await.assert_status(200);
    }

    async fn changes_passwords(&mut self) {
        let asha = self.asha().await;
        self.send("change_password", &asha).await;
        self.send("forgot_password", &Shows::Nothing).await;
        self.knows_token_of_mail("rst_");
        self.send("reset_password", &Shows::Nothing).await;
        self.gives_the_first_password_back();
        age_passwords(self.app.folder()).await;
        let expired = self.app.login(ASHA, PASSWORD).await.assert_problem(403, "password_expired");
        self.knows("rot_", expired.text("session_token"));
        self.send("rotate_password", &Shows::Nothing).await;
        self.gives_the_first_password_back();
    }

    async fn changes_the_address_and_leaves(&mut self) {
        let asha = self.asha().await;
        self.send("request_email_change", &asha).await;
        self.knows_token_of_mail("chg_");
        self.send("confirm_email_change", &Shows::Nothing).await;
        self.knows_token_of_mail("bck_");
        self.send("restore_email", &Shows::Nothing).await;
        self.gives_the_first_password_back();
        let asha = self.asha().await;
        self.send("erase_own_account", &asha).await;
    }

    async fn administers(&mut self) {
        let create = ["create-user", "root", "--role", "admin", "--email", "root@example.com"];
        assert_eq!(tool(self.app.folder(), &create, PASSWORD).0, 0);
        let root = Shows::AccessToken(self.app.sign_in("root").await.access_token().to_owned());
        let made = self.send("create_user", &root).await;
        self.knows("usr_", made.text("user_id"));
        let ids = [
            "list_roles",
            "list_users",
            "get_user",
            "change_user",
            "list_user_sessions",
            "list_user_api_keys",
            "get_user_trading",
            "verify_user_email",
            "send_user_reset",
            "unlock_user",
            "reset_user_mfa",
            "revoke_user_sessions",
            "search_audit_trail",
            "mark_provider",
            "unmark_provider",
            "freeze_user",
            "unfreeze_user",
            "freeze_everybody",
            "get_freeze_of_everybody",
            "unfreeze_everybody",
            "erase_user",
        ];
        for id in ids {
            self.send(id, &root).await;
        }
    }

    /// Returns every example of the document, by its operation and its name.
    fn examples(&self) -> BTreeSet<(String, String)> {
        let of_operation = |operation: Operation| {
            let id = operation.described["operationId"].as_str().unwrap().to_owned();
            self.bodies(&operation).into_iter().map(move |(name, _)| (id.clone(), name))
        };
        self.operations().flat_map(of_operation).collect()
    }
}

#[tokio::test]
async fn every_example_works_as_it_stands() {
    let mut walk = Walk::begin().await;
    walk.registers_and_signs_in().await;
    walk.looks_after_the_account().await;
    walk.makes_keys().await;
    walk.trades().await;
    walk.uses_a_second_factor().await;
    walk.signs_in_with_a_passkey().await;
    walk.approves_orders().await;
    walk.changes_passwords().await;
    walk.changes_the_address_and_leaves().await;
    walk.administers().await;
    assert_eq!(walk.examples(), walk.walked);
    let known: BTreeSet<&str> = walk.known.keys().copied().collect();
    assert_eq!(
        known,
        PLACEHOLDERS.iter().map(|(literal, _)| *literal).collect(),
        "no placeholder is left over"
    );
}

/// The words of a body are for the operation alone: an example has no member that its schema does not have.
#[tokio::test]
async fn no_example_has_a_member_that_its_schema_does_not_know() {
    let walk = Walk::begin().await;
    for operation in walk.operations() {
        let content = &operation.described["requestBody"]["content"]["application/json"];
        let reference = content["schema"]["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
        let none = Map::new();
        let known = walk.document.pointer(reference).and_then(|schema| schema["properties"].as_object());
        for (_, body) in walk.bodies(&operation) {
            for name in body.as_object().unwrap_or(&none).keys() {
                assert!(known.is_some_and(|known| known.contains_key(name)), "{}: {name}", operation.path);
            }
        }
    }
    assert_eq!(
        json!(walk.document["info"]["description"].as_str().unwrap().matches("| `").count()),
        json!(PLACEHOLDERS.len())
    );
}
