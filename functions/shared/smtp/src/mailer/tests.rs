//! A mail server on loopback, with and without TLS, and what it is told.

use std::sync::Mutex;

use portcullis_platform::{SystemClock, SystemEntropy};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

const HOST: &str = "localhost";

/// How the server behaves.
#[derive(Debug, Clone, Copy, Default)]
struct Manners {
    is_wrapped: bool,
    offers_starttls: bool,
    /// What it answers to the message.
    verdict: &'static str,
    is_silent: bool,
}

const GOOD: Manners =
    Manners { is_wrapped: false, offers_starttls: true, verdict: "250 2.0.0 queued", is_silent: false };

/// A running mail server.
struct MailServer {
    port: u16,
    authority: Vec<u8>,
    said: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start(manners: Manners) -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, said) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let (tls, heard) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&said));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(meet(stream, tls.clone(), manners, Arc::clone(&heard)));
            }
        });
        Self { port, authority: made.cert.pem().into_bytes(), said }
    }

    fn settings(&self, tls: SmtpTls) -> SmtpSettings {
        SmtpSettings {
            host: HOST.to_owned(),
            port: self.port,
            tls,
            authority: Some(self.authority.clone()),
            account: Some(("us".to_owned(), SecretString::from("hunter2"))),
            timeout: Duration::from_secs(20),
        }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

async fn meet(stream: TcpStream, tls: TlsAcceptor, manners: Manners, said: Arc<Mutex<Vec<String>>>) {
    if manners.is_silent {
        // Held open, and never spoken on.
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(_)) = lines.next_line().await {}
        return;
    }
    if manners.is_wrapped {
        let Ok(stream) = tls.accept(stream).await else { return };
        speak(BufReader::new(stream), manners, true, &said).await;
        return;
    }
    if let Some(stream) = speak(BufReader::new(stream), manners, false, &said).await
        && let Ok(stream) = tls.accept(stream.into_inner()).await
    {
        said.lock().unwrap().push("-- TLS".to_owned());
        speak(BufReader::new(stream), manners, true, &said).await;
    }
}

/// Speaks SMTP until the client leaves, or begins TLS: then the connection is returned.
async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    manners: Manners,
    is_secret: bool,
    said: &Mutex<Vec<String>>,
) -> Option<BufReader<S>> {
    if !is_secret || manners.is_wrapped {
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.ok()?;
    }
    let mut is_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        said.lock().unwrap().push(line.trim_end().to_owned());
        let answer = match line.trim_end() {
            "." if is_message => {
                is_message = false;
                manners.verdict
            }
            _ if is_message => continue,
            "DATA" => {
                is_message = true;
                "354 go on"
            }
            "STARTTLS" => {
                stream.write_all(b"220 begin\r\n").await.ok()?;
                return Some(stream);
            }
            "QUIT" => return None,
            hello if hello.starts_with("EHLO") && manners.offers_starttls && !is_secret => {
                "250-mail.example.com\r\n250 STARTTLS"
            }
            hello if hello.starts_with("EHLO") => "250-mail.example.com\r\n250 AUTH PLAIN",
            auth if auth.starts_with("AUTH") => "235 2.7.0 welcome",
            _ => "250 2.0.0 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

fn mailer(settings: &SmtpSettings) -> SmtpMailer {
    SmtpMailer::new(settings, "auth@example.com", Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap()
}

fn mail() -> Mail {
    Mail {
        to: "asha@example.com".to_owned(),
        subject: "Grüße",
        body: "Hello,\n\nBcc: eve@example.com\n.\nhttps://auth.example.com/#token=abc\n".into(),
    }
}

#[tokio::test]
async fn a_message_is_sent_after_starttls_with_the_account_and_reaches_one_person() {
    let server = MailServer::start(GOOD).await;
    mailer(&server.settings(SmtpTls::StartTls)).send(&mail()).await.unwrap();
    let said = server.said();
    let (before, after) = said.split_once("-- TLS").expect("TLS");
    assert!(!before.contains("AUTH") && !before.contains("asha"), "{before}");
    assert!(after.contains("AUTH PLAIN") && after.contains("MAIL FROM:<auth@example.com>"), "{after}");
    assert_eq!(after.matches("RCPT TO:").count(), 1, "{after}");
    assert!(after.contains("From: \"Portcullis\" <auth@example.com>") && after.contains("Message-ID: <"));
    let (head, _) = after.split_once("\n\n").expect("headers end");
    assert!(!head.contains("Bcc") && head.is_ascii(), "{head}");
}

#[tokio::test]
async fn a_message_is_sent_over_tls_from_the_first_byte_and_connections_are_kept() {
    let server = MailServer::start(Manners { is_wrapped: true, ..GOOD }).await;
    let mailer = mailer(&server.settings(SmtpTls::Wrapped));
    for _ in 0..12 {
        mailer.send(&mail()).await.unwrap();
    }
    // A connection is given back a moment after its message.
    let logins = server.said().matches("AUTH PLAIN").count();
    assert!(logins < 12, "{logins}");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_offers_no_tls_or_is_somebody_else() {
    let plain = MailServer::start(Manners { offers_starttls: false, ..GOOD }).await;
    let refused = mailer(&plain.settings(SmtpTls::StartTls)).send(&mail()).await;
    assert!(matches!(refused, Err(MailerError::Unavailable(_))), "{refused:?}");
    let impostor = MailServer::start(GOOD).await;
    let authority = plain.authority.clone();
    let settings = SmtpSettings { authority: Some(authority), ..impostor.settings(SmtpTls::StartTls) };
    let refused = mailer(&settings).send(&mail()).await;
    assert!(matches!(refused, Err(MailerError::Unavailable(_))), "{refused:?}");
    for said in [plain.said(), impostor.said()] {
        assert!(!said.contains("AUTH") && !said.contains("asha") && !said.contains("token"), "{said}");
    }
}

#[tokio::test]
async fn what_a_retry_cannot_change_is_told_from_what_passes_and_nobody_is_named() {
    for (verdict, is_lasting) in
        [("550 5.1.1 <asha@example.com> unknown", true), ("451 4.7.1 <asha@example.com> later", false)]
    {
        let server = MailServer::start(Manners { verdict, ..GOOD }).await;
        let error = mailer(&server.settings(SmtpTls::StartTls)).send(&mail()).await.unwrap_err();
        assert_eq!(matches!(error, MailerError::Refused(_)), is_lasting, "{error:?}");
        let told = portcullis_platform::with_causes(&error);
        assert!(told.contains(&verdict[..3]) && !format!("{told}{error:?}").contains("asha"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let server = MailServer::start(Manners { is_silent: true, ..GOOD }).await;
    let error = mailer(&server.settings(SmtpTls::StartTls)).send(&mail()).await.unwrap_err();
    assert!(portcullis_platform::with_causes(&error).contains("in time"), "{error:?}");
}

#[tokio::test]
async fn a_sender_that_is_no_address_is_refused() {
    let settings = SmtpSettings {
        host: HOST.to_owned(),
        port: 25,
        tls: SmtpTls::Off,
        authority: None,
        account: None,
        timeout: Duration::from_secs(1),
    };
    let made = |from| SmtpMailer::new(&settings, from, Arc::new(SystemClock), Arc::new(SystemEntropy));
    assert!(matches!(made("us@x\r\nBcc: y@z"), Err(SmtpUnusable::Sender)));
    assert!(!format!("{:?}", made("us@example.com").unwrap()).contains("transport"));
}
