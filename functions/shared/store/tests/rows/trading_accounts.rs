//! API keys, trading accounts, providers, freezes and leases.

use std::time::Duration;

use portcullis_store::{
    AccountId, ApiKey, ApiKeyCreation, AuditDetails, AuditKind, BrokerSession, DueSessionNews, FreezableSwap,
    Freeze, Freezer, Id, IdempotentApiKey, IdempotentRequest, LeaseKind, Link, LoginUrl, ProviderMark,
    ReadingLease, SessionNews, SignInStep, Store, StoredTradingAccount, TradingAccountId,
    TradingAccountStatus, UnfinishedFreeze,
};

use crate::story::{Story, at, digest, pinned, secret, text_of, words};

pub(crate) fn trading_account(
    owner: AccountId,
    id: TradingAccountId,
    label: Option<&str>,
) -> StoredTradingAccount {
    StoredTradingAccount {
        id,
        owner,
        broker: "kite".to_owned(),
        broker_user: "AB1234".to_owned(),
        label: label.map(str::to_owned),
        status: TradingAccountStatus::Pending,
        created_at: at(5),
        verified_at: None,
        api_key_hint: "9f3c".to_owned(),
        login_url: Some(LoginUrl("https://kite.zerodha.com/connect/login".to_owned())),
        session_mails: label.map(|_| false),
        order_ips: label.map(|_| vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]),
        credentials: secret(40),
        sealed_at: at(5),
        session: None,
        version: 1,
    }
}

