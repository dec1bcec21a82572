//! The templates say what the code does: the same routes, and no right a function does not need.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis_functions::{FUNCTIONS, Work, console_paths};
use portcullis_gateway::template::{self, DEFAULT, Described, Route, Template};
use portcullis_http::AppState;
use portcullis_platform::SecretPurpose;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

fn functions() -> Vec<Described> {
    the_template().functions()
}

fn the_template() -> Template {
    Template::read(&template::path()).unwrap()
}

/// The routes of the code by function: those of the API, and the pages.
fn routes_of_the_code() -> BTreeMap<String, BTreeSet<Route>> {
    let with_routes = FUNCTIONS.iter().filter_map(|function| Some((function.name, function.routes()?)));
    let of_api = with_routes.map(|(name, routes)| (name.to_owned(), routes_of(routes)));
    let pages = console_paths().map(|path| Route { method: "GET".to_owned(), path: path.to_owned() });
    of_api.chain([("console".to_owned(), pages.collect())]).collect()
}

fn routes_of(routes: OpenApiRouter<AppState>) -> BTreeSet<Route> {
    let document = serde_json::to_value(routes.into_openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| Route { method: method.to_uppercase(), path: path.clone() })
        })
        .collect()
}

#[test]
fn the_template_sends_every_route_of_the_code_to_its_function_and_nothing_else() {
    let without_default = |function: Described| {
        let routes = function.routes.into_iter().filter(|route| route.path != DEFAULT);
        (function.handler, routes.collect())
    };
    let in_template: BTreeMap<String, BTreeSet<Route>> =
        functions().into_iter().filter(|function| !function.routes.is_empty()).map(without_default).collect();
    assert_eq!(in_template, routes_of_the_code());
}

/// A new function is a module, a row and a resource: whatever is not derived from these would have to be remembered.
#[test]
fn every_function_is_a_row_of_the_table_and_a_resource_of_the_template() {
    let rows: BTreeSet<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let resources = functions();
    let handlers: BTreeSet<&str> = resources.iter().map(|function| function.handler.as_str()).collect();
    assert_eq!(rows.len(), FUNCTIONS.len(), "a name stands twice");
    assert_eq!(rows, handlers);
}

