//! Consent to what cannot be undone.

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::arguments::Confirmed;
use crate::failure::Failure;

/// Asks on the terminal, unless `--yes` was given; fails without a yes, and where there is no terminal to ask on.
pub(crate) fn confirm(confirmed: Confirmed, what: &str) -> Result<(), Failure> {
    if confirmed.yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::Unusable(format!("this {what}, which cannot be undone: say --yes")));
    }
    write!(stderr(), "This {what}, which cannot be undone. Go on? [y/N] ")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done".to_owned())),
    }
}
