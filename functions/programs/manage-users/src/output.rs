//! Answers: lines for people, JSON for programs.

use std::io::Write;

use serde_json::{Map, Value};

use crate::failure::Failure;

/// How this run answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints the one or the other.
    pub(crate) fn say(self, text: &str, value: Map<String, Value>) -> Result<(), Failure> {
        if self.json { line(&Value::from(value).to_string()) } else { line(text) }
    }
}

/// A line on the standard output. A reader that went away is an error and not a panic.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// The members of an object.
pub(crate) fn members<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
