//! Where each key space of the table ends: what the requests of the service write, counted by partition key, and what
//! that is in one partition at ten thousand, a hundred thousand and a million sign-ins an hour. `infra/SCALE.md` has the
//! table, and this suite fails when it says something else.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use portcullis_harness::in_process::{PASSWORD, World, newcomer};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, Logout, ShownTokens};
use portcullis_vault::{BrokerUser, Credentials, NewTradingAccount, Purpose};
use serde_json::{Value, json};

const SEED: u64 = 20_261_129;
const ASHA: &str = "asha@example.com";
const TABLE_BEGINS: &str = "<!-- simulated -->\n";
const TABLE_ENDS: &str = "<!-- end -->";
/// Write units a second that one partition key takes, of the table or of an index.
const PARTITION: f64 = 1_000.0;
const LOADS: [f64; 3] = [1e4, 1e5, 1e6];

/// What comes with one sign-in: half of the day that `COSTS.md` has as its example, and an attack as large as all of it.
const TRAFFIC: [(&str, f64); 9] = [
    ("sign-in", 0.8),
    ("sign-in with a second factor", 0.2),
    ("refresh", 20.0),
    ("sign-out", 0.5),
    ("wrong password", 0.1),
    ("guess at a name that nobody has", 1.0),
    ("reading of credentials", 5.0),
    ("registration", 0.01),
    ("linking", 0.01),
];

/// Key spaces that everybody shares, over how many partitions each is spread, and by what; all others have a partition for
/// each name, account, token or address.
const SHARED: [(&str, f64, &str); 7] = [
    ("DAY#", 8.0, "`AUDIT_SHARDS`, by id; index"),
    ("PEOPLE#", 4.0, "4, by id; index"),
    ("REVOKED#", 8.0, "8 for each hour, by id"),
    ("RATE#SERVICE#", 1.0, "1 for each service and minute"),
    ("ACC#", 256.0, "256, by id"),
    ("PROV#", 8.0, "8 for each provider"),
    ("ADMINS#", 1.0, "1"),
];

/// Write units by key space.
type Units = BTreeMap<String, f64>;

fn client() -> ClientContext {
    ClientContext {
        ip: Some("198.51.100.7".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".to_owned()),
        ..ClientContext::default()
    }
}

/// Returns the key space of a partition: what stands in front of the part that tells one from the other.
fn space_of(partition: &str) -> String {
    let words: Vec<&str> = partition.split('#').collect();
    let kinds = if words[0] == "RATE" { 2 } else { 1 };
    format!("{}#", words[..kinds].join("#"))
}

fn partition_of(action: &Value) -> &str {
    let of = |name: &str| action[name]["pk"]["S"].as_str();
    of("Item").or_else(|| of("Key")).expect("an item or a key")
}

/// Adds what one action writes: a unit for the row, which is below a kilobyte, two in a transaction, one in the index.
fn add(units: &mut Units, action: &Value, of_row: f64) {
    *units.entry(space_of(partition_of(action))).or_default() += of_row;
    if let Some(listed) = action["Item"]["list_pk"]["S"].as_str() {
        *units.entry(space_of(listed)).or_default() += 1.0;
    }
}

/// Returns what these requests write.
fn units_of(requests: &[(String, Vec<u8>)]) -> Units {
    let mut units = Units::new();
    for (operation, body) in requests {
        let body: Value = serde_json::from_slice(body).unwrap();
        match operation.as_str() {
            "PutItem" | "UpdateItem" | "DeleteItem" => add(&mut units, &body, 1.0),
            "TransactWriteItems" => {
                for item in body["TransactItems"].as_array().unwrap() {
                    add(&mut units, item.as_object().unwrap().values().next().unwrap(), 2.0);
                }
            }
            _ => {}
        }
    }
    units
}

/// Does everything once and returns what each kind of request writes.
async fn writes() -> BTreeMap<&'static str, Units> {
    let services =
        json!({"ticker": {"credentials": {"brokers": ["kite"], "kind": "long_lived"}}}).to_string();
    let tokens = service_tokens(&["ticker"]);
    let variables = [("SERVICES", services.as_str()), ("SERVICE_TOKENS", tokens.as_str())];
    let world = World::with_variables(SEED, &variables).await;
    let (asha, coded, client) =
        (world.person(ASHA).await, world.enrolled("coded@example.com").await, client());
    let mut written = BTreeMap::new();
    let mut note = |name| {
        assert!(written.insert(name, units_of(&world.faults.heard())).is_none(), "{name}");
    };
    let identity = &world.identity;

    world.faults.listen();
    let session = identity.sign_in(world.attempt(ASHA, PASSWORD), &client).await.unwrap();
    note("sign-in");
    let portcullis_identity::Login::SignedIn(session) = session else { panic!("no code is asked for") };
    world.faults.listen();
    coded.sign_in(&coded.code()).await.unwrap();
    note("sign-in with a second factor");
    world.faults.listen();
    let refreshed = identity.refresh(session.refresh.token.secret(), &client).await.unwrap();
    note("refresh");
    world.faults.listen();
    let shown =
        ShownTokens { refresh_token: Some(refreshed.refresh.token.secret()), ..ShownTokens::default() };
    identity.sign_out(&shown, Logout::ThisDevice, &client).await.unwrap();
    note("sign-out");
    for (name, address) in [("wrong password", ASHA), ("guess at a name that nobody has", "x@example.com")] {
        world.faults.listen();
        identity.sign_in(world.attempt(address, "wrong horse staple"), &client).await.unwrap_err();
        note(name);
    }
    world.faults.listen();
    identity.register(newcomer("new@example.com", None), &client).await.unwrap();
    note("registration");
    world.faults.listen();
    let wanted = NewTradingAccount {
        broker: "kite".to_owned(),
        broker_user: BrokerUser::parse("AB1234").unwrap(),
        credentials: Credentials::parse(&"kitekey-9f3c".into(), &"secret".into()).unwrap(),
        label: None,
        idempotency_key: None,
    };
    let linked = world.vault.link(&asha.caller, wanted, &client).await.unwrap();
    note("linking");
    // A token that is presented is noted once an hour, which does not grow with the load.
    let service = identity.authenticate_service(&service_token("ticker").into()).await.unwrap();
    let purpose = Purpose::parse("market-stream").unwrap();
    world.faults.listen();
    Box::pin(world.vault.read_credentials(&service, linked.id, Some(purpose), &client)).await.unwrap();
    note("reading of credentials");
    written
}

