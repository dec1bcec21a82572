//! What was removed or replaced, out of the files too.
//!
//! SQLite leaves the bytes of a removed row where they lay until something else is written there, copies of rows that
//! moved to another page included, and older states of pages in the log beside the file. (`secure_delete` misses such
//! copies.) Building the file anew and emptying its log leaves nothing but what is there.
//!
//! A mark beside the database says that there may be traces. It is made before something is written, so that a process
//! that is killed leaves the work to the next start.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;

use crate::private_files;

/// The error when traces could not be wiped; a retry may succeed.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    /// The mark could not be changed.
    #[error("changing the mark beside the database")]
    Mark(#[source] io::Error),
    /// Another process is in the middle of something.
    #[error("another process uses the database")]
    InUse,
    /// The file could not be built anew.
    #[error("building the database anew")]
    Rebuild(#[source] DynoxideError),
}

/// The traces in one database file.
#[derive(Debug)]
pub(super) struct Traces {
    database: PathBuf,
    /// There may be traces.
    mark: PathBuf,
    /// There are, until the rebuild that goes on is over.
    taken: PathBuf,
}

impl Traces {
    pub(super) fn of(database: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut path = database.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { database: database.to_owned(), mark: beside("-traces"), taken: beside("-wiping") }
    }

    /// Something is about to be written, or just was: a rebuild in between has not seen it.
    pub(super) fn expect(&self) -> io::Result<()> {
        // Nearly always it is there, and looking is cheaper than trying to make it.
        if !self.mark.exists() {
            private_files::create_empty(&self.mark)?;
        }
        Ok(())
    }

    /// Removes all traces and says how large the file was built anew; none if there was nothing to be done.
    pub(super) fn wipe(&self) -> Result<Option<u64>, WipeError> {
        match fs::rename(&self.mark, &self.taken) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && self.taken.exists() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WipeError::Mark(error)),
        }
        self.rebuild()?;
        match fs::remove_file(&self.taken) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(WipeError::Mark(error)),
            _ => Ok(Some(fs::metadata(&self.database).map_or(0, |file| file.len()))),
        }
    }

    fn rebuild(&self) -> Result<(), WipeError> {
        let failed = |error: DynoxideError| WipeError::Rebuild(error);
        let storage = Storage::new(self.database.to_str().unwrap_or_default()).map_err(failed)?;
        // In memory, or live rows would pass through a file outside the folder.
        let rebuilt = storage.conn().execute_batch("PRAGMA temp_store = MEMORY; VACUUM");
        rebuilt.map_err(|error| failed(error.into()))?;
        let emptied = storage.conn().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let is_busy: bool = emptied.map_err(|error| failed(error.into()))?;
        if is_busy { Err(WipeError::InUse) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, RngCore, SeedableRng};

    use super::*;

    const SEED: u64 = 20_261_121;

    /// Every file in the folder of a database, what is no text left out.
    fn files(database: &Path) -> String {
        let files = fs::read_dir(database.parent().unwrap()).unwrap();
        let files: Vec<u8> = files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        String::from_utf8_lossy(&files).into_owned()
    }

    /// A thousand rows come and half of them go, in an order of chance: what they held, and what the others hold.
    fn lived(storage: &Storage) -> (Vec<String>, Vec<String>) {
        println!("seed {SEED}");
        let mut random = StdRng::seed_from_u64(SEED);
        let (mut live, mut gone) = (BTreeMap::new(), Vec::new());
        let sql = |text: &str| storage.conn().execute_batch(text).unwrap();
        sql("CREATE TABLE rows (key TEXT PRIMARY KEY, value TEXT)");
        for _ in 0..1_000 {
            let at = random.random_range(0..=live.len() * 2);
            if let Some(key) = live.keys().nth(at).cloned() {
                sql(&format!("DELETE FROM rows WHERE key = '{key}'"));
                gone.push(live.remove(&key).unwrap());
            } else {
                let key = format!("{:016x}", random.next_u64());
                let length = random.random_range(16..240);
                let value: String = (0..length).map(|_| random.random_range('a'..='z')).collect();
                let value = format!("{:032x}{value}{:032x}", random.next_u64(), random.next_u64());
                sql(&format!("INSERT INTO rows VALUES ('{key}', '{value}')"));
                live.insert(key, value);
            }
        }
        (gone, live.into_values().collect())
    }

    #[test]
    fn of_rows_that_are_gone_no_byte_is_left_in_any_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("test.db");
        let storage = Storage::new(database.to_str().unwrap()).unwrap();
        let traces = Traces::of(&database);
        traces.expect().unwrap();
        let (gone, live) = lived(&storage);
        let before = files(&database);
        let left = gone.iter().filter(|value| before.contains(&value[..32])).count();
        println!("{left} of {} rows that are gone were left in the files", gone.len());
        assert!(gone.len() > 200 && left > gone.len() / 10, "there is something to be wiped");

        let size = traces.wipe().unwrap().unwrap();
        let after = files(&database);
        assert!(size > 0);
        for value in &gone {
            let ends = [&value[..32], &value[value.len() - 32..]];
            assert!(ends.iter().all(|end| !after.contains(end)), "{value}");
        }
        assert!(live.iter().all(|value| after.contains(&value[..32])), "what is there stays");
        assert_eq!(traces.wipe().unwrap(), None, "nothing was written since");
    }

    #[test]
    fn what_a_rebuild_that_failed_left_is_done_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("test.db");
        let storage = Storage::new(database.to_str().unwrap()).unwrap();
        let traces = Traces::of(&database);
        traces.expect().unwrap();
        // A reader holds the log open all the while, so that it cannot be emptied.
        let reader = Storage::new(database.to_str().unwrap()).unwrap();
        reader.conn().execute_batch("BEGIN; SELECT * FROM _tables").unwrap();
        storage.conn().execute_batch("CREATE TABLE t (v)").unwrap();
        assert!(traces.wipe().is_err());
        reader.conn().execute_batch("COMMIT").unwrap();
        assert!(traces.wipe().unwrap().is_some());
        assert_eq!(traces.wipe().unwrap(), None);
    }

    #[test]
    fn what_is_written_during_a_rebuild_is_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("test.db");
        let _storage = Storage::new(database.to_str().unwrap()).unwrap();
        let traces = Traces::of(&database);
        traces.expect().unwrap();
        fs::rename(&traces.mark, &traces.taken).unwrap();
        traces.expect().unwrap();
        assert!(traces.wipe().unwrap().is_some());
        traces.expect().unwrap();
        assert!(traces.wipe().unwrap().is_some());
        assert_eq!(
            fs::read_dir(folder.path())
                .unwrap()
                .filter(|file| { file.as_ref().unwrap().file_name().to_string_lossy().contains("-traces") })
                .count(),
            0
        );
    }
}
