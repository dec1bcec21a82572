//! The keepers of keys and secrets, and the post, as moto plays them.
#![cfg(test)]

use std::time::Duration;

use portcullis_gateway::notifications_to;
use portcullis_platform::{
    CallTimeouts, EncryptionContext, Environment, KeyWrap, KeyWrapError, Mail, Mailer, MailerError,
    SecretName,
};
use portcullis_platform_aws::secrets::{SecretsManager, Source, SourceError};
use portcullis_platform_aws::{AwsConnection, KmsKeyWrap, SesMailer};
use secrecy::ExposeSecret;

const PATIENT: CallTimeouts = CallTimeouts::of_attempt(Duration::from_mins(1));

async fn key() -> KmsKeyWrap {
    let connection = AwsConnection::of_process(PATIENT).await;
    let made = aws_sdk_kms::Client::new(connection.config()).create_key().send().await.unwrap();
    KmsKeyWrap::new(&connection, made.key_metadata.unwrap().key_id)
}

fn context(account: &str) -> EncryptionContext {
    EncryptionContext::new([("account", account), ("field", "api_secret")])
}

#[tokio::test]
async fn a_data_key_opens_under_its_own_context_alone() {
    let key = key().await;
    let made = key.generate_data_key(&context("acc_1")).await.unwrap();
    assert_eq!(made.plaintext.expose_secret().len(), 32);
    assert!(!made.wrapped.windows(32).any(|part| part == made.plaintext.expose_secret()));
    let opened = key.unwrap_data_key(&made.wrapped, &context("acc_1")).await.unwrap();
    assert_eq!(opened.expose_secret(), made.plaintext.expose_secret());

    for other in [
        context("acc_2"),
        EncryptionContext::new([("account", "acc_1")]),
        EncryptionContext::new([("", ""); 0]),
    ] {
        let refused = key.unwrap_data_key(&made.wrapped, &other).await;
        assert!(matches!(refused, Err(KeyWrapError::Refused)), "{other:?}");
    }
}

#[tokio::test]
async fn what_was_never_wrapped_is_refused() {
    let refused = key().await.unwrap_data_key(b"nothing KMS made", &context("acc_1")).await;
    assert!(matches!(refused, Err(KeyWrapError::Refused)), "{refused:?}");
}

#[tokio::test]
async fn a_key_that_is_not_there_may_come_back() {
    let connection = AwsConnection::of_process(PATIENT).await;
    let nowhere = KmsKeyWrap::new(&connection, "00000000-0000-0000-0000-000000000000");
    assert!(matches!(nowhere.generate_data_key(&context("a")).await, Err(KeyWrapError::Unavailable(_))));
}

#[tokio::test]
async fn the_version_before_is_accepted_beside_the_current_one() {
    let connection = AwsConnection::of_process(PATIENT).await;
    let client = aws_sdk_secretsmanager::Client::new(connection.config());
    let name = "keepers/previous";
    let source = SecretsManager::new(&connection, name, &[]);
    assert!(matches!(source.read().await, Err(SourceError::Missing(named, _)) if named == name));

    client.create_secret().name(name).secret_string(r#"{"SESSION_SECRET_KEY": "one"}"#).send().await.unwrap();
    let first = source.read().await.unwrap();
    assert!(first.previous.is_none());
    let second = r#"{"SESSION_SECRET_KEY": "two"}"#;
    client.put_secret_value().secret_id(name).secret_string(second).send().await.unwrap();
    let second = source.read().await.unwrap();
    assert_ne!(first.version, second.version);
    let versions = second.current.versions(SecretName::SessionSecretKey, second.previous.as_ref()).unwrap();
    assert_eq!(versions.current.expose_secret(), b"two");
    assert_eq!(versions.accepted.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), [b"one"]);

    client.put_secret_value().secret_id(name).secret_string("hunter2").send().await.unwrap();
    let error = source.read().await.unwrap_err();
    assert!(matches!(error, SourceError::Malformed(..)) && !format!("{error:?}").contains("hunter2"));
}

fn mail(to: &str) -> Mail {
    Mail { to: to.to_owned(), subject: "Choose a new password", body: "Grüße\n#token=rst_x\n".into() }
}

async fn received(to: &str) -> Vec<serde_json::Value> {
    let endpoint = Environment::of_process().raw("AWS_ENDPOINT_URL").expect("tests/with-cloud").to_owned();
    notifications_to(&endpoint, to).await.unwrap()
}

#[tokio::test]
async fn a_letter_arrives_from_a_sender_of_ours_and_from_nobody_else() {
    let connection = AwsConnection::of_process(PATIENT).await;
    let client = aws_sdk_sesv2::Client::new(connection.config());
    client.create_email_identity().email_identity("auth@post.example.com").send().await.unwrap();
    let mailer = SesMailer::new(&connection, "auth@post.example.com");
    mailer.send(&mail("asha@post.example.com")).await.unwrap();
    let [message] = received("asha@post.example.com").await.try_into().expect("one message");
    let text = message.to_string();
    assert!(text.contains("auth@post.example.com") && text.contains("#token=rst_x"), "{text}");

    let stranger = SesMailer::new(&connection, "stranger@elsewhere.example.com");
    let refused = stranger.send(&mail("asha@elsewhere.example.com")).await;
    assert!(matches!(refused, Err(MailerError::Refused(_))), "{refused:?}");
    assert_eq!(received("asha@elsewhere.example.com").await.len(), 0);
}
