//! `DATA_DIR`: looked at as a whole before anything is written, then completed.
//!
//! ```text
//! DATA_DIR/                     0700
//!   portcullis.db               0600, with -wal and -shm beside it while in use, and an empty -traces or -wiping while
//!                               what was removed may still be in its bytes
//!   keys/                       0700
//!     session-secret-key        0600, text of at least 32 bytes
//!     api-key-secret            0600, text of at least 32 bytes
//!     service-tokens.json       0600, an object of service names, each with one to three tokens
//!     token-signing-key.pem     0600, RSA in PKCS#8
//!     edge-proof-key            0600, base64url of at least 32 bytes
//!     master-key                0600, 32 bytes in base64url
//!   outbox/                     0700, a file for each message
//! ```

mod inspection;
mod keys;
mod place;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_platform::{Entropy, Environment, Misconfigured, ServiceTokens, SigningAlgorithm};
use secrecy::{ExposeSecret, SecretSlice};

use self::keys::{Cause, Key};
pub use self::place::{KeysIn, Place};
use crate::master_key::LocalMasterKey;
use crate::private_files;
use crate::secrets::FileSecrets;

/// The data folder of one installation.
#[derive(Debug, Clone)]
pub struct DataDir {
    place: Place,
}

/// A data folder in which whatever exists is usable, and nothing has been written yet.
#[derive(Debug)]
pub struct Inspected {
    dir: DataDir,
    entropy: Arc<dyn Entropy>,
    /// `None` where the keys are elsewhere.
    keys: Option<FoundKeys>,
    /// Whether there is anything in the database.
    is_in_use: bool,
}

/// The keys that are there already, in the environment or as files.
#[derive(Debug)]
struct FoundKeys {
    algorithm: SigningAlgorithm,
    session_secret: Option<SecretSlice<u8>>,
    api_key_secret: Option<SecretSlice<u8>>,
    service_tokens: Option<SecretSlice<u8>>,
    token_signing: Option<SecretSlice<u8>>,
    edge_proof: Option<SecretSlice<u8>>,
    master: Option<SecretSlice<u8>>,
    /// Whether the environment has the tokens of services, and no file of the folder.
    has_given_tokens: bool,
}

/// A complete data folder. What its place leaves out is `None`.
#[derive(Debug)]
pub struct Prepared {
    /// The keys, from the environment where it sets them.
    pub keys: Option<FileKeys>,
    /// The file to give to `EmbeddedDynamoDb::open`.
    pub database: Option<PathBuf>,
    /// The folder to give to `Outbox::new`.
    pub outbox: Option<PathBuf>,
    /// What was missing and has been made now, in the order it was made; empty from the second start on.
    pub created: Vec<Created>,
}

/// The keys of a data folder.
#[derive(Debug)]
pub struct FileKeys {
    /// What signs, digests and recognises.
    pub secrets: FileSecrets,
    /// The provider of data keys, under the master key of the folder.
    pub key_wrap: LocalMasterKey,
}

/// A file or folder that a first start created; its text is one line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// A description, as in "token signing key".
    pub what: &'static str,
    /// The path of the file or folder.
    pub path: PathBuf,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "created the {} \"{}\"", self.what, self.path.display())
    }
}

/// The error when a data folder cannot be completed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A file system operation failed.
    #[error("creating the {what} {path:?}")]
    Create {
        /// The description of what was to be created.
        what: &'static str,
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// A key could not be generated.
    #[error("making the {what}")]
    Make {
        /// The description of the key.
        what: &'static str,
        /// The error of the generator.
        #[source]
        cause: Cause,
    },
    /// Another process put something unusable there since the folder was inspected.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
}

