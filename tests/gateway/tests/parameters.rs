//! What an operator may say to the functions, the templates let them say; and what goes wrong, an alarm sees.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use portcullis_bootstrap::ROTATION_MIN_INTERVAL;
use portcullis_gateway::template::{self, Template};
use portcullis_platform::TOKEN_SIGNING_ALGORITHM;
use portcullis_service::Settings;
use serde_json::{Value, json};

/// Variables that are no parameters, and why. The list may only get shorter.
const NO_PARAMETERS: &[(&str, &str)] = &[
    ("TABLE_NAME", "the stack makes the table"),
    ("AWS_SECRET_NAME", "the stack makes the secrets"),
    ("KMS_KEY_ID", "the stack makes the key"),
    ("BROKER_KMS_KEY_ID", "the stack makes the key"),
    ("PROVIDER_CHECK_INTERVAL", "the schedule of provider-check is in the template"),
    ("ALPACA_API_URL", "there is one Alpaca; another address is for tests"),
    ("ALPACA_PAPER_API_URL", "there is one Alpaca; another address is for tests"),
    ("DHAN_API_URL", "there is one Dhan; another address is for tests"),
    ("DHAN_AUTH_URL", "there is one Dhan; another address is for tests"),
    ("FYERS_API_URL", "there is one Fyers; another address is for tests"),
    ("UPSTOX_API_URL", "there is one Upstox; another address is for tests"),
    ("KITE_API_URL", "there is one Kite; another address is for tests"),
    ("KITE_LOGIN_URL", "there is one Kite; another address is for tests"),
    (
        "SECRETS_PROVIDER",
        "with Vault the stack's secret, rotation and rights have no use: a template of one's own",
    ),
    ("VAULT_ADDR", "as SECRETS_PROVIDER"),
    ("VAULT_SECRET_PATH", "as SECRETS_PROVIDER"),
    ("VAULT_VERIFY", "as SECRETS_PROVIDER"),
    ("VAULT_TIMEOUT", "as SECRETS_PROVIDER"),
];

fn the_template() -> Template {
    Template::read(&template::path()).unwrap()
}

/// Every variable that the functions read, in the words of the binaries.
fn all_variables() -> BTreeSet<&'static str> {
    let shared = Settings::variables().chain(portcullis_platform_aws::VARIABLES);
    let all = shared.chain([&TOKEN_SIGNING_ALGORITHM, &ROTATION_MIN_INTERVAL]);
    all.map(|variable| variable.name).collect()
}

/// `PUBLIC_URL` as a parameter of the template: `PublicUrl`.
fn as_parameter(variable: &str) -> String {
    let words = variable.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    words.collect()
}

#[test]
fn every_variable_of_the_binaries_is_a_parameter_of_the_template_or_has_a_reason_not_to_be() {
    let template = the_template();
    let parameters: BTreeSet<&str> = template.parameters().collect();
    let variables = template.variables();
    let excused: BTreeMap<&str, &str> = NO_PARAMETERS.iter().copied().collect();
    for name in all_variables() {
        let parameter = as_parameter(name);
        if excused.contains_key(name) {
            assert!(!parameters.contains(parameter.as_str()), "{name} is excused and a parameter");
            continue;
        }
        assert!(parameters.contains(parameter.as_str()), "{name} is no parameter");
        assert_eq!(variables.get(name), Some(&json!({"Ref": parameter})), "{name}");
    }
    let known = all_variables();
    for name in variables.keys().map(String::as_str).chain(excused.keys().copied()) {
        assert!(known.contains(name), "no function reads {name}");
    }
}

#[test]
fn every_parameter_of_the_template_is_a_variable_of_the_module() {
    let folder = template::path().with_file_name("terraform");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (declared, given) = (text("variables.tf"), text("functions.tf"));
    // Terraform keeps the name `providers` for itself.
    let named = |name: &str| match name {
        "PROVIDERS" => "providers_to_watch".to_owned(),
        name => name.to_lowercase(),
    };
    let excused: BTreeSet<&str> = NO_PARAMETERS.iter().map(|(name, _)| *name).collect();
    for name in all_variables().difference(&excused) {
        let variable = named(name);
        assert!(declared.contains(&format!("variable \"{variable}\" {{")), "{name}");
        let assigns = |line: &str| {
            let (left, right) = line.split_once('=')?;
            (left.trim() == *name).then(|| right.contains(&format!("var.{variable}")))
        };
        assert_eq!(given.lines().find_map(assigns), Some(true), "{name}");
    }
    let snake = |parameter: &str| {
        let mut words = String::new();
        for letter in parameter.chars() {
            if letter.is_ascii_uppercase() && !words.is_empty() {
                words.push('_');
            }
            words.push(letter.to_ascii_lowercase());
        }
        words
    };
    for parameter in the_template().parameters() {
        let variable = named(&snake(parameter).to_uppercase());
        assert!(declared.contains(&format!("variable \"{variable}\" {{")), "{parameter}");
    }
}

