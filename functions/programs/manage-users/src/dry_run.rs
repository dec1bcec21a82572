//! What an import would make, line by line: in a dry run nothing is there yet of what earlier lines would have made.

use std::collections::{HashMap, HashSet};

use portcullis_identity::{AccountRequest, ApiKeyId, Error, Field, InvalidValue, PersonName};
use secrecy::SecretString;

use crate::tool::Tool;

/// Whom a line is about.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) line: u64,
    pub(crate) email: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) name: PersonName,
}

impl Person {
    pub(crate) fn of(line: u64, request: &AccountRequest) -> Self {
        Self {
            line,
            email: request.email.as_ref().map(|email| email.as_str().to_owned()),
            username: request.username.as_ref().map(|username| username.as_str().to_owned()),
            name: request.name.clone(),
        }
    }

    /// Whether somebody with this name and username is the same person, so that the line has nothing to add.
    pub(crate) fn is(&self, name: &str, username: Option<&str>) -> bool {
        self.name.is(name) && (username.is_none() || self.username.as_deref() == username)
    }
}

/// What the lines so far would have made.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    by_address: HashMap<String, Person>,
    by_username: HashMap<String, Person>,
    keys: HashSet<ApiKeyId>,
}

impl Planned {
    /// Plans the account of a line. Fails as its creation would, after the lines before it.
    pub(crate) async fn plan(
        &mut self,
        tool: &Tool,
        person: &Person,
        request: &AccountRequest,
        key: Option<&SecretString>,
    ) -> Result<(), Error> {
        tool.identity.check_new_account(request).await?;
        if self.with_address(person).is_some() {
            return Err(Error::EmailTaken);
        }
        if person.username.as_ref().is_some_and(|name| self.by_username.contains_key(name)) {
            return Err(Error::UsernameTaken);
        }
        if let Some(key) = key
            && !self.keys.insert(tool.identity.id_of_given_key(key).await?)
        {
            return Err(InvalidValue::new("is the key of an earlier line already").of(Field::ApiKey));
        }
        if let Some(email) = &person.email {
            self.by_address.insert(email.clone(), person.clone());
        }
        if let Some(username) = &person.username {
            self.by_username.insert(username.clone(), person.clone());
        }
        Ok(())
    }

    fn with_address(&self, person: &Person) -> Option<&Person> {
        self.by_address.get(person.email.as_ref()?)
    }

    /// Returns whom an earlier line would have made with the address of this one or, without one, the username.
    pub(crate) fn earlier(&self, person: &Person) -> Option<&Person> {
        match (&person.email, &person.username) {
            (Some(_), _) => self.with_address(person),
            (None, Some(username)) => self.by_username.get(username),
            (None, None) => None,
        }
    }
}
