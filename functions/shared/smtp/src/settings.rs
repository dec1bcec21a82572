//! The configuration of mail by SMTP.

use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use secrecy::SecretString;

const SMTP_HOST: Variable = Variable {
    name: "SMTP_HOST",
    default: "",
    about: "name of the mail server, for MAIL=smtp",
    aliases: &[],
};
const SMTP_PORT: Variable = Variable {
    name: "SMTP_PORT",
    default: "",
    about: "port of the mail server; when unset 465 for SMTP_TLS=tls, 587 for `starttls`, 25 for `off`",
    aliases: &[],
};
const SMTP_TLS: Variable = Variable {
    name: "SMTP_TLS",
    default: "starttls",
    about: "`tls` from the first byte, `starttls` (refused where the server offers none), or `off` for a server on loopback",
    aliases: &[],
};
const SMTP_CA_FILE: Variable = Variable {
    name: "SMTP_CA_FILE",
    default: "",
    about: "PEM file with the authority of the mail server's certificate, which is then the only one that is trusted; those of the system when unset",
    aliases: &[],
};
const SMTP_USERNAME: Variable = Variable {
    name: "SMTP_USERNAME",
    default: "",
    about: "account at the mail server; none is used when unset",
    aliases: &[],
};
const SMTP_PASSWORD_FILE: Variable = Variable {
    name: "SMTP_PASSWORD_FILE",
    default: "",
    about: "file with the password of SMTP_USERNAME",
    aliases: &[],
};
const SMTP_TIMEOUT: Variable = Variable {
    name: "SMTP_TIMEOUT",
    default: "4",
    about: "seconds in which the mail server has to take a message, 1 to 60",
    aliases: &[],
};

/// The variables that [`SmtpSettings::read`] reads.
pub const VARIABLES: &[Variable] =
    &[SMTP_HOST, SMTP_PORT, SMTP_TLS, SMTP_CA_FILE, SMTP_USERNAME, SMTP_PASSWORD_FILE, SMTP_TIMEOUT];

/// The largest file that is read: a bundle of authorities has some hundred kilobytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The validated configuration of mail by SMTP.
#[derive(Debug)]
pub struct SmtpSettings {
    /// The name of the mail server, which its certificate has to have.
    pub host: String,
    /// The port of the mail server.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// The only authority that is trusted, in PEM; `None` for those of the system.
    pub authority: Option<Vec<u8>>,
    /// The account at the mail server.
    pub account: Option<(String, SecretString)>,
    /// The timeout of a message.
    pub timeout: Duration,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte.
    Wrapped,
    /// TLS after STARTTLS, without which nothing is sent.
    StartTls,
    /// None, on loopback.
    Off,
}

impl SmtpSettings {
    /// Returns the settings that the variables of [`VARIABLES`] make; fails with the first one that is missing or unusable.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let host = environment.text(&SMTP_HOST)?;
        if host.is_empty() || host.contains(|char: char| char.is_whitespace() || char == ':') {
            return Err(Misconfigured::new(
                SMTP_HOST.name,
                "must be the name of a mail server, without a port",
            ));
        }
        let tls = tls(environment, &host)?;
        let port = match environment.text(&SMTP_PORT)?.as_str() {
            "" => tls.port(),
            _ => environment.parse(&SMTP_PORT)?,
        };
        let authority = match environment.text(&SMTP_CA_FILE)?.as_str() {
            "" => None,
            file => Some(read_file(&SMTP_CA_FILE, file)?),
        };
        let account = account(environment)?;
        let timeout = environment.seconds(&SMTP_TIMEOUT, 1..=60)?;
        Ok(Self { host, port, tls, authority, account, timeout })
    }
}

impl SmtpTls {
    fn port(self) -> u16 {
        match self {
            Self::Wrapped => 465,
            Self::StartTls => 587,
            Self::Off => 25,
        }
    }
}

