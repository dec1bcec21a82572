//! The variables of the environment, as the gate reads them.

use std::collections::BTreeMap;

use worker::Env;
use worker::js_sys::{Array, JSON, Object};
use worker::wasm_bindgen::{JsCast as _, JsValue};

/// Returns the variables as a JSON object of texts. Bindings are left out.
pub(super) fn variables(env: &Env) -> String {
    let entries = Object::entries(env.unchecked_ref());
    let pairs = entries.iter().filter_map(|entry| {
        let entry = Array::from(&entry);
        Some((entry.get(0).as_string()?, text(&entry.get(1))?))
    });
    serde_json::to_string(&pairs.collect::<BTreeMap<_, _>>()).unwrap_or_default()
}

/// Returns the text of a variable; `None` for a binding. A variable that `wrangler.toml` writes as a table is JSON.
fn text(value: &JsValue) -> Option<String> {
    if value.is_string() {
        return value.as_string();
    }
    let is_table = value.is_object()
        && (Array::is_array(value)
            || Object::get_prototype_of(value) == Object::get_prototype_of(&Object::new()));
    (is_table || value.as_bool().is_some() || value.as_f64().is_some())
        .then(|| JSON::stringify(value).ok().map(String::from))?
}
