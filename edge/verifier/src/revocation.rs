//! What has been revoked before its time: the list the identity service publishes and the edge follows.
//!
//! `{"sessions": [{"session_id": "ses_…", "revoked_at": 1760000000}], "users": [{"user_id": "usr_…", "epoch": 3,
//! "except_session_id": "ses_…", "revoked_at": 1760000000}]}`, times in Unix seconds. An entry is listed for one
//! access-token lifetime: after that no token is left for it to concern. How old a list may be is the caller's business.
//!
//! A user's entry ends the tokens of an earlier epoch ([`Claims::epoch`](crate::Claims::epoch)), which is exact where a
//! time would not be: a user who signs in within the second of the revocation is not refused, and a token that was
//! being made while it happened is.

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
    users: BTreeMap<String, Vec<Cutoff>>,
}

/// What one entry of a user ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cutoff {
    epoch: u64,
    except_session_id: Option<String>,
    revoked_at: u64,
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
    #[serde(rename = "user_id")]
    id: String,
    epoch: u64,
    #[serde(default)]
    except_session_id: Option<String>,
    revoked_at: u64,
}

impl Revocations {
    /// Reads a list. Unknown members are ignored, so that the list may grow.
    pub fn parse(json: &[u8]) -> Result<Self, RevocationsError> {
        if json.len() > MAX_LIST_BYTES {
            return Err(RevocationsError::TooLarge);
        }
        let StrictObject(written): StrictObject<Written> =
            serde_json::from_slice(json).map_err(|_| RevocationsError::Malformed)?;
        let mut list = Self::default();
        for StrictObject(session) in written.sessions {
            list.sessions.insert(session.session_id);
        }
        for StrictObject(user) in written.users {
            let User { id, epoch, except_session_id, revoked_at } = user;
            list.users.entry(id).or_default().push(Cutoff { epoch, except_session_id, revoked_at });
        }
        Ok(list)
    }

    /// Whether a token of this session, user and epoch is to be refused.
    pub fn covers(&self, session_id: &str, user_id: &str, epoch: u64) -> bool {
        let ends =
            |cutoff: &Cutoff| epoch < cutoff.epoch && cutoff.except_session_id.as_deref() != Some(session_id);
        self.sessions.contains(session_id)
            || self.users.get(user_id).is_some_and(|cutoffs| cutoffs.iter().any(ends))
    }

    /// Whether something of this user was revoked at or after `time`, in Unix seconds, so that what was learnt of them
    /// before has to be learnt again.
    pub fn concerns(&self, user_id: &str, time: u64) -> bool {
        self.users.get(user_id).is_some_and(|cutoffs| cutoffs.iter().any(|cutoff| cutoff.revoked_at >= time))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.values().map(Vec::len).sum::<usize>()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"sessions": [{"session_id": "ses_1", "revoked_at": 1000}], "of": "tomorrow", "users": [
        {"user_id": "usr_a", "epoch": 2, "revoked_at": 1000},
        {"user_id": "usr_a", "epoch": 3, "except_session_id": "ses_3", "revoked_at": 900, "why": "x"}]}"#;

    #[test]
    fn a_session_is_over_and_a_user_begins_anew() {
        let list = Revocations::parse(LIST.as_bytes()).unwrap();
        assert_eq!(list.len(), 3);
        assert!(list.covers("ses_1", "usr_b", 0) && list.covers("ses_1", "usr_b", 9));
        assert!(list.covers("ses_2", "usr_a", 2), "of an earlier epoch");
        assert!(!list.covers("ses_2", "usr_a", 3), "of the present one");
        assert!(!list.covers("ses_3", "usr_a", 2), "the session the others were ended from");
        assert!(list.covers("ses_3", "usr_a", 1), "ended by the other entry all the same");
        assert!(!list.covers("ses_2", "usr_b", 0));
        assert!(!Revocations::default().covers("", "", 0) && Revocations::default().is_empty());
    }

    #[test]
    fn what_was_learnt_before_a_revocation_is_to_be_learnt_again() {
        let list = Revocations::parse(LIST.as_bytes()).unwrap();
        assert!(list.concerns("usr_a", 999) && list.concerns("usr_a", 1000));
        assert!(!list.concerns("usr_a", 1001) && !list.concerns("usr_b", 0));
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
            r#"{"sessions":[],"users":[{"user_id":"u","epoch":1}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","epoch":"1","revoked_at":1}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","epoch":1.5,"revoked_at":1}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","epoch":-1,"revoked_at":1}]}"#,
            r#"{"sessions":[],"users":[{"user_id":"u","epoch":1,"revoked_at":1,"except_session_id":1}]}"#,
            r#"{"sessions":[],"sessions":[],"users":[]}"#,
            r#"{"sessions":[],"users":[]}x"#,
        ] {
            assert_eq!(Revocations::parse(json.as_bytes()), Err(RevocationsError::Malformed), "{json}");
        }
        assert_eq!(Revocations::parse(&vec![b' '; MAX_LIST_BYTES + 1]), Err(RevocationsError::TooLarge));
        assert!(Revocations::parse(br#"{"sessions":[],"users":[]}"#).unwrap().is_empty());
    }
}