#[tokio::test]
async fn keys_trading_accounts_and_providers() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    story.meter.take();
    let key = ApiKey {
        id: story.id(10),
        account: asha.id,
        digest: digest(31),
        name: "backtest".to_owned(),
        managed: false,
        scopes: words(&["orders:read", "orders:write"]),
        created_at: at(10),
        expires_at: Some(at(600)),
        last_used_at: None,
    };
    let request = IdempotentApiKey {
        request: IdempotentRequest { key_digest: "key-2".to_owned(), fingerprint: digest(8) },
        answer: secret(20),
    };
    let mut event = story.event(AuditKind::ApiKeyCreated, asha.id, 10);
    event.details = AuditDetails::of_key(&key);
    let created = story.store.create_api_key(&key, Some(&request), &event).await.unwrap();
    assert!(matches!(created, ApiKeyCreation::Created));
    let again = ApiKey { id: story.id(11), ..key.clone() };
    let repeated = story.store.create_api_key(&again, Some(&request), &event).await.unwrap();
    assert!(matches!(repeated, ApiKeyCreation::Repeated(first) if first.id == key.id));
    let other = ApiKey { id: story.id(12), expires_at: None, managed: true, ..key.clone() };
    let event = story.event(AuditKind::ApiKeyCreated, asha.id, 12);
    story.store.create_api_key(&other, None, &event).await.unwrap();
    story.cost("make API keys");
    let event = story.event(AuditKind::ApiKeyRotated, asha.id, 13);
    assert!(story.store.rotate_api_key(&key, &digest(32), &event).await.unwrap());
    story.store.touch_api_key(&key, at(14), at(0)).await.unwrap();
    story.cost("rotate and use an API key");
    let event = story.event(AuditKind::ApiKeyDeleted, asha.id, 15);
    assert!(story.store.delete_api_key(asha.id, other.id, &event).await.unwrap());
    assert!(!story.store.delete_api_key(asha.id, other.id, &event).await.unwrap());
    story.cost("remove an API key twice");
    assert_eq!(story.store.api_keys(asha.id, 10, None).await.unwrap().keys.len(), 1);
    story.cost("list API keys");

    let linked = trading_account(asha.id, story.id(20), Some("main"));
    let request = IdempotentRequest { key_digest: "key-3".to_owned(), fingerprint: digest(7) };
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 20);
    let link = story.store.link_trading_account(&linked, Some(&request), &event).await.unwrap();
    assert!(matches!(link, Link::Linked));
    let again = StoredTradingAccount { id: story.id(21), ..linked.clone() };
    let link = story.store.link_trading_account(&again, Some(&request), &event).await.unwrap();
    assert!(matches!(link, Link::Repeated(first) if first.id == linked.id));
    story.cost("link a trading account twice");
    let other = trading_account(asha.id, story.id(22), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 22);
    story.store.link_trading_account(&other, None, &event).await.unwrap();
    let gone = trading_account(story.id(0), story.id(23), None);
    let event = story.event(AuditKind::TradingAccountLinked, gone.owner, 23);
    let link = story.store.link_trading_account(&gone, None, &event).await.unwrap();
    assert!(matches!(link, Link::OwnerGone));
    story.cost("link for an owner who is gone");
    let session = BrokerSession { sealed: secret(50), expires_at: at(700) };
    let verified = StoredTradingAccount {
        status: TradingAccountStatus::Active,
        verified_at: Some(at(25)),
        session: Some(session),
        ..linked.clone()
    };
    let event = story.event(AuditKind::BrokerSessionStarted, asha.id, 25);
    let news = DueSessionNews {
        owner: asha.id,
        id: linked.id,
        news: SessionNews::EndsSoon,
        due_at: at(600),
        session_ends_at: at(700),
    };
    let swapped = story.store.swap_trading_account_unless_frozen(&verified, &news, &event).await.unwrap();
    assert_eq!(swapped, FreezableSwap::Swapped);
    assert!(!story.store.swap_trading_account(&verified, &event).await.unwrap());
    story.cost("keep a broker's session");
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 26);
    let own = (asha.id, Freezer::Owner);
    let freeze = Freeze { cancel_until: Some(at(46)), ..Freeze::of(&event) };
    let used = story.event(AuditKind::CredentialsUsed, asha.id, 26);
    let events = [event.clone(), used];
    let unwritten = story.store.put_freeze(own, &freeze, Some(at(46)), &events).await.unwrap();
    unwritten.unwrap().write().await;
    let next = StoredTradingAccount { version: 2, ..verified };
    let swapped = story.store.swap_trading_account_unless_frozen(&next, &news, &event).await.unwrap();
    assert_eq!(swapped, FreezableSwap::Frozen);
    story.cost("freeze");
    let shard = async |now| {
        let mut due = Vec::new();
        for shard in 0..Store::SESSION_NEWS_SHARDS {
            due.extend(story.store.due_session_news(shard, now, 10).await.unwrap());
        }
        due
    };
    assert_eq!((shard(at(599)).await, shard(at(600)).await), (vec![], vec![news]));
    story.meter.take();
    let ended = DueSessionNews { news: SessionNews::Ended, due_at: at(700), ..news };
    assert!(story.store.take_session_news(&news, Some(&ended)).await.unwrap());
    assert!(!story.store.take_session_news(&news, Some(&ended)).await.unwrap());
    story.cost("take a letter about a session twice");
    let event = story.event(AuditKind::TradingAccountUnlinked, asha.id, 27);
    assert!(story.store.unlink_trading_account(asha.id, other.id, &event).await.unwrap());
    story.cost("unlink a trading account");
    assert_eq!(story.store.trading_accounts(asha.id, 10).await.unwrap(), [next]);
    story.cost("list trading accounts");

    let now = at(30);
    for (ok, taken) in [(true, Some(120)), (false, None), (false, Some(900))] {
        let taken = taken.map(Duration::from_millis);
        story.store.count_outcome("kite", 2, ok, taken, now).await.unwrap();
    }
    story.cost("count outcomes");
    let mark = ProviderMark {
        status: "down".to_owned(),
        reason: Some("maintenance".to_owned()),
        expires_at: at(900),
    };
    let event = story.event(AuditKind::ProviderMarked, asha.id, 31);
    story.store.mark_provider("kite", &mark, &event).await.unwrap();
    assert_eq!(story.store.provider_mark("kite").await.unwrap(), Some(mark));
    story.cost("mark a provider");
    pinned("rows_of_keys_and_trading_accounts", &story.table().await);

    let by_admin = (asha.id, Freezer::Admin);
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 34);
    let admins = Freeze {
        ends_at: Some(at(900)),
        frozen_by: Some("cli:root".to_owned()),
        reason: Some("maintenance".to_owned()),
        ..Freeze::of(&event)
    };
    story.store.put_freeze(by_admin, &admins, None, &[event]).await.unwrap().unwrap().write().await;
    let event = story.event(AuditKind::EverybodyFrozen, Id::of_everybody(), 35);
    story.store.freeze_everybody(&admins, &event).await.unwrap();
    story.cost("freeze twice more");
    let freezes = story.store.freezes(asha.id, at(36)).await.unwrap();
    assert_eq!(freezes.all().collect::<Vec<_>>(), [&admins, &admins, &freeze]);
    story.cost("read freezes");
    let frozen = story.store.frozen(at(36), 10).await.unwrap();
    assert_eq!((frozen.everybody, frozen.people, frozen.is_cut), (true, vec![asha.id, asha.id], false));
    let due = story.store.unfinished_freezes(at(46), 10).await.unwrap();
    assert_eq!(story.store.unfinished_freezes(at(45), 10).await.unwrap(), []);
    story.cost("list what is frozen, and twice what is due");
    pinned("rows_of_freezes", &story.freezes().await);
    assert_eq!(due, [UnfinishedFreeze { owner: asha.id, freezer: Freezer::Owner, told_by: freeze.told_by }]);
    story.store.settle_freeze(&due[0]).await.unwrap();
    assert_eq!(story.store.unfinished_freezes(at(46), 10).await.unwrap(), []);
    // What has an end is over then, whether or not its row is there.
    let later = story.store.freezes(asha.id, at(900)).await.unwrap();
    assert_eq!(later.all().collect::<Vec<_>>(), [&freeze]);
    assert!(!story.store.frozen(at(900), 10).await.unwrap().everybody);
    assert!(story.store.frozen(at(36), 1).await.unwrap().is_cut);
    let event = story.event(AuditKind::EverybodyUnfrozen, Id::of_everybody(), 37);
    assert!(story.store.unfreeze_everybody(&admins, &event).await.unwrap());
    let event = story.event(AuditKind::CredentialsUnfrozen, asha.id, 38);
    assert!(story.store.lift_freeze(by_admin, &admins, &event).await.unwrap());
    story.meter.take();
    let event = story.event(AuditKind::CredentialsUnfrozen, asha.id, 39);
    assert!(story.store.lift_freeze(own, &freeze, &event).await.unwrap());
    assert!(!story.store.lift_freeze(own, &freeze, &event).await.unwrap());
    story.cost("lift a freeze twice");
    let event = story.event(AuditKind::ProviderUnmarked, asha.id, 33);
    story.store.unmark_provider("kite", &event).await.unwrap();
    story.cost("unmark a provider");
    let asking = story.sign_in(&asha, 40, 2, true).await;
    let asked = story.sign_in(&asha, 41, 4, true).await;
    assert_ne!(asking.id, asked.id);
    story.meter.take();
    let event = story.event(AuditKind::AccountErased, asha.id, 50);
    let signed_out = story
        .event(AuditKind::SessionsRevoked, asha.id, 50)
        .of_sign_in_with(&asha.email, SignInStep::Erased(asha.id));
    assert!(story.store.erase(&asha, Some(asking.id), None, &event, &signed_out).await.unwrap());
    story.cost("erase an account");
    pinned("rows_after_an_erasure", &story.table().await);
    pinned("costs_of_keys_and_trading_accounts", &story.costs);
}

