//! `tests/asvs.md` speaks of every requirement it should, and of no test that is not there.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many requirements each section of OWASP ASVS 5.0 has; those of level 3 are left out below.
const SECTIONS: &[(&str, u8)] = &[
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 8),
    ("6.4", 6),
    ("6.5", 8),
    ("6.6", 4),
    ("6.7", 2),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 3),
    ("7.6", 2),
    ("9.1", 3),
    ("9.2", 4),
];
const LEVEL_3: &[&str] = &[
    "6.3.5", "6.3.6", "6.3.7", "6.3.8", "6.4.5", "6.4.6", "6.5.6", "6.5.7", "6.5.8", "6.6.4", "6.7.1",
    "6.7.2", "7.5.3",
];
/// What a cell says in place of a test, followed by the reason.
const WITHOUT_TEST: [&str; 3] = ["does not apply: ", "a document: ", "weaker: "];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn names_of_tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                names_of_tests(&path, found);
            }
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let is = |extension: &str| path.extension().is_some_and(|of_file| of_file == extension);
        if is("rs") {
            // A test is a function of which the lines before say so.
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[test")
                    || line.starts_with("#[tokio::test")
                    || line.starts_with("proptest!")
                {
                    is_test = true;
                } else if let Some((before, rest)) = line.split_once("fn ")
                    && ["", "async "].contains(&before)
                {
                    let function = rest.split(['(', '<']).next().unwrap_or_default();
                    if is_test {
                        found.insert(function.to_owned());
                    }
                    is_test = false;
                }
            }
        } else if name.ends_with(".test.js") {
            let titles = text.split("test(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(titles.map(ToOwned::to_owned));
        } else if is("py") {
            found.insert(name);
        }
    }
}

#[test]
fn every_requirement_has_a_test_that_is_there_or_a_reason() {
    let root = root();
    let mut tests = BTreeSet::new();
    for folder in ["tests", "functions", "edge"] {
        names_of_tests(&root.join(folder), &mut tests);
    }
    assert!(tests.len() > 200, "only {} tests were found", tests.len());
    let page = std::fs::read_to_string(root.join("tests/asvs.md")).unwrap();
    let mut listed = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, shown, _] = cells.as_slice() else { continue };
        if !id.starts_with(|letter: char| letter.is_ascii_digit()) {
            continue;
        }
        listed.push((*id).to_owned());
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let reasoned =
            WITHOUT_TEST.iter().any(|word| shown.strip_prefix(word).is_some_and(|why| why.len() > 15));
        assert!(reasoned || !named.is_empty(), "{id} has neither a test nor a reason: {shown}");
        if !reasoned {
            for name in named {
                assert!(tests.contains(name), "{id} names a test that is not there: {name}");
            }
        }
    }
    let expected: Vec<String> = SECTIONS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |number| format!("{section}.{number}")))
        .filter(|id| !LEVEL_3.contains(&id.as_str()))
        .collect();
    assert_eq!(listed, expected);
}
