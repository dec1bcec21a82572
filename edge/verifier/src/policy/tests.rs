//! Who may do what, and what a careless document is told.

use std::collections::BTreeSet;
use std::string::ToString;

use proptest::prelude::*;

use super::{ApprovalNeed, Asked, MAX_APPROVAL_RULES, Permission, Policy, PolicyError};
use crate::Assurance;
use crate::order::Amount;

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
fn the_highest_need_of_all_roles_and_of_those_they_inherit_from_counts() {
    let policy = with(
        r#""desk":{"requires":{"acr":"phr"}},"lead":{"inherits":["clerk","desk"],"requires":{"acr":"aal1"}},
           "clerk":{"requires":{"acr":"aal2"}},"guest":{}"#,
    )
    .unwrap();
    for (roles, required) in [
        (&[][..], Assurance::Aal1),
        (&["guest", "nobody-knows"], Assurance::Aal1),
        (&["clerk"], Assurance::Aal2),
        (&["guest", "clerk"], Assurance::Aal2),
        (&["lead"], Assurance::Phr),
        (&["clerk", "desk"], Assurance::Phr),
    ] {
        assert_eq!(policy.required(roles), required, "{roles:?}");
    }
    let ships = Policy::default();
    assert!(ships.with_healthy_provider(&["admin"]).is_empty());
    assert_eq!(ships.required(&["admin"]), Assurance::Aal2);
    assert_eq!(ships.required(&["trader", "monitoring"]), Assurance::Aal1);
}

