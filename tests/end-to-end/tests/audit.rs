//! The audit trail: who sees what of it, and that nobody changes it unseen.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_identity::{
    AccountUpdate, AuditFilter, AuditRecord, Caller, ClientContext, Finding, Logout, Operator, ProfileUpdate,
    ShownTokens, TrailIntegrity, Wrong,
};
use portcullis_platform::Clock;
use serde_json::{Value, json};

/// Somebody with a past: a registration, three sign-ins, three changes of the name.
async fn somebody(world: &World, email: &str) -> Caller {
    world.person(email).await;
    world.sign_in(email).await.unwrap();
    let caller = world.caller(&world.sign_in(email).await.unwrap()).await;
    for name in ["One", "Two", "Three"] {
        let name = Some(portcullis_identity::PersonName::parse(name).unwrap());
        let update = ProfileUpdate { name, phone: None };
        world.identity.update_profile(&caller, update, &ClientContext::default()).await.unwrap();
    }
    caller
}

async fn findings(world: &World) -> Vec<(u64, Wrong)> {
    let verified = world.identity.verify_audit().await.unwrap();
    verified.findings.iter().map(|Finding { number, what, .. }| (*number, *what)).collect()
}

async fn trail(world: &World, caller: &Caller, limit: usize) -> Vec<AuditRecord> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = world.identity.own_audit(caller, &AuditFilter::default(), limit, after).await.unwrap();
        assert!(page.records.len() <= limit);
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

fn number(item: &Value) -> u64 {
    item["seq"]["N"].as_str().unwrap().parse().unwrap()
}

/// Records of the chain that holds this word, and its head, which comes last.
async fn chain(world: &World, partition: &str) -> Vec<Value> {
    let items = world.items("AUD#").await;
    items.into_iter().filter(|item| item["pk"]["S"].as_str().unwrap().contains(partition)).collect()
}

#[tokio::test]
async fn an_untouched_trail_has_no_finding_and_every_record_follows_the_one_before() {
    let world = World::new(1).await;
    somebody(&world, "asha@example.com").await;
    somebody(&world, "bela@example.com").await;
    let verified = world.identity.verify_audit().await.unwrap();
    assert_eq!((verified.chains, verified.records, verified.findings.len()), (4, 2 * (3 + 4), 0));
    let sign_ins = chain(&world, "SIGNIN#").await;
    assert_eq!(sign_ins.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 3, 1, 2, 3, 3]);
}

#[tokio::test]
async fn every_way_to_change_a_chain_is_found() {
    for word in ["SIGNIN#", "AUDIT#"] {
        let world = World::new(2).await;
        somebody(&world, "asha@example.com").await;
        let items = chain(&world, word).await;
        let (head, records) = items.split_last().unwrap();
        let last = number(records.last().unwrap());
        assert!(last >= 3);

        for attribute in ["kind", "ip", "actor", "at", "prev", "expires_ttl", "account", "mac", "list_sk"] {
            let mut changed = records[1].clone();
            changed[attribute] = match attribute {
                "at" | "expires_ttl" => json!({"N": "7"}),
                "prev" | "mac" => json!({"B": "AAAA"}),
                _ => json!({"S": "mallory"}),
            };
            world.plant(&changed).await;
            assert!(findings(&world).await.contains(&(2, Wrong::Changed)), "{word}: {attribute}");
        }
        let mut shorter = records[1].clone();
        shorter.as_object_mut().unwrap().remove("outcome");
        world.plant(&shorter).await;
        assert!(findings(&world).await.contains(&(2, Wrong::Changed)), "{word}");
        world.plant(&records[1]).await;
        assert_eq!(findings(&world).await, [], "{word}: as it was");

        // Removed in the middle, at the beginning, at the end.
        for gone in [1, 2, last] {
            let index = usize::try_from(gone).unwrap() - 1;
            world.tear_out(&records[index]).await;
            assert_eq!(findings(&world).await, [(gone, Wrong::Missing)], "{word}");
            world.plant(&records[index]).await;
        }

        // Two that changed places.
        let (mut one, mut other) = (records[0].clone(), records[1].clone());
        for name in ["sk", "seq"] {
            let kept = one[name].clone();
            one[name] = other[name].clone();
            other[name] = kept;
        }
        world.plant(&one).await;
        world.plant(&other).await;
        let found = findings(&world).await;
        assert!(found.contains(&(1, Wrong::Changed)) && found.contains(&(2, Wrong::Changed)), "{found:?}");
        world.plant(&records[0]).await;
        world.plant(&records[1]).await;

        // A head that is gone, or says less, or something else.
        world.tear_out(head).await;
        assert_eq!(findings(&world).await, [(last, Wrong::HeadMissing)], "{word}");
        let mut forged = head.clone();
        forged["latest"]["M"]["kind"] = json!({"S": "logout"});
        world.plant(&forged).await;
        assert_eq!(findings(&world).await, [(last, Wrong::HeadChanged)], "{word}");
        world.plant(head).await;

        // All records, the head left.
        for record in records {
            world.tear_out(record).await;
        }
        assert!(findings(&world).await.contains(&(last, Wrong::Missing)), "{word}");
    }
}