fn tls(environment: &Environment, host: &str) -> Result<SmtpTls, Misconfigured> {
    let refused = |reason| Err(Misconfigured::new(SMTP_TLS.name, reason));
    match environment.text(&SMTP_TLS)?.as_str() {
        "tls" => Ok(SmtpTls::Wrapped),
        "starttls" => Ok(SmtpTls::StartTls),
        "off" if matches!(host, "localhost" | "127.0.0.1") => Ok(SmtpTls::Off),
        // Links in mails open accounts.
        "off" => refused("may be `off` for a mail server on loopback only"),
        _ => refused("is none of `tls`, `starttls` and `off`"),
    }
}

fn account(environment: &Environment) -> Result<Option<(String, SecretString)>, Misconfigured> {
    let name = environment.text(&SMTP_USERNAME)?;
    let file = environment.text(&SMTP_PASSWORD_FILE)?;
    match (name.is_empty(), file.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Err(Misconfigured::new(SMTP_USERNAME.name, "must be set with SMTP_PASSWORD_FILE")),
        (false, true) => Err(Misconfigured::new(SMTP_PASSWORD_FILE.name, "must be set with SMTP_USERNAME")),
        (false, false) => {
            let text = String::from_utf8(read_file(&SMTP_PASSWORD_FILE, &file)?)
                .map_err(|_| Misconfigured::new(SMTP_PASSWORD_FILE.name, "is a file that is not text"))?;
            // Editors and `echo` end a file with a newline.
            Ok(Some((name, SecretString::from(text.trim_end_matches(['\r', '\n'])))))
        }
    }
}

fn read_file(variable: &Variable, path: &str) -> Result<Vec<u8>, Misconfigured> {
    let refused =
        |error: std::io::Error| Misconfigured::new(variable.name, format!("cannot be read: {error}"));
    if std::fs::metadata(path).map_err(refused)?.len() > LARGEST_FILE {
        return Err(Misconfigured::new(variable.name, "is a file of more than a megabyte"));
    }
    std::fs::read(path).map_err(refused)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<SmtpSettings, String> {
        let given = [("SMTP_HOST", "mail.example.com")];
        let all = given.into_iter().chain(pairs.iter().copied());
        SmtpSettings::read(&all.collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_port_follows_from_the_protection_unless_it_is_given() {
        let port = |pairs: &[(&str, &str)]| read(pairs).unwrap().port;
        assert_eq!((port(&[]), port(&[("SMTP_TLS", "tls")])), (587, 465));
        assert_eq!(port(&[("SMTP_TLS", "off"), ("SMTP_HOST", "localhost")]), 25);
        assert_eq!(port(&[("SMTP_PORT", "2525")]), 2525);
        assert!(read(&[("SMTP_PORT", "65536")]).unwrap_err().starts_with("SMTP_PORT: "));
    }

    #[test]
    fn what_cannot_be_used_is_named_in_one_line() {
        for (name, value) in [
            ("SMTP_HOST", ""),
            ("SMTP_HOST", "mail.example.com:25"),
            ("SMTP_TLS", "off"),
            ("SMTP_TLS", "opportunistic"),
            ("SMTP_CA_FILE", "/no/such/file"),
            ("SMTP_TIMEOUT", "61"),
            ("SMTP_TIMEOUT", "0"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")) && error.lines().count() == 1, "{error}");
        }
        assert!(read(&[("SMTP_USERNAME", "us")]).unwrap_err().starts_with("SMTP_PASSWORD_FILE: "));
        assert!(read(&[("SMTP_PASSWORD_FILE", "/etc/hostname")]).unwrap_err().starts_with("SMTP_USERNAME: "));
    }

    #[test]
    fn a_password_is_the_text_of_its_file_and_is_not_printed() {
        let folder = std::env::temp_dir().join(format!("portcullis-smtp-{}", std::process::id()));
        std::fs::write(&folder, "hunter2 \n").unwrap();
        let given = [("SMTP_USERNAME", "us"), ("SMTP_PASSWORD_FILE", folder.to_str().unwrap())];
        let settings = read(&given).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.account.unwrap().1.expose_secret(), "hunter2 ");
        std::fs::write(&folder, "x".repeat(1_048_577)).unwrap();
        assert!(read(&given).unwrap_err().contains("megabyte"));
        std::fs::remove_file(folder).unwrap();
    }
}