/// What `functions/THREATS.md` tells operators to write.
#[test]
fn one_member_of_the_policy_that_ships_asks_everybody_for_a_second_factor() {
    let ships = include_str!("../default_policy.json");
    let strict = ships.replace(r#""guest": {}"#, r#""guest": {"requires": {"acr": "aal2"}}"#);
    assert_ne!(strict, ships);
    let policy = Policy::parse(&strict).unwrap();
    for role in ["guest", "viewer", "user", "trader", "admin"] {
        assert_eq!(policy.required(&[role]), Assurance::Aal2, "{role}");
    }
    // Roles for a service alone come beside one of a person.
    assert_eq!(policy.required(&["portfolio"]), Assurance::Aal1);
    assert_eq!(policy.required(&["user", "portfolio"]), Assurance::Aal2);
}

#[test]
fn a_permission_depends_on_a_provider_where_any_role_or_one_that_it_inherits_from_says_so() {
    let policy = with(
        r#""desk":{"permissions":["order:*"],"requires":{"healthy_provider":["order:place","order:change"]}},
           "lead":{"inherits":["desk"]},"free":{"permissions":["order:*"]}"#,
    )
    .unwrap();
    let needs = |roles: &[&str], permission: &str| {
        policy.needs_healthy_provider(roles, &permission.parse::<Permission>().unwrap())
    };
    for roles in [&["desk"][..], &["lead"], &["free", "desk"], &["desk", "nobody-knows"]] {
        assert!(needs(roles, "order:place") && needs(roles, "order:change"), "{roles:?}");
        assert!(!needs(roles, "order:cancel"), "{roles:?}");
    }
    assert!(!needs(&["free"], "order:place") && !needs(&[], "order:place"));
    assert_eq!(policy.with_healthy_provider(&["lead"]).len(), 2);
    assert_eq!(policy.required(&["lead"]), Assurance::Aal1, "it is no need for another sign-in");
}

#[test]
fn a_need_that_cannot_be_read_is_refused_and_not_left_out() {
    insta::assert_snapshot!(
        complaint(r#""ops":{"requires":{"acr":"aal3"}}"#),
        @"role `ops`: requires `acr` `aal3`, which is none of aal1, aal2 and phr"
    );
    insta::assert_snapshot!(
        complaint(r#""ops":{"requires":{"healthy_provider":["orders"]}}"#),
        @"role `ops`: permission `orders`"
    );
    insta::assert_snapshot!(
        complaint(r#""ops":{"requires":{"healthy_provider":[],"acr":null}}"#),
        @"role `ops`: requires neither an `acr` nor a `healthy_provider` nor an `approval`; leave `requires` out"
    );
    for requires in ["\"aal2\"", "[\"aal2\"]", "{}", r#"{"acr":2}"#, r#"{"acr":"aal2","max_age":5}"#] {
        let error = complaint(&format!(r#""ops":{{"requires":{requires}}}"#));
        assert!(error.starts_with("role `ops`: "), "{requires}: {error}");
    }
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

/// A policy whose role `desk` has these rules, and `lead` inherits from it.
fn with_rules(rules: &str) -> Policy {
    with(&format!(
        r#""desk":{{"requires":{{"approval":[{rules}]}}}},"lead":{{"inherits":["desk"]}},"free":{{}}"#
    ))
    .unwrap()
}

/// Monday, 2026-11-30, at this time of the day in UTC.
fn monday(hours: u64, minutes: u64) -> u64 {
    1_795_996_800 + hours * 3600 + minutes * 60
}

const DAY: u64 = 86_400;

fn need(
    policy: &Policy,
    roles: &[&str],
    (service, permission): (&str, &str),
    (by_key, now): (bool, u64),
) -> ApprovalNeed {
    let permission = permission.parse().ok();
    policy.approval_need(roles, &Asked { service, permission: permission.as_ref(), by_key, now })
}

#[test]
fn a_rule_is_for_a_permission_or_a_service_or_both() {
    use ApprovalNeed::{Always, Never};
    let (person, order) = ((false, 0), ("trading", "trading:order"));
    for (rule, needs) in [
        (r#"{"permission":"trading:order"}"#, [Always, Never, Never, Always]),
        (r#"{"permission":"trading:*"}"#, [Always, Always, Never, Always]),
        (r#"{"service":"trading"}"#, [Always, Always, Always, Never]),
        (r#"{"service":"trading","permission":"*:order"}"#, [Always, Never, Never, Never]),
    ] {
        let policy = with_rules(rule);
        let asked = [order, ("trading", "trading:read"), ("trading", ""), ("execution", "trading:order")];
        assert_eq!(asked.map(|asked| need(&policy, &["desk"], asked, person)), needs, "{rule}");
        assert_eq!(need(&policy, &["lead"], order, person), Always, "it is inherited");
        assert_eq!(need(&policy, &["free", "desk"], order, person), Always, "one of the roles is enough");
        assert_eq!(need(&policy, &["free", "nobody-knows"], order, person), Never);
    }
    assert_eq!(need(&Policy::default(), &["admin", "trader"], order, (true, 0)), Never, "none ships");
}

#[test]
fn any_trigger_is_enough() {
    let most = Amount::parse("100000").unwrap();
    let policy = with_rules(
        r#"{"service":"trading","keys":true,"notional_above":"100000",
            "outside_hours":{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":["mon","tue","wed","thu","fri"]}}"#,
    );
    let needs = |by_key, now| need(&policy, &["desk"], ("trading", ""), (by_key, now));
    let (open, closed) = (monday(5, 0), monday(10, 0));
    assert_eq!(needs(false, open), ApprovalNeed::Above(most));
    assert_eq!(needs(true, open), ApprovalNeed::Always, "a key");
    assert_eq!(needs(false, closed), ApprovalNeed::Always, "outside hours");
    // Of several rules the one that needs most counts, whichever comes first.
    let both = with_rules(
        r#"{"service":"trading","notional_above":"100000"},{"service":"trading","notional_above":"5.5"},
           {"service":"trading","keys":true}"#,
    );
    let needs = |by_key| need(&both, &["desk"], ("trading", ""), (by_key, open));
    assert_eq!(needs(false), ApprovalNeed::Above(Amount::parse("5.5").unwrap()));
    assert_eq!(needs(true), ApprovalNeed::Always);
}

#[test]
fn hours_are_those_of_their_place_and_of_the_day_they_begin_on() {
    let is_outside = |hours: &str, now| {
        let policy = with_rules(&format!(r#"{{"service":"trading","outside_hours":{hours}}}"#));
        need(&policy, &["desk"], ("trading", ""), (false, now)) == ApprovalNeed::Always
    };
    let mumbai = r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":["mon"]}"#;
    for (now, outside) in [
        (monday(3, 45) - 1, true),
        (monday(3, 45), false),
        (monday(10, 0) - 1, false),
        (monday(10, 0), true),
        (monday(5, 0) - DAY, true),
        (monday(5, 0) + DAY, true),
        (monday(5, 0) + 7 * DAY, false),
    ] {
        assert_eq!(is_outside(mumbai, now), outside, "{now}");
    }
    // Monday evening in Chicago, until Tuesday afternoon; in UTC both are a day on or later.
    let chicago = r#"{"from":"17:00","to":"16:00","utc_offset":"-06:00","days":["mon"]}"#;
    for (now, outside) in [
        (monday(23, 0) - 1, true),
        (monday(23, 0), false),
        (monday(12, 0) + DAY, false),
        (monday(22, 0) + DAY - 1, false),
        (monday(22, 0) + DAY, true),
        (monday(23, 0) + DAY, true),
        (monday(12, 0), true),
    ] {
        assert_eq!(is_outside(chicago, now), outside, "{now}");
    }
    let whole = r#"{"from":"00:00","to":"24:00","utc_offset":"-00:00","days":["mon"]}"#;
    assert!(is_outside(whole, monday(0, 0) - 1) && !is_outside(whole, monday(0, 0)));
    assert!(!is_outside(whole, monday(24, 0) - 1) && is_outside(whole, monday(24, 0)));
    let daily = r#"{"from":"08:00","to":"20:00","utc_offset":"+14:00"}"#;
    assert!(
        (0..7).all(|day| !is_outside(daily, monday(18, 0) + day * DAY)
            && is_outside(daily, monday(6, 0) + day * DAY))
    );
    // Before there was any time, where an offset would lead.
    assert!(is_outside(r#"{"from":"01:00","to":"02:00","utc_offset":"-14:00"}"#, 0));
    let _ = is_outside(daily, u64::MAX);
}

#[test]
fn a_mistake_in_a_rule_is_told_with_what_to_write() {
    let told = |rules: &str| complaint(&format!(r#""ops":{{"requires":{{"approval":{rules}}}}}"#));
    let hours = |hours: &str| told(&format!(r#"[{{"service":"a","outside_hours":{hours}}}]"#));
    insta::assert_snapshot!(told("[]"), @"role `ops`: `approval`: is a list of 1 to 16 rules");
    insta::assert_snapshot!(told(r#"[{"keys":true}]"#), @"role `ops`: `approval`: a rule names a `permission`, a `service` or both");
    insta::assert_snapshot!(
        told(r#"[{"permission":"orders"}]"#),
        @r#"role `ops`: `approval`: `permission` is not of a rule, or not like this: `{"permission": "trading:order", "service": "trading", "keys": true, "notional_above": "100000", "outside_hours": {"from": "09:15", "to": "15:30", "utc_offset": "+05:30", "days": ["mon", "tue"]}}`"#
    );
    insta::assert_snapshot!(
        hours(r#"{"from":"09:15","to":"09:15","utc_offset":"+05:30"}"#),
        @r#"role `ops`: `approval`: `outside_hours` has a `from`, another `to` and a `utc_offset`; a whole day is "00:00" to "24:00""#
    );
    for (rule, blamed) in [
        (r#""permission":"trading:""#, "permission"),
        (r#""service":"*""#, "service"),
        (r#""service":"a","keys":false"#, "keys"),
        (r#""service":"a","keys":"true""#, "keys"),
        (r#""service":"a","notional_above":"1e5""#, "notional_above"),
        (r#""service":"a","outside_hours":["09:15"]"#, "outside_hours"),
        (r#""service":"a","above":"5""#, "above"),
    ] {
        let error = told(&format!("[{{{rule}}}]"));
        assert!(
            error.starts_with(&format!("role `ops`: `approval`: `{blamed}` is not of a rule")),
            "{rule}: {error}"
        );
    }
    for rules in [
        r#"{"service":"a"}"#,
        r#"["a"]"#,
        r#"[{"service":"a","notional_above":5}]"#,
        r#"[{"service":"a","service":"a"}]"#,
    ] {
        assert!(told(rules).starts_with("role `ops`: "), "{rules}");
    }
    for bad in [
        r#"{"from":"24:00","to":"15:30","utc_offset":"+05:30"}"#,
        r#"{"from":"09:60","to":"15:30","utc_offset":"+05:30"}"#,
        r#"{"from":"09:15","to":"24:01","utc_offset":"+05:30"}"#,
        r#"{"from":"+9:15","to":"15:30","utc_offset":"+05:30"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+14:01"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"05:30"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"−05:30"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":""}"#,
        r#"{"from":"9:15","to":"15:30","utc_offset":"+05:30"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"IST"}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":["mon","mon"]}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":[true]}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":[]}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","days":["Mon"]}"#,
        r#"{"from":"09:15","to":"15:30","utc_offset":"+05:30","zone":"Asia/Kolkata"}"#,
        r#"{"from":"09:15","to":"15:30"}"#,
        r#"["09:15","15:30","+05:30"]"#,
    ] {
        let error = hours(bad);
        assert!(error.starts_with("role `ops`: "), "{bad}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let many = |count| vec![r#"{"service":"a"}"#; count].join(",");
    assert!(told(&format!("[{}]", many(MAX_APPROVAL_RULES + 1))).contains("1 to 16"));
    assert_eq!(with_rules(&many(MAX_APPROVAL_RULES)).approval_rules(&["desk"]).count(), MAX_APPROVAL_RULES);
}

#[test]
fn a_rule_is_shown_in_one_line() {
    let policy = with_rules(
        r#"{"service":"trading"},{"permission":"trading:order","service":"execution","keys":true},
           {"permission":"*:order","notional_above":"100000.50",
            "outside_hours":{"from":"22:00","to":"04:00","utc_offset":"-05:30","days":["sun","fri"]}}"#,
    );
    let shown: Vec<String> = policy.approval_rules(&["lead"]).map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "service trading",
            "trading:order at service execution: with an API key",
            "*:order: above 100000.5 or outside 22:00–04:00 -05:30 fri sun",
        ]
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
