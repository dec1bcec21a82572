//! Who may do what, and what a careless document is told.

use std::collections::BTreeSet;
use std::string::ToString;

use proptest::prelude::*;

use super::{Permission, Policy, PolicyError};

const SERVICES: [&str; 7] =
    ["portfolio", "trading", "market", "strategy", "token", "execution", "monitoring"];

/// A document with the two roles that must exist and these.
fn with(roles: &str) -> Result<Policy, PolicyError> {
    Policy::parse(&format!(r#"{{"user":{{}},"admin":{{}},{roles}}}"#))
}

fn complaint(roles: &str) -> String {
    with(roles).unwrap_err().to_string()
}

fn may(policy: &Policy, role: &str, permission: &str) -> bool {
    policy.allows(&[role], &permission.parse::<Permission>().unwrap())
}

fn granted(policy: &Policy, role: &str) -> BTreeSet<String> {
    policy.permissions(&[role]).iter().map(ToString::to_string).collect()
}

#[test]
fn the_policy_that_ships_is_sound() {
    let policy = Policy::default();
    for role in ["guest", "viewer", "user", "trader", "admin"].iter().chain(&SERVICES) {
        assert!(policy.knows(role), "{role}");
    }
    assert!(!policy.knows("root"));
}

#[test]
fn a_guest_may_do_nothing() {
    let policy = Policy::default();
    assert!(policy.permissions(&["guest"]).is_empty());
    assert!(policy.services(&["guest"]).is_empty());
}

#[test]
fn each_step_up_keeps_what_the_step_below_had() {
    let policy = Policy::default();
    for (below, above) in [
        ("guest", "viewer"),
        ("viewer", "user"),
        ("user", "trader"),
        ("trading", "trader"),
        ("trader", "admin"),
    ] {
        assert!(policy.permissions(&[below]).is_subset(&policy.permissions(&[above])), "{below} {above}");
        assert!(policy.services(&[below]).is_subset(&policy.services(&[above])), "{below} {above}");
    }
    assert!(!may(&policy, "viewer", "trading-account:create"));
    assert!(may(&policy, "user", "trading-account:create"));
    assert!(!may(&policy, "user", "trading:place"));
    assert!(may(&policy, "trader", "trading:place"));
    assert!(!may(&policy, "trader", "user:disable"));
    assert!(may(&policy, "admin", "user:disable"));
}

#[test]
fn a_service_role_opens_its_service_and_no_other() {
    let policy = Policy::default();
    for role in SERVICES {
        assert_eq!(policy.services(&[role]), BTreeSet::from([role]));
        assert!(may(&policy, role, &format!("{role}:read")));
        assert!(!may(&policy, role, "profile:read"));
    }
}

#[test]
fn admin_opens_services_the_document_does_not_know() {
    let policy = Policy::default();
    assert!(policy.allows_service(&["admin"], "added-yesterday"));
    assert!(!policy.allows_service(&["trader"], "added-yesterday"));
    assert!(SERVICES.iter().all(|service| policy.services(&["admin"]).contains(service)));
}

#[test]
fn an_unknown_role_adds_nothing() {
    let policy = Policy::default();
    for role in ["root", "", "*", "Admin", "admin ", "adm\u{131}n"] {
        assert!(policy.permissions(&[role]).is_empty(), "{role:?}");
        assert!(!policy.allows_service(&[role], "market"), "{role:?}");
    }
    assert_eq!(policy.permissions(&["root", "viewer"]), policy.permissions(&["viewer"]));
    assert!(policy.permissions(&[] as &[&str]).is_empty());
}

#[test]
fn several_roles_allow_what_any_of_them_does() {
    let policy = Policy::default();
    let roles = ["market".to_owned(), "token".to_owned()];
    assert_eq!(policy.services(&roles), BTreeSet::from(["market", "token"]));
    assert!(policy.allows(&roles, &"token:rotate".parse().unwrap()));
    assert!(!policy.allows(&roles, &"execution:start".parse().unwrap()));
}

#[test]
fn inheritance_reaches_through_diamonds_and_is_sorted() {
    let policy = with(
        r#""top":{"inherits":["left","right"],"permissions":["z:z"]},
           "left":{"inherits":["base"],"permissions":["b:x"]},
           "right":{"inherits":["base","base"],"permissions":["b:x","a:*"],"services":["s"]},
           "base":{"permissions":["m:m"],"services":["t"]}"#,
    )
    .unwrap();
    let permissions: Vec<_> = policy.permissions(&["top"]).iter().map(ToString::to_string).collect();
    assert_eq!(permissions, ["a:*", "b:x", "m:m", "z:z"]);
    assert_eq!(policy.services(&["top"]), BTreeSet::from(["s", "t"]));
    assert_eq!(granted(&policy, "base"), BTreeSet::from(["m:m".to_owned()]), "nothing flows back down");
}

#[test]
fn a_wildcard_service_opens_all() {
    let policy = with(r#""gate":{"services":["*"]},"door":{"services":["market"]}"#).unwrap();
    assert!(policy.allows_service(&["gate"], "market"));
    assert!(!policy.allows_service(&["door"], "token"));
    assert!(!policy.allows_service(&["door"], "*"));
}

#[test]
fn a_cycle_is_told_with_the_way_around() {
    insta::assert_snapshot!(
        complaint(r#""a":{"inherits":["b"]},"b":{"inherits":["user","c"]},"c":{"inherits":["a"]}"#),
        @"role `a`: inherits from itself: a → b → c → a"
    );
    insta::assert_snapshot!(
        complaint(r#""a":{"inherits":["a"]}"#),
        @"role `a`: inherits from itself: a → a"
    );
    insta::assert_snapshot!(
        complaint(r#""a":{"inherits":["z"]},"y":{"inherits":["z"]},"z":{"inherits":["y"]}"#),
        @"role `y`: inherits from itself: y → z → y"
    );
}

#[test]
fn each_complaint_names_the_role() {
    insta::assert_snapshot!(
        complaint(r#""ops":{"inherits":["rooot"]}"#),
        @"role `ops`: inherits from `rooot`, which is not defined"
    );
    insta::assert_snapshot!(
        complaint(r#""a":{"inherits":["ops"]},"ops":{"inherits":["rooot"]}"#),
        @"role `ops`: inherits from `rooot`, which is not defined"
    );
    insta::assert_snapshot!(complaint(r#""ops":{},"ops":{}"#), @"role `ops`: is defined twice");
    insta::assert_snapshot!(complaint(r#""ops":{},"\u006fps":{}"#), @"role `ops`: is defined twice");
    insta::assert_snapshot!(
        complaint(r#""ops":{"permissions":["orders"]}"#),
        @"role `ops`: permission `orders`"
    );
    insta::assert_snapshot!(
        complaint(r#""ops":{"services":["Market"]}"#),
        @"role `ops`: service `Market` is neither a lower-case word nor `*`"
    );
    insta::assert_snapshot!(
        complaint(r#""Ops\n":{}"#),
        @r"role `Ops\n`: a name is 1 to 64 of a-z, 0-9, `_` and `-`, a letter first"
    );
    insta::assert_snapshot!(
        complaint(r#""*":{}"#),
        @"role `*`: a name is 1 to 64 of a-z, 0-9, `_` and `-`, a letter first"
    );
}

#[test]
fn a_definition_of_another_shape_is_refused_in_the_name_of_its_role() {
    for definition in [
        "null",
        "[]",
        "\"user\"",
        "true",
        r#"{"permisions":[]}"#,
        r#"{"inherits":null}"#,
        r#"{"inherits":"user"}"#,
        r#"{"services":[1]}"#,
        r#"{"inherits":[],"inherits":[]}"#,
        r#"{"permissions":{}}"#,
    ] {
        let error = complaint(&format!("\"ops\":{definition}"));
        assert!(error.starts_with("role `ops`: "), "{definition}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_roles_the_product_needs_must_exist() {
    insta::assert_snapshot!(Policy::parse("{}").unwrap_err(), @"role `user`: is needed but not defined");
    insta::assert_snapshot!(Policy::parse(r#"{"user":{}}"#).unwrap_err(), @"role `admin`: is needed but not defined");
}

#[test]
fn only_one_whole_object_is_a_policy() {
    for json in
        ["", "[]", "null", "\"user\"", "{", r#"{"user":{},"admin":{}} {}"#, "\u{feff}{}", r#"{"user":{},}"#]
    {
        let error = Policy::parse(json).unwrap_err();
        assert!(matches!(error, PolicyError::Json { .. }), "{json:?}: {error}");
    }
}

#[test]
fn a_thousand_generations_cost_no_stack() {
    let chain: Vec<_> = (1..1000).map(|n| format!(r#""r{n}":{{"inherits":["r{}"]}}"#, n - 1)).collect();
    let policy = with(&format!(r#""r0":{{"permissions":["a:b"]}},{}"#, chain.join(","))).unwrap();
    assert!(may(&policy, "r999", "a:b"));
    let circle = complaint(&format!(r#""r0":{{"inherits":["r999"]}},{}"#, chain.join(",")));
    assert!(circle.starts_with("role `r0`: inherits from itself: r0 → r999 → r998 →"), "{circle}");
    assert!(with(&format!(r#""deep":{}1{}"#, "[".repeat(100_000), "]".repeat(100_000))).is_err());
}

/// Roles `r0` to `r5`, each inheriting from some of the six.
fn documents() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    prop::collection::vec(prop::collection::btree_set(0_usize..6, 0..3), 6)
}

fn written(parents: &[BTreeSet<usize>]) -> String {
    let role = |(n, parents): (usize, &BTreeSet<usize>)| {
        let names: Vec<_> = parents.iter().map(|parent| format!("\"r{parent}\"")).collect();
        format!(r#""r{n}":{{"inherits":[{}],"permissions":["own:r{n}"]}}"#, names.join(","))
    };
    parents.iter().enumerate().map(role).collect::<Vec<_>>().join(",")
}

proptest! {
    /// Compared with a closure computed in another way: add the parents' parents until nothing changes.
    #[test]
    fn inheritance_is_the_transitive_closure(parents in documents()) {
        let mut closure = parents.clone();
        for _ in 0..6 {
            closure = closure.iter()
                .map(|above| above.iter().flat_map(|n| closure[*n].iter().copied().chain([*n])).collect())
                .collect();
        }
        let cyclic = closure.iter().enumerate().any(|(n, above)| above.contains(&n));
        match with(&written(&parents)) {
            Ok(policy) => {
                prop_assert!(!cyclic);
                for (n, above) in closure.iter().enumerate() {
                    let expected = above.iter().chain([&n]).map(|n| format!("own:r{n}")).collect();
                    prop_assert_eq!(granted(&policy, &format!("r{n}")), expected);
                }
            }
            Err(error) => prop_assert!(cyclic && matches!(error, PolicyError::Cycle { .. }), "{}", error),
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", json in "[\\[\\]{}:,\"a-z*\\\\ ]{0,60}") {
        let _ = (Policy::parse(&text), with(&json));
    }
}
