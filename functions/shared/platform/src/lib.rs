//! The outside world as traits: the time, randomness, secrets, key wrapping, mail and the process environment.
#![doc = include_str!("../README.md")]

mod broker_http;
mod call_timeouts;
mod causes;
mod clock;
mod edge_proof_key;
mod entropy;
mod environment;
mod key_mark;
mod key_wrap;
mod mailer;
mod new_secret;
mod secret_purpose;
mod secrets;
mod service_tokens;
mod signing_algorithm;

pub use broker_http::{BrokerHttp, BrokerRequest, BrokerResponse, BrokerUnreachable};
pub use call_timeouts::{CALL_TIMEOUT_MS, CallTimeouts};
pub use causes::with_causes;
pub use clock::{Clock, SystemClock};
pub use edge_proof_key::parse_edge_proof_key;
pub use entropy::{Entropy, EntropyUnavailable, SystemEntropy};
pub use environment::{Alias, Environment, Misconfigured, Variable};
pub use key_mark::key_mark;
pub use key_wrap::{DataKey, EncryptionContext, KeyWrap, KeyWrapError};
pub use mailer::{Mail, Mailer, MailerError};
pub use new_secret::{NotMade, new_random_text, new_secret};
pub use secret_purpose::SecretPurpose;
pub use secrets::{SecretName, SecretVersions, Secrets, SecretsError};
pub use service_tokens::{
    FIRST_SERVICES, MOST_SERVICE_TOKENS, NotAdded, ServiceTokens, ServiceTokensInUse,
    service_token_fingerprint,
};
pub use signing_algorithm::{SigningAlgorithm, TOKEN_SIGNING_ALGORITHM};
