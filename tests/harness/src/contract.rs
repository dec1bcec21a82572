//! Every response of the suites beside the OpenAPI document: its operation, status and media type have to stand there.

use std::path::Path;
use std::sync::LazyLock;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

#[expect(clippy::expect_used, reason = "there is no test without it")]
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/openapi.json");
    let text = std::fs::read(file).expect("functions/openapi.json can be read");
    serde_json::from_slice(&text).expect("the document is JSON")
});

/// Asserts that the document has this response to a request. Requests that are none of its operations are not judged.
///
/// # Panics
/// When the document has the operation without the status, or the status without the media type.
pub(crate) fn assert_documented(method: &str, path: &str, status: u16, headers: &HeaderMap) {
    let Some(operation) = operation(method, path) else { return };
    let response = operation.get("responses").and_then(|responses| responses.get(status.to_string()));
    let response = response.map(resolved);
    assert!(response.is_some(), "{method} {path}: {status} is not documented");
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    let documented = response.and_then(|response| response.get("content")).and_then(Value::as_object);
    let is_documented = match media_type {
        Some(media_type) => documented.is_some_and(|content| content.contains_key(media_type)),
        None => documented.is_none_or(serde_json::Map::is_empty),
    };
    assert!(is_documented, "{method} {path}: {status} with {media_type:?} is not documented");
}

fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or(media_type).trim()
}

/// Returns the operation of a request; a path without parameters goes before one with them.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let paths = DOCUMENT.get("paths")?.as_object()?;
    let exact = paths.get(path);
    let item = exact.or_else(|| {
        paths
            .iter()
            .find(|(template, _)| template.contains('{') && fits(template, path))
            .map(|(_, item)| item)
    });
    item?.get(method.to_ascii_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given))
                if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

fn resolved(response: &'static Value) -> &'static Value {
    let reference = response.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    reference.and_then(|pointer| DOCUMENT.pointer(pointer)).unwrap_or(response)
}
