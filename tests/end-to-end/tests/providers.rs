//! How brokers are: what services report and our own calls find, by whom it is asked, and who has the last word.
#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_harness::app::App;
use portcullis_harness::brokers::FakeBrokers;
use portcullis_harness::in_process::World;
use portcullis_harness::service::{Service, service_token, service_tokens};
use portcullis_identity::{AuditFilter, ClientContext};
use portcullis_platform::Clock;
use portcullis_vault::{Health, HealthStatus, Mark, Outcome, Vault};
use reqwest::Method;
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;

async fn report(vault: &Vault, name: &str, ok: bool, error: Option<&str>) {
    let outcome = Outcome::reported(ok, error, Some(Duration::from_millis(40)));
    vault.providers.record(name, outcome).await.unwrap();
}

async fn health(vault: &Vault, name: &str) -> Health {
    vault.providers.health(name).await.unwrap()
}

#[tokio::test]
async fn failures_that_are_the_brokers_lower_its_health_and_the_users_do_not() {
    let world = World::new(SEED).await;
    let vault = &world.vault;
    assert_eq!(health(vault, "kite").await.last_check, None);
    for error in ["403", "expired", "429"] {
        for _ in 0..20 {
            report(vault, "kite", false, Some(error)).await;
        }
    }
    let fine = health(vault, "kite").await;
    assert_eq!(
        (fine.status, fine.consecutive_failures, fine.response_time_ms),
        (HealthStatus::Healthy, 0, Some(40))
    );
    for (count, status) in
        [(1, HealthStatus::Healthy), (2, HealthStatus::Degraded), (5, HealthStatus::Unhealthy)]
    {
        while health(vault, "kite").await.consecutive_failures < count {
            world.clock.advance(Duration::from_secs(1));
            report(vault, "kite", false, Some("timeout")).await;
        }
        assert_eq!(health(vault, "kite").await.status, status, "after {count}");
    }
    assert_eq!(health(vault, "alpaca").await.status, HealthStatus::Healthy);
    // One success ends the row of failures; an hour later nobody knows of them.
    world.clock.advance(Duration::from_secs(1));
    report(vault, "kite", true, None).await;
    assert_eq!(health(vault, "kite").await.consecutive_failures, 0);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(health(vault, "kite").await.last_check, None);
}

#[tokio::test]
async fn a_thousand_reports_meet_in_no_row_and_none_is_lost() {
    let world = World::new(SEED).await;
    let vault = &world.vault;
    for round in 0..20 {
        let reports = (0..50).map(|number| {
            let vault = Arc::clone(vault);
            tokio::spawn(async move { report(&vault, "kite", (round + number) % 4 != 0, Some("500")).await })
        });
        for report in reports.collect::<Vec<_>>() {
            report.await.unwrap();
        }
    }
    let mut sums = Vec::new();
    for shard in 0..portcullis_store::Store::PROVIDER_SHARDS {
        let rows = world.rows(&format!("PROV#kite#{shard}"), "MIN#").await;
        let number =
            |row: &Value, name: &str| row[name]["N"].as_str().map_or(0, |text| text.parse::<u64>().unwrap());
        sums.push(
            rows.iter().map(|row| number(row, "outcomes_ok") + number(row, "outcomes_failed")).sum::<u64>(),
        );
        assert!(rows.iter().all(|row| row["failed_at"]["L"].as_array().is_none_or(|list| list.len() <= 20)));
    }
    assert_eq!(sums.iter().sum::<u64>(), 1_000);
    let busiest = sums.iter().max().unwrap();
    assert!(*busiest < 200, "the counters are used alike: {sums:?}");
}

