//! Looking at a data folder without changing it. Each complaint is one line that says which file and what to do.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use portcullis_platform::{Environment, Misconfigured};
use secrecy::SecretSlice;

use super::keys::Key;
use super::{DataDir, KeysIn, Place};
use crate::private_files::{self, Found};

const DATA_DIR: &str = "DATA_DIR";
const KEYS_DIR: &str = "KEYS_DIR";
/// The permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// Those that nobody may have on keys that were given: an orchestrator hands them to the group of a service to be read.
const OTHERS_AND_WRITERS: u32 = 0o027;
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The place by absolute paths, so that messages and SQLite mean the same place whatever the working directory.
pub(super) fn locate(place: Place) -> Result<DataDir, Misconfigured> {
    let folder = absolute(&place.folder)?;
    let keys = match place.keys {
        KeysIn::Folder(keys) => KeysIn::Folder(absolute(&keys)?),
        KeysIn::Given(keys) => KeysIn::Given(absolute(&keys).map_err(about_given_keys)?),
        KeysIn::Elsewhere => KeysIn::Elsewhere,
    };
    Ok(DataDir { place: Place { folder, keys, ..place } })
}

fn absolute(path: &Path) -> Result<PathBuf, Misconfigured> {
    let root =
        std::path::absolute(path).map_err(|error| complaint(path, format!("cannot be used: {error}")))?;
    if root.to_str().is_none() {
        return Err(complaint(&root, "is not UTF-8; choose a folder whose path is"));
    }
    if root.to_string_lossy().contains(char::is_control) {
        return Err(Misconfigured::new(
            DATA_DIR,
            "has a line break or another control character in it; choose a plainer path",
        ));
    }
    Ok(root)
}

/// The same complaint about the folder that keys are given in.
fn about_given_keys(complaint: Misconfigured) -> Misconfigured {
    Misconfigured { variable: KEYS_DIR, ..complaint }
}

/// What exists are folders, and what is missing can be made. Of what is not written to nothing is asked.
pub(super) fn check_folders(dir: &DataDir) -> Result<(), Misconfigured> {
    let place = &dir.place;
    let keys = match &place.keys {
        KeysIn::Folder(keys) => Some(keys.clone()),
        KeysIn::Given(_) | KeysIn::Elsewhere => None,
    };
    let root = place.is_written().then(|| place.folder.clone());
    for folder in root.into_iter().chain(keys).chain(place.outbox.then(|| dir.outbox())) {
        let existing = nearest_existing(&folder)?;
        private_files::try_writing_in(&existing).map_err(|error| {
            complaint(
                &existing,
                format!("cannot be written to: {error}; change its owner or choose another folder"),
            )
        })?;
    }
    Ok(())
}

/// The folder itself, or the first one above it that is there.
fn nearest_existing(folder: &Path) -> Result<PathBuf, Misconfigured> {
    for path in folder.ancestors() {
        match private_files::look(path) {
            Ok(Found::Folder) => return Ok(path.to_owned()),
            Ok(Found::Nothing) => {}
            Ok(Found::File | Found::Other) => {
                return Err(complaint(path, "is not a folder; move it away or choose another one"));
            }
            // What lies beyond a file has its own error; the next turn finds the file.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(complaint(path, format!("cannot be looked at: {error}"))),
        }
    }
    Err(complaint(folder, "has no folder above it"))
}

/// Whether there is anything in the database: it is missing or empty, or else an SQLite file of ours alone.
pub(super) fn check_database(path: &Path) -> Result<bool, Misconfigured> {
    let Some(file) = open_private(path, OpenOptions::new().read(true).write(true), OTHERS)? else {
        return Ok(false);
    };
    let mut start = Vec::with_capacity(SQLITE_MAGIC.len());
    file.take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|error| complaint(path, format!("cannot be read: {error}")))?;
    if start.is_empty() || start == SQLITE_MAGIC {
        return Ok(!start.is_empty());
    }
    Err(complaint(path, "is not an SQLite database; restore it from a backup or move it away"))
}