impl DataDir {
    /// Returns what [`DataDir::inspect_place`] does for a folder that everything is in.
    pub fn inspect(
        path: &Path,
        environment: &Environment,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Inspected, Misconfigured> {
        Self::inspect_place(Place::whole(path), environment, entropy)
    }

    /// Returns the checked content of the folder, and of the secrets in the environment that replace files; fails with
    /// the first one that is unusable. It writes nothing, so that a start with an unusable configuration leaves no
    /// trace. A key set in the environment is not looked for in the folder.
    pub fn inspect_place(
        place: Place,
        environment: &Environment,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Inspected, Misconfigured> {
        let dir = inspection::locate(place)?;
        inspection::check_folders(&dir)?;
        let is_in_use = dir.place.database && inspection::check_database(&dir.database())?;
        let keys = match dir.place.keys {
            KeysIn::Elsewhere => None,
            KeysIn::Folder(_) | KeysIn::Given(_) => Some(FoundKeys::find(&dir, environment)?),
        };
        if is_in_use && keys.as_ref().is_some_and(|keys| keys.master.is_none()) {
            return Err(inspection::missing_beside_database(Key::Master, &dir.key(Key::Master)));
        }
        Ok(Inspected { dir, entropy, keys, is_in_use })
    }

    /// Puts these tokens of services in place of those in this folder of keys; a service that runs on it takes them up when it is
    /// started again. Fails when the file cannot be written.
    pub fn keep_service_tokens(keys: &Path, tokens: &ServiceTokens) -> io::Result<()> {
        let path = Self { place: Place::of_keys(keys) }.key(Key::ServiceTokens);
        private_files::replace_with(&path, tokens.to_json().expose_secret().as_bytes())
    }

    fn database(&self) -> PathBuf {
        self.place.folder.join("portcullis.db")
    }

    fn outbox(&self) -> PathBuf {
        self.place.folder.join("outbox")
    }

    fn key(&self, key: Key) -> PathBuf {
        self.place.keys.folder().unwrap_or(&self.place.folder).join(key.file_name())
    }
}

impl FoundKeys {
    /// Looks for each key in the environment, then in the folder of keys; fails when one is unusable, and when one is missing
    /// in a folder that was given as complete.
    fn find(dir: &DataDir, environment: &Environment) -> Result<Self, Misconfigured> {
        let found = |key| match inspection::key_of_environment(key, environment)? {
            Some(key) => Ok(Some(key)),
            None => inspection::key_of_place(key, dir),
        };
        Ok(Self {
            algorithm: SigningAlgorithm::read(environment)?,
            master: found(Key::Master)?,
            session_secret: found(Key::SessionSecret)?,
            api_key_secret: found(Key::ApiKeySecret)?,
            service_tokens: found(Key::ServiceTokens)?,
            has_given_tokens: inspection::key_of_environment(Key::ServiceTokens, environment)?.is_some(),
            token_signing: found(Key::TokenSigning)?,
            edge_proof: found(Key::EdgeProof)?,
        })
    }

    /// Returns the keys where none is missing; fails with what `complain` says about the first that is.
    fn complete(
        self,
        entropy: Arc<dyn Entropy>,
        complain: impl Fn(Key) -> Misconfigured,
    ) -> Result<FileKeys, Misconfigured> {
        let there = |found: Option<SecretSlice<u8>>, key| found.ok_or_else(|| complain(key));
        let secrets = FileSecrets {
            session_secret: there(self.session_secret, Key::SessionSecret)?,
            api_key_secret: there(self.api_key_secret, Key::ApiKeySecret)?,
            service_tokens: there(self.service_tokens, Key::ServiceTokens)?,
            token_signing: there(self.token_signing, Key::TokenSigning)?,
            edge_proof: there(self.edge_proof, Key::EdgeProof)?,
        };
        let master = there(self.master, Key::Master)?;
        let key_wrap = LocalMasterKey::new(&master, entropy).map_err(|_| complain(Key::Master))?;
        Ok(FileKeys { secrets, key_wrap })
    }
}

impl Inspected {
    /// Returns whether every key is there, so that none would be made.
    pub fn has_every_key(&self) -> bool {
        self.keys.as_ref().is_none_or(|keys| {
            let secrets = [&keys.session_secret, &keys.api_key_secret, &keys.service_tokens];
            let others = [&keys.token_signing, &keys.edge_proof, &keys.master];
            secrets.into_iter().chain(others).all(Option::is_some)
        })
    }

    /// Returns the folder as a service left it; fails where no service ever ran on it, and where a key is neither in it nor
    /// in the environment: the service beside it takes its own from there, and another one would read nothing of it.
    /// Nothing is written.
    pub fn require_complete(self) -> Result<Prepared, Misconfigured> {
        let Self { dir, entropy, keys, is_in_use } = self;
        if dir.place.database && !is_in_use {
            return Err(inspection::no_data_folder(&dir));
        }
        let complain = |key| inspection::missing_beside_service(key, &dir.key(key));
        let keys = keys.map(|keys| keys.complete(entropy, complain)).transpose()?;
        let (database, outbox) = (dir.place.database.then(|| dir.database()), dir.place.outbox);
        Ok(Prepared { keys, database, outbox: outbox.then(|| dir.outbox()), created: Vec::new() })
    }

    /// Returns the complete folder after creating what is missing; fails when a file cannot be created or a key cannot be
    /// generated. When several processes start together, each key is created by one and used by all. Each of these services
    /// has a token then, unless the environment has the tokens. The call blocks, the first time for as long as generating a
    /// signing key takes.
    pub fn prepare<'a>(self, services: impl IntoIterator<Item = &'a str>) -> Result<Prepared, PrepareError> {
        let Self { dir, entropy, keys, .. } = self;
        let mut made = Making { dir: &dir, entropy: &*entropy, created: Vec::new() };
        made.folders()?;
        let keys = match keys {
            Some(found) if matches!(dir.place.keys, KeysIn::Folder(_)) => Some(made.keys(found, services)?),
            found => found,
        };
        let keys = keys.map(|keys| {
            keys.complete(Arc::clone(&entropy), |key| inspection::missing_beside_service(key, &dir.key(key)))
        });
        let keys = keys.transpose()?;
        // The database is created last, so that it is never found beside a master key that is not its own.
        let database = dir.place.database.then(|| dir.database());
        if let Some(database) = &database {
            made.note("database", database.clone(), private_files::create_empty)?;
        }
        let created = made.created;
        Ok(Prepared { keys, database, outbox: dir.place.outbox.then(|| dir.outbox()), created })
    }
}

/// Returns a master key that somebody else keeps as its file would have it, or why the text is none.
pub(crate) fn parse_master_key(text: &SecretSlice<u8>) -> Result<SecretSlice<u8>, &'static str> {
    Key::Master.parse(text)
}