#[tokio::test]
async fn a_chain_is_ordered_by_health_and_prefers_the_primary_among_equals() {
    let world = World::with_variables(SEED, &[("PROVIDERS", "yahoo")]).await;
    let vault = &world.vault;
    let chain = async |primary: &str, fallbacks: &[&str]| -> Vec<String> {
        let chain = vault.providers.chain(primary, fallbacks).await.unwrap();
        chain.into_iter().map(|health| health.provider).collect()
    };
    assert_eq!(chain("kite", &["alpaca", "yahoo", "kite"]).await, ["kite", "alpaca", "yahoo"]);
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        report(vault, "kite", false, None).await;
    }
    for _ in 0..2 {
        world.clock.advance(Duration::from_secs(1));
        report(vault, "alpaca", false, None).await;
    }
    assert_eq!(chain("kite", &["alpaca", "yahoo"]).await, ["yahoo", "alpaca", "kite"]);

    let hour = Duration::from_hours(1);
    let root = world.person("root@example.com").await.caller;
    let mark = |lasts| Mark {
        status: HealthStatus::Unhealthy,
        reason: Some("maintenance".to_owned()),
        lasts: Some(lasts),
    };
    let origin = ClientContext::default();
    vault.mark_provider(&root, "yahoo", mark(hour), &origin).await.unwrap();
    assert_eq!(chain("kite", &["alpaca", "yahoo"]).await, ["alpaca", "kite", "yahoo"]);
    world.clock.advance(hour);
    assert_eq!(health(vault, "yahoo").await.mark, None);
    assert!(vault.mark_provider(&root, "yahoo", mark(hour * 24 * 8), &origin).await.is_err());
    let endless = Mark { lasts: None, ..mark(hour) };
    vault.mark_provider(&root, "yahoo", endless, &origin).await.unwrap();
    world.clock.advance(hour * 24 * 365);
    let marked = health(vault, "yahoo").await.mark.unwrap();
    assert_eq!((portcullis_vault::end_of(&marked), marked.status.as_str()), (None, "unhealthy"));
    assert!(vault.mark_provider(&root, "nobody", mark(hour), &origin).await.is_err());
    assert!(vault.providers.chain("nobody", &[]).await.is_err());
}

