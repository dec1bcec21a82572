//! Password input: prompted for twice at a terminal, one line of the standard input otherwise.

use std::io::{IsTerminal, stdin};

use portcullis_identity::Password;
use secrecy::SecretString;

use crate::failure::Failure;

/// Returns the new password for the account `whom`; fails when the two inputs differ, or nothing can be read.
pub(crate) fn new_password(whom: &str) -> Result<Password, Failure> {
    if !stdin().is_terminal() {
        let piped = rpassword::ConfigBuilder::new().input_reader(stdin()).output_discard().build();
        let typed = rpassword::read_password_with_config(piped)?;
        return Ok(Password::new(&SecretString::from(typed)));
    }
    let typed = SecretString::from(rpassword::prompt_password(format!("New password of {whom}: "))?);
    let again = SecretString::from(rpassword::prompt_password("The same once more: ")?);
    let (password, again) = (Password::new(&typed), Password::new(&again));
    if password.is_same_as(&again) {
        Ok(password)
    } else {
        Err(Failure::Refused("the two are not the same".to_owned()))
    }
}
