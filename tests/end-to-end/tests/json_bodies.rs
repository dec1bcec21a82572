//! Bodies are objects: serde would also fill the fields of a request from an array, by their position.
#![cfg(test)]

use std::path::Path;

use portcullis_harness::app::App;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool_with};
use portcullis_harness::service::{Service, service_token, service_tokens};
use serde_json::{Map, Value, json};

/// A route that takes a body.
struct Route {
    method: String,
    path: String,
    is_for_services: bool,
    /// What the document says of each field.
    fields: Map<String, Value>,
}

/// Returns what a schema of the document stands for: the one it refers to, and of a body that may be left out the body.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let given = alternatives.into_iter().find(|one| one.get("$ref").is_some()).unwrap_or(schema);
    match given["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => given,
    }
}

/// Returns the members of a schema, each as what it refers to.
fn fields(document: &Value, schema: &Value) -> Map<String, Value> {
    let members = resolved(document, schema)["properties"].as_object().unwrap().iter();
    let described = members.map(|(name, member)| {
        let mut member = resolved(document, member).clone();
        if let Some(items) = member.get("items") {
            member["items"] = resolved(document, items).clone();
        }
        for within in member["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            *within = resolved(document, within).clone();
        }
        (name.clone(), member)
    });
    described.collect()
}

fn routes() -> Vec<Route> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method, path, operation))
    });
    let with_body = operations.filter(|(_, _, operation)| operation.get("requestBody").is_some());
    let routes = with_body.map(|(method, path, operation)| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        Route {
            method: method.to_uppercase(),
            path: path.clone(),
            is_for_services: operation["security"].to_string().contains("service_token"),
            fields: fields(&document, schema),
        }
    });
    routes.collect()
}

/// Somebody for whom every route reads the body: the others refuse earlier whoever may not call them.
struct Callers {
    root: Person,
    service: Service,
}

impl Callers {
    async fn of(app: &App) -> Self {
        let arguments = ["create-user", "root", "--email", "root@example.com", "--role", "admin"];
        // The service has them from its environment, too, and the tool makes none of its own.
        let tokens = service_tokens(&["ticker"]);
        let tokens = [("SERVICE_TOKENS", tokens.as_str())];
        let (status, _, error) = tool_with(app.folder(), &arguments, &format!("{PASSWORD}\n"), &tokens);
        assert_eq!(status, 0, "{error}");
        Self { root: app.sign_in("root@example.com").await, service: app.service(service_token("ticker")) }
    }

    fn call(&self, route: &Route) -> Call {
        let id = format!("{}0190f5d7a0007000800000000000000a", id_prefix(&route.path));
        let path = route.path.replace("{id}", &id).replace("{name}", "kite");
        let method = route.method.parse().unwrap();
        if route.is_for_services { self.service.call(method, path) } else { self.root.call(method, path) }
    }
}

/// Returns what the ids in a path begin with.
fn id_prefix(path: &str) -> &'static str {
    let ids = [("/trading-accounts/", "acc_"), ("/passkeys/", "psk_"), ("/approvals/", "apr_")];
    ids.into_iter().find(|(part, _)| path.contains(part)).map_or("usr_", |(_, prefix)| prefix)
}

/// Returns the fields as an array: what a struct could be filled from.
fn by_position(fields: &Map<String, Value>) -> Value {
    let value =
        |field: &Value| field.get("example").cloned().unwrap_or(json!("granite harbour sings at noon"));
    fields.values().map(value).collect()
}

/// Returns the members of an object as an array, each as its schema has it.
fn by_position_within(field: &Value) -> Value {
    let members = field["properties"].as_object().unwrap();
    members.values().map(member_of).collect()
}

fn member_of(schema: &Value) -> Value {
    match schema["properties"].as_object() {
        Some(members) => members.iter().map(|(name, within)| (name.clone(), member_of(within))).collect(),
        None if schema["type"] == "array" => json!([]),
        None => json!("QUFB"),
    }
}

