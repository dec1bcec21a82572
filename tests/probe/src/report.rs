//! What came of a run, in words and as JSON.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::checks::Check;
use crate::client::Trouble;

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Finding {
    /// What does not hold, a sentence each; empty when everything does.
    pub broken: Vec<String>,
    /// What was tried and measured, in a sentence.
    pub said: String,
    /// The figures in it.
    pub figures: Map<String, Value>,
}

impl Finding {
    /// Returns a finding with this sentence.
    pub fn saying(said: impl Into<String>) -> Self {
        Self { said: said.into(), ..Self::default() }
    }

    /// Adds what does not hold, when it does not.
    #[must_use]
    pub fn holds(mut self, holds: bool, otherwise: impl Into<String>) -> Self {
        if !holds {
            self.broken.push(otherwise.into());
        }
        self
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }
}

/// Whether a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It held in this run.
    Held,
    /// It does not hold.
    Broken,
    /// The check could not be carried out.
    Unclear,
}

/// One property, and what came of trying it.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The name of the check.
    pub check: &'static str,
    /// What has to hold.
    pub about: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
    /// What was tried, or why it could not be.
    pub said: String,
    /// What does not hold.
    pub broken: Vec<String>,
    /// What was measured.
    pub figures: Map<String, Value>,
}

impl Judged {
    /// Returns the judgement of a check.
    pub fn of(check: Check, outcome: Result<Finding, Trouble>) -> Self {
        let (verdict, finding) = match outcome {
            Ok(finding) if finding.broken.is_empty() => (Verdict::Held, finding),
            Ok(finding) => (Verdict::Broken, finding),
            Err(trouble) => (Verdict::Unclear, Finding::saying(trouble.to_string())),
        };
        let Finding { broken, said, figures } = finding;
        Self { check: check.name(), about: check.about(), verdict, said, broken, figures }
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The deployment.
    pub url: String,
    /// One judgement for each check, in the order they were tried.
    pub checks: Vec<Judged>,
    /// How many requests were sent.
    pub requests: u32,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Addresses of accounts that could not be erased.
    pub left_behind: Vec<String>,
}

impl Report {
    /// Returns the exit status: 0 everything held and is erased, 1 something does not hold, 3 something could not be judged or
    /// erased.
    pub fn status(&self) -> u8 {
        let has = |verdict| self.checks.iter().any(|judged| judged.verdict == verdict);
        if has(Verdict::Broken) {
            1
        } else if has(Verdict::Unclear) || !self.left_behind.is_empty() || self.checks.is_empty() {
            3
        } else {
            0
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for judged in &self.checks {
            let word = match judged.verdict {
                Verdict::Held => "held   ",
                Verdict::Broken => "BROKEN ",
                Verdict::Unclear => "unclear",
            };
            writeln!(out, "{word} {:<12} {}", judged.check, judged.about)?;
            writeln!(out, "        {}", judged.said)?;
            for broken in &judged.broken {
                writeln!(out, "      ! {broken}")?;
            }
        }
        for address in &self.left_behind {
            writeln!(out, "left behind: {address}; erase it with manage-users delete {address} --yes")?;
        }
        let seconds = self.milliseconds / 1000;
        write!(out, "{}: {} requests in {seconds} s. ", self.url, self.requests)?;
        match self.status() {
            0 => write!(out, "Everything held that was tried."),
            1 => write!(out, "SOMETHING DOES NOT HOLD."),
            _ => write!(out, "Not everything could be judged."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict], left_behind: &[&str]) -> Report {
        let judged = |&verdict| Judged {
            check: "tabs",
            about: "about",
            verdict,
            said: String::new(),
            broken: Vec::new(),
            figures: Map::new(),
        };
        Report {
            url: "http://127.0.0.1".to_owned(),
            checks: verdicts.iter().map(judged).collect(),
            requests: 0,
            milliseconds: 0,
            left_behind: left_behind.iter().map(|&address| address.to_owned()).collect(),
        }
    }

    #[test]
    fn the_status_says_the_worst() {
        use Verdict::{Broken, Held, Unclear};
        assert_eq!(report(&[Held, Held], &[]).status(), 0);
        assert_eq!(report(&[Held, Unclear, Broken], &["a@example.com"]).status(), 1);
        assert_eq!(report(&[Held, Unclear], &[]).status(), 3);
        assert_eq!(report(&[Held], &["a@example.com"]).status(), 3);
        assert_eq!(report(&[], &[]).status(), 3, "nothing was tried");
    }

    #[test]
    fn what_cannot_be_tried_is_never_said_to_hold() {
        let judged = Judged::of(Check::Tabs, Err(Trouble::Spent));
        assert_eq!(judged.verdict, Verdict::Unclear);
    }
}