#[tokio::test]
async fn what_an_event_changed_is_under_the_mac() {
    let world = World::new(9).await;
    let asha = world.person("asha@example.com").await;
    let operator = Operator::CommandLine("tester".to_owned());
    let update = AccountUpdate { roles: Some(vec!["trader".to_owned()]), status: None };
    let id = asha.caller.account.id;
    world.identity.update_account(&operator, id, &update, &ClientContext::default()).await.unwrap();
    let items = chain(&world, "AUDIT#").await;
    let changed = items.iter().find(|item| item["kind"]["S"] == "roles_changed").unwrap();
    assert_eq!(changed["roles_after"], json!({"L": [{"S": "trader"}]}));
    let forgeries = [
        json!({"L": [{"S": "admin"}]}),
        json!({"L": []}),
        json!({"L": [{"S": "trader"}, {"S": ""}]}),
        json!({"S": "trader"}),
        json!({"L": [{"N": "1"}]}),
    ];
    for forgery in forgeries {
        let mut forged = changed.clone();
        forged["roles_after"] = forgery;
        world.plant(&forged).await;
        assert!(findings(&world).await.contains(&(number(changed), Wrong::Changed)), "{forged}");
    }
    world.plant(changed).await;
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn the_last_record_that_was_removed_comes_back_and_a_head_that_was_removed_is_never_forgotten() {
    let world = World::new(3).await;
    let caller = somebody(&world, "asha@example.com").await;
    for word in ["SIGNIN#", "AUDIT#"] {
        let before = chain(&world, word).await;
        let [.., last, _] = before.as_slice() else { panic!("a record and a head") };
        world.tear_out(last).await;
        world.sign_in("asha@example.com").await.unwrap();
        let update = ProfileUpdate { name: None, phone: Some(None) };
        world.identity.update_profile(&caller, update, &ClientContext::default()).await.unwrap();
        let after = chain(&world, word).await;
        assert!(after.contains(last), "{word}: the head gave it back");
        assert_eq!(findings(&world).await, [], "{word}");
    }
    let sign_ins = chain(&world, "SIGNIN#").await;
    world.tear_out(sign_ins.last().unwrap()).await;
    world.tear_out(&sign_ins[sign_ins.len() - 2]).await;
    world.sign_in("asha@example.com").await.unwrap();
    world.sign_in("asha@example.com").await.unwrap();
    assert_eq!(findings(&world).await.len(), 1, "it stays known that something is missing");
}

#[tokio::test]
async fn what_expired_is_not_missed() {
    let world = World::new(4).await;
    somebody(&world, "asha@example.com").await;
    let items = chain(&world, "SIGNIN#").await;
    world.tear_out(&items[0]).await;
    assert_eq!(findings(&world).await, [(1, Wrong::Missing)]);
    world.clock.advance(Duration::from_hours(401 * 24));
    assert_eq!(findings(&world).await, []);
    // A chain goes on after all of it is gone.
    for item in &items[1..] {
        world.tear_out(item).await;
    }
    world.sign_in("asha@example.com").await.unwrap();
    world.sign_in("asha@example.com").await.unwrap();
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn a_row_in_the_table_is_no_record_without_the_key() {
    let (world, elsewhere) = (World::new(5).await, World::new(5).await);
    somebody(&world, "asha@example.com").await;
    somebody(&elsewhere, "asha@example.com").await;
    let of_another_key = chain(&elsewhere, "SIGNIN#").await;
    for item in &of_another_key {
        world.plant(item).await;
    }
    let found = findings(&world).await;
    for number in 1..=3 {
        assert!(found.contains(&(number, Wrong::Changed)), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_events_all_land_in_one_line() {
    const RACERS: usize = 12;
    let world = World::new(6).await;
    world.person("asha@example.com").await;
    let caller = world.caller(&world.sign_in("asha@example.com").await.unwrap()).await;
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let (world, caller) = (world.clone(), caller.clone());
            tokio::spawn(async move {
                world.sign_in("asha@example.com").await.unwrap();
                let name = portcullis_identity::PersonName::parse(&format!("Racer {racer}")).unwrap();
                let update = ProfileUpdate { name: Some(name), phone: None };
                world.identity.update_profile(&caller, update, &ClientContext::default()).await.unwrap();
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    assert_eq!(findings(&world).await, []);
    for (word, more) in [("SIGNIN#", 2), ("AUDIT#", 1)] {
        let items = chain(&world, word).await;
        let numbers: Vec<u64> = items[..items.len() - 1].iter().map(number).collect();
        assert_eq!(numbers, (1..=u64::try_from(RACERS + more).unwrap()).collect::<Vec<_>>(), "{word}");
    }
    assert_eq!(trail(&world, &caller, 100).await.len(), 2 * RACERS + 3);
}

#[tokio::test(start_paused = true)]
async fn with_a_store_that_fails_every_answer_has_its_record_and_the_chain_holds() {
    for seed in 0..12 {
        let world = World::with_default_timeouts(seed).await;
        world.person("asha@example.com").await;
        world.faults.set_per_mille(200);
        let mut answered = BTreeSet::new();
        for _ in 0..12 {
            if let Ok(signed_in) = world.sign_in("asha@example.com").await {
                world.faults.set_per_mille(0);
                let caller = world.caller(&signed_in).await;
                answered.insert(caller.session.made.id.to_string());
                world.faults.set_per_mille(200);
            }
        }
        world.faults.set_per_mille(0);
        // Requests the engine got late are carried out by now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let caller = world.caller(&world.sign_in("asha@example.com").await.unwrap()).await;
        let recorded: BTreeSet<String> =
            trail(&world, &caller, 10).await.into_iter().filter_map(|record| record.session).collect();
        assert!(answered.is_subset(&recorded), "seed {seed}");
        assert_eq!(findings(&world).await, [], "seed {seed}");
    }
}

#[tokio::test]
async fn pages_filters_and_owners() {
    let world = World::new(7).await;
    let asha = somebody(&world, "asha@example.com").await;
    somebody(&world, "mallory@example.com").await;
    let all = trail(&world, &asha, 100).await;
    assert_eq!(all.len(), 7);
    assert!(all.iter().all(|record| record.subject == asha.account.id && record.actor == "self"));
    assert!(all.windows(2).all(|pair| pair[0].at >= pair[1].at), "newest first");
    for limit in [1, 2, 3, 4] {
        assert_eq!(trail(&world, &asha, limit).await, all, "in pages of {limit}");
    }
    let of_kind = AuditFilter { kind: Some("profile_changed".to_owned()), ..AuditFilter::default() };
    let found = world.identity.own_audit(&asha, &of_kind, 50, None).await.unwrap();
    assert_eq!(found.records.len(), 3);

    world.clock.advance(Duration::from_hours(50));
    let from = Some(world.clock.now());
    world.sign_in("asha@example.com").await.unwrap();
    let shown = ShownTokens { access_token: Some("nonsense"), ..ShownTokens::default() };
    world.identity.sign_out(&shown, Logout::ThisDevice, &ClientContext::default()).await.unwrap_err();
    let since = AuditFilter { from, ..AuditFilter::default() };
    let found = world.identity.own_audit(&asha, &since, 50, None).await.unwrap();
    assert_eq!(found.records.len(), 1);
    let until = AuditFilter { to: from, ..AuditFilter::default() };
    assert_eq!(world.identity.own_audit(&asha, &until, 50, None).await.unwrap().records, all);

    // Everybody's, by time, over days without events.
    for limit in [1, 3, 100] {
        let (mut everything, mut after) = (Vec::new(), None);
        loop {
            let page = world.identity.audit_by_time(&AuditFilter::default(), limit, after).await.unwrap();
            everything.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(everything.len(), 15, "in pages of {limit}");
        assert!(everything.windows(2).all(|pair| pair[0].id.to_string() > pair[1].id.to_string()));
    }
    let of_kind = world.identity.audit_by_time(&of_kind, 100, None).await.unwrap();
    assert_eq!(of_kind.records.len(), 6);
}

#[tokio::test]
async fn who_takes_over_an_address_does_not_see_who_had_it_before() {
    let world = World::new(8).await;
    let asha = somebody(&world, "shared@example.com").await;
    world.identity.erase_account(&asha, &password(PASSWORD).into(), &ClientContext::default()).await.unwrap();
    let next = somebody(&world, "shared@example.com").await;
    let seen = trail(&world, &next, 100).await;
    assert_eq!(seen.len(), 7);
    assert!(seen.iter().all(|record| record.subject == next.account.id));
    assert_eq!(findings(&world).await, [], "the trail of an erased account stays whole");
}

/// Somebody with a past whose records have different times.
async fn somebody_over_time(world: &World, email: &str, changes: usize) -> Caller {
    world.person(email).await;
    world.clock.advance(Duration::from_mins(1));
    let mut caller = world.caller(&world.sign_in(email).await.unwrap()).await;
    for number in 0..changes {
        world.clock.advance(Duration::from_mins(1));
        let name = portcullis_identity::PersonName::parse(&format!("Name {number}")).unwrap();
        let update = ProfileUpdate { name: Some(name), phone: None };
        world.identity.update_profile(&caller, update, &ClientContext::default()).await.unwrap();
        if number % 10 == 0 {
            caller = world.caller(&world.sign_in(email).await.unwrap()).await;
        }
    }
    caller
}

/// Since when the own trail is whole, and whether it is damaged.
async fn integrity(world: &World, caller: &Caller) -> (Option<Timestamp>, bool) {
    let TrailIntegrity { whole_since, is_damaged } =
        world.identity.own_trail_integrity(caller).await.unwrap();
    (whole_since, is_damaged)
}

fn at(item: &Value) -> Timestamp {
    Timestamp::from_millisecond(item["at"]["N"].as_str().unwrap().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_is_told_since_when_the_own_trail_is_whole() {
    let world = World::new(11).await;
    let asha = somebody_over_time(&world, "asha@example.com", 31).await;
    let registered = asha.account.created_at;
    assert_eq!(integrity(&world, &asha).await, (Some(registered), false));
    for word in ["SIGNIN#", "AUDIT#"] {
        let items = chain(&world, word).await;
        let (head, records) = items.split_last().unwrap();
        let [.., before_last, last] = records else { panic!("a longer chain") };
        // Changed, or removed: what came after it is whole.
        let mut changed = records[1].clone();
        changed["kind"] = json!({"S": "mallory"});
        world.plant(&changed).await;
        assert_eq!(integrity(&world, &asha).await, (Some(at(&records[2])), true), "{word}");
        world.tear_out(&records[1]).await;
        assert_eq!(integrity(&world, &asha).await, (Some(at(&records[2])), true), "{word}");
        world.plant(&records[1]).await;
        assert_eq!(integrity(&world, &asha).await, (Some(registered), false), "{word}");
        // The last one is in the head too, and comes back. With the one before it more is gone.
        world.tear_out(last).await;
        assert_eq!(integrity(&world, &asha).await, (Some(registered), false), "{word}");
        world.tear_out(before_last).await;
        assert_eq!(integrity(&world, &asha).await, (None, true), "{word}");
        world.plant(before_last).await;
        world.plant(last).await;
        // Without a head nobody knows how much is gone.
        world.tear_out(head).await;
        assert_eq!(integrity(&world, &asha).await, (None, true), "{word}");
        world.plant(head).await;
    }
    let bela = somebody_over_time(&world, "bela@example.com", 1).await;
    assert_eq!(integrity(&world, &bela).await, (Some(bela.account.created_at), false));
}

#[tokio::test]
async fn who_has_just_registered_has_a_whole_trail_and_records_that_expired_are_not_missed() {
    let world = World::new(12).await;
    let asha = world.person("asha@example.com").await.caller;
    assert_eq!(integrity(&world, &asha).await, (Some(asha.account.created_at), false));
    let registration = chain(&world, "AUDIT#").await;
    for item in &registration {
        world.tear_out(item).await;
    }
    assert_eq!(integrity(&world, &asha).await, (Some(asha.account.created_at), false), "the account has it");

    let world = World::new(13).await;
    let asha = somebody_over_time(&world, "asha@example.com", 11).await;
    let items = chain(&world, "AUDIT#").await;
    world.tear_out(&items[0]).await;
    assert_eq!(integrity(&world, &asha).await, (Some(at(&items[1])), true));
    world.clock.advance(Duration::from_hours(401 * 24));
    assert!(!integrity(&world, &asha).await.1);
}

#[tokio::test]
async fn no_more_is_verified_than_was_asked_for() {
    const MOST: usize = 12;
    let world = World::new(14).await;
    let asha = somebody_over_time(&world, "asha@example.com", MOST + 9).await;
    let items = chain(&world, "AUDIT#").await;
    let records = &items[..items.len() - 1];
    let integrity = async || {
        let of = (asha.account.id, asha.account.created_at);
        let (seal, now) = (world.identity.audit_seal().unwrap(), world.clock.now());
        let store = &world.identity.store;
        let found = store.trail_integrity(of, "asha@example.com", MOST, &seal, now).await.unwrap();
        (found.whole_since, found.is_damaged)
    };
    // One more than that is read, and begins what is whole.
    let first = &records[records.len() - MOST - 1];
    assert_eq!(integrity().await, (Some(at(first)), false));
    world.tear_out(&records[1]).await;
    assert_eq!(integrity().await, (Some(at(first)), false), "it was not looked at");
    world.tear_out(&records[records.len() - 3]).await;
    assert_eq!(integrity().await, (Some(at(&records[records.len() - 2])), true));
}

#[tokio::test]
async fn over_http_a_person_reads_the_own_trail() {
    let app = App::start();
    app.register("asha@example.com").await.assert_status(201);
    let session = app.login("asha@example.com", PASSWORD).header("user-agent", "harness/1").await;
    let get = |query: &str| app.get(format!("/v1/audit{query}")).bearer(session.text("access_token"));
    let list = get("").await.assert_status(200);
    let items = list.items();
    let kinds: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!((kinds, &list["next_cursor"]), (vec!["login_succeeded", "account_registered"], &Value::Null));
    let login = &items[0];
    assert_eq!((&login["actor"], &login["outcome"]), (&json!("self"), &json!("success")));
    assert_eq!((&login["user_agent"], &login["ip"]), (&json!("harness/1"), &json!("127.0.0.1")));
    assert!(!login["request_id"].as_str().unwrap().is_empty());
    let integrity = get("/integrity").await.assert_status(200);
    assert_eq!((&integrity["status"], &integrity["whole_since"]), (&json!("whole"), &items[1]["at"]));
    let filtered = get("?type=login_succeeded&limit=1").await;
    assert_eq!(filtered.items().len(), 1);
    for bad in ["?cursor=nonsense", "?type=DROP", "?from=yesterday", "?limit=0"] {
        assert_eq!(get(bad).await.status, 422, "{bad}");
    }
}