#[tokio::test]
async fn who_marks_a_provider_is_in_the_trail_with_the_mark_and_its_end() {
    let world = World::new(SEED).await;
    let vault = &world.vault;
    let root = world.person("root@example.com").await.caller;
    let (origin, lasts) = (ClientContext::default(), Duration::from_mins(10));
    let reason = Some("maintenance".to_owned());
    let mark = Mark { status: HealthStatus::Unhealthy, reason: reason.clone(), lasts: Some(lasts) };
    vault.mark_provider(&root, "kite", mark.clone(), &origin).await.unwrap();
    vault.unmark_provider(&root, "kite", &origin).await.unwrap();
    assert_eq!(health(vault, "kite").await.mark, None);
    let (filter, id) = (AuditFilter::default(), root.account.id);
    let page = world.identity.audit_of(id, &filter, 10, None).await.unwrap();
    let told: Vec<(&str, &str, Option<&str>)> = page
        .records
        .iter()
        .filter(|record| record.target.as_deref() == Some("kite"))
        .map(|record| (record.kind.as_str(), record.actor.as_str(), record.purpose.as_deref()))
        .collect();
    assert_eq!(page.records.iter().find_map(|record| record.details.reason.clone()), reason);
    let (actor, until) = (format!("admin:{id}"), format!("unhealthy until {}", world.clock.now() + lasts));
    assert_eq!(
        told,
        [
            ("provider_unmarked", actor.as_str(), None),
            ("provider_marked", actor.as_str(), Some(until.as_str()))
        ]
    );
    // No mark without its event, and no event without its mark.
    world.faults.go_down_after(0);
    assert!(vault.mark_provider(&root, "kite", mark, &origin).await.is_err());
    world.faults.come_back();
    assert_eq!(health(vault, "kite").await.mark, None);
    assert!(world.identity.verify_audit().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_probe_finds_out_whether_a_broker_answers() {
    let brokers = FakeBrokers::start().unwrap();
    let variables = brokers.variables();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let world = World::with_variables(SEED, &variables).await;
    let vault = &world.vault;
    vault.providers.probe_all().await;
    for name in ["kite", "alpaca", "alpaca-paper", "dhan", "fyers", "upstox"] {
        let found = health(vault, name).await;
        assert_eq!((found.consecutive_failures, found.last_check.is_some()), (0, true), "{name}");
    }
    brokers.are(json!({"mode": "down"})).await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        vault.providers.probe_all().await;
    }
    assert_eq!(health(vault, "kite").await.status, HealthStatus::Unhealthy);
    // A page in its place is no answer; patience that is asked for is one.
    for (mode, failures) in [("ok", 0), ("html", 1), ("rate", 0)] {
        brokers.are(json!({"mode": mode})).await;
        world.clock.advance(Duration::from_secs(1));
        vault.providers.probe_all().await;
        assert_eq!(health(vault, "kite").await.consecutive_failures, failures, "{mode}");
    }
}

#[tokio::test]
async fn the_last_hour_of_calls_is_told_beside_a_health_that_counts_fifteen_minutes() {
    let world = World::new(SEED).await;
    let providers = &world.vault.providers;
    let report = async |ok: bool| {
        providers.record("kite", Outcome { ok, response_time: None }).await.unwrap();
    };
    for _ in 0..5 {
        report(false).await;
    }
    world.clock.advance(Duration::from_mins(30));
    report(true).await;
    let told = async || {
        let all = providers.all_with_history().await.unwrap();
        let (health, spans) = all.into_iter().find(|(health, _)| health.provider == "kite").unwrap();
        let known = health.last_check.is_some();
        (health.status, known, spans.iter().map(|span| (span.ok, span.failed)).collect::<Vec<_>>())
    };
    let (status, known, spans) = told().await;
    assert_eq!((status, known, spans.len()), (HealthStatus::Healthy, true, 12));
    assert_eq!((spans[5], spans[11]), ((0, 5), (1, 0)), "{spans:?}");
    assert_eq!(
        providers.all().await.unwrap().iter().find(|health| health.provider == "kite").unwrap().status,
        status
    );
    world.clock.advance(Duration::from_mins(35));
    let (status, known, spans) = told().await;
    assert_eq!((status, known, spans[4]), (HealthStatus::Healthy, false, (1, 0)), "{spans:?}");
    assert_eq!(spans.iter().map(|(ok, failed)| ok + failed).sum::<u64>(), 1, "an hour ago is over");
}

#[tokio::test]
async fn health_is_reported_by_services_and_read_by_people() {
    let tokens = service_tokens(&["ticker", "edge"]);
    let app = App::with(&[("SERVICE_TOKENS", &tokens), ("PROVIDER_CHECK_INTERVAL", "86400")]);
    let asha = app.person("asha@example.com").await;
    let (ticker, edge) = (app.service(service_token("ticker")), app.service(service_token("edge")));

    let listed = asha.get("/v1/providers").await.assert_status(200);
    let names: BTreeSet<&str> = listed.items().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpaca", "alpaca-paper", "dhan", "fyers", "kite", "upstox"].into());
    let report = |by: &Service, name: &str, body: &Value| {
        by.post(format!("/v1/internal/providers/{name}/outcomes"), body.clone())
    };
    let failed = json!({"ok": false, "response_time_ms": 900, "error": "timeout"});
    report(&ticker, "kite", &failed).await.assert_status(202);
    let exact = json!({"ok": true, "response_time_ms": 45.2});
    report(&ticker, "alpaca", &exact).await.assert_status(202);
    assert_eq!(asha.get("/v1/providers/alpaca").await["response_time_ms"], 45);
    report(&ticker, "alpaca", &json!({"ok": true, "response_time_ms": -1})).await.assert_status(422);
    report(&edge, "kite", &failed).await.assert_status(403);
    report(&ticker, "nobody", &failed).await.assert_status(404);
    report(&ticker, "kite", &json!({"ok": true, "response_time_ms": 700_000})).await.assert_status(422);
    let kite = asha.get("/v1/providers/kite").await.assert_status(200);
    assert_eq!((&kite["consecutive_failures"], &kite["response_time_ms"]), (&json!(1), &json!(900)));
    assert_eq!(kite["history"], Value::Null, "nobody asked for it");
    let listed = asha.get("/v1/providers?history=true").await.assert_status(200);
    let kite = listed.items().iter().find(|one| one["name"] == "kite").unwrap();
    let spans = kite["history"].as_array().unwrap();
    assert_eq!((spans.len(), &spans[11]["failed"]), (12, &json!(1)));
    asha.get("/v1/providers?history=perhaps").await.assert_status(422);
    asha.get("/v1/providers/nobody").await.assert_status(404);
    let chain = asha.get("/v1/providers/fallback?primary=kite&fallbacks=alpaca").await.assert_status(200);
    assert_eq!(chain["recommended"], "kite");
    asha.get("/v1/providers/fallback").await.assert_status(422);
    // People do not say how a broker is; administrators do.
    let mark = json!({"status": "unhealthy", "expires_in": 60});
    asha.put("/v1/admin/providers/kite/mark", mark).await.assert_status(403);
}

#[tokio::test]
async fn what_needs_a_healthy_provider_is_decided_by_its_health_and_names_another() {
    let policy = json!({
        "admin": {},
        "reader": {"permissions": ["portfolio:read"]},
        "user": {"inherits": ["reader"], "permissions": ["trading:*", "api-key:*"], "requires": {"healthy_provider": ["trading:order"]}},
        // Whoever inherits it has no way around it.
        "trader": {"inherits": ["user"], "permissions": ["trading:order"]},
    });
    let tokens = service_tokens(&["ticker"]);
    let variables = [
        ("SERVICE_TOKENS", tokens.as_str()),
        ("PROVIDER_CHECK_INTERVAL", "86400"),
        ("ROLE_DEFINITIONS", &policy.to_string()),
    ];
    let app = App::with(&variables);
    let asha = app.person("asha@example.com").await;
    let ticker = app.service(service_token("ticker"));
    let check = async |body: Value| asha.post("/v1/authz/check", body).await;
    let granted = json!({"allowed": true, "reason": "granted"});
    let order = |broker: &str, fallbacks: &[&str]| json!({"permission": "trading:order", "provider": broker, "fallbacks": fallbacks});
    let healthy = json!({"allowed": true, "reason": "granted", "provider_status": "healthy"});
    assert_eq!(check(order("kite", &[])).await.assert_status(200).body, healthy);
    // What the policy does not name depends on no provider.
    for permission in ["trading:cancel", "portfolio:read"] {
        let body = json!({"permission": permission, "provider": "kite"});
        assert_eq!(check(body).await.assert_status(200).body, granted);
        assert_eq!(check(json!({"permission": permission})).await.assert_status(200).body, granted);
    }

    let failed = json!({"ok": false, "error": "timeout"});
    let fail = async |broker: &str, times: usize| {
        for _ in 0..times {
            let path = format!("/v1/internal/providers/{broker}/outcomes");
            ticker.post(path, failed.clone()).await.assert_status(202);
        }
    };
    fail("kite", 2).await;
    let mut refused =
        json!({"allowed": false, "reason": "provider_unavailable", "provider_status": "degraded"});
    assert_eq!(check(order("kite", &[])).await.body, refused);
    assert_eq!(check(order("kite", &["kite"])).await.body, refused);
    refused["fallback"] = json!("alpaca");
    assert_eq!(check(order("kite", &["alpaca", "alpaca-paper"])).await.body, refused);
    fail("alpaca", 5).await;
    refused["fallback"] = json!("alpaca-paper");
    assert_eq!(check(order("kite", &["alpaca", "alpaca-paper"])).await.body, refused);
    refused["provider_status"] = json!("unhealthy");
    assert_eq!(check(order("alpaca", &["kite", "alpaca-paper"])).await.body, refused);
    // An order that the owner's mistakes spoil says nothing about the broker.
    let path = "/v1/internal/providers/alpaca-paper/outcomes";
    for _ in 0..9 {
        ticker.post(path, json!({"ok": false, "error": "expired"})).await.assert_status(202);
    }
    assert_eq!(check(order("alpaca-paper", &[])).await.body, healthy);

    // Programs are asked the same, and roles and scopes come first.
    let key =
        asha.post("/v1/api-keys", json!({"name": "robot", "scopes": ["trading:*"]})).await.assert_status(201);
    let robot = app.call(Method::POST, "/v1/authz/check").header("x-api-key", key.text("api_key"));
    let decided = robot.json(order("kite", &["alpaca-paper"])).await.assert_status(200).body;
    assert_eq!(
        (&decided["reason"], &decided["fallback"]),
        (&json!("provider_unavailable"), &json!("alpaca-paper"))
    );
    let unknown = json!({"permission": "portfolio:write", "provider": "kite"});
    assert_eq!(check(unknown).await.body, json!({"allowed": false, "reason": "not_granted_by_roles"}));

    for (body, pointer) in [
        (json!({"permission": "trading:order"}), "/provider"),
        (order("nobody", &[]), "/provider"),
        (order("kite", &["alpaca", "nobody"]), "/fallbacks"),
        (order("kite", &["alpaca"; 10]), "/fallbacks"),
        (order("kite", &vec!["alpaca"; 1_000]), "/fallbacks"),
        (json!({"permission": "trading:order", "fallbacks": ["kite"]}), "/provider"),
        (json!({"permission": "portfolio:read", "provider": "nobody"}), "/provider"),
    ] {
        let refused = check(body).await.assert_status(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused:?}");
    }
}
