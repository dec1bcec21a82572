//! The one place where the parts are put together.
//!
//! A [`Platform`] is the outside world: the store, the clock, randomness, secrets, master keys, mail and the way to
//! brokers. [`AwsPlatform`] opens one on AWS and [`ServerPlatform`] one of the parts that a server is configured with, all of
//! them files unless it says otherwise; a test makes one of
//! whatever it wants to decide. [`Settings`] is the configuration, read and checked once. [`Operations`] are what both
//! are for. The server, the Lambda bootstrap, `manage-users` and the test harness all start here, so that what
//! one of them is told or given, the others are too.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "embedded")]
mod embedded;
mod operations;
mod platform;
#[cfg(feature = "server")]
mod server;
mod settings;

#[cfg(feature = "aws")]
pub use aws::{AwsPlatform, table};
#[cfg(feature = "embedded")]
pub use embedded::TABLE;
pub use operations::Operations;
pub use platform::Platform;
#[cfg(feature = "server")]
pub use server::{MailBy, OpenError, SecretsIn, ServerPlatform, ServerSettings, StoreIn};
pub use settings::Settings;
