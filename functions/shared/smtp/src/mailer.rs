//! Sending a message to the mail server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use mail_builder::MessageBuilder;
use portcullis_platform::{Clock, Entropy, Mail, Mailer, MailerError};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::settings::{SmtpSettings, SmtpTls};

/// What the sender is called.
const NAME: &str = "Portcullis";
/// The connections that are kept; a message takes some hundred milliseconds of one.
const MOST_CONNECTIONS: u32 = 8;
/// How long a connection is kept that nothing is sent on: servers close them after some minutes.
const IDLE: Duration = Duration::from_secs(30);

/// A [`Mailer`] that hands messages to one mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The error for a configuration from which no mailer can be made.
#[derive(Debug, thiserror::Error)]
pub enum SmtpUnusable {
    /// The sender is no address.
    #[error("MAIL_FROM is no address that mail can come from")]
    Sender,
    /// The authority cannot be used, or there is none on the system.
    #[error("the certificate of the mail server could not be checked")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// What the mail server said, without its words: they name the recipient.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the mail server answered {0}")]
    Answered(lettre::transport::smtp::response::Code),
    #[error("TLS with the mail server failed")]
    Tls,
    #[error("the mail server did not answer in time")]
    Late,
    #[error("the mail server cannot be reached, or answers something else than SMTP")]
    Unreachable,
    #[error("the recipient is no address that SMTP can name")]
    Recipient,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl SmtpMailer {
    /// Returns a mailer that sends from this address, not connected yet; fails when the address or the authority cannot be
    /// used.
    pub fn new(
        settings: &SmtpSettings,
        from: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SmtpUnusable> {
        let from: Address = from.parse().map_err(|_| SmtpUnusable::Sender)?;
        let tls = match settings.tls {
            SmtpTls::Off => Tls::None,
            SmtpTls::Wrapped => Tls::Wrapper(parameters(settings)?),
            SmtpTls::StartTls => Tls::Required(parameters(settings)?),
        };
        let pool = PoolConfig::new().max_size(MOST_CONNECTIONS).idle_timeout(IDLE);
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.domain().to_owned()))
            .timeout(Some(settings.timeout))
            .pool_config(pool);
        if let Some((name, password)) = &settings.account {
            transport =
                transport.credentials(Credentials::new(name.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self { transport: transport.build(), from, timeout: settings.timeout, clock, entropy })
    }

    /// The message as RFC 5322 has it. The builder encodes what would end a header.
    fn message(&self, mail: &Mail) -> Result<Zeroizing<Vec<u8>>, MailerError> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random).map_err(|error| MailerError::Unavailable(error.into()))?;
        let id = format!("{:032x}@{}", u128::from_be_bytes(random), self.from.domain());
        MessageBuilder::new()
            .from((NAME, AsRef::<str>::as_ref(&self.from)))
            .to(mail.to.as_str())
            .subject(mail.subject)
            .date(self.clock.now().as_second())
            .message_id(id)
            .text_body(mail.body.expose_secret())
            .write_to_vec()
            .map(Zeroizing::new)
            .map_err(|error| MailerError::Unavailable(error.into()))
    }
}

fn parameters(settings: &SmtpSettings) -> Result<TlsParameters, SmtpUnusable> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.authority {
        let authority = Certificate::from_pem(pem).map_err(SmtpUnusable::Tls)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    builder.build_rustls().map_err(SmtpUnusable::Tls)
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailerError> {
        let refused = |_| MailerError::Refused(Failure::Recipient.into());
        let to: Address = mail.to.parse().map_err(refused)?;
        let envelope = Envelope::new(Some(self.from.clone()), vec![to])
            .map_err(|_| MailerError::Refused(Failure::Recipient.into()))?;
        let message = self.message(mail)?;
        // The transport bounds each step; a server that is slow at every one of them is late, too.
        let sent = in_time(self.timeout, self.transport.send_raw(&envelope, &message)).await;
        sent.ok_or_else(|| MailerError::Unavailable(Failure::Late.into()))?
            .map(drop)
            .map_err(|error| failed(&error))
    }
}

async fn in_time<T>(longest: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(longest, work).await.ok()
}

/// A server that says 5xx would say it again; everything else may pass.
fn failed(error: &lettre::transport::smtp::Error) -> MailerError {
    let failure = match error.status() {
        Some(code) => Failure::Answered(code),
        None if error.is_tls() => Failure::Tls,
        None if error.is_timeout() => Failure::Late,
        None => Failure::Unreachable,
    };
    if error.is_permanent() {
        MailerError::Refused(failure.into())
    } else {
        MailerError::Unavailable(failure.into())
    }
}

#[cfg(test)]
mod tests;
