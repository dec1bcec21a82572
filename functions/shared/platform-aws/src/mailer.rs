//! Mail through Amazon SES, which builds the MIME message itself.

use async_trait::async_trait;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use portcullis_platform::{Mail, Mailer, MailerError};
use secrecy::ExposeSecret;

use crate::AwsConnection;

const CHARSET: &str = "UTF-8";
/// SES error codes that a retry of the same message would get again.
const REFUSALS: &[&str] =
    &["MessageRejected", "BadRequestException", "MailFromDomainNotVerifiedException", "NotFoundException"];

/// A [`Mailer`] that sends through SES from one address.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Client,
    from: String,
}

impl SesMailer {
    /// Returns a mailer that sends from this address, which must be a verified identity in SES.
    pub fn new(connection: &AwsConnection, from: impl Into<String>) -> Self {
        Self { client: Client::new(connection.config()), from: from.into() }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailerError> {
        let message = Message::builder()
            .subject(content(mail.subject)?)
            .body(Body::builder().text(content(mail.body.expose_secret())?).build())
            .build();
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(&mail.to).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        sent.map(drop).map_err(|error| match &error {
            SdkError::ServiceError(service) if service.err().code().is_some_and(is_refusal) => {
                MailerError::Refused(error.into())
            }
            _ => MailerError::Unavailable(error.into()),
        })
    }
}

fn is_refusal(code: &str) -> bool {
    REFUSALS.contains(&code)
}

fn content(text: &str) -> Result<Content, MailerError> {
    Content::builder().data(text).charset(CHARSET).build().map_err(|error| MailerError::Refused(error.into()))
}
