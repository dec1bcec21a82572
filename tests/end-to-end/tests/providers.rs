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
    for name in ["kite", "alpaca", "alpaca-paper"] {
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
async fn health_is_reported_by_services_and_read_by_people() {
    let tokens = service_tokens(&["ticker", "edge"]);
    let app = App::with(&[("SERVICE_TOKENS", &tokens), ("PROVIDER_CHECK_INTERVAL", "86400")]);
    let asha = app.person("asha@example.com").await;
    let (ticker, edge) = (app.service(service_token("ticker")), app.service(service_token("edge")));

    let listed = asha.get("/v1/providers").await.assert_status(200);
    let names: BTreeSet<&str> = listed.items().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpaca", "alpaca-paper", "kite"].into());
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
    asha.get("/v1/providers/nobody").await.assert_status(404);
    let chain = asha.get("/v1/providers/fallback?primary=kite&fallbacks=alpaca").await.assert_status(200);
    assert_eq!(chain["recommended"], "kite");
    asha.get("/v1/providers/fallback").await.assert_status(422);
    // People do not say how a broker is; administrators do.
    let mark = json!({"status": "unhealthy", "expires_in": 60});
    asha.put("/v1/admin/providers/kite/mark", mark).await.assert_status(403);
}
