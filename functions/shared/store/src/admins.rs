//! The one row that lists the administrators that may be used.
//!
//! Whatever makes one account less an administrator takes its name from that row in the same transaction, on the condition
//! that another one stays who can sign in. Who can is for `portcullis-identity` to say: it knows what a sign-in needs.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::text;
use crate::keys;
use crate::transaction::Transaction;

fn member(id: AccountId) -> AttributeValue {
    AttributeValue::Ss(vec![id.to_string()])
}

/// Takes an account from the administrators, if `another` one is still among them: one who was seen to be able to sign
/// in, which an administrator never ceases to be without leaving this row. Two who demote each other at the same time
/// meet here: DynamoDB lets one of the two transactions through, and the other one's condition misses who left.
pub(crate) fn remove_admin<R>(
    transaction: Transaction<'_, R>,
    id: AccountId,
    another: Option<AccountId>,
    last_admin: R,
) -> Transaction<'_, R> {
    let mut ways = vec![Condition::Missing("members"), Condition::Lacks("members", text(id.to_string()))];
    ways.extend(another.map(|another| Condition::Contains("members", text(another.to_string()))));
    let update = Update::new().delete("members", member(id));
    transaction.update_if(&keys::admins(), update, Condition::Any(ways), last_admin)
}

/// Counts an account among the administrators.
pub(crate) fn add_admin<R>(transaction: Transaction<'_, R>, id: AccountId) -> Transaction<'_, R> {
    transaction.update(&keys::admins(), Update::new().add("members", member(id)))
}

impl Store {
    /// Returns every enabled account with the role `admin`, able to sign in or not; fails when the row is malformed.
    pub async fn admins(&self) -> Result<Vec<AccountId>, StoreError> {
        let found = self.get(&keys::admins(), "reading the administrators").await?;
        let members = match found.and_then(|mut found| found.remove("members")) {
            Some(AttributeValue::Ss(members)) => members,
            _ => Vec::new(),
        };
        let corrupt = |_| StoreError::Corrupt { record: "administrators", attribute: "members".to_owned() };
        members.iter().map(|member| member.parse().map_err(corrupt)).collect()
    }
}
