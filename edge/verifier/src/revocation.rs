//! What has been revoked before its time: the list the identity service publishes and the edge follows.
//!
//! `{"sessions": [{"session_id": "ses_…", "revoked_at": 1760000000}], "users": [{"user_id": "usr_…", "not_before":
//! 1760000000}]}`, times in Unix seconds. An entry is listed for one access-token lifetime: after that no token is left
//! for it to concern. How old a list may be is the caller's business.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::strict_object::StrictObject;

/// The longest list that is looked at: some ten thousand entries.
pub const MAX_LIST_BYTES: usize = 1024 * 1024;

/// Sessions and users whose tokens are no longer to be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    sessions: BTreeSet<String>,
    users: BTreeMap<String, u64>,
}

/// Why a list cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevocationsError {
    /// Longer than [`MAX_LIST_BYTES`].
    #[error("the list of revocations is longer than {MAX_LIST_BYTES} bytes")]
    TooLarge,
    /// Not the JSON described above.
    #[error("the list of revocations is malformed")]
    Malformed,
}

#[derive(Deserialize)]
struct Written {
    sessions: Vec<StrictObject<Session>>,
    users: Vec<StrictObject<User>>,
}

#[derive(Deserialize)]
struct Session {
    session_id: String,
    /// Required so that a list without it is noticed; a listed session is refused whenever its token was issued.
    #[serde(rename = "revoked_at")]
    _revoked_at: u64,
}

#[derive(Deserialize)]
struct User {
    user_id: String,
    not_before: u64,
}

impl Revocations {
    /// Reads a list. Unknown members are ignored, so that the list may grow.
    pub fn parse(json: &[u8]) -> Result<Self, RevocationsError> {
        if json.len() > MAX_LIST_BYTES {
            return Err(RevocationsError::TooLarge);
        }
        let StrictObject(written): StrictObject<Written> =
            serde_json::from_slice(json).map_err(|_| RevocationsError::Malformed)?;
        let mut list = Self {
            sessions: written.sessions.into_iter().map(|StrictObject(session)| session.session_id).collect(),
            users: BTreeMap::new(),
        };
        for StrictObject(user) in written.users {
            // Of two entries for one user the later counts: it ends all that the earlier ends.
            let not_before = list.users.entry(user.user_id).or_default();
            *not_before = (*not_before).max(user.not_before);
        }
        Ok(list)
    }

    /// Whether a token of this session and user, issued at `iat`, is to be refused.
    pub fn covers(&self, session_id: &str, user_id: &str, iat: u64) -> bool {
        self.sessions.contains(session_id)
            || self.users.get(user_id).is_some_and(|not_before| iat < *not_before)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"sessions": [{"session_id": "ses_1", "revoked_at": 1000}], "of": "tomorrow",
        "users": [{"user_id": "usr_a", "not_before": 1000}, {"user_id": "usr_a", "not_before": 900, "why": "x"}]}"#;

    #[test]
    fn a_session_is_over_and_a_user_begins_anew() {
        let list = Revocations::parse(LIST.as_bytes()).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.covers("ses_1", "usr_b", 999) && list.covers("ses_1", "usr_b", 1001));
        assert!(list.covers("ses_2", "usr_a", 999), "issued before");
        assert!(!list.covers("ses_2", "usr_a", 1000), "issued after");
        assert!(!list.covers("ses_2", "usr_b", 0));
        assert!(!Revocations::default().covers("", "", 0) && Revocations::default().is_empty());
    }

    #[test]
    fn a_list_that_is_none_is_not_taken_for_an_empty_one() {
        for json in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"sessions":[]}"#,
            r#"{"users":[]}"#,
            "[[],[]]",
            r#"{"sessions":[],"users":null}"#,
            r#"{"sessions":["ses_1"],"users":[]}"#,
            r#"{"sessions":[["ses_1",1]],"users":[]}"#,
            r#"{"sessions":[{"session_id":"ses_1"}],"users":[]}"#,
            r#"{"sessions":[{"session_id":1,"revoked_at":1}],"users":[]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","not_before":"1"}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","not_before":1.5}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","not_before":-1}]}"#,
            r#"{"sessions":[],"sessions":[],"users":[]}"#,
            r#"{"sessions":[],"users":[]}x"#,
        ] {
            assert_eq!(Revocations::parse(json.as_bytes()), Err(RevocationsError::Malformed), "{json}");
        }
        assert_eq!(Revocations::parse(&vec![b' '; MAX_LIST_BYTES + 1]), Err(RevocationsError::TooLarge));
        assert!(Revocations::parse(br#"{"sessions":[],"users":[]}"#).unwrap().is_empty());
    }
}
