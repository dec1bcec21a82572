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

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_platform::{Entropy, Environment, Misconfigured, ServiceTokens, SigningAlgorithm};
use secrecy::{ExposeSecret, SecretSlice};

use self::keys::{Cause, Key};
use crate::master_key::LocalMasterKey;
use crate::private_files;
use crate::secrets::FileSecrets;

/// The data folder of one installation.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// A data folder in which whatever exists is usable, and nothing has been written yet.
#[derive(Debug)]
pub struct Inspected {
    dir: DataDir,
    algorithm: SigningAlgorithm,
    entropy: Arc<dyn Entropy>,
    session_secret: Option<SecretSlice<u8>>,
    api_key_secret: Option<SecretSlice<u8>>,
    service_tokens: Option<SecretSlice<u8>>,
    token_signing: Option<SecretSlice<u8>>,
    edge_proof: Option<SecretSlice<u8>>,
    master: Option<SecretSlice<u8>>,
    /// Whether the environment has the tokens of services, and no file of the folder.
    has_given_tokens: bool,
    /// Whether there is anything in the database.
    is_in_use: bool,
}

/// A complete data folder.
#[derive(Debug)]
pub struct Prepared {
    /// The secrets, from the environment where it sets them.
    pub secrets: FileSecrets,
    /// The provider of data keys, under the master key of the folder.
    pub key_wrap: LocalMasterKey,
    /// The file to give to `EmbeddedDynamoDb::open`.
    pub database: PathBuf,
    /// The folder to give to `Outbox::new`.
    pub outbox: PathBuf,
    /// What was missing and has been made now, in the order it was made; empty from the second start on.
    pub created: Vec<Created>,
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
    /// Returns the checked content of the folder, and of the secrets in the environment that replace files; fails with
    /// the first one that is unusable. It writes nothing, so that a start with an unusable configuration leaves no
    /// trace. A key set in the environment is not looked for in the folder.
    pub fn inspect(
        path: &Path,
        environment: &Environment,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Inspected, Misconfigured> {
        let dir = inspection::locate(path)?;
        inspection::check_folders(&dir)?;
        let is_in_use = inspection::check_database(&dir.database())?;
        let found = |key| match inspection::key_of_environment(key, environment)? {
            Some(key) => Ok(Some(key)),
            None => inspection::key_of_file(key, &dir.key(key)),
        };
        let master = found(Key::Master)?;
        if is_in_use && master.is_none() {
            return Err(inspection::missing_beside_database(Key::Master, &dir.key(Key::Master)));
        }
        Ok(Inspected {
            algorithm: SigningAlgorithm::read(environment)?,
            session_secret: found(Key::SessionSecret)?,
            api_key_secret: found(Key::ApiKeySecret)?,
            service_tokens: found(Key::ServiceTokens)?,
            has_given_tokens: inspection::key_of_environment(Key::ServiceTokens, environment)?.is_some(),
            token_signing: found(Key::TokenSigning)?,
            edge_proof: found(Key::EdgeProof)?,
            master,
            dir,
            entropy,
            is_in_use,
        })
    }

    /// Puts these tokens of services in place of those in the folder; a service that runs on it takes them up when it is
    /// started again. Fails when the file cannot be written.
    pub fn keep_service_tokens(root: &Path, tokens: &ServiceTokens) -> io::Result<()> {
        let path = Self { root: root.to_owned() }.key(Key::ServiceTokens);
        private_files::replace_with(&path, tokens.to_json().expose_secret().as_bytes())
    }

    fn database(&self) -> PathBuf {
        self.root.join("portcullis.db")
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    fn outbox(&self) -> PathBuf {
        self.root.join("outbox")
    }

    fn key(&self, key: Key) -> PathBuf {
        self.keys().join(key.file_name())
    }
}

impl Inspected {
    /// Returns the folder as a service left it; fails where no service ever ran on it, and where a key is neither in it nor
    /// in the environment: the service beside it takes its own from there, and another one would read nothing of it.
    /// Nothing is written.
    pub fn require_complete(self) -> Result<Prepared, Misconfigured> {
        if !self.is_in_use {
            return Err(inspection::no_data_folder(&self.dir));
        }
        let dir = &self.dir;
        let there = |found: Option<SecretSlice<u8>>, key: Key| {
            found.ok_or_else(|| inspection::missing_beside_service(key, &dir.key(key)))
        };
        let secrets = FileSecrets {
            session_secret: there(self.session_secret, Key::SessionSecret)?,
            api_key_secret: there(self.api_key_secret, Key::ApiKeySecret)?,
            service_tokens: there(self.service_tokens, Key::ServiceTokens)?,
            token_signing: there(self.token_signing, Key::TokenSigning)?,
            edge_proof: there(self.edge_proof, Key::EdgeProof)?,
        };
        let master = there(self.master, Key::Master)?;
        let key_wrap = LocalMasterKey::new(&master, self.entropy)
            .map_err(|_| inspection::missing_beside_service(Key::Master, &dir.key(Key::Master)))?;
        let (database, outbox) = (dir.database(), dir.outbox());
        Ok(Prepared { secrets, key_wrap, database, outbox, created: Vec::new() })
    }

    /// Returns the complete folder after creating what is missing; fails when a file cannot be created or a key cannot be
    /// generated. When several processes start together, each key is created by one and used by all. Each of these services
    /// has a token then, unless the environment has the tokens. The call blocks, the first time for as long as generating a
    /// signing key takes.
    pub fn prepare<'a>(self, services: impl IntoIterator<Item = &'a str>) -> Result<Prepared, PrepareError> {
        let mut made = Making {
            dir: &self.dir,
            algorithm: self.algorithm,
            entropy: &*self.entropy,
            created: Vec::new(),
        };
        made.note("data folder", self.dir.root.clone(), private_files::create_folder)?;
        let keys = self.dir.keys();
        private_files::create_folder(&keys).map_err(|cause| refused("key folder", keys, cause))?;
        let outbox = self.dir.outbox();
        private_files::create_folder(&outbox).map_err(|cause| refused("outbox", outbox.clone(), cause))?;
        let session_secret = made.key(Key::SessionSecret, self.session_secret)?;
        let api_key_secret = made.key(Key::ApiKeySecret, self.api_key_secret)?;
        let mut service_tokens = made.key(Key::ServiceTokens, self.service_tokens)?;
        if !self.has_given_tokens {
            service_tokens = made.tokens_of(services, service_tokens)?;
        }
        let token_signing = made.key(Key::TokenSigning, self.token_signing)?;
        let edge_proof = made.key(Key::EdgeProof, self.edge_proof)?;
        let master = made.key(Key::Master, self.master)?;
        // The database is created last, so that it is never found beside a master key that is not its own.
        let database = self.dir.database();
        made.note("database", database.clone(), private_files::create_empty)?;
        let created = made.created;
        let key_wrap = LocalMasterKey::new(&master, self.entropy)
            .map_err(|cause| PrepareError::Make { what: "key wrapping", cause: cause.into() })?;
        let secrets =
            FileSecrets { session_secret, api_key_secret, service_tokens, token_signing, edge_proof };
        Ok(Prepared { secrets, key_wrap, database, outbox, created })
    }
}

struct Making<'a> {
    dir: &'a DataDir,
    algorithm: SigningAlgorithm,
    entropy: &'a dyn Entropy,
    created: Vec<Created>,
}

impl Making<'_> {
    fn key(&mut self, key: Key, found: Option<SecretSlice<u8>>) -> Result<SecretSlice<u8>, PrepareError> {
        if let Some(found) = found {
            return Ok(found);
        }
        let (what, path) = (key.title(), self.dir.key(key));
        let content =
            key.make(self.algorithm, self.entropy).map_err(|cause| PrepareError::Make { what, cause })?;
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
        self.created.push(Created { what, path: path.clone() });
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
