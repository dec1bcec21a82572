//! How brokers are: what services report and our own calls find, by whom it is asked, and who has the last word.
#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_harness::brokers::FakeBrokers;
use portcullis_harness::in_process::{World, vault_with};
use portcullis_harness::process::Running;
use portcullis_identity::{AuditFilter, Origin};
use portcullis_platform::{Clock, Environment};
use portcullis_vault::{Health, HealthStatus, Mark, Outcome, Vault};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;
const PASSWORD: &str = "copper lantern drifts upstream";

async fn scene(environment: &Environment) -> (World, Vault) {
    let world = World::new(SEED).await;
    let vault = vault_with(environment, Arc::clone(&world.identity));
    (world, vault)
}

async fn report(vault: &Vault, name: &str, ok: bool, error: Option<&str>) {
    let outcome = Outcome::reported(ok, error, Some(Duration::from_millis(40)));
    vault.providers.record(name, outcome).await.unwrap();
}

async fn health(vault: &Vault, name: &str) -> Health {
    vault.providers.health(name).await.unwrap()
}

#[tokio::test]
async fn failures_that_are_the_brokers_lower_its_health_and_the_users_do_not() {
    let (world, vault) = scene(&Environment::default()).await;
    assert_eq!(health(&vault, "kite").await.last_check, None);
    for error in ["403", "expired", "429"] {
        for _ in 0..20 {
            report(&vault, "kite", false, Some(error)).await;
        }
    }
    let fine = health(&vault, "kite").await;
    assert_eq!(
        (fine.status, fine.consecutive_failures, fine.response_time_ms),
        (HealthStatus::Healthy, 0, Some(40))
    );
    for (count, status) in
        [(1, HealthStatus::Healthy), (2, HealthStatus::Degraded), (5, HealthStatus::Unhealthy)]
    {
        while health(&vault, "kite").await.consecutive_failures < count {
            world.clock.advance(Duration::from_secs(1));
            report(&vault, "kite", false, Some("timeout")).await;
        }
        assert_eq!(health(&vault, "kite").await.status, status, "after {count}");
    }
    assert_eq!(health(&vault, "alpaca").await.status, HealthStatus::Healthy);
    // One success ends the row of failures; an hour later nobody knows of them.
    world.clock.advance(Duration::from_secs(1));
    report(&vault, "kite", true, None).await;
    assert_eq!(health(&vault, "kite").await.consecutive_failures, 0);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(health(&vault, "kite").await.last_check, None);
}

