//! What was revoked is in the feed the edge follows, before whoever revoked it has the answer.
#![cfg(test)]

use std::time::Duration;

use jiff::Timestamp;
use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, Email, Logout, ShownTokens, SignedIn, StepUp};
use portcullis_platform::Clock;
use portcullis_verifier::Claims;
use portcullis_verifier::revocation::{Ask, BLOCK, Page, SLOT, Span, Timeline, key_of};
use serde_json::json;

const SEED: u64 = 20_261_121;
const ASHA: &str = "asha@example.com";

/// What the edge knows that has asked for everything.
async fn feed(world: &World) -> Timeline {
    let mut feed = Timeline::default();
    let newest = world.identity.revocations(None, None).await.unwrap().unwrap();
    feed.add(Page::parse(newest).unwrap(), &Ask::Newest);
    while let Some(ask @ Ask::Past(Span { from, until })) = feed.lacking() {
        let page = world.identity.revocations(Some(from), Some(until)).await.unwrap().unwrap();
        feed.add(Page::parse(page).unwrap(), &ask);
    }
    feed
}

/// Whether the feed, read as the edge reads it, ends the access token.
async fn ends(world: &World, signed_in: &SignedIn) -> bool {
    let claims = claims(&signed_in.access_token);
    feed(world).await.covers(&claims.session_id, &claims.sub, claims.epoch)
}

fn claims(token: &str) -> Claims {
    jsonwebtoken::dangerous::insecure_decode(token).unwrap().claims
}

async fn sign_out(world: &World, signed_in: &SignedIn, which: Logout) {
    let shown =
        ShownTokens { refresh_token: Some(signed_in.refresh.token.secret()), ..ShownTokens::default() };
    world.identity.sign_out(&shown, which, &ClientContext::default()).await.unwrap();
}

#[tokio::test]
async fn one_session_ends_and_the_others_go_on() {
    let world = World::new(SEED).await;
    let first = world.person(ASHA).await;
    let second = world.sign_in(ASHA).await.unwrap();
    assert!(!ends(&world, &first).await);
    sign_out(&world, &first, Logout::ThisDevice).await;
    assert!(ends(&world, &first).await && !ends(&world, &second).await);
}

#[tokio::test]
async fn everywhere_means_all_of_before_and_none_of_after_within_the_same_millisecond() {
    let world = World::new(SEED).await;
    let (first, bob) = (world.person(ASHA).await, world.person("bob@example.com").await);
    let second = world.sign_in(ASHA).await.unwrap();
    sign_out(&world, &first, Logout::AllDevices).await;
    let after = world.sign_in(ASHA).await.unwrap();
    assert!(ends(&world, &first).await && ends(&world, &second).await);
    assert!(!ends(&world, &after).await && !ends(&world, &bob).await);
}

#[tokio::test]
async fn the_session_the_others_are_ended_from_goes_on_with_the_token_it_has() {
    let world = World::new(SEED).await;
    let (other, here) = (world.person(ASHA).await, world.sign_in(ASHA).await.unwrap());
    let caller = world.caller(&here).await;
    world.identity.revoke_other_sessions(&caller, &ClientContext::default()).await.unwrap();
    assert!(ends(&world, &other).await && !ends(&world, &here).await);
    let refreshed =
        world.identity.refresh(here.refresh.token.secret(), &ClientContext::default()).await.unwrap();
    assert_eq!(claims(&refreshed.access_token).epoch, 1);
    // Ended from elsewhere, it is over with everything else.
    let after = world.sign_in(ASHA).await.unwrap();
    sign_out(&world, &after, Logout::AllDevices).await;
    assert!(ends(&world, &here).await);
}

#[tokio::test]
async fn a_stolen_refresh_token_a_disabled_and_an_erased_account_are_listed() {
    let world = World::new(SEED).await;
    let robbed = world.person(ASHA).await;
    let mut current = robbed.refresh.token.secret().clone();
    for _ in 0..2 {
        let refreshed = world.identity.refresh(&current, &ClientContext::default()).await.unwrap();
        current = refreshed.refresh.token.secret().clone();
        world.clock.advance(Duration::from_secs(31));
    }
    assert!(world.identity.refresh(robbed.refresh.token.secret(), &ClientContext::default()).await.is_err());
    assert!(ends(&world, &robbed).await);

    let disabled = world.person("bob@example.com").await;
    world.disable(&disabled.account).await;
    assert!(ends(&world, &disabled).await);

    let erased = world.person("carol@example.com").await;
    let caller = world.caller(&erased).await;
    world
        .identity
        .erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default())
        .await
        .unwrap();
    assert!(ends(&world, &erased).await);
    let anew = world.person("carol@example.com").await;
    assert!(!ends(&world, &anew).await, "the address belongs to another account now");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_revocations_the_feed_names_the_last() {
    let world = World::new(SEED).await;
    world.person(ASHA).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(world.sign_in(ASHA).await.unwrap());
    }
    let racing: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (world, token) = (world.clone(), session.refresh.token.secret().clone());
            tokio::spawn(async move {
                let shown = ShownTokens { refresh_token: Some(&token), ..ShownTokens::default() };
                world.identity.sign_out(&shown, Logout::AllDevices, &ClientContext::default()).await
            })
        })
        .collect();
    for racer in racing {
        racer.await.unwrap().unwrap();
    }
    let account = world.truth.account(sessions[0].account.id).await.unwrap().unwrap();
    let (feed, account_id) = (feed(&world).await, account.id.to_string());
    assert!(feed.covers("", &account_id, account.session_epoch - 1));
    assert!(!feed.covers("", &account_id, account.session_epoch));
    assert!(!ends(&world, &world.sign_in(ASHA).await.unwrap()).await);
}