#[test]
fn every_function_with_routes_is_a_module_of_its_name_and_no_other_file_names_it() {
    let root = template::path().with_file_name("..");
    let elsewhere: Vec<(PathBuf, String)> = [
        "Cargo.toml",
        "functions/Cargo.toml",
        "functions/programs/local/Cargo.toml",
        "functions/programs/local/src/routes.rs",
        "infra/Makefile",
        "infra/build",
    ]
    .into_iter()
    .map(|name| root.join(name))
    .chain(files_of(&root.join("infra/terraform")))
    .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
    .collect();
    assert!(elsewhere.len() > 10);
    for function in FUNCTIONS.iter().filter(|function| function.routes().is_some()) {
        let module = root.join("functions/src").join(function.name.replace('-', "_")).with_extension("rs");
        assert!(module.is_file(), "{}", module.display());
        for (path, text) in &elsewhere {
            let names =
                [format!("\"{}\"", function.name), format!("{}::routes", function.name.replace('-', "_"))];
            assert!(!names.iter().any(|name| text.contains(name)), "{} in {}", function.name, path.display());
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

#[test]
fn exactly_one_function_answers_what_has_no_route() {
    let all = functions();
    let defaults = all.iter().flat_map(|function| &function.routes).filter(|route| route.path == DEFAULT);
    assert_eq!(defaults.count(), 1);
}

/// Link-time optimisation goes by the level of the crate that is linked: at any other, Argon2 takes twice as long.
#[test]
fn the_bootstrap_is_linked_at_level_three() {
    let manifest = std::fs::read_to_string(template::path().with_file_name("../Cargo.toml")).unwrap();
    let (_, profile) = manifest.split_once("[profile.function.package]\n").unwrap();
    let (profile, _) = profile.split_once("\n\n").unwrap();
    assert!(profile.lines().any(|line| line == "portcullis-bootstrap = { opt-level = 3 }"));
}

#[test]
fn every_alarm_has_a_section_of_the_page_for_whoever_is_paged() {
    let template = std::fs::read_to_string(template::path()).unwrap();
    let page = std::fs::read_to_string(template::path().with_file_name("OPERATIONS.md")).unwrap();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alarms = template.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Alarm:"));
    let alarms: Vec<&str> = alarms.collect();
    assert!(alarms.len() > 5, "{alarms:?}");
    for alarm in alarms {
        let names = |section: &&str| section.split([':', ',']).any(|name| name.trim() == alarm);
        assert!(sections.iter().any(names), "{alarm}");
    }
}

/// What the module makes of the template is computed by Terraform itself.
#[test]
fn terraform_has_the_same_routes() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("terraform");
    std::fs::create_dir(&module).unwrap();
    let source = template::path();
    std::fs::copy(&source, folder.path().join("template.yaml")).unwrap();
    std::fs::copy(source.with_file_name("terraform/template.tf"), module.join("template.tf")).unwrap();
    let mut console = Command::new("terraform")
        .arg("console")
        .current_dir(&module)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("terraform is installed");
    console.stdin.take().unwrap().write_all(b"jsonencode(local.routes)\n").unwrap();
    let answer = console.wait_with_output().unwrap();
    let text: String = serde_json::from_slice(&answer.stdout).expect("terraform computed the routes");
    let computed: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();

    let mut expected = BTreeMap::new();
    for function in functions() {
        for route in function.routes {
            let key = match route.path.as_str() {
                DEFAULT => DEFAULT.to_owned(),
                path => format!("{} {path}", route.method),
            };
            assert!(expected.insert(key.clone(), function.logical_id.clone()).is_none(), "{key} twice");
        }
    }
    assert_eq!(computed, expected);
}

/// Actions and leading keys of each statement.
fn table_rights(function: &Described) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let of_table = function
        .statements
        .iter()
        .filter(|statement| statement["Action"][0].as_str().unwrap().starts_with("dynamodb:"));
    of_table
        .map(|statement| {
            let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
            (texts(&statement["Action"]), texts(keys))
        })
        .collect()
}

#[test]
fn pages_are_served_without_any_right() {
    for function in FUNCTIONS.iter().filter(|function| matches!(function.work, Work::Pages(_))) {
        let found = functions().into_iter().find(|found| found.handler == function.name).unwrap();
        let policies = &the_template().properties(&found.logical_id)["Policies"];
        assert!(policies.is_null(), "{policies}");
    }
}

#[test]
fn no_right_is_given_wholesale() {
    for function in functions() {
        for statement in &function.statements {
            let text = statement.to_string();
            assert_eq!(statement["Effect"], "Allow");
            assert!(statement["Resource"].is_object(), "{text} names one resource");
            for action in statement["Action"].as_array().unwrap() {
                let action = action.as_str().unwrap();
                assert!(!action.contains('*'), "{text}");
                assert!(!["dynamodb:Scan", "dynamodb:PartiQLSelect"].contains(&action), "{text}");
            }
        }
        for (_, keys) in table_rights(&function) {
            assert!(!keys.is_empty());
            for key in keys {
                assert!(key == "NOTHING" || key.ends_with("#*"), "{key} of {}", function.logical_id);
            }
        }
    }
}

/// Functions by the partitions they may read.
fn readers() -> BTreeMap<String, BTreeSet<String>> {
    let reads = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem"];
    let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for function in functions() {
        for (actions, keys) in table_rights(&function) {
            if actions.iter().any(|action| reads.contains(&action.as_str())) {
                for key in keys {
                    readers.entry(key).or_default().insert(function.handler.clone());
                }
            }
        }
    }
    readers
}

#[test]
fn signing_in_reads_nobodys_partition_and_publishing_keys_reads_nothing() {
    let readers = readers();
    let readable = |handler: &str| -> BTreeSet<&str> {
        let by = readers.iter().filter(|(_, readers)| readers.contains(handler));
        by.map(|(key, _)| key.as_str()).collect()
    };
    let of_sign_in = BTreeSet::from(["NOTHING", "EMAIL#*", "NAME#*", "RATE#*", "SIGNIN#*"]);
    assert_eq!(readable("login"), of_sign_in);
    assert_eq!(readable("register"), &of_sign_in | &BTreeSet::from(["CHAL#*", "GUESS#*"]));
    assert_eq!(readable("jwks"), BTreeSet::from(["NOTHING"]));
}

#[test]
fn trading_accounts_are_found_by_the_functions_that_open_credentials_alone() {
    let expected = ["credential-rotation", "broker-credentials", "broker-sessions"].map(str::to_owned);
    assert_eq!(readers()["ACC#*"], expected.into());
}

/// What each function may do where broker credentials are.
#[test]
fn nothing_of_a_vault_is_in_reach_of_functions_that_have_nothing_to_do_with_brokers() {
    let mut rights = BTreeMap::<String, BTreeSet<String>>::new();
    for function in functions() {
        for (actions, keys) in table_rights(&function) {
            if keys.contains(&"VAULT#*".to_owned()) {
                rights.entry(function.handler.clone()).or_default().extend(actions);
            }
        }
    }
    let writes = |function: &str| rights[function].iter().any(|action| action == "dynamodb:PutItem");
    let all = [
        "admin",
        "approvals",
        "broker-credentials",
        "broker-sessions",
        "credential-rotation",
        "freeze-sweep",
        "session-news",
        "trading-accounts",
        "users",
    ];
    assert_eq!(rights.keys().map(String::as_str).collect::<Vec<_>>(), all);
    // Whoever erases an account finds and removes what is there, and changes nothing; administrators see freezes besides.
    let mut erasing = BTreeSet::from(["dynamodb:DeleteItem", "dynamodb:Query"].map(str::to_owned));
    assert_eq!(rights["users"], erasing);
    erasing.insert("dynamodb:GetItem".to_owned());
    assert_eq!(rights["admin"], erasing);
    // An approval depends on what is there, and changes nothing of it.
    let looking = ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"];
    let looking = BTreeSet::from(looking.map(str::to_owned));
    assert_eq!(rights["approvals"], looking);
    assert!(!writes("users") && writes("trading-accounts"));
}

/// Functions that may change rows in partitions of this kind, each with what it may do there.
fn writers(key: &str) -> BTreeMap<String, BTreeSet<String>> {
    let reads = ["GetItem", "Query", "BatchGetItem", "ConditionCheckItem"];
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for function in functions() {
        for (actions, keys) in table_rights(&function) {
            let names = actions.iter().map(|action| action.trim_start_matches("dynamodb:").to_owned());
            let writes: Vec<String> = names.filter(|action| !reads.contains(&action.as_str())).collect();
            if keys.contains(&key.to_owned()) && !writes.is_empty() {
                found.entry(function.handler.clone()).or_default().extend(writes);
            }
        }
    }
    found
}

#[test]
fn secrets_of_second_factors_and_digests_of_keys_are_read_by_the_functions_that_are_for_them() {
    let readers = readers();
    let by = |kind: &str| readers[kind].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(by("FACTOR#*"), ["admin", "approvals", "broker-sessions", "mfa", "passkeys", "sign-in-names"]);
    assert_eq!(by("APIKEYS#*"), ["admin", "api-keys", "approvals", "authz", "introspection", "users"]);
}

/// A function that was taken over makes of a person what it may write and no more: no roles by way of `refresh`, no second
/// factor by way of `login`, no session but by signing in.
#[test]
fn each_kind_of_a_persons_rows_is_written_by_the_functions_that_are_for_it() {
    let expected = [
        (
            "ACCOUNT#*",
            "admin: DeleteItem PutItem UpdateItem; logout: UpdateItem; mfa: UpdateItem; passkeys: UpdateItem; \
             password: UpdateItem; register: PutItem UpdateItem; sessions: UpdateItem; sign-in-names: UpdateItem; users: DeleteItem UpdateItem",
        ),
        (
            "SESSIONS#*",
            "admin: BatchWriteItem; login: PutItem; logout: UpdateItem; mfa: PutItem UpdateItem; \
             passkeys: PutItem UpdateItem; password: PutItem UpdateItem; refresh: UpdateItem; sessions: UpdateItem; sign-in-names: UpdateItem; users: BatchWriteItem DeleteItem",
        ),
        (
            "FACTOR#*",
            "admin: DeleteItem PutItem; approvals: PutItem; broker-sessions: PutItem; mfa: PutItem; passkeys: PutItem; sign-in-names: PutItem; \
             users: DeleteItem",
        ),
        (
            "PASSKEYS#*",
            "admin: DeleteItem; approvals: UpdateItem; broker-sessions: UpdateItem; mfa: UpdateItem; passkeys: DeleteItem PutItem UpdateItem; \
             sign-in-names: UpdateItem; users: DeleteItem UpdateItem",
        ),
        ("APPROVALS#*", "admin: DeleteItem; approvals: PutItem UpdateItem; users: DeleteItem"),
        ("APPROVAL#*", "admin: DeleteItem; approvals: PutItem UpdateItem; users: DeleteItem"),
        ("PASSKEY#*", "admin: DeleteItem; passkeys: DeleteItem PutItem; users: DeleteItem"),
        (
            "APIKEYS#*",
            "admin: DeleteItem; api-keys: DeleteItem PutItem UpdateItem; approvals: UpdateItem; authz: UpdateItem; \
             introspection: UpdateItem; \
             users: DeleteItem UpdateItem",
        ),
        (
            "VAULT#*",
            "admin: DeleteItem; broker-credentials: PutItem; broker-sessions: DeleteItem PutItem UpdateItem; \
             credential-rotation: PutItem; freeze-sweep: PutItem; trading-accounts: PutItem; users: DeleteItem",
        ),
        (
            "READINGS#*",
            "admin: DeleteItem; broker-credentials: PutItem; broker-sessions: DeleteItem; users: DeleteItem",
        ),
        // Who is frozen is said by the switch, and taken back by it and by whoever erases an account.
        (
            "FREEZE#*",
            "admin: DeleteItem; broker-sessions: DeleteItem PutItem UpdateItem; freeze-sweep: UpdateItem; users: DeleteItem",
        ),
    ];
    for (key, expected) in expected {
        let written: Vec<String> = writers(key)
            .into_iter()
            .map(|(function, actions)| {
                format!("{function}: {}", actions.into_iter().collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(written.join("; "), expected, "{key}");
    }
    // What happened is added to and corrected by nobody who could remove it.
    assert!(writers("AUDIT#*").values().all(|actions| !actions.contains("DeleteItem")));
}

#[test]
fn which_tokens_of_services_are_in_use_the_functions_with_services_say_and_the_rotation_reads() {
    assert_eq!(readers()["SERVICE#*"], ["key-rotation".to_owned()].into());
    let mut writers = BTreeMap::new();
    for function in functions() {
        for (actions, keys) in table_rights(&function) {
            if keys.contains(&"SERVICE#*".to_owned()) && actions != ["dynamodb:Query"] {
                writers.insert(function.handler.clone(), actions);
            }
        }
    }
    let functions = ["approvals", "broker-credentials", "broker-sessions", "introspection", "providers"]
        .map(str::to_owned);
    let update = vec!["dynamodb:UpdateItem".to_owned()];
    assert_eq!(writers, functions.map(|function| (function, update.clone())).into());
    let all = the_template().functions();
    let rotation = all.iter().find(|function| function.handler == "key-rotation").unwrap();
    let expected = [("dynamodb:Query", "SERVICE#*"), ("dynamodb:PutItem", "WITHDRAWN#*")];
    let expected = expected.map(|(action, key)| (vec![action.to_owned()], vec![key.to_owned()]));
    assert_eq!(table_rights(rotation), expected);
    assert_eq!(readers()["WITHDRAWN#*"], ["introspection".to_owned()].into());
}

/// What all functions may: nothing may slip in where it would be everybody's.
#[test]
fn every_function_of_the_api_reads_what_tells_who_is_calling_and_uses_the_key_through_the_services_it_is_for()
{
    let through = ["dynamodb", "secretsmanager"]
        .map(|service| json!({"Fn::Sub": format!("{service}.${{AWS::Region}}.amazonaws.com")}));
    let expected = [
        json!({"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": {"Ref": "Secrets"}}),
        json!({
            "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": {"Fn::GetAtt": ["Key", "Arn"]},
            "Condition": {"StringEquals": {"kms:ViaService": through}},
        }),
    ];
    assert_eq!(the_template().statements_of("ReadSecrets"), expected);
}

#[test]
fn data_keys_open_for_the_functions_that_seal_with_them_and_under_their_purpose_alone() {
    // Which function may do what with which key, and for which purpose.
    let mut rights = BTreeSet::new();
    for function in functions() {
        for statement in &function.statements {
            let purpose = &statement["Condition"]["StringEquals"]["kms:EncryptionContext:purpose"];
            let through_a_service = !statement["Condition"]["StringEquals"]["kms:ViaService"].is_null();
            for action in statement["Action"].as_array().unwrap().iter().filter_map(Value::as_str) {
                let Some(action) = action.strip_prefix("kms:").filter(|_| !through_a_service) else {
                    continue;
                };
                let key = statement["Resource"]["Fn::GetAtt"][0].as_str().unwrap();
                let listed = purpose.as_array().cloned().unwrap_or_else(|| vec![purpose.clone()]);
                for purpose in listed {
                    let purpose = purpose.as_str().expect("a purpose");
                    rights.insert(format!("{} {action} {key} {purpose}", function.handler));
                }
            }
        }
    }
    let expected = [
        "api-keys Decrypt Key api-key-answer",
        "api-keys GenerateDataKey Key api-key-answer",
        "approvals Decrypt Key totp-secret",
        "broker-sessions Decrypt BrokerKey broker-credentials",
        "broker-sessions Decrypt BrokerKey broker-session",
        "broker-sessions Decrypt Key totp-secret",
        "broker-sessions GenerateDataKey BrokerKey broker-credentials",
        "broker-sessions GenerateDataKey BrokerKey broker-session",
        "credential-rotation Decrypt BrokerKey broker-credentials",
        "credential-rotation Decrypt BrokerKey broker-session",
        "credential-rotation GenerateDataKey BrokerKey broker-credentials",
        "credential-rotation GenerateDataKey BrokerKey broker-session",
        "broker-credentials Decrypt BrokerKey broker-credentials",
        "broker-credentials Decrypt BrokerKey broker-session",
        "freeze-sweep Decrypt BrokerKey broker-session",
        "mfa Decrypt Key totp-secret",
        "mfa GenerateDataKey Key totp-secret",
        "passkeys Decrypt Key totp-secret",
        "passkeys GenerateDataKey Key totp-secret",
        "sign-in-names Decrypt Key totp-secret",
        "trading-accounts GenerateDataKey BrokerKey broker-credentials",
    ];
    assert_eq!(rights, expected.map(str::to_owned).into());
}

#[test]
fn mail_is_sent_by_the_functions_that_have_something_to_tell_and_from_one_address() {
    let mut senders = BTreeSet::new();
    for function in functions() {
        for statement in &function.statements {
            if statement["Action"].to_string().contains("ses:") {
                assert_eq!(statement["Action"], json!(["ses:SendEmail"]));
                assert_eq!(statement["Condition"]["StringEquals"]["ses:FromAddress"]["Ref"], "MailFrom");
                senders.insert(function.handler.clone());
            }
        }
    }
    let expected = [
        "admin",
        "api-keys",
        "approvals",
        "broker-sessions",
        "login",
        "mfa",
        "passkeys",
        "password",
        "refresh",
        "register",
        "session-news",
        "sign-in-names",
        "trading-accounts",
        "users",
    ];
    assert_eq!(senders, expected.map(str::to_owned).into());
}

/// What each function may do with secrets, by what these are for.
fn rights_on_secrets() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut rights: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for function in functions() {
        let of_function = rights.entry(function.handler.clone()).or_default();
        for statement in &function.statements {
            for action in statement["Action"].as_array().unwrap() {
                if let Some(action) = action.as_str().unwrap().strip_prefix("secretsmanager:") {
                    let secret = statement["Resource"]["Ref"].as_str().expect("one secret").to_owned();
                    of_function.entry(secret).or_default().insert(action.to_owned());
                }
            }
        }
    }
    rights
}

#[test]
fn a_function_reads_the_secrets_of_its_purposes_and_no_others() {
    let rights = rights_on_secrets();
    for function in FUNCTIONS.iter().filter(|function| function.name != "key-rotation") {
        let own =
            function.secrets.iter().map(|purpose| format!("{purpose:?}Secret")).collect::<BTreeSet<_>>();
        assert_eq!(rights[function.name].keys().cloned().collect::<BTreeSet<_>>(), own, "{}", function.name);
        let read = BTreeSet::from(["GetSecretValue".to_owned()]);
        assert!(rights[function.name].values().all(|actions| *actions == read), "{}", function.name);
    }
    // Whoever adds to these says why.
    let with = |purpose: SecretPurpose| -> Vec<&str> {
        let has = |function: &&portcullis_functions::Function| function.secrets.contains(&purpose);
        FUNCTIONS.iter().filter(has).map(|function| function.name).collect()
    };
    assert_eq!(
        with(SecretPurpose::Signing),
        ["login", "mfa", "passkeys", "password", "approvals", "refresh", "key-rotation"]
    );
    assert_eq!(
        with(SecretPurpose::Sessions),
        ["login", "mfa", "passkeys", "password", "refresh", "logout", "key-rotation"]
    );
    let services =
        ["introspection", "broker-sessions", "broker-credentials", "approvals", "providers", "key-rotation"];
    assert_eq!(with(SecretPurpose::Services), services);
    for name in ["jwks", "canary", "provider-check"] {
        assert!(rights[name].is_empty(), "{name} reads what is everybody's");
    }
}

#[test]
fn only_the_rotation_writes_secrets() {
    let writes = ["PutSecretValue", "UpdateSecretVersionStage"];
    for (function, rights) in rights_on_secrets() {
        let written = rights.values().filter(|actions| writes.iter().any(|write| actions.contains(*write)));
        let all = if function == "key-rotation" { SecretPurpose::ALL.len() } else { 0 };
        assert_eq!(written.count(), all, "{function}");
    }
}
