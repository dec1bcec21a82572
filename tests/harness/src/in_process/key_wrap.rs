//! Key wrapping that can be out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use portcullis_platform::{DataKey, EncryptionContext, KeyWrap, KeyWrapError};
use secrecy::SecretSlice;

/// Key wrapping behind a switch.
#[derive(Debug)]
pub struct FaultyKeyWrap {
    key_wrap: Arc<dyn KeyWrap>,
    down: AtomicBool,
}

impl FaultyKeyWrap {
    pub(crate) fn new(key_wrap: Arc<dyn KeyWrap>) -> Self {
        Self { key_wrap, down: AtomicBool::new(false) }
    }

    /// Whether it is out of reach.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn reached(&self) -> Result<(), KeyWrapError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(KeyWrapError::Unavailable("injected".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyWrap for FaultyKeyWrap {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey, KeyWrapError> {
        self.reached()?;
        self.key_wrap.generate_data_key(context).await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError> {
        self.reached()?;
        self.key_wrap.unwrap_data_key(wrapped, context).await
    }
}
