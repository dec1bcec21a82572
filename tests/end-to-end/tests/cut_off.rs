//! Processes that are cut off between two writes: of a sign-out and of a registration, which are no transactions as a
//! whole. Whatever was written, nothing is done that is not on record, and the next one who comes by completes it.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::in_process::{Person, World, newcomer};
use portcullis_identity::{
    AuditFilter, ClientContext, Error, Logout, PersonName, ProfileUpdate, ShownTokens, SignedIn, SignedOut,
    Wrong,
};
use secrecy::ExposeSecret;
use serde_json::Value;

const SEED: u64 = 20_261_129;
const ASHA: &str = "asha@example.com";

async fn sign_out(world: &World, session: &SignedIn) -> Result<SignedOut, Error> {
    let token = session.refresh.token.secret();
    let shown = ShownTokens { refresh_token: Some(token), ..ShownTokens::default() };
    world.identity.sign_out(&shown, Logout::ThisDevice, &ClientContext::default()).await
}

async fn refresh(world: &World, session: &SignedIn) -> Result<(), Error> {
    let token = session.refresh.token.secret();
    world.identity.refresh(token, &ClientContext::default()).await.map(drop)
}

async fn findings(world: &World) -> Vec<Wrong> {
    let verified = world.identity.verify_audit().await.unwrap();
    verified.findings.iter().map(|finding| finding.what).collect()
}

/// How many ends of sessions are on record, in the account's trail and in the list by time.
async fn on_record(world: &World, asha: &Person) -> [usize; 2] {
    let of_kind = AuditFilter { kind: Some("session_revoked".to_owned()), ..AuditFilter::default() };
    let own = world.identity.own_audit(&asha.caller, &of_kind, 50, None).await.unwrap();
    let by_time = world.identity.audit_by_time(&of_kind, 50, None).await.unwrap();
    [own.records.len(), by_time.records.len()]
}

/// The id of a session, from its refresh token.
fn id_of(session: &SignedIn) -> String {
    let token = session.refresh.token.secret().expose_secret();
    token.split('.').nth(1).unwrap().to_owned()
}

/// Whether the feed of revocations has this session.
async fn is_in_feed(world: &World, session: &SignedIn) -> bool {
    let id = id_of(session);
    let rows = world.items("").await;
    let of_feed = |row: &Value| {
        let text = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
        text("pk").starts_with("REVOKED#") && text("sk").ends_with(&id)
    };
    rows.iter().any(of_feed)
}

async fn is_over(world: &World, session: &SignedIn) -> bool {
    let id = id_of(session);
    let rows = world.items("SES#").await;
    rows.iter().any(|row| {
        row["sk"]["S"].as_str().is_some_and(|sort| sort.ends_with(&id)) && row.get("revoked_at").is_some()
    })
}

