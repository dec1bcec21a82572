//! Key wrapping that can be out of reach.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_platform::{DataKey, EncryptionContext, KeyWrap, KeyWrapError};
use secrecy::SecretSlice;

use crate::in_process::clock::MovableClock;

/// Key wrapping behind a switch.
#[derive(Debug)]
pub struct FaultyKeyWrap {
    key_wrap: Arc<dyn KeyWrap>,
    down: AtomicBool,
    calls: AtomicU64,
    takes: Mutex<Option<(Arc<MovableClock>, Duration)>>,
}

impl FaultyKeyWrap {
    pub(crate) fn new(key_wrap: Arc<dyn KeyWrap>) -> Self {
        Self { key_wrap, down: AtomicBool::new(false), calls: AtomicU64::new(0), takes: Mutex::default() }
    }

    /// Whether it is out of reach.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Moves this clock ahead by so much with each call.
    pub fn takes(&self, clock: &Arc<MovableClock>, time: Duration) {
        *self.takes.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(clock), time));
    }

    /// Returns how many calls there were so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn reached(&self) -> Result<(), KeyWrapError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some((clock, time)) = &*self.takes.lock().unwrap_or_else(PoisonError::into_inner) {
            clock.advance(*time);
        }
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
