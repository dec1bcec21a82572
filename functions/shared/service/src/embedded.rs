//! The platform on the files of one machine.

use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_platform::{Clock, Entropy, KeyWrap, Mailer};
use portcullis_platform_embedded::FileKeys;
use portcullis_store::Store;

use crate::Platform;

/// The name of the table in the embedded database.
pub const TABLE: &str = "portcullis";

impl Platform {
    /// Returns the platform on the keys of a folder, with this store and this way of mail.
    pub fn on_keys(
        keys: FileKeys,
        store: Store,
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let key_wrap: Arc<dyn KeyWrap> = Arc::new(keys.key_wrap);
        Self {
            store,
            clock,
            entropy,
            secrets: Arc::new(keys.secrets),
            broker_key_wrap: Arc::clone(&key_wrap),
            key_wrap,
            mailer,
            broker_http: Arc::new(HttpsBrokers::default()),
        }
    }
}