#[tokio::test]
async fn a_thousand_reports_meet_in_no_row_and_none_is_lost() {
    let (world, vault) = scene(&Environment::default()).await;
    let vault = Arc::new(vault);
    for round in 0..20 {
        let reports = (0..50).map(|number| {
            let vault = Arc::clone(&vault);
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
    let environment: Environment = [("PROVIDERS", "yahoo")].into_iter().collect();
    let (world, vault) = scene(&environment).await;
    let chain = async |primary: &str, fallbacks: &[&str]| -> Vec<String> {
        let chain = vault.providers.chain(primary, fallbacks).await.unwrap();
        chain.into_iter().map(|health| health.provider).collect()
    };
    assert_eq!(chain("kite", &["alpaca", "yahoo", "kite"]).await, ["kite", "alpaca", "yahoo"]);
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        report(&vault, "kite", false, None).await;
    }
    for _ in 0..2 {
        world.clock.advance(Duration::from_secs(1));
        report(&vault, "alpaca", false, None).await;
    }
    assert_eq!(chain("kite", &["alpaca", "yahoo"]).await, ["yahoo", "alpaca", "kite"]);

    let hour = Duration::from_hours(1);
    let signed_in = world.person("root@example.com").await;
    let root = world.identity.authenticate(&signed_in.access_token).await.unwrap();
    let mark =
        |lasts| Mark { status: HealthStatus::Unhealthy, reason: Some("maintenance".to_owned()), lasts };
    let origin = Origin::default();
    vault.mark_provider(&root, "yahoo", mark(hour), &origin).await.unwrap();
    assert_eq!(chain("kite", &["alpaca", "yahoo"]).await, ["alpaca", "kite", "yahoo"]);
    world.clock.advance(hour);
    assert_eq!(health(&vault, "yahoo").await.mark, None);
    assert!(vault.mark_provider(&root, "yahoo", mark(hour * 24 * 8), &origin).await.is_err());
    assert!(vault.mark_provider(&root, "nobody", mark(hour), &origin).await.is_err());
    assert!(vault.providers.chain("nobody", &[]).await.is_err());
}

#[tokio::test]
async fn who_marks_a_provider_is_in_the_trail_with_the_mark_and_its_end() {
    let (world, vault) = scene(&Environment::default()).await;
    let signed_in = world.person("root@example.com").await;
    let root = world.identity.authenticate(&signed_in.access_token).await.unwrap();
    let (origin, lasts) = (Origin::default(), Duration::from_mins(10));
    let mark = Mark { status: HealthStatus::Unhealthy, reason: None, lasts };
    vault.mark_provider(&root, "kite", mark.clone(), &origin).await.unwrap();
    vault.unmark_provider(&root, "kite", &origin).await.unwrap();
    assert_eq!(health(&vault, "kite").await.mark, None);
    let (filter, id) = (AuditFilter::default(), root.account.id);
    let page = world.identity.audit_of(id, &filter, 10, None).await.unwrap();
    let told: Vec<(&str, &str, Option<&str>)> = page
        .records
        .iter()
        .filter(|record| record.target.as_deref() == Some("kite"))
        .map(|record| (record.kind.as_str(), record.actor.as_str(), record.purpose.as_deref()))
        .collect();
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
    assert_eq!(health(&vault, "kite").await.mark, None);
    assert!(world.identity.verify_audit().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_probe_finds_out_whether_a_broker_answers() {
    let brokers = FakeBrokers::start().unwrap();
    let variables = brokers.variables();
    let environment: Environment = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (world, vault) = scene(&environment).await;
    vault.providers.probe_all().await;
    for name in ["kite", "alpaca", "alpaca-paper"] {
        let found = health(&vault, name).await;
        assert_eq!((found.consecutive_failures, found.last_check.is_some()), (0, true), "{name}");
    }
    let control = format!("{}/_control", brokers.url);
    Client::new().post(control).json(&json!({"mode": "down"})).send().await.unwrap();
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        vault.providers.probe_all().await;
    }
    assert_eq!(health(&vault, "kite").await.status, HealthStatus::Unhealthy);
    // A page in its place is no answer; patience that is asked for is one.
    let control = format!("{}/_control", brokers.url);
    for (mode, failures) in [("ok", 0), ("html", 1), ("rate", 0)] {
        Client::new().post(&control).json(&json!({"mode": mode})).send().await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        vault.providers.probe_all().await;
        assert_eq!(health(&vault, "kite").await.consecutive_failures, failures, "{mode}");
    }
}

async fn answer(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

#[tokio::test]
async fn health_is_reported_by_services_and_read_by_people() {
    let folder = tempfile::tempdir().unwrap();
    let (ticker, edge) = ("t".repeat(40), "e".repeat(40));
    let tokens = json!({"ticker": ticker, "edge": edge}).to_string();
    let service =
        Running::start(folder.path(), &[("SERVICE_TOKENS", &tokens), ("PROVIDER_CHECK_INTERVAL", "86400")])
            .unwrap();
    let client = Client::new();
    let request = |method: Method, path: &str| client.request(method, format!("{}{path}", service.url));
    let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    answer(request(Method::POST, "/v1/auth/register").json(&body), 201).await;
    let session = answer(request(Method::POST, "/v1/auth/login").json(&body), 200).await;
    let token = session["access_token"].as_str().unwrap();
    let get = |path: &str| request(Method::GET, path).bearer_auth(token);

    let names: BTreeSet<String> = answer(get("/v1/providers"), 200).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["alpaca", "alpaca-paper", "kite"].map(str::to_owned).into());
    let report = |token: &str, name: &str, body: Value| {
        request(Method::POST, &format!("/v1/internal/providers/{name}/outcomes"))
            .header("x-service-token", token)
            .json(&body)
    };
    let failed = json!({"ok": false, "response_time_ms": 900, "error": "timeout"});
    answer(report(&ticker, "kite", failed.clone()), 202).await;
    answer(report(&edge, "kite", failed.clone()), 403).await;
    answer(report(&ticker, "nobody", failed), 404).await;
    answer(report(&ticker, "kite", json!({"ok": true, "response_time_ms": 700_000})), 422).await;
    let kite = answer(get("/v1/providers/kite"), 200).await;
    assert_eq!((&kite["consecutive_failures"], &kite["response_time_ms"]), (&json!(1), &json!(900)));
    answer(get("/v1/providers/nobody"), 404).await;
    let chain = answer(get("/v1/providers/fallback?primary=kite&fallbacks=alpaca"), 200).await;
    assert_eq!(chain["recommended"], "kite");
    answer(get("/v1/providers/fallback"), 422).await;
    // People do not say how a broker is; administrators do.
    let mark = request(Method::PUT, "/v1/admin/providers/kite/mark").bearer_auth(token);
    answer(mark.json(&json!({"status": "unhealthy", "expires_in": 60})), 403).await;
}
