//! `tests/asvs.md` speaks of every requirement it should, and of no test, file or section that is not there.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every requirement of OWASP ASVS 5.0.0 of levels 1 and 2, in its order.
const REQUIREMENTS: &str = include_str!("../../asvs.txt");
/// What a cell says in place of a test, followed by the reason.
const WITHOUT_TEST: [&str; 3] = ["does not apply: ", "a document: ", "weaker: "];
/// Where tests are.
const FOLDERS: [&str; 4] = ["tests", "functions", "edge", "clients"];

/// A row of the page.
struct Row<'a> {
    id: &'a str,
    here: &'a str,
    shown: &'a str,
}

impl Row<'_> {
    /// What the last cell names, each with the words before it.
    fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts: Vec<&str> = self.shown.split('`').collect();
        assert!(parts.len() % 2 == 1, "{}: a name does not end: {}", self.id, self.shown);
        parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>().into_iter()
    }

    fn is(&self, word: &str) -> bool {
        self.shown.starts_with(word)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn names_of_tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "dist"].contains(&name.as_str()) && !name.starts_with('.') {
                names_of_tests(&path, found);
            }
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => found.extend(tests_of_rust(&text)),
            Some("js") if name.ends_with(".test.js") => found.extend(titles_of_javascript(&text)),
            Some("py") => found.extend(tests_of_python(&text)),
            _ => {}
        }
    }
}

/// A test is a function of which the lines before say so.
fn tests_of_rust(text: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if ["#[test", "#[tokio::test", "proptest!"].iter().any(|mark| line.starts_with(mark)) {
            is_test = true;
        } else if let Some((before, rest)) = line.split_once("fn ")
            && ["", "async "].contains(&before)
        {
            let function = rest.split(['(', '<']).next().unwrap_or_default();
            found.extend(is_test.then(|| function.to_owned()));
            is_test = false;
        }
    }
    found
}

/// `test("…")`, and `story("…")` of the web console.
fn titles_of_javascript(text: &str) -> Vec<String> {
    let calls = text.match_indices('(').filter(|(at, _)| {
        let before = &text[..*at];
        before.ends_with("test") || before.ends_with("tory")
    });
    let titles = calls.filter_map(|(at, _)| text[at + 1..].trim_start().strip_prefix('"')?.split('"').next());
    titles.map(ToOwned::to_owned).collect()
}

fn tests_of_python(text: &str) -> Vec<String> {
    let functions =
        text.lines().map(str::trim).filter_map(|line| line.trim_start_matches("async ").strip_prefix("def "));
    let tests = functions.filter(|function| function.starts_with("test_"));
    tests.filter_map(|function| function.split('(').next()).map(ToOwned::to_owned).collect()
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let cells = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter_map(|cells| match cells.as_slice() {
        ["", id, here, shown, ""] => Some(Row { id, here, shown }),
        _ => None,
    });
    rows.filter(|row| row.id.starts_with(|letter: char| letter.is_ascii_digit())).collect()
}

/// Fails unless a page has the sections that are named before it: `"Lockout and throttling" in`.
fn check_sections(row: &Row<'_>, before: &str, page: &Path) {
    let text = std::fs::read_to_string(page).unwrap();
    let headings: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    for section in before.split('"').skip(1).step_by(2) {
        assert!(headings.contains(section), "{}: {} has no section {section}", row.id, page.display());
    }
}

#[test]
fn every_requirement_is_there_once_and_in_order() {
    let required: Vec<(&str, &str)> = REQUIREMENTS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let of_level = |level| required.iter().filter(|(_, of)| *of == level).count();
    assert_eq!((of_level("1"), of_level("2"), required.len()), (70, 183, 253));
    let page = std::fs::read_to_string(root().join("tests/asvs.md")).unwrap();
    let listed: Vec<&str> = rows(&page).iter().map(|row| row.id).collect();
    assert_eq!(listed, required.iter().map(|(id, _)| *id).collect::<Vec<_>>());
}

#[test]
fn every_requirement_has_a_test_that_is_there_or_a_reason() {
    let root = root();
    let mut tests = BTreeSet::new();
    for folder in FOLDERS {
        names_of_tests(&root.join(folder), &mut tests);
    }
    assert!(tests.len() > 1000, "only {} tests were found", tests.len());
    let page = std::fs::read_to_string(root.join("tests/asvs.md")).unwrap();
    for row in rows(&page) {
        let Row { id, here, shown } = row;
        assert!(here.len() > 2, "{id} says nothing of what is here");
        let reason = WITHOUT_TEST.iter().find_map(|word| shown.strip_prefix(word));
        assert!(reason.is_none_or(|why| why.len() > 15), "{id} gives no reason: {shown}");
        let is_named = row.named().count() > 0;
        assert!(is_named || row.is("does not apply: "), "{id} names nothing that shows it: {shown}");
        for (before, name) in row.named() {
            let file = root.join(name);
            assert!(
                tests.contains(name) || file.is_file(),
                "{id} names what is neither a test nor a file: {name}"
            );
            if file.is_file() {
                check_sections(&row, before, &file);
            } else {
                assert!(!row.is("a document: "), "{id} names a test as a document: {name}");
            }
        }
    }
}
