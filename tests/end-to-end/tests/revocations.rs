//! What was revoked is in the feed the edge follows, before whoever revoked it has the answer.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, Logout, ShownTokens, SignedIn};
use portcullis_verifier::Claims;
use portcullis_verifier::revocation::Revocations;
use serde_json::json;

const SEED: u64 = 20_261_121;
const ASHA: &str = "asha@example.com";

/// Whether the feed, read as the edge reads it, ends the access token.
async fn ends(world: &World, signed_in: &SignedIn) -> bool {
    let listed = world.identity.revocations().await.unwrap();
    let users = listed.accounts.iter().map(|((id, except), began)| {
        json!({"user_id": id.to_string(), "epoch": began.session_epoch, "revoked_at": 0,
            "except_session_id": except.map(|id| id.to_string())})
    });
    let sessions = listed.sessions.keys().map(|id| json!({"session_id": id.to_string(), "revoked_at": 0}));
    let json = json!({"sessions": sessions.collect::<Vec<_>>(), "users": users.collect::<Vec<_>>()});
    let list = Revocations::parse(json.to_string().as_bytes()).unwrap();
    let claims = claims(&signed_in.access_token);
    list.covers(&claims.session_id, &claims.sub, claims.epoch)
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
    world.identity.erase_account(&caller, &password(PASSWORD), &ClientContext::default()).await.unwrap();
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
    let listed = world.identity.revocations().await.unwrap();
    assert_eq!(listed.accounts[&(account.id, None)].session_epoch, account.session_epoch);
    assert!(!ends(&world, &world.sign_in(ASHA).await.unwrap()).await);
}

#[tokio::test]
async fn an_entry_leaves_when_no_token_is_left_for_it() {
    let world = World::new(SEED).await;
    let first = world.person(ASHA).await;
    sign_out(&world, &first, Logout::ThisDevice).await;
    let lifetime = world.identity.settings.access_token_ttl;
    world.clock.advance(lifetime);
    assert_eq!(world.identity.revocations().await.unwrap().sessions.len(), 1);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.identity.revocations().await.unwrap(), portcullis_identity::Revocations::default());
}

#[tokio::test]
async fn a_service_that_may_follows_the_feed_and_is_told_when_nothing_changed() {
    let tokens = service_tokens(&["edge", "trading"]);
    let app = App::with(&[("SERVICE_TOKENS", &tokens)]);
    let feed = |service| app.service(service_token(service)).get("/v1/internal/revocations");
    feed("trading").await.assert_status(403);
    let empty = feed("edge").await.assert_status(200);
    assert_eq!(empty.text, r#"{"sessions":[],"users":[]}"#);
    let tag = empty.header("etag").expect("a tag");
    let unchanged = feed("edge").header("if-none-match", tag).await.assert_status(304);
    assert_eq!((unchanged.header("etag"), unchanged.text.as_str()), (Some(tag), ""));

    let asha = app.person(ASHA).await;
    let sign_out = json!({"refresh_token": asha.refresh_token()});
    app.post("/v1/auth/logout", sign_out).await.assert_status(200);
    let changed = feed("edge").header("if-none-match", tag).await.assert_status(200);
    assert_ne!(changed.header("etag"), Some(tag));
    let list = Revocations::parse(changed.text.as_bytes()).unwrap();
    let session = claims(asha.access_token()).session_id;
    assert!(list.covers(&session, "", 0) && list.len() == 1);
}
