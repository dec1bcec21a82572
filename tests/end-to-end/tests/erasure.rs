//! What is written for an account while it is being erased does not stay: whatever was decided on the living account and
//! comes to be written behind the erasure is refused, and what came before its end is removed with the rest.
#![cfg(test)]

use portcullis_harness::in_process::Person;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_identity::{ApiKeyName, ApiKeyRequest, ClientContext, Error};
use serde_json::Value;

const ASHA: &str = "asha@example.com";

fn wanted() -> ApiKeyRequest {
    let name = ApiKeyName::parse("nightly").unwrap();
    ApiKeyRequest { name, scopes: None, expires_at: None, idempotency_key: None }
}

async fn erase(world: &World, person: &Person) {
    let (typed, origin) = (password(PASSWORD).into(), ClientContext::default());
    world.identity.erase_account(&person.caller, &typed, &origin).await.unwrap();
}

/// Rows of a person that are more than the trail and the empty row of a session that never began.
async fn left(world: &World, person: &Person) -> Vec<String> {
    let now = i64::try_from(world.unix_now()).unwrap();
    let is_over = |row: &Value| {
        let ends = row.pointer("/expires_ttl/N").and_then(|ends| ends.as_str()?.parse::<i64>().ok());
        ends.is_some_and(|ends| ends <= now + 1) && row.get("ip").is_none() && row.get("user_agent").is_none()
    };
    let mut left = Vec::new();
    let kinds = [
        ("ACCOUNT#", "PROFILE"),
        ("SESSIONS#", "SES#"),
        ("APIKEYS#", "KEY#"),
        ("FACTOR#", "FACTOR"),
        ("PASSKEYS#", "PASSKEY#"),
        ("APPROVALS#", ""),
        ("VAULT#", "ACC#"),
        ("VAULT#", "FREEZE"),
        ("READINGS#", ""),
    ];
    for (partition, sort) in kinds {
        let rows = world.rows(&format!("{partition}{}", person.account.id), sort).await;
        left.extend(rows.iter().filter(|row| !is_over(row)).map(ToString::to_string));
    }
    left
}

#[tokio::test]
async fn a_key_whose_owner_was_erased_meanwhile_is_not_made() {
    let world = World::new(1).await;
    let person = world.person(ASHA).await;
    let held =
        world.faults.hold(|request| request.contains("TransactWriteItems") && request.contains("key_digest"));
    let (there, caller) = (world.clone(), person.caller.clone());
    let making = tokio::spawn(async move {
        there.identity.create_api_key(&caller, wanted(), &ClientContext::default()).await
    });
    held.reached().await;
    erase(&world, &person).await;
    held.release();
    let made = making.await.unwrap();
    assert!(matches!(made, Err(Error::InvalidAccessToken)), "{made:?}");
    assert_eq!(left(&world, &person).await, [""; 0]);
}

#[tokio::test]
async fn a_key_that_is_made_before_the_erasure_is_through_goes_with_the_account() {
    let world = World::new(2).await;
    let person = world.person(ASHA).await;
    // Its rows are listed and removed by then, and the account is still there.
    let held = world.faults.hold(|request| request.contains("account_erased"));
    let (there, caller) = (world.clone(), person.caller.clone());
    let erasing = tokio::spawn(async move {
        there.identity.erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default()).await
    });
    held.reached().await;
    let key =
        world.identity.create_api_key(&person.caller, wanted(), &ClientContext::default()).await.unwrap();
    world.sign_in(ASHA).await.unwrap();
    held.release();
    erasing.await.unwrap().unwrap();
    assert_eq!(left(&world, &person).await, [""; 0]);
    assert!(matches!(world.identity.authenticate_key(&key.text).await, Err(Error::InvalidApiKey)));
}

#[tokio::test]
async fn a_second_factor_of_nobody_is_not_set_up() {
    let world = World::new(3).await;
    let person = world.person(ASHA).await;
    let held = world
        .faults
        .hold(|request| request.contains("TransactWriteItems") && request.contains("pending_secret"));
    let (there, caller) = (world.clone(), person.caller.clone());
    let setting_up =
        tokio::spawn(
            async move { there.identity.set_up_mfa(&caller, None, &ClientContext::default()).await },
        );
    held.reached().await;
    erase(&world, &person).await;
    held.release();
    let set_up = setting_up.await.unwrap();
    assert!(matches!(set_up, Err(Error::InvalidAccessToken)), "{set_up:?}");
    assert_eq!(left(&world, &person).await, [""; 0]);
}

#[tokio::test]
async fn credentials_of_nobody_are_not_frozen() {
    let world = World::new(4).await;
    let person = world.person(ASHA).await;
    let held =
        world.faults.hold(|request| request.contains("TransactWriteItems") && request.contains("told_by"));
    let (there, caller) = (world.clone(), person.caller.clone());
    let freezing =
        tokio::spawn(async move { there.vault.freeze(&caller, false, &ClientContext::default()).await });
    held.reached().await;
    erase(&world, &person).await;
    held.release();
    assert!(freezing.await.unwrap().is_err());
    assert_eq!(left(&world, &person).await, [""; 0]);
}

async fn sign_in_late(seed: u64, is_held: fn(&str) -> bool) {
    let world = World::new(seed).await;
    let person = world.person(ASHA).await;
    let held = world.faults.hold(is_held);
    let there = world.clone();
    let signing_in = tokio::spawn(async move {
        let phone = ClientContext {
            ip: Some("192.0.2.7".to_owned()),
            user_agent: Some("phone".to_owned()),
            ..ClientContext::default()
        };
        there.identity.sign_in(there.attempt(ASHA, PASSWORD), &phone).await
    });
    held.reached().await;
    erase(&world, &person).await;
    held.release();
    let signed_in = signing_in.await.unwrap();
    assert!(matches!(signed_in, Err(Error::TooManyAttempts { .. })), "{signed_in:?}");
    assert_eq!(left(&world, &person).await, [""; 0]);
    // Whoever registers the address next signs in.
    world.person(ASHA).await;
}

#[tokio::test]
async fn a_sign_in_that_comes_too_late_leaves_nothing_of_a_person() {
    // The password is right; neither the session nor anything of its record is written yet.
    sign_in_late(5, |request| {
        let is_head = request.contains(".UpdateItem") && request.contains("latest");
        request.contains("PutItem") || (is_head && request.contains("login_succeeded"))
    })
    .await;
}

#[tokio::test]
async fn neither_does_one_whose_record_the_erasure_completes() {
    // The head of the chain has the record, and the erasure writes it out before its own.
    sign_in_late(6, |request| request.contains("PutItem")).await;
}
