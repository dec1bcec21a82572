//! The variables of the environment, as the gate reads them.

use worker::Env;
use worker::js_sys::{Array, JSON, Object, Reflect};
use worker::wasm_bindgen::{JsCast as _, JsValue};

use super::fault::Fault;

/// Returns the variables as a JSON object of texts. Bindings are left out.
pub(super) fn variables(env: &Env) -> Result<String, Fault> {
    let variables = Object::new();
    for entry in Object::entries(env.unchecked_ref()) {
        let entry = Array::from(&entry);
        if let Some(text) = text(&entry.get(1)) {
            Reflect::set(&variables, &entry.get(0), &text)?;
        }
    }
    Ok(JSON::stringify(&variables)?.into())
}

/// Returns the text of a variable; `None` for a binding. A variable that `wrangler.toml` writes as a table is JSON.
fn text(value: &JsValue) -> Option<JsValue> {
    if value.is_string() {
        return Some(value.clone());
    }
    let is_table = value.is_object()
        && (Array::is_array(value)
            || Object::get_prototype_of(value) == Object::get_prototype_of(&Object::new()));
    (is_table || value.as_bool().is_some() || value.as_f64().is_some())
        .then(|| JSON::stringify(value).ok().map(JsValue::from))?
}
