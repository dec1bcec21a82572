//! The standard output: lines for people, JSON for programs.

use std::io::Write;

use serde_json::{Map, Value, json};

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

impl Output {
    /// Prints why the command failed, on the standard error.
    pub(crate) fn fail(self, failure: &Failure) {
        let text = if self.json {
            json!({"error": failure.text(), "status": failure.status()}).to_string()
        } else {
            format!("manage-users: {}", failure.text())
        };
        // There is nobody else to tell that the standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Says something to people on the standard error, where what was asked for is not.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }
}

/// Warns, on the standard error, of a secret that stands on the command line.
pub(crate) fn warn_of_shell(output: Output, option: &str) {
    output.note(&format!(
        "manage-users: warning: {option} stays in the history of the shell and in the list of processes"
    ));
}

/// Returns a number of things in words: `1 account`, `2 accounts`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Prints these bytes on the standard output.
pub(crate) fn bytes(text: &[u8]) -> Result<(), Failure> {
    Ok(std::io::stdout().lock().write_all(text)?)
}

/// Prints a line on the standard output; fails when it cannot be written. A closed pipe is an error and not a panic.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Returns a JSON object with these members.
pub(crate) fn members<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
