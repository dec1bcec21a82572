//! The pages that list what the code knows list all of it: each error code, each type of event, each variable.
//!
//! The tables of variables are made from the binaries' own lists, the figure of alarms from the template. To write them again:
//!
//! ```text
//! UPDATE_PAGES=1 cargo test --workspace --all-features --test pages
//! ```
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis_bootstrap::ROTATION_MIN_INTERVAL;
use portcullis_gateway::template::{self, Template};
use portcullis_http::Code;
use portcullis_identity::EVENT_TYPES;
use portcullis_platform::{CALL_TIMEOUT_MS, Environment, TOKEN_SIGNING_ALGORITHM, Variable};
use portcullis_service::Settings;
use serde_json::Value;

/// Set to `1`, it writes the tables in place of comparing them.
const UPDATE_PAGES: Variable = Variable {
    name: "UPDATE_PAGES",
    default: "0",
    about: "`1` writes the tables of functions/SETTINGS.md and the figure of infra/OPERATIONS.md, `0` compares them",
    aliases: &[],
};

const UPDATE_COMMAND: &str = "UPDATE_PAGES=1 cargo test --workspace --all-features --test pages";

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(page(name)).unwrap()
}

/// Returns the cells of every row of every table, but for their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let rows = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| !matches!(cells[0], "status" | "`type`")).collect()
}

#[test]
fn every_error_code_is_on_its_page_with_its_status() {
    let text = read("ERRORS.md");
    let listed: Vec<(String, String)> =
        rows(&text).iter().map(|cells| (cells[0].to_owned(), cells[1].to_owned())).collect();
    let all =
        Code::ALL.iter().map(|code| (code.status().as_u16().to_string(), format!("`{}`", code.as_str())));
    assert_eq!(listed, all.collect::<Vec<_>>(), "functions/ERRORS.md");
}

#[test]
fn every_type_of_event_is_on_its_page_once() {
    let text = read("EVENTS.md");
    let listed: Vec<&str> = rows(&text).iter().map(|cells| cells[0].trim_matches('`')).collect();
    let known: BTreeSet<&str> = EVENT_TYPES.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), known, "functions/EVENTS.md");
    assert_eq!(listed.len(), known.len(), "functions/EVENTS.md has a type twice");
}

/// Returns the variables of each table, by the name that its mark in the page has.
fn tables() -> [(&'static str, Vec<&'static Variable>); 3] {
    let shared: Vec<_> = Settings::variables().chain([&TOKEN_SIGNING_ALGORITHM, &CALL_TIMEOUT_MS]).collect();
    let names: BTreeSet<&str> = shared.iter().map(|variable| variable.name).collect();
    let is_own = |variable: &&Variable| !names.contains(variable.name);
    let local = portcullis_local::all_variables().filter(is_own).collect();
    let aws = portcullis_platform_aws::VARIABLES.iter().chain([&ROTATION_MIN_INTERVAL]).filter(is_own);
    [("every program", shared), ("server", local), ("aws", aws.collect())]
}

/// Returns a table as it stands in the page.
fn table(variables: &[&Variable]) -> String {
    let rows = variables.iter().map(|variable| {
        let default = match variable.default {
            "" => "unset".to_owned(),
            default => format!("`{default}`"),
        };
        let aliases = variable.aliases.iter().map(|alias| match alias.factor {
            1 => format!("; also `{}`", alias.name),
            factor => format!("; also `{}`, in units of {factor}", alias.name),
        });
        format!("| `{}` | {default} | {}{} |\n", variable.name, variable.about, aliases.collect::<String>())
    });
    format!("\n| variable | default | what it is |\n|---|---|---|\n{}\n", rows.collect::<String>())
}

#[test]
fn every_variable_is_on_the_page_of_settings() {
    let mut wanted = read("SETTINGS.md");
    for (mark, variables) in tables() {
        let begin = format!("<!-- settings: {mark} -->\n");
        let (before, rest) = wanted.split_once(&begin).unwrap_or_else(|| panic!("{begin}"));
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        wanted = format!("{before}{begin}{}<!-- end -->{after}", table(&variables));
    }
    written_or_compared(&page("SETTINGS.md"), &wanted);
}