struct Making<'a> {
    dir: &'a DataDir,
    entropy: &'a dyn Entropy,
    created: Vec<Created>,
}

impl Making<'_> {
    /// Creates the folders that something is put into.
    fn folders(&mut self) -> Result<(), PrepareError> {
        let place = &self.dir.place;
        if place.is_written() {
            self.note("data folder", place.folder.clone(), private_files::create_folder)?;
        }
        if let KeysIn::Folder(keys) = &place.keys {
            private_files::create_folder(keys).map_err(|cause| refused("key folder", keys.clone(), cause))?;
        }
        if place.outbox {
            let outbox = self.dir.outbox();
            private_files::create_folder(&outbox).map_err(|cause| refused("outbox", outbox, cause))?;
        }
        Ok(())
    }

    /// Returns the keys with those made that were missing.
    fn keys<'s>(
        &mut self,
        mut found: FoundKeys,
        services: impl IntoIterator<Item = &'s str>,
    ) -> Result<FoundKeys, PrepareError> {
        let algorithm = found.algorithm;
        let session_secret = self.key(Key::SessionSecret, found.session_secret, algorithm)?;
        let api_key_secret = self.key(Key::ApiKeySecret, found.api_key_secret, algorithm)?;
        let mut service_tokens = self.key(Key::ServiceTokens, found.service_tokens, algorithm)?;
        if !found.has_given_tokens {
            service_tokens = self.tokens_of(services, service_tokens)?;
        }
        found.session_secret = Some(session_secret);
        found.api_key_secret = Some(api_key_secret);
        found.service_tokens = Some(service_tokens);
        found.token_signing = Some(self.key(Key::TokenSigning, found.token_signing, algorithm)?);
        found.edge_proof = Some(self.key(Key::EdgeProof, found.edge_proof, algorithm)?);
        found.master = Some(self.key(Key::Master, found.master, algorithm)?);
        Ok(found)
    }

    fn key(
        &mut self,
        key: Key,
        found: Option<SecretSlice<u8>>,
        algorithm: SigningAlgorithm,
    ) -> Result<SecretSlice<u8>, PrepareError> {
        if let Some(found) = found {
            return Ok(found);
        }
        let (what, path) = (key.title(), self.dir.key(key));
        let content =
            key.make(algorithm, self.entropy).map_err(|cause| PrepareError::Make { what, cause })?;
        self.note(what, path.clone(), |path| private_files::create_with(path, content.expose_secret()))?;
        // Read back even by the process that created it (it may have lost the race): what this start uses is then what
        // the next one will find.
        inspection::key_of_file(key, &path)?
            .ok_or_else(|| refused(what, path, io::Error::other("it vanished while the service started")))
    }

    /// Gives each of these services a token that has none, and returns the tokens of all.
    fn tokens_of<'a>(
        &mut self,
        services: impl IntoIterator<Item = &'a str>,
        found: SecretSlice<u8>,
    ) -> Result<SecretSlice<u8>, PrepareError> {
        let what = "tokens of services that had none";
        let mut tokens = ServiceTokens::parse(found.expose_secret())
            .map_err(|why| PrepareError::Make { what, cause: why.into() })?;
        let has_token: BTreeSet<String> = tokens.iter().map(|(name, _)| name.to_owned()).collect();
        let missing: Vec<&str> = services.into_iter().filter(|name| !has_token.contains(*name)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        for name in missing {
            tokens
                .add(name, self.entropy)
                .map_err(|cause| PrepareError::Make { what, cause: cause.into() })?;
        }
        let path = self.dir.key(Key::ServiceTokens);
        private_files::replace_with(&path, tokens.to_json().expose_secret().as_bytes())
            .map_err(|cause| refused(what, path.clone(), cause))?;
        // A first start has told of the file already.
        if !self.created.iter().any(|created| created.path == path) {
            self.created.push(Created { what, path: path.clone() });
        }
        // Of two processes that start together with another list, one wrote last.
        inspection::key_of_file(Key::ServiceTokens, &path)?
            .ok_or_else(|| refused(what, path, io::Error::other("it vanished while the service started")))
    }

    fn note(
        &mut self,
        what: &'static str,
        path: PathBuf,
        create: impl FnOnce(&Path) -> io::Result<bool>,
    ) -> Result<(), PrepareError> {
        match create(&path) {
            Ok(true) => self.created.push(Created { what, path }),
            Ok(false) => {}
            Err(cause) => return Err(refused(what, path, cause)),
        }
        Ok(())
    }
}

fn refused(what: &'static str, path: PathBuf, cause: io::Error) -> PrepareError {
    PrepareError::Create { what, path, cause }
}

#[cfg(test)]
mod tests;
