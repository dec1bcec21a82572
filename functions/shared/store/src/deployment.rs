//! What a table says of itself: in which format its rows are, and under which keys.
//!
//! Whoever opens a table for a whole service reads this first. A program that knows only older formats would misread rows,
//! and one with other keys would refuse everybody and write what nobody else can read: neither may begin.

use serde::{Deserialize, Serialize};

use crate::connection::Store;
use crate::error::StoreError;
use crate::item::{item, read};
use crate::keys;

/// The format of rows that this version writes. It is raised when an older program could not read a row any more; rows of
/// the format before are still read. A record that never changed is in every format.
pub const ROW_FORMAT: u32 = 1;
/// The oldest format that is still read.
pub const OLDEST_ROW_FORMAT: u32 = 1;

const RECORD: &str = "deployment";

/// The row of a table about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The format of the newest rows.
    pub format: u32,
    /// What tells the keys of this deployment from others, and says nothing about them.
    pub keys: String,
}

impl Deployment {
    /// Returns whether this version reads rows of that format and writes none that its writer could not read.
    pub fn is_readable(&self) -> bool {
        (OLDEST_ROW_FORMAT..=ROW_FORMAT).contains(&self.format)
    }
}

impl Store {
    /// Returns what the table says of itself; `None` where no service has run on it. Fails when DynamoDB does.
    pub async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        let row = self.get(&keys::deployment(), "reading what the table is").await?;
        row.map(|row| read(RECORD, row)).transpose()
    }

    /// Makes the table one of this deployment unless it is one already, and returns what it is from now on: of two that begin
    /// at once, both get the first. Fails when DynamoDB does.
    pub async fn found_deployment(&self, new: Deployment) -> Result<Deployment, StoreError> {
        let row = item(&keys::deployment(), &new)?;
        match self.put_new(row, "writing what the table is").await? {
            Ok(()) => Ok(new),
            Err(there) => read(RECORD, there),
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::CallTimeouts;
    use portcullis_platform_embedded::EmbeddedDynamoDb;

    use super::*;

    #[tokio::test]
    async fn a_table_belongs_to_whoever_was_first() {
        let engine = EmbeddedDynamoDb::in_memory().unwrap();
        let store = Store::in_process(engine.http_client(), "table", CallTimeouts::default());
        store.create_table_if_missing().await.unwrap();
        assert_eq!(store.deployment().await.unwrap(), None);
        let of = |keys: &str| Deployment { format: ROW_FORMAT, keys: keys.to_owned() };
        assert_eq!(store.found_deployment(of("first")).await.unwrap(), of("first"));
        assert_eq!(store.found_deployment(of("second")).await.unwrap(), of("first"));
        assert_eq!(store.deployment().await.unwrap(), Some(of("first")));
    }

    #[test]
    fn a_newer_format_is_not_readable() {
        let of = |format| Deployment { format, keys: String::new() }.is_readable();
        assert!(of(ROW_FORMAT) && of(OLDEST_ROW_FORMAT));
        assert!(!of(ROW_FORMAT + 1) && !of(OLDEST_ROW_FORMAT - 1) && !of(u32::MAX));
    }
}
