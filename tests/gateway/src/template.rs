//! What the tests want to know of `infra/template.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The template, as far as it is about functions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Template {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(default)]
    globals: Value,
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

    /// Returns the statements of one managed policy: `ReadSecrets`, which functions share, or that of `Operators`.
    pub fn statements_of(&self, policy: &str) -> Vec<Value> {
        let found = self.resources.get(policy);
        let statements =
            found.and_then(|found| found.properties.pointer("/PolicyDocument/Statement")?.as_array());
        statements.cloned().unwrap_or_default()
    }

    /// Returns the names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }

    /// Returns the environment variables of every function, and what each is set to.
    pub fn variables(&self) -> BTreeMap<String, Value> {
        let variables = self.globals.pointer("/Function/Environment/Variables").and_then(Value::as_object);
        variables.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Returns the properties of one resource; null where there is none.
    pub fn properties(&self, logical_id: &str) -> Value {
        self.resources.get(logical_id).map(|found| found.properties.clone()).unwrap_or_default()
    }

    /// Returns the names and properties of the alarms.
    pub fn alarms(&self) -> BTreeMap<String, Value> {
        let alarms = self.resources.iter().filter(|(_, found)| found.r#type == "AWS::CloudWatch::Alarm");
        alarms.map(|(name, found)| (name.clone(), found.properties.clone())).collect()
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
    let of_api = events.filter(|event| text(event, "/Type") == "HttpApi");
    // SAM makes the default route of an event with neither; one that names `$default` becomes a path of that name.
    let or_default = |text: String| if text.is_empty() { DEFAULT.to_owned() } else { text };
    let routes = of_api.map(|event| Route {
        method: or_default(text(event, "/Properties/Method")),
        path: or_default(text(event, "/Properties/Path")),
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
