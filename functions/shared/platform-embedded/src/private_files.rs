//! Files only their owner may read: made whole or not at all, and never trusted when others could have read them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use secrecy::{ExposeSecretMut, SecretSlice};

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// Far more than any key; whatever is larger was put there by mistake.
const LARGEST_KEY_FILE: u64 = 64 * 1024;

/// The kind of file that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Folder,
    File,
    /// A device, a socket, a pipe, or a symbolic link to nothing.
    Other,
}

/// Looks at a path without opening it: opening a pipe would wait for its other end.
pub(crate) fn look(path: &Path) -> io::Result<Found> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Found::Folder),
        Ok(meta) if meta.is_file() => Ok(Found::File),
        Ok(_) => Ok(Found::Other),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Err(_) => match fs::symlink_metadata(path) {
            Ok(_) => Ok(Found::Other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        },
    }
}

/// Returns the permission bits of an open file when one of `refused` is among them.
pub(crate) fn permissions_among(file: &File, refused: u32) -> io::Result<Option<u32>> {
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    Ok((mode & refused != 0).then_some(mode))
}

/// The whole content of a small file.
pub(crate) fn read(file: &File) -> io::Result<SecretSlice<u8>> {
    let len = file.metadata()?.len();
    if len > LARGEST_KEY_FILE {
        return Err(io::Error::other("it is far too large for a key"));
    }
    // Allocated once: growing would leave copies of the secret behind.
    let mut content = SecretSlice::from(vec![0; usize::try_from(len).unwrap_or_default()]);
    let mut reader = file;
    reader.read_exact(content.expose_secret_mut())?;
    Ok(content)
}

/// Whether files can be made in a folder. Asked of the file system itself, because permission bits know nothing of
/// read-only mounts; the file that is tried has no name, so nothing appears in the folder.
pub(crate) fn try_writing_in(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

/// Creates a folder that only its owner may enter, with those above it. Returns `false` when it existed already.
pub(crate) fn create_folder(path: &Path) -> io::Result<bool> {
    let mut builder = DirBuilder::new();
    builder.mode(PRIVATE_FOLDER);
    let parent = path.parent().unwrap_or(path);
    builder.recursive(true).create(parent)?;
    match builder.recursive(false).create(path) {
        Ok(()) => sync_folder(parent).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates an empty private file. Returns `false` when it existed already.
pub(crate) fn create_empty(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path) {
        Ok(_) => sync_folder(path.parent().unwrap_or(path)).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a private file with this content. Returns `false`, and changes nothing, when it existed already.
///
/// The content is on disk before the name is, so that neither a crash nor another process that starts at the same
/// moment ever meets half a key.
pub(crate) fn create_with(path: &Path, content: &[u8]) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(path);
    let created = match new_file(folder, content)?.persist_noclobber(path) {
        Ok(_) => true,
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => false,
        Err(refused) => return Err(refused.error),
    };
    // The loser of a race syncs too: it goes on with the winner's file, which must not vanish in a power cut either.
    sync_folder(folder).map(|()| created)
}

/// Puts a private file with this content in the place of another, as a whole.
pub(crate) fn replace_with(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    new_file(folder, content)?.persist(path).map_err(|refused| refused.error)?;
    sync_folder(folder)
}

fn new_file(folder: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(fs::Permissions::from_mode(PRIVATE_FILE))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(create_with(&path, b"first").unwrap());
        assert!(!create_with(&path, b"second").unwrap());
        assert!(!create_empty(&path).unwrap());
        assert_eq!(read(&File::open(&path).unwrap()).unwrap().expose_secret(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn what_is_replaced_is_replaced_as_a_whole_and_stays_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_with(&path, b"first").unwrap();
        replace_with(&path, b"second").unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(read(&file).unwrap().expose_secret(), b"second");
        assert_eq!(permissions_among(&file, 0o077).unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn trying_to_write_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        try_writing_in(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_symbolic_link_to_nothing_is_not_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(look(&link).unwrap(), Found::Other);
        assert_eq!(look(&folder.path().join("absent")).unwrap(), Found::Nothing);
        assert_eq!(look(folder.path()).unwrap(), Found::Folder);
    }

    #[test]
    fn a_huge_file_is_not_read_as_a_key() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LARGEST_KEY_FILE + 1).unwrap();
        assert!(read(&file).is_err());
    }
}
