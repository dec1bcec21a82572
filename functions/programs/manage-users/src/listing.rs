//! Lists: columns with headers for people, an array of objects for programs.

use std::fmt::Display;
use std::str::FromStr;

use portcullis_identity::marking_unprintable;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::{Output, counted, line};

/// The columns of a list: members of its objects.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    /// Whether they were named on the command line; otherwise `--json` prints every member.
    pub(crate) are_chosen: bool,
    pub(crate) headers: bool,
}

impl Columns {
    /// Fails with the list of columns for one that no row has.
    fn check(&self, row: &Map<String, Value>) -> Result<(), Failure> {
        match self.names.iter().find(|name| !row.contains_key(*name)) {
            None => Ok(()),
            Some(unknown) => {
                let known: Vec<&str> = row.keys().map(String::as_str).collect();
                let unknown = unknown.escape_debug();
                Err(Failure::Unusable(format!("there is no column `{unknown}`, but {}", known.join(", "))))
            }
        }
    }

    fn cells(&self, row: &Map<String, Value>) -> Vec<String> {
        self.names.iter().map(|name| cell(row.get(name).unwrap_or(&Value::Null))).collect()
    }
}

/// Returns the id that `--after` names; fails for one of something else.
pub(crate) fn start_of<I: FromStr>(after: Option<&str>, thing: &str) -> Result<Option<I>, Failure> {
    let after = after.map(str::parse).transpose();
    after.map_err(|_| Failure::Unusable(format!("--after: is not the id of {thing}")))
}

/// Returns how much a page holds, and how to go on where it is not the last.
pub(crate) fn page_of(number: usize, thing: &str, next: Option<impl Display>) -> String {
    let said = counted(number, thing);
    match next {
        Some(next) => format!("{said}, and more after {next}: go on with --after {next}"),
        None => said,
    }
}

/// Prints a list; fails for a column that no row has.
pub(crate) fn print(output: Output, columns: &Columns, rows: Vec<Map<String, Value>>) -> Result<(), Failure> {
    if let Some(first) = rows.first() {
        columns.check(first)?;
    }
    if output.json {
        let chosen = |mut row: Map<String, Value>| {
            row.retain(|name, _| !columns.are_chosen || columns.names.contains(name));
            Value::from(row)
        };
        return line(&rows.into_iter().map(chosen).collect::<Value>().to_string());
    }
    let header = columns.headers.then(|| columns.names.iter().map(|name| name.to_uppercase()).collect());
    let lines: Vec<Vec<String>> =
        header.into_iter().chain(rows.iter().map(|row| columns.cells(row))).collect();
    let widths = widths(&lines);
    for cells in lines {
        let padded: Vec<String> =
            cells.into_iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        line(padded.join("  ").trim_end())?;
    }
    Ok(())
}

fn widths(lines: &[Vec<String>]) -> Vec<usize> {
    let mut widths = Vec::new();
    for cells in lines {
        widths.resize(cells.len(), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

/// Returns a value as a column shows it, without anything that could drive a terminal or turn its
/// text around.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => return "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Object(_) => value.to_string(),
        other => other.to_string(),
    };
    marking_unprintable(&text)
}