#[test]
fn operators_are_told_every_variable_of_the_functions() {
    let template = the_template();
    let written = template.properties("OperatorsVariables")["SecretString"]["Fn::Sub"].clone();
    let lines = written.as_str().unwrap().lines().map(|line| line.split_once('=').unwrap());
    let told: BTreeMap<String, Value> = lines
        .map(|(name, value)| {
            let reference = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            let value = match reference.map(|reference| (reference, reference.split_once('.'))) {
                Some((_, Some((resource, attribute)))) => json!({"Fn::GetAtt": [resource, attribute]}),
                Some((reference, None)) => json!({"Ref": reference}),
                None => json!({"Fn::Sub": value}),
            };
            (name.to_owned(), value)
        })
        .collect();
    assert_eq!(told, template.variables());
    for statement in template.statements_of("Operators") {
        let text = statement.to_string();
        assert!(!text.contains(":*\"") && !text.contains("\"*\""), "{text}");
    }
}

/// Every metric an alarm watches: namespace, name and dimensions.
fn watched(alarm: &Value) -> Vec<(Value, String, Vec<Value>)> {
    let metrics = alarm["Metrics"].as_array().cloned().unwrap_or_default();
    let in_expressions = metrics.iter().filter_map(|query| query.pointer("/MetricStat/Metric")).cloned();
    let own = alarm["MetricName"].is_string().then(|| alarm.clone());
    let all = in_expressions.chain(own);
    all.map(|metric| {
        let dimensions = metric["Dimensions"].as_array().cloned().unwrap_or_default();
        (metric["Namespace"].clone(), metric["MetricName"].as_str().unwrap().to_owned(), dimensions)
    })
    .collect()
}

fn all_watched() -> Vec<(Value, String, Vec<Value>)> {
    the_template().alarms().values().flat_map(watched).collect()
}

#[test]
fn every_alarm_tells_somebody_when_it_goes_off_and_when_it_is_over() {
    let topic = json!([{"Fn::If": ["MakesTopic", {"Ref": "AlarmTopic"}, {"Ref": "AlarmTopicArn"}]}]);
    for (name, alarm) in the_template().alarms() {
        assert_eq!((&alarm["AlarmActions"], &alarm["OKActions"]), (&topic, &topic), "{name}");
        // An expression that watches more is refused when it is deployed.
        assert!(watched(&alarm).len() <= 10, "{name}");
    }
}

#[test]
fn an_alarm_about_functions_watches_those_of_this_deployment_and_leaves_none_out() {
    let all = all_watched();
    for metric in ["Errors", "Throttles"] {
        for function in the_template().functions() {
            let dimension = json!({"Name": "FunctionName", "Value": {"Ref": function.logical_id}});
            let is_it = |(_, name, dimensions): &&(Value, String, Vec<Value>)| {
                name == metric && *dimensions == vec![dimension.clone()]
            };
            assert!(all.iter().any(|found| is_it(&found)), "{metric} of {}", function.logical_id);
        }
    }
    for (namespace, name, dimensions) in &all {
        let of_the_account = ["ConcurrentExecutions", "Reputation.BounceRate", "Reputation.ComplaintRate"];
        let says_which = !dimensions.is_empty() || namespace["Fn::Sub"] == "Portcullis/${Environment}";
        assert!(says_which || of_the_account.contains(&name.as_str()), "{name}");
        if namespace == "Portcullis" {
            assert_eq!(
                dimensions[0],
                json!({"Name": "environment", "Value": {"Ref": "Environment"}}),
                "{name}"
            );
        }
    }
}

#[test]
fn an_alarm_about_the_table_watches_each_of_its_indexes() {
    let all = all_watched();
    let indexes = the_template().properties("Table")["GlobalSecondaryIndexes"].clone();
    let name = json!({"Fn::Sub": "portcullis-${Environment}${TableSuffix}"});
    let table = json!({"Name": "TableName", "Value": name});
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
        let is_watched =
            |dimensions: &[Value]| all.iter().any(|(_, name, of)| name == metric && of == dimensions);
        assert!(is_watched(std::slice::from_ref(&table)), "{metric} of the table");
        for index in indexes.as_array().unwrap() {
            let index = json!({"Name": "GlobalSecondaryIndexName", "Value": index["IndexName"]});
            assert!(is_watched(&[table.clone(), index.clone()]), "{metric} of {index}");
        }
    }
}