#[tokio::test]
async fn leases_of_readings() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let linked = trading_account(asha.id, story.id(20), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 20);
    story.store.link_trading_account(&linked, None, &event).await.unwrap();
    story.meter.take();
    let lease = ReadingLease {
        id: story.id(26),
        owner: asha.id,
        trading_account: linked.id,
        service: "ticker".to_owned(),
        purpose: "market-stream".to_owned(),
        kind: LeaseKind::LongLived,
        begun_at: at(26),
        expires_at: at(326),
        freezes: 1,
        sealed_digest: digest(60),
        ciphertext: vec![61; 6],
    };
    let keep = async |story: &Story, lease: &ReadingLease, seen| {
        story.store.keep_reading_lease(lease, seen).await.unwrap()
    };
    assert!(keep(&story, &lease, None).await.is_none());
    story.cost("keep a lease");
    let later = ReadingLease { id: story.id(27), begun_at: at(27), ..lease.clone() };
    assert_eq!(keep(&story, &later, None).await.as_ref(), Some(&lease));
    story.cost("keep a lease beside one");
    assert!(keep(&story, &later, Some(lease.id)).await.is_none());
    assert_eq!(story.store.reading_lease(lease.place()).await.unwrap().as_ref(), Some(&later));
    story.cost("keep a lease in place of one, and read it");
    assert_eq!(story.store.reading_leases(asha.id, linked.id, 10).await.unwrap(), [later]);
    story.cost("list leases");
    pinned("rows_of_leases", &story.rows_that(|row| text_of(row, "pk").starts_with("READINGS#")).await);
    let event = story.event(AuditKind::TradingAccountUnlinked, asha.id, 27);
    assert!(story.store.unlink_trading_account(asha.id, linked.id, &event).await.unwrap());
    assert!(story.store.reading_lease(lease.place()).await.unwrap().is_none());
    story.cost("unlink a trading account with a lease");
    pinned("costs_of_leases", &story.costs);
}
