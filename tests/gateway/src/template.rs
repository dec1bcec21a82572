//! What the tests want to know of `infra/template.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The template, as far as it is about functions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Template {
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: String,
    #[serde(default)]
    properties: Value,
}

/// One function of the template.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its name in the template, `LoginFunction`.
    pub logical_id: String,
    /// The name of its row in the table of functions, which Lambda tells the bootstrap as `_HANDLER`.
    pub handler: String,
    /// Seconds it may take.
    pub timeout: u64,
    /// The memory in MB.
    pub memory: u64,
    /// What API Gateway sends it; empty for a function that is called otherwise.
    pub routes: Vec<Route>,
    /// The statements of its policies, as they are written there.
    pub statements: Vec<Value>,
}

/// A method and a path with parameters in braces; both are `$default` for whatever has no route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The path, with its leading slash.
    pub path: String,
}

/// What has no route goes here.
pub const DEFAULT: &str = "$default";

/// The template of this repository.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/template.yaml")
}

impl Template {
    /// Reads a template that writes intrinsic functions in their long form.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        serde_saphyr::from_str(&text).map_err(std::io::Error::other)
    }

    /// Returns the functions of the template, ordered by name.
    pub fn functions(&self) -> Vec<Described> {
        let functions =
            self.resources.iter().filter(|(_, found)| found.r#type == "AWS::Serverless::Function");
        functions.map(|(name, found)| describe(name, found)).collect()
    }

    /// The statements of the policies that functions share.
    pub fn shared_statements(&self) -> Vec<Value> {
        let policies = self.resources.values().filter(|found| found.r#type == "AWS::IAM::ManagedPolicy");
        let statements =
            policies.filter_map(|found| found.properties.pointer("/PolicyDocument/Statement")?.as_array());
        statements.flatten().cloned().collect()
    }
}

fn describe(name: &str, found: &Resource) -> Described {
    let properties = &found.properties;
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let number = |name, default| properties.get(name).and_then(Value::as_u64).unwrap_or(default);
    let events = properties.get("Events").and_then(Value::as_object);
    let events = events.into_iter().flat_map(|events| events.values());
    // A schedule calls without a route.
    let routes = events.filter(|event| text(event, "/Type") == "HttpApi").map(|event| Route {
        method: text(event, "/Properties/Method"),
        path: text(event, "/Properties/Path"),
    });
    let policies = properties.get("Policies").and_then(Value::as_array);
    let statements = policies.into_iter().flatten().filter_map(|policy| policy.get("Statement")?.as_array());
    Described {
        logical_id: name.to_owned(),
        handler: text(&found.properties, "/Handler"),
        timeout: number("Timeout", 10),
        memory: number("MemorySize", 128),
        routes: routes.collect(),
        statements: statements.flatten().cloned().collect(),
    }
}
