//! Which parts of a data folder a service uses, and where its keys are.

use std::path::{Path, PathBuf};

/// Where the files of an installation are. What it leaves out is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The data folder.
    pub folder: PathBuf,
    /// Where the keys are.
    pub keys: KeysIn,
    /// Whether the database is in the folder.
    pub database: bool,
    /// Whether mail is put into the folder.
    pub outbox: bool,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysIn {
    /// In this folder, where those that are missing are made.
    Folder(PathBuf),
    /// In this folder, which somebody else filled and nothing is written to.
    Given(PathBuf),
    /// In no folder.
    Elsewhere,
}

impl Place {
    /// Returns the place of a service whose whole state is in this folder.
    pub fn whole(folder: &Path) -> Self {
        let keys = KeysIn::Folder(folder.join("keys"));
        Self { folder: folder.to_owned(), keys, database: true, outbox: true }
    }

    /// Returns the place of keys alone, which are made in this folder.
    pub fn of_keys(folder: &Path) -> Self {
        let keys = KeysIn::Folder(folder.to_owned());
        Self { folder: folder.to_owned(), keys, database: false, outbox: false }
    }

    /// Returns whether something is put into the data folder.
    pub(super) fn is_written(&self) -> bool {
        self.database || self.outbox || matches!(self.keys, KeysIn::Folder(_))
    }
}

impl KeysIn {
    /// Returns the folder; `None` where there is none.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) | Self::Given(folder) => Some(folder),
            Self::Elsewhere => None,
        }
    }
}