/// Writes a page, or asserts that it says this.
fn written_or_compared(page: &Path, wanted: &str) {
    if Environment::of_process().text(&UPDATE_PAGES).as_deref() == Ok("1") {
        std::fs::write(page, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(page).unwrap();
    assert_eq!(found, wanted, "{} is old; if that is meant, run {UPDATE_COMMAND}", page.display());
}

/// Returns the metrics of an alarm, its own or those of its expression.
fn metrics(alarm: &Value) -> Vec<&Value> {
    let queries = alarm["Metrics"].as_array().into_iter().flatten();
    let of_queries = queries.filter_map(|query| query.pointer("/MetricStat/Metric"));
    of_queries.chain(alarm["MetricName"].is_string().then_some(alarm)).collect()
}

/// Returns what an alarm watches, as the figure names it.
fn source(alarm: &Value) -> String {
    let namespace = &metrics(alarm)[0]["Namespace"];
    let name = namespace["Fn::Sub"].as_str().or(namespace.as_str()).unwrap();
    // What functions measure themselves, and what a filter finds in their logs.
    name.split("/${").next().unwrap().to_owned()
}

/// Returns after how long an alarm goes off at the earliest.
fn earliest(alarm: &Value) -> String {
    let queries = alarm["Metrics"].as_array().into_iter().flatten();
    let periods = queries.filter_map(|query| query.pointer("/MetricStat/Period")?.as_u64());
    let period = periods.chain(alarm["Period"].as_u64()).max().unwrap();
    match alarm["EvaluationPeriods"].as_u64().unwrap() * period / 60 {
        days if days % (24 * 60) == 0 => format!("{} d", days / (24 * 60)),
        hours if hours % 60 == 0 => format!("{} h", hours / 60),
        minutes => format!("{minutes} min"),
    }
}

/// Returns the figure of everything that watches a deployment: what is measured, which alarm looks at it and who is told,
/// and what the dashboard shows.
fn figure(template: &Template) -> String {
    let mut by_source: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut nodes = Vec::new();
    for (name, alarm) in template.alarms() {
        let name = name.trim_end_matches("Alarm").to_owned();
        nodes.push(format!("    {name}[\"{name}<br>{}\"]", earliest(&alarm)));
        by_source.entry(source(&alarm)).or_default().push(name);
    }
    let body = template.properties("Dashboard")["DashboardBody"]["Fn::Sub"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    let titles: Vec<&str> = widgets.iter().filter_map(|one| one["properties"]["title"].as_str()).collect();
    let shown = body["widgets"].to_string();
    let mut lines = vec!["```mermaid".to_owned(), "flowchart LR".to_owned()];
    for (number, (source, alarms)) in by_source.iter().enumerate() {
        lines.push(format!("    m{number}[(\"{source}\")] --> {}", alarms.join(" & ")));
        if shown.contains(&format!("\"{source}\"")) || shown.contains(&format!("{{{source},")) {
            lines.push(format!("    m{number} --> dashboard"));
        }
    }
    lines.append(&mut nodes);
    let all: Vec<&str> = by_source.values().flatten().map(String::as_str).collect();
    lines.push(format!("    {} --> topic([\"AlarmTopic\"])", all.join(" & ")));
    lines.push("    topic --> mail([\"AlarmEmail, or what you subscribe\"])".to_owned());
    lines.push(format!("    dashboard[[\"dashboard<br>{}\"]]", titles.join("<br>")));
    lines.push("```\n".to_owned());
    lines.join("\n")
}

#[test]
fn the_figure_of_what_watches_a_deployment_is_that_of_the_template() {
    let file = template::path().with_file_name("OPERATIONS.md");
    let found = std::fs::read_to_string(&file).unwrap();
    let begin = "<!-- figure: what watches a deployment -->\n";
    let (before, rest) = found.split_once(begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let figure = figure(&Template::read(&template::path()).unwrap());
    written_or_compared(&file, &format!("{before}{begin}{figure}<!-- end -->{after}"));
}

/// Returns every name that a variable has now, aliases and secrets among them.
fn names_now() -> BTreeSet<String> {
    let variables = tables().into_iter().flat_map(|(_, variables)| variables);
    let names = variables.flat_map(|variable| {
        std::iter::once(variable.name).chain(variable.aliases.iter().map(|alias| alias.name))
    });
    let settings = read("SETTINGS.md");
    let (_, secrets) = settings.split_once("## Secrets").unwrap();
    let secrets = rows(secrets).into_iter().map(|cells| cells[0].trim_matches('`').to_owned());
    let secrets: Vec<_> =
        secrets.filter(|name| name.chars().all(|char| char.is_ascii_uppercase() || char == '_')).collect();
    names.map(str::to_owned).chain(secrets).collect()
}

/// Returns the names in `tests/settings.txt`, each with whether it is gone.
fn names_ever() -> BTreeMap<String, bool> {
    let list =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../settings.txt")).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = |line: &str| match line.strip_prefix("gone ") {
        Some(name) => (name.to_owned(), true),
        None => (line.to_owned(), false),
    };
    lines.map(read).collect()
}

#[test]
fn a_name_of_a_setting_is_never_used_again() {
    let (now, ever) = (names_now(), names_ever());
    for name in &now {
        assert_eq!(
            ever.get(name),
            Some(&false),
            "{name}: a new name has a line in tests/settings.txt, and none of one that is gone"
        );
    }
    for (name, is_gone) in &ever {
        assert!(
            *is_gone || now.contains(name),
            "{name} is gone: its line in tests/settings.txt says so from now on"
        );
    }
}