#[tokio::test]
async fn an_entry_leaves_when_no_token_is_left_for_it() {
    let world = World::new(SEED).await;
    let first = world.person(ASHA).await;
    sign_out(&world, &first, Logout::ThisDevice).await;
    world.clock.advance(world.identity.settings.access_token_ttl);
    assert!(ends(&world, &first).await);
    world.clock.advance(Duration::from_millis(65_000 + BLOCK + SLOT));
    assert!(!ends(&world, &first).await, "the page that told of it is not asked for any more");
}

/// Revocations of many sessions, put into the table as a transaction of the service leaves them.
async fn plant(world: &World, at: u64, count: u64) -> Vec<u64> {
    let mut keys = Vec::new();
    for number in 0..count {
        let digits = u128::from(at) << 80 | u128::from(number + 1);
        let (hour, shard, time) = (at / 3_600_000, digits % 8, at + number % 50);
        world
            .plant(&json!({
                "pk": {"S": format!("REVOKED#{hour}#{shard}")},
                "sk": {"S": format!("{time:015}#ses_{digits:032x}")},
                "expires_ttl": {"N": "99999999999"},
            }))
            .await;
        keys.push(key_of(digits));
    }
    keys
}

#[tokio::test]
async fn a_page_is_bounded_and_the_next_begins_where_it_ends() {
    let world = World::new(SEED).await;
    let at = world.clock.now().as_millisecond().unsigned_abs() - 30_000;
    let keys = plant(&world, at, 400).await;
    let time = |milliseconds: u64| Timestamp::from_millisecond(i64::try_from(milliseconds).unwrap()).unwrap();
    let (mut from, until, mut seen, mut pages) = (time(at), time(at + 1000), Vec::new(), 0);
    while from < until {
        let page = world.truth.revocations(from, until, 100).await.unwrap();
        assert!(page.entries.len() <= 100 && page.until > from && page.until <= until);
        let again = world.truth.revocations(from, until, 100).await.unwrap();
        assert_eq!(page, again, "what nothing is added to stays the same page");
        seen.extend(page.entries);
        (from, pages) = (page.until, pages + 1);
    }
    assert!(pages >= 4, "{pages} pages");
    let mut ids: Vec<_> = seen.iter().map(|entry| format!("{entry:?}")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), seen.len()), (400, 400), "each once, over all shards");
    let feed = feed(&world).await;
    assert!(feed.size() >= keys.len() * 8);
}

#[tokio::test]
async fn an_entry_that_is_written_late_is_found_when_its_block_is_settled() {
    let world = World::new(SEED).await;
    let mut feed = feed(&world).await;
    let began = world.clock.now().as_millisecond().unsigned_abs();
    let session = format!("ses_{:032x}", u128::from(began) << 80 | 1);
    let mut known_after = None;
    for second in (3..200).step_by(3) {
        world.clock.advance(Duration::from_secs(3));
        if second == 30 {
            // The clock of its writer lags by half a minute.
            plant(&world, began, 1).await;
        }
        let newest = world.identity.revocations(None, None).await.unwrap().unwrap();
        feed.add(Page::parse(newest).unwrap(), &Ask::Newest);
        while let Some(ask @ Ask::Past(Span { from, until })) = feed.lacking() {
            let page = world.identity.revocations(Some(from), Some(until)).await.unwrap().unwrap();
            feed.add(Page::parse(page).unwrap(), &ask);
        }
        if feed.covers(&session, "", 0) {
            known_after.get_or_insert(second);
        }
    }
    let known_after = known_after.expect("it is found");
    assert!(known_after <= 30 + 60 + 66, "after {known_after} s");
    assert!(feed.covers(&session, "", 0), "and stays");
}

#[tokio::test]
async fn a_service_that_may_follows_the_feed_page_by_page() {
    let tokens = service_tokens(&["edge", "trading"]);
    let app = App::with(&[("SERVICE_TOKENS", &tokens)]);
    let ask = |service, query: &str| app.service(service_token(service)).get(format!("{FEED}{query}"));
    ask("trading", "").await.assert_status(403);
    let empty = ask("edge", "").await.assert_status(200);
    assert_eq!(empty.header("content-type"), Some("application/octet-stream"));
    for query in
        ["?after=99999999999999", "?after=2&until=2", "?after=18446744073709551615", "?after=x", "?after=-1"]
    {
        ask("edge", query).await.assert_problem(422, "validation_failed");
    }
    ask("edge", "?after=0").await.assert_status(200);
}

const FEED: &str = "/v1/internal/revocations";

#[tokio::test]
async fn a_change_of_address_ends_every_session_but_the_one_that_asked() {
    let world = World::new(SEED).await;
    let (other, here) = (world.person(ASHA).await, world.sign_in(ASHA).await.unwrap());
    let (caller, origin) = (world.caller(&here).await, ClientContext::default());
    let (new, proof) = (Email::parse("asha@example.org").unwrap(), StepUp::Password(password(PASSWORD)));
    world.notifications.take();
    world.identity.request_email_change(&caller, &new, &proof, &origin).await.unwrap();
    let [sent] = world.notifications.take().try_into().unwrap();
    assert!(!ends(&world, &other).await);
    world.identity.change_email(&sent.token().unwrap().into(), &origin).await.unwrap();
    assert!(ends(&world, &other).await && !ends(&world, &here).await);
}
