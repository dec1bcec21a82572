//! What a sign-in, a refresh and a verification cost, each beside the bare operation it cannot do without.
//!
//! `cargo bench -p bench` runs everything; a word after `--` selects what contains it. The machine's speed and noise are
//! in floor and figure alike, because the two take turns: the ratios are what to compare between machines.
#![allow(clippy::expect_used, reason = "there is nothing to measure without it")]

mod accounts;
mod feed;
mod floor;
mod instant;
mod passkeys;
mod report;
mod service;

use std::hint::black_box;

use portcullis_identity::{SigningKey, VerificationKeys};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_verifier::policy::Policy;
use portcullis_verifier::route::RouteTable;
use portcullis_verifier::{Assurance, Expectations};
use tokio::runtime::Runtime;

use crate::instant::Instantly;
use crate::report::Report;
use crate::service::{DEFAULT_HASHES, Service};

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let mut report = Report::new();
    login(&runtime, &mut report);
    refresh(&runtime, &mut report);
    verification(&runtime, &mut report);
    assurance(&mut report);
    known_addresses(&runtime, &mut report);
    accounts::measure(&runtime, &mut report);
    feed::measure(&runtime, &mut report);
    passkeys::measure(&mut report);
    report.print();
}

fn login(runtime: &Runtime, report: &mut Report) {
    let mut hash = floor::argon2id(DEFAULT_HASHES);
    let name = format!("portable Argon2id / Argon2id by {}", argon2_rust::detected_backend());
    report.ratio(&name, None, &mut hash, floor::portable_argon2id(DEFAULT_HASHES));
    for algorithm in ["RS256", "ES256"] {
        let instant = Instantly::after(EmbeddedDynamoDb::in_memory().expect("an engine"));
        let engine = instant.http_client();
        let service = runtime.block_on(Service::start_signing_by(engine, DEFAULT_HASHES, algorithm));
        runtime.block_on(service.register("asha@example.com"));
        let name = |of: &str| format!("login, {algorithm}, {of} / bare Argon2id");
        report.ratio(&name("engine in memory"), Some(1.08), &mut hash, || {
            runtime.block_on(service.sign_in("asha@example.com"));
        });
        instant.learn();
        runtime.block_on(service.sign_in("asha@example.com"));
        instant.answer_at_once();
        report.ratio(&name("store at once"), Some(1.08), &mut hash, || {
            runtime.block_on(service.sign_in("asha@example.com"));
        });
    }
}

/// Whether the time of a refusal tells who has an account: the ratio is 1 if it does not.
fn known_addresses(runtime: &Runtime, report: &mut Report) {
    const ADDRESSES: usize = 500;
    let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
    let service = runtime.block_on(Service::start(engine.http_client(), DEFAULT_HASHES));
    for number in 0..ADDRESSES {
        runtime.block_on(service.register(&format!("known{number}@example.com")));
    }
    // The sixth guess at one address would not be looked at, so they take turns.
    let guess = |class: &str, turn: usize| {
        let address = format!("{class}{}@example.com", turn % ADDRESSES);
        runtime.block_on(service.guess_at(&address));
    };
    let (mut at_known, mut at_unknown) = (0, 0);
    let mut known = || {
        at_known += 1;
        guess("known", at_known);
    };
    report.ratio("wrong password, unknown address / known address", Some(1.01), &mut known, || {
        at_unknown += 1;
        guess("unknown", at_unknown);
    });
}

fn refresh(runtime: &Runtime, report: &mut Report) {
    let mut sign = floor::rs256_signature();

    let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
    let instant = Instantly::after(engine);
    let service = runtime.block_on(Service::start(instant.http_client(), DEFAULT_HASHES));
    runtime.block_on(service.register("asha@example.com"));
    let token = runtime.block_on(service.sign_in("asha@example.com"));
    instant.learn();
    runtime.block_on(service.refresh(&token));
    instant.answer_at_once();
    report.ratio("refresh, store at once / bare RS256 signature", Some(1.6), &mut sign, || {
        runtime.block_on(service.refresh(&token));
    });
    report.ratio("the same without HTTP / bare RS256 signature", None, &mut sign, || {
        runtime.block_on(service.refresh_without_http(&token));
    });

    let folder = tempfile::tempdir().expect("a folder");
    let on_disk = EmbeddedDynamoDb::open(&folder.path().join("bench.db")).expect("a database");
    let in_memory = EmbeddedDynamoDb::in_memory().expect("an engine");
    for (name, engine) in [
        ("refresh, engine in memory / bare RS256 signature", in_memory),
        ("refresh, engine on disk / bare RS256 signature", on_disk),
    ] {
        let service = runtime.block_on(Service::start(engine.http_client(), DEFAULT_HASHES));
        runtime.block_on(service.register("asha@example.com"));
        let mut token = runtime.block_on(service.sign_in("asha@example.com"));
        report.ratio(name, None, &mut sign, || token = runtime.block_on(service.refresh(&token)));
    }
}

fn verification(runtime: &Runtime, report: &mut Report) {
    let pem = floor::private_key();
    let key = SigningKey::from_pem(pem.as_bytes()).expect("a key");
    let keys = VerificationKeys::of([&key]);
    let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
    let service = runtime.block_on(Service::start_with_key(engine.http_client(), DEFAULT_HASHES, &pem));
    runtime.block_on(service.register("asha@example.com"));
    let token = runtime.block_on(service.access_token("asha@example.com"));
    let expected = Expectations::new("user_service".to_owned(), "trading_platform".to_owned());
    let now = service.unix_seconds();
    assert!(keys.verify(&token, &expected, now).is_ok(), "the token is good");
    let mut verify = floor::rs256_verification(&pem, &token);
    report.ratio("verification / bare RSA verification", Some(1.3), &mut verify, || {
        let _ = black_box(keys.verify(black_box(&token), &expected, now));
    });
}

/// What a route's `acr` and `max_age` cost at the edge, beside the rest of what it looks at in a caller it knows: a thousand
/// decisions each, because one takes too little to be timed.
fn assurance(report: &mut Report) {
    const TABLE: &str = r#"[
        {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://a.example"]},
        {"prefix": "/v1/withdraw", "service": "portfolio", "upstreams": ["https://a.example"], "acr": "aal2", "max_age": 300}
    ]"#;
    let routes = RouteTable::parse(TABLE).expect("a table of routes");
    let policy = Policy::default();
    let roles = [policy.roles().next().expect("a role").to_owned()];
    let decide = |path: &str| {
        for now in 1_000..2_000 {
            let route = routes.find(black_box(path)).expect("a route");
            let may = policy.allows_service(black_box(&roles), route.service());
            let needed = route.needed();
            black_box(may && (needed.is_nothing() || needed.is_met(black_box(Assurance::Aal2), 900, now)));
        }
    };
    let mut bare = || decide("/v1/portfolio/42");
    report.ratio("1,000 decisions with acr and max_age / without", None, &mut bare, || {
        decide("/v1/withdraw/142");
    });
}