/// Returns the write units of each key space for one sign-in and all that comes with it.
fn of_one_sign_in(written: &BTreeMap<&'static str, Units>) -> Units {
    let mut sum = Units::new();
    for (name, times) in TRAFFIC {
        for (space, units) in &written[name] {
            *sum.entry(space.clone()).or_default() += units * times;
        }
    }
    sum
}

/// Returns a number with as many digits as say something.
fn shown(number: f64) -> String {
    match number {
        n if n >= 10.0 => format!("{n:.0}"),
        n if n >= 0.1 => format!("{n:.1}"),
        n => format!("{n:.3}"),
    }
}

fn in_thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn a_second(units: f64, sign_ins_an_hour: f64) -> f64 {
    units * sign_ins_an_hour / 3_600.0
}

/// The table of the page.
fn table(units: &Units) -> String {
    let mut table = String::from(
        "| key space | spread over | write units for each sign-in | at 10⁴ | at 10⁵ | at 10⁶ | ends at |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (space, of_space) in units {
        let shared = SHARED.iter().find(|(name, ..)| name == space);
        let Some((_, partitions, spread)) = shared else {
            let own = "one for each name, account, token or address";
            writeln!(table, "| `{space}` | {own} | {} | | | | |", shown(*of_space)).unwrap();
            continue;
        };
        let of_one = of_space / partitions;
        let [small, middle, large] = LOADS.map(|load| shown(a_second(of_one, load)));
        let end = in_thousands((PARTITION * 3_600.0 / of_one / 1e4).floor() * 1e4);
        writeln!(
            table,
            "| `{space}` | {spread} | {} | {small} | {middle} | {large} | {end} |",
            shown(*of_space)
        )
        .unwrap();
    }
    let whole: f64 = units.iter().filter(|(space, _)| !is_index(space)).map(|(_, units)| units).sum();
    let [small, middle, large] = LOADS.map(|load| shown(a_second(whole, load)));
    writeln!(table, "| the whole table | | {} | {small} | {middle} | {large} | |", shown(whole)).unwrap();
    table
}

/// Key spaces that have a partition for each account, name, address or token.
const OF_ONE: [&str; 12] = [
    "ACCOUNT#",
    "AUDIT#",
    "CHAL#",
    "EMAIL#",
    "FACTOR#",
    "IDEM#",
    "RATE#ADDRESS#",
    "RATE#USE#",
    "READINGS#",
    "SESSIONS#",
    "SIGNIN#",
    "VAULT#",
];

fn is_index(space: &str) -> bool {
    ["DAY#", "PEOPLE#"].contains(&space)
}

#[tokio::test]
async fn the_page_says_where_each_key_space_ends() {
    let units = of_one_sign_in(&Box::pin(writes()).await);
    let table = table(&units);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/SCALE.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    let said = page.split_once(TABLE_BEGINS).and_then(|(_, rest)| rest.split_once(TABLE_ENDS));
    assert!(
        said.is_some_and(|(said, _)| said == table),
        "infra/SCALE.md is out of date; simulated now:\n{table}"
    );
    // A key space that is new and shared has no line above, and would pass for one that has a partition for each account.
    let known: BTreeSet<&str> = OF_ONE.into_iter().chain(SHARED.map(|(space, ..)| space)).collect();
    for space in units.keys() {
        assert!(known.contains(space.as_str()), "{space}");
    }
}

#[tokio::test]
async fn a_million_sign_ins_an_hour_fill_half_of_a_partition_of_the_days_index_at_most() {
    let units = of_one_sign_in(&Box::pin(writes()).await);
    let of_day = a_second(units["DAY#"], 1e6) / 8.0;
    assert!(of_day < PARTITION / 2.0, "{of_day}");
}

#[tokio::test]
async fn guesses_at_names_that_nobody_has_cost_less_fill_no_list_and_are_gone_in_a_month() {
    let written = Box::pin(writes()).await;
    let (known, unknown) = (&written["wrong password"], &written["guess at a name that nobody has"]);
    assert_eq!(known.get("DAY#"), Some(&1.0));
    assert_eq!(unknown.get("DAY#"), None, "a guess at a made-up name takes room in the index");
    assert!(unknown.values().sum::<f64>() < known.values().sum(), "{unknown:?} {known:?}");

    let world = World::new(SEED).await;
    world
        .identity
        .sign_in(world.attempt("x@example.com", "wrong horse staple"), &client())
        .await
        .unwrap_err();
    let rows = world.items("AUD#").await;
    assert_eq!(rows.len(), 2, "a record and the head of its chain");
    for row in rows {
        let expires: u64 = row["expires_ttl"]["N"].as_str().unwrap().parse().unwrap();
        let month = 30 * 24 * 60 * 60;
        assert!(expires <= world.unix_now() + month + 1, "{row}");
    }
}
