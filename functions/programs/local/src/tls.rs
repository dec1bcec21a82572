//! TLS by files: a certificate and its key, read again when they change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// The certificates of the server.
pub(crate) const TLS_CERT_FILE: Variable = Variable {
    name: "TLS_CERT_FILE",
    default: "",
    about: "PEM file with the server's certificate and those up to its authority; TLS is left to a proxy in front when unset",
    aliases: &[],
};
/// The private key of the server's certificate.
pub(crate) const TLS_KEY_FILE: Variable = Variable {
    name: "TLS_KEY_FILE",
    default: "",
    about: "PEM file with the private key of TLS_CERT_FILE; both are read again when they change",
    aliases: &[],
};

/// How often is looked whether the files changed.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The largest file that is read: a chain has some kilobytes.
const LARGEST_FILE: u64 = 256 * 1024;

/// The files of a certificate, and what was last read in them that could be used.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: Files,
    now: RwLock<Loaded>,
}

#[derive(Debug)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

struct Loaded {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}

/// Why a certificate cannot be used. No text of a file is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, std::io::Error),
    #[error("{0} is a file of more than {LARGEST_FILE} bytes")]
    TooLarge(&'static str),
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(&'static str),
    #[error("{0} holds no private key in PEM")]
    NoKey(&'static str),
    #[error("the key does not belong to the certificate, or is of a kind that is not known: {0}")]
    Unfit(rustls::Error),
}

impl Certificates {
    /// Returns the certificates that the variables name; `None` where they name none. Fails when one of the two is missing, or
    /// they cannot be used.
    pub(crate) fn read(environment: &Environment) -> Result<Option<Self>, Misconfigured> {
        let (certificates, key) = (environment.text(&TLS_CERT_FILE)?, environment.text(&TLS_KEY_FILE)?);
        let files = match (certificates.is_empty(), key.is_empty()) {
            (true, true) => return Ok(None),
            (false, true) => {
                return Err(Misconfigured::new(TLS_KEY_FILE.name, "must be set with TLS_CERT_FILE"));
            }
            (true, false) => {
                return Err(Misconfigured::new(TLS_CERT_FILE.name, "must be set with TLS_KEY_FILE"));
            }
            (false, false) => Files { certificates: certificates.into(), key: key.into() },
        };
        let loaded =
            files.load().map_err(|error| Misconfigured::new(TLS_CERT_FILE.name, error.to_string()))?;
        Ok(Some(Self { files, now: RwLock::new(loaded) }))
    }

    /// Returns what accepts connections with the certificate as it is now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).config).into()
    }

    /// Takes up the files if they changed, and returns whether they did; fails when they cannot be used: connections then go
    /// on with those of before. Of two files that are replaced one after the other, the first alone does not fit, and the
    /// next look finds both.
    pub(crate) fn renew(&self) -> Result<bool, Unusable> {
        let (certificates, key) = self.files.contents()?;
        {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            if now.certificates == certificates && now.key == key {
                return Ok(false);
            }
        }
        let loaded = Loaded { config: config(&certificates, &key)?, certificates, key };
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// Looks at the files again and again, and at once when `asked` says so.
    pub(crate) async fn keep_up(self: Arc<Self>, mut asked: tokio::signal::unix::Signal) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = asked.recv() => {}
            }
            match self.renew() {
                Ok(true) => tracing::info!("the certificate was taken up anew"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the certificate cannot be taken up; the last one is used");
                }
            }
        }
    }
}

impl Files {
    fn load(&self) -> Result<Loaded, Unusable> {
        let (certificates, key) = self.contents()?;
        Ok(Loaded { config: config(&certificates, &key)?, certificates, key })
    }

    fn contents(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Unusable> {
        let certificates = contents(TLS_CERT_FILE.name, &self.certificates)?;
        Ok((certificates, Zeroizing::new(contents(TLS_KEY_FILE.name, &self.key)?)))
    }
}

fn contents(variable: &'static str, path: &std::path::Path) -> Result<Vec<u8>, Unusable> {
    let unreadable = |error| Unusable::Unreadable(variable, error);
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
        return Err(Unusable::TooLarge(variable));
    }
    std::fs::read(path).map_err(unreadable)
}

fn config(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, Unusable> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or(Unusable::NoCertificate(TLS_CERT_FILE.name))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unusable::NoKey(TLS_KEY_FILE.name))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(Unusable::Unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of its own authority, and its key.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(certificate: &str, key: &str) -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.put("cert", certificate);
            folder.put("key", key);
            folder
        }

        fn put(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).unwrap();
        }

        fn read(&self) -> Result<Certificates, String> {
            let path = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
            let variables = [(TLS_CERT_FILE.name, path("cert")), (TLS_KEY_FILE.name, path("key"))];
            let read = Certificates::read(&variables.into_iter().collect());
            read.map(Option::unwrap).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn files_that_change_are_taken_up_and_those_that_do_not_fit_are_left() {
        let ((one, one_key), (two, two_key)) = (made(), made());
        let folder = Folder::with(&one, &one_key);
        let certificates = folder.read().unwrap();
        let in_use = || Arc::as_ptr(&certificates.now.read().unwrap().config);
        let first = in_use();
        assert!(!certificates.renew().unwrap(), "nothing changed");
        folder.put("cert", &two);
        assert!(matches!(certificates.renew(), Err(Unusable::Unfit(_))), "its key is not there yet");
        assert_eq!(in_use(), first);
        folder.put("key", &two_key);
        assert!(certificates.renew().unwrap());
        assert_ne!(in_use(), first);
        std::fs::remove_file(folder.0.path().join("key")).unwrap();
        assert!(matches!(certificates.renew(), Err(Unusable::Unreadable(..))));
    }

    #[test]
    fn what_is_no_certificate_or_no_key_ends_the_start() {
        let (certificate, key) = made();
        for (certificate, key, says) in [
            ("", key.as_str(), "no certificate"),
            (certificate.as_str(), "", "no private key"),
            (certificate.as_str(), &made().1, "does not belong"),
            (&"x".repeat(1_000_000), key.as_str(), "more than"),
        ] {
            let error = Folder::with(certificate, key).read().unwrap_err();
            assert!(error.starts_with("TLS_CERT_FILE: ") && error.contains(says), "{error}");
        }
        assert!(Certificates::read(&Environment::default()).unwrap().is_none());
        let half = Certificates::read(&[(TLS_CERT_FILE.name, "x")].into_iter().collect());
        assert!(half.unwrap_err().to_string().starts_with("TLS_KEY_FILE: "));
    }
}