#[tokio::test]
async fn a_sign_out_that_is_cut_off_ends_nothing_off_the_record_and_is_completed_once() {
    // The session and the end of the chain are read; then the feed, the session, the record beside the head.
    const REQUESTS: u64 = 6;
    for gap in 0..=REQUESTS {
        for again in ["signs out", "refreshes"] {
            let world = World::new(SEED).await;
            let asha = world.person(ASHA).await;
            let session = world.sign_in(ASHA).await.unwrap();
            world.faults.go_down_after(gap);
            let cut_off = sign_out(&world, &session).await;
            world.faults.come_back();
            assert_eq!(cut_off.is_ok(), gap == REQUESTS, "after {gap} requests");

            let (is_over, recorded) = (is_over(&world, &session).await, on_record(&world, &asha).await);
            // Nothing is over that the feed does not say, and nothing is on record that is not over.
            assert!(!is_over || is_in_feed(&world, &session).await, "after {gap} requests");
            assert!(is_over || recorded == [0, 0], "after {gap} requests");
            // What is over and has no record is found.
            let expected = if is_over && recorded[0] == 0 { vec![Wrong::Unrecorded] } else { Vec::new() };
            let found = findings(&world).await;
            assert!(found == expected || found.contains(&Wrong::Missing), "after {gap} requests: {found:?}");

            world.clock.advance(Duration::from_secs(1));
            match again {
                "signs out" => drop(sign_out(&world, &session).await.unwrap()),
                _ if is_over => drop(refresh(&world, &session).await.unwrap_err()),
                _ => refresh(&world, &session).await.unwrap(),
            }
            let ends = usize::from(is_over || again == "signs out");
            assert_eq!(on_record(&world, &asha).await, [ends, ends], "after {gap} requests, who {again}");
            assert_eq!(findings(&world).await, [], "after {gap} requests, who {again}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_sign_out_of_one_session_at_once_it_is_recorded_once() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    for round in 1..=5 {
        let session = world.sign_in(ASHA).await.unwrap();
        let token = session.refresh.token.secret().clone();
        let many: Vec<_> = (0..16)
            .map(|number| {
                let (world, token, caller) = (world.clone(), token.clone(), asha.caller.clone());
                tokio::spawn(async move {
                    if number % 4 == 0 {
                        // Others write into the same chain meanwhile.
                        let name = PersonName::parse(&format!("Asha {number}")).unwrap();
                        let update = ProfileUpdate { name: Some(name), phone: None };
                        let client = ClientContext::default();
                        world.identity.update_profile(&caller, update, &client).await.unwrap();
                        return 0;
                    }
                    let shown = ShownTokens { refresh_token: Some(&token), ..ShownTokens::default() };
                    let client = ClientContext::default();
                    let ended = world.identity.sign_out(&shown, Logout::ThisDevice, &client).await.unwrap();
                    ended.sessions.len()
                })
            })
            .collect();
        let mut ended = 0;
        for one in many {
            ended += one.await.unwrap();
        }
        assert_eq!(ended, 1, "one of them ended it");
        assert_eq!(on_record(&world, &asha).await, [round, round]);
        assert_eq!(findings(&world).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_store_that_fails_every_end_is_recorded_exactly_once() {
    let world = World::with_default_timeouts(SEED).await;
    let asha = world.person(ASHA).await;
    for round in 1..=25 {
        let session = world.sign_in(ASHA).await.unwrap();
        world.faults.set_per_mille(250);
        for _ in 0..3 {
            drop(sign_out(&world, &session).await);
        }
        world.faults.set_per_mille(0);
        // Requests the engine got late are carried out by now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        sign_out(&world, &session).await.unwrap();
        assert_eq!(on_record(&world, &asha).await, [round, round]);
        assert!(is_over(&world, &session).await && is_in_feed(&world, &session).await);
    }
    assert!(world.faults.injected() > 30);
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn a_forged_event_in_a_row_is_recorded_by_nobody() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let session = world.sign_in(ASHA).await.unwrap();
    world.faults.go_down_after(4);
    sign_out(&world, &session).await.unwrap_err();
    world.faults.come_back();
    let rows = world.items("SES#").await;
    let mut row = rows.into_iter().find(|row| row.get("event").is_some()).expect("the row that carries it");
    row["event"]["M"]["actor"]["S"] = "service:edge".into();
    world.plant(&row).await;
    assert!(matches!(sign_out(&world, &session).await, Err(Error::Store(_))));
    assert_eq!(on_record(&world, &asha).await, [0, 0]);
    assert_eq!(findings(&world).await, [Wrong::Unrecorded]);
}

#[tokio::test]
async fn a_registration_that_is_cut_off_made_nothing_or_has_its_record_from_the_next_event_on() {
    for gap in 0.. {
        let world = World::new(SEED).await;
        world.faults.go_down_after(gap);
        let registered =
            world.identity.register(newcomer(ASHA, None), &ClientContext::default()).await.is_ok();
        world.faults.come_back();
        let is_made = world.login(ASHA).await.is_ok();
        assert_eq!(is_made, registered, "after {gap} requests");
        if !is_made {
            assert_eq!(findings(&world).await, [], "after {gap} requests");
            continue;
        }
        let found = findings(&world).await;
        let caller = world.caller(&world.sign_in(ASHA).await.unwrap()).await;
        let name = Some(PersonName::parse("Asha").unwrap());
        let update = ProfileUpdate { name, phone: None };
        world.identity.update_profile(&caller, update, &ClientContext::default()).await.unwrap();
        let trail = world.identity.own_audit(&caller, &AuditFilter::default(), 50, None).await.unwrap();
        let kinds: Vec<&str> = trail.records.iter().map(|record| record.kind.as_str()).collect();
        assert!(kinds.contains(&"account_registered"), "after {gap} requests: {kinds:?}");
        assert_eq!(findings(&world).await, [], "after {gap} requests");
        if found.is_empty() {
            return assert!(gap >= 2, "there is a gap between the account and its record");
        }
        assert_eq!(found, [Wrong::Missing], "after {gap} requests");
    }
}

#[tokio::test]
async fn the_first_record_of_an_account_that_is_removed_comes_back() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let rows = world.items("AUD#").await;
    let first = rows.iter().find(|row| row["kind"]["S"] == "account_registered").unwrap();
    world.tear_out(first).await;
    assert_eq!(findings(&world).await, [Wrong::Missing]);
    let name = Some(PersonName::parse("Asha").unwrap());
    let update = ProfileUpdate { name, phone: None };
    world.identity.update_profile(&asha.caller, update, &ClientContext::default()).await.unwrap();
    assert!(world.items("AUD#").await.contains(first));
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn a_login_with_a_code_that_is_cut_off_is_one_session_once_it_succeeds() {
    for gap in 0.. {
        let world = World::new(SEED).await;
        let asha = world.enrolled(ASHA).await;
        let sessions = async || world.items("SES#").await.len();
        let (token, code, before) = (asha.challenge().await, asha.code(), sessions().await);
        world.faults.go_down_after(gap);
        let cut_off = asha.finish(&token, &code).await;
        world.faults.come_back();
        if cut_off.is_ok() {
            return assert!(gap >= 4, "the session, and then the code with the record");
        }
        world.clock.advance(Duration::from_secs(1));
        let finished = asha.finish(&token, &code).await.unwrap();
        assert_eq!(sessions().await, before + 1, "after {gap} requests");
        refresh(&world, &finished).await.unwrap();
        // Whoever sends it once more neither gets a session nor ends the one there is.
        assert!(matches!(asha.finish(&token, &code).await, Err(Error::InvalidSessionToken)));
        assert_eq!(sessions().await, before + 1, "after {gap} requests");
        world.caller(&finished).await;
    }
}