/// A database is never opened without the master key it was written under: a new one could read nothing of it.
pub(super) fn missing_beside_database(key: Key, path: &Path) -> Misconfigured {
    let reason =
        format!("is missing, and there is a database that needs this {}; {}", key.title(), key.remedy());
    complaint(path, reason)
}

/// Nothing is made in a folder that is somebody else's, or none at all.
pub(super) fn no_data_folder(dir: &DataDir) -> Misconfigured {
    let reason = "is no data folder: there is no database in it; name the folder of the service, or start the service \
                  there first";
    complaint(&dir.place.folder, reason)
}

/// A key that the service has from elsewhere is not made up beside it.
pub(super) fn missing_beside_service(key: Key, path: &Path) -> Misconfigured {
    let reason = match key.variable() {
        Some(variable) => format!(
            "is missing, so the service has its {} from the environment; set {variable} as it is set there",
            key.title()
        ),
        None => {
            format!("is missing, and there is a database that needs this {}; {}", key.title(), key.remedy())
        }
    };
    complaint(path, reason)
}

/// The key a variable sets, if it does.
pub(super) fn key_of_environment(
    key: Key,
    environment: &Environment,
) -> Result<Option<SecretSlice<u8>>, Misconfigured> {
    let Some(variable) = key.variable() else { return Ok(None) };
    let Some(text) = environment.raw(variable) else { return Ok(None) };
    let text = SecretSlice::from(text.as_bytes().to_vec());
    key.parse(&text).map(Some).map_err(|reason| {
        Misconfigured::new(
            variable,
            format!("the value {reason}; unset it to use the {} of DATA_DIR", key.title()),
        )
    })
}

/// Returns the key of the folder of keys, if it is there; one that is missing is refused in a folder that was given.
pub(super) fn key_of_place(key: Key, dir: &DataDir) -> Result<Option<SecretSlice<u8>>, Misconfigured> {
    let path = dir.key(key);
    if !matches!(dir.place.keys, KeysIn::Given(_)) {
        return key_of_file(key, &path);
    }
    let given = key_in(key, &path, OTHERS_AND_WRITERS).map_err(about_given_keys)?;
    given.map(Some).ok_or_else(|| {
        let reason = "is missing; `portcullis make-keys FOLDER` makes the keys that a folder lacks";
        about_given_keys(complaint(&path, reason))
    })
}

/// The key of a file, if there is one.
pub(super) fn key_of_file(key: Key, path: &Path) -> Result<Option<SecretSlice<u8>>, Misconfigured> {
    key_in(key, path, OTHERS)
}

fn key_in(key: Key, path: &Path, refused: u32) -> Result<Option<SecretSlice<u8>>, Misconfigured> {
    let Some(file) = open_private(path, OpenOptions::new().read(true), refused)? else { return Ok(None) };
    let text = private_files::read(&file)
        .map_err(|error| complaint(path, format!("cannot be read as a key: {error}")))?;
    key.parse(&text).map(Some).map_err(|reason| {
        complaint(path, format!("holds the {}, but {reason}; {}", key.title(), key.remedy()))
    })
}

/// Returns an existing file with none of these permission bits, or none when it does not exist.
fn open_private(path: &Path, options: &OpenOptions, refused: u32) -> Result<Option<File>, Misconfigured> {
    let unreadable =
        |error: io::Error| complaint(path, format!("cannot be opened: {error}; change its owner"));
    match private_files::look(path).map_err(unreadable)? {
        Found::File => {}
        Found::Nothing => return Ok(None),
        Found::Folder | Found::Other => return Err(complaint(path, "is not a file; move it away")),
    }
    let file = options.open(path).map_err(unreadable)?;
    match private_files::permissions_among(&file, refused).map_err(unreadable)? {
        Some(mode) => {
            let reason = format!(
                "can be reached by other users (mode {mode:04o}); run: chmod 600 \"{}\"",
                path.display()
            );
            Err(complaint(path, reason))
        }
        None => Ok(Some(file)),
    }
}

/// One line, because `locate` lets no path through that has more.
fn complaint(path: &Path, reason: impl AsRef<str>) -> Misconfigured {
    Misconfigured::new(DATA_DIR, format!("\"{}\" {}", path.display(), reason.as_ref()))
}
