//! The open database, and how it outlives a panic.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dynoxide::{Database, DynoxideError};

use super::traces::{Traces, WipeError};

/// A database that is opened again after a panic.
///
/// dynoxide guards its connection with a lock that a panic poisons: from then on every request fails, and an open
/// transaction would keep other processes from writing. Dropping the connection rolls the transaction back, and a fresh
/// one has every committed write. A database in memory has nothing to open again and keeps answering 500.
pub(super) struct Engine {
    file: Option<PathBuf>,
    traces: Option<Traces>,
    database: Mutex<Option<Database>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Engine {
    /// The database of a file, whose path is absolute: SQLite takes some relative ones for URIs or for special names.
    pub(super) fn open(file: PathBuf) -> Result<Self, DynoxideError> {
        let traces = Some(Traces::of(&file));
        let engine = Self { file: Some(file), traces, database: Mutex::new(None) };
        engine.database().map(|_| engine)
    }

    /// An empty database that ends with the process.
    pub(super) fn in_memory() -> Result<Self, DynoxideError> {
        Ok(Self { file: None, traces: None, database: Mutex::new(Some(Database::memory()?)) })
    }

    /// Whether calls wait for a disk.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Runs `work` on the database; a panic in it becomes an internal error, which the SDK retries.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Database) -> T) -> Result<T, DynoxideError> {
        let database = self.database()?;
        // Whatever a panic leaves half done stays inside the connection, and that is given up.
        catch_unwind(AssertUnwindSafe(|| work(&database))).map_err(|_| {
            tracing::error!("the embedded database panicked");
            if self.has_file() {
                *self.slot() = None;
            }
            DynoxideError::InternalServerError("the embedded database panicked".to_owned())
        })
    }

    /// The same for work that may remove or replace something.
    pub(super) fn change<T>(&self, work: impl FnOnce(&Database) -> T) -> Result<T, DynoxideError> {
        self.expect_traces()?;
        let done = self.run(work)?;
        // A rebuild may have begun and ended before the work was done.
        self.expect_traces().map(|()| done)
    }

    /// Removes what work of before left in the file, and says how large the file is; none if there was nothing to do.
    pub(super) fn wipe(&self) -> Result<Option<u64>, WipeError> {
        self.traces.as_ref().map_or(Ok(None), Traces::wipe)
    }

    fn expect_traces(&self) -> Result<(), DynoxideError> {
        // What could not be wiped after a crash must not be written.
        self.traces.as_ref().map_or(Ok(()), Traces::expect).map_err(|error| {
            tracing::error!(%error, "the mark beside the database cannot be made");
            DynoxideError::InternalServerError("the database cannot be written".to_owned())
        })
    }

    fn database(&self) -> Result<Database, DynoxideError> {
        let mut slot = self.slot();
        if let Some(database) = &*slot {
            return Ok(database.clone());
        }
        let path = self.file.as_ref().and_then(|path| path.to_str()).unwrap_or_default();
        let database = Database::new(path)?;
        Ok(slot.insert(database).clone())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Database>> {
        // Nothing panics while holding it, and there is no half-made state to fear.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_again_after_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path().join("test.db")).unwrap();
        let outcome = engine.run(|_| -> () { panic!("on purpose") });
        assert_eq!(outcome.unwrap_err().status_code(), 500);
        assert_eq!(engine.run(|db| db.table_count().unwrap()).unwrap(), 0);
    }

    #[test]
    fn a_panic_inside_the_engine_is_an_internal_error() {
        struct Broken;
        impl dynoxide::storage_backend::Clock for Broken {
            fn now_unix_secs(&self) -> u64 {
                panic!("on purpose")
            }
            fn now_unix_secs_f64(&self) -> f64 {
                panic!("on purpose")
            }
        }
        let database = Database::memory_with_clock(std::sync::Arc::new(Broken)).unwrap();
        let engine = Engine { file: None, traces: None, database: Mutex::new(Some(database)) };
        // The sweep asks the time under the engine's lock, which is then poisoned.
        assert_eq!(engine.run(Database::sweep_ttl).unwrap_err().status_code(), 500);
        let afterwards = engine.run(Database::table_stats).unwrap();
        assert_eq!(afterwards.unwrap_err().status_code(), 500);
    }
}
