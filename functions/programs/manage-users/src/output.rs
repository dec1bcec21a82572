//! The standard output: lines for people, JSON for programs.

use std::io::Write;

use serde_json::{Map, Value};

use crate::failure::Failure;

/// The output format of this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints the JSON object with `--json`, the text without it; fails when the output cannot be written.
    pub(crate) fn say(self, text: &str, value: Map<String, Value>) -> Result<(), Failure> {
        if self.json { line(&Value::from(value).to_string()) } else { line(text) }
    }
}

/// Prints a line on the standard output; fails when it cannot be written. A closed pipe is an error and not a panic.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Returns a JSON object with these members.
pub(crate) fn members<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