#[tokio::test]
async fn no_route_takes_an_array_or_anything_else_in_place_of_an_object() {
    let app = App::on(Target::Local, &[("SERVICE_TOKENS", &service_tokens(&["ticker"]))]);
    let (callers, routes) = (Callers::of(&app).await, routes());
    assert!(routes.len() >= 28, "{}", routes.len());
    for route in &routes {
        for body in [json!([]), by_position(&route.fields), json!([{}]), json!("{}"), json!(7)] {
            let reply = callers.call(route).json(body.clone()).await;
            let what = format!("{} {} with {body}", route.method, route.path);
            assert_eq!((reply.status, &reply.body["code"]), (422, &json!("validation_failed")), "{what}");
            let error = &reply.body["errors"][0];
            assert_eq!(
                (&error["pointer"], &error["detail"]),
                (&json!(""), &json!("must be an object")),
                "{what}"
            );
        }
    }
    // A member that is an object is looked at as the whole is.
    for route in &routes {
        for (name, field) in route.fields.iter().filter(|(_, field)| field["type"] == "object") {
            let reply = callers.call(route).json(json!({name: by_position_within(field)})).await;
            let errors = reply.body["errors"].as_array().unwrap();
            let is_refused = errors.iter().any(|error| error["pointer"] == format!("/{name}"));
            assert!(reply.status == 422 && is_refused, "{} {}: {errors:?}", route.method, route.path);
        }
    }
    // And so is one in a list.
    for route in &routes {
        for (name, field) in route.fields.iter().filter(|(_, field)| field["items"]["type"] == "object") {
            for item in [by_position_within(&field["items"]), json!([]), json!("{}"), json!(7)] {
                let reply = callers.call(route).json(json!({name: [item]})).await;
                let errors = reply.body["errors"].as_array().unwrap();
                let is_refused = errors.iter().any(|error| error["pointer"] == format!("/{name}/0"));
                assert!(reply.status == 422 && is_refused, "{} {}: {errors:?}", route.method, route.path);
            }
        }
    }
}

/// Members of an account that others decide on are in no request of its owner.
#[tokio::test]
async fn nobody_gives_themselves_what_others_decide_on() {
    let app = App::on(Target::Local, &[]);
    let wanted = json!({
        "user_id": "usr_0190f5d7a0007000800000000000000a", "roles": ["admin"], "status": "disabled",
        "email_verified": true, "mfa_enabled": true, "created_at": "2001-01-01T00:00:00Z", "epoch": 7,
    });
    let with = |body: Value| {
        let members = [&wanted, &body].into_iter().flat_map(|object| object.as_object().unwrap().clone());
        Value::Object(members.collect())
    };
    let named = with(json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"}));
    let registered = app.post("/v1/auth/register", named).await.assert_status(201);
    let asha = app.sign_in("asha@example.com").await;
    let changed = asha.patch("/v1/users/me", with(json!({"name": "Asha Rao"}))).await.assert_status(200);
    assert_eq!(changed["name"], "Asha Rao");
    for account in [&registered.body, &changed.body] {
        let decided = ["roles", "status", "email_verified", "mfa_enabled"].map(|name| account[name].clone());
        assert_eq!(decided, [json!(["user"]), json!("active"), json!(false), json!(false)]);
        assert_eq!(account["user_id"], asha.user_id());
    }
    assert_ne!(changed["created_at"], wanted["created_at"]);
}

#[tokio::test]
async fn a_registration_by_position_makes_no_account() {
    let app = App::on(Target::Local, &[]);
    let register = |body: Value| app.post("/v1/auth/register", body);
    let by_position = json!(["asha@example.com", PASSWORD, "Asha", null, null, null]);
    register(by_position).await.assert_problem(422, "validation_failed");
    app.login("asha@example.com", PASSWORD).await.assert_status(401);
    let named = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    register(named).await.assert_status(201);
}

#[tokio::test]
async fn an_empty_text_takes_away_what_may_be_missing_and_is_refused_for_what_may_not() {
    let app = App::local();
    let callers = app.person("asha@example.com").await;
    let asha = |body: Value| callers.patch("/v1/users/me", body);
    asha(json!({"phone": "+91 98765 43210"})).await.assert_status(200);
    for nothing in [json!(""), json!(" "), Value::Null] {
        let refused =
            asha(json!({"name": nothing, "phone": ""})).await.assert_problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], "/name", "{nothing}");
    }
    let me = callers.me().await.assert_status(200);
    assert_eq!((&me["name"], &me["phone"]), (&json!("Asha"), &json!("+91 98765 43210")));
    let cleared = asha(json!({"phone": ""})).await.assert_status(200);
    assert_eq!((&cleared["name"], &cleared["phone"]), (&json!("Asha"), &Value::Null));

    let create = ["create-user", "root", "--role", "admin", "--email", "root@example.com"];
    assert_eq!(tool_with(app.folder(), &create, PASSWORD, &[]).0, 0);
    let root = app.sign_in("root").await;
    let path = format!("/v1/admin/users/{}", callers.user_id());
    for (name, nothing) in
        [("roles", json!("")), ("roles", Value::Null), ("status", json!("")), ("status", Value::Null)]
    {
        let refused =
            root.patch(&path, json!({name: nothing})).await.assert_problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], format!("/{name}"), "{nothing}");
    }
    let kite = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "k", "api_secret": "s", "label": "long term"});
    let linked = callers.post("/v1/trading-accounts", kite).await.assert_status(201);
    let path = format!("/v1/trading-accounts/{}", linked.text("account_id"));
    for nothing in [json!(""), Value::Null] {
        callers.patch(&path, json!({"enabled": nothing})).await.assert_problem(422, "validation_failed");
    }
    let cleared = callers.patch(&path, json!({"label": ""})).await.assert_status(200);
    assert_eq!(cleared["label"], Value::Null);
}
