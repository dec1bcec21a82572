//! What Lambda says of the call being answered. A function answers one at a time, so there is one for the process.

use std::sync::{Mutex, PoisonError};

/// The call being answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Lambda's id of it.
    pub request_id: String,
    /// The function as it was called.
    pub function_arn: String,
    /// The trace it belongs to (X-Ray), without the parent and the sampling decision.
    pub trace_id: Option<String>,
    /// Whether it is the first one of this process.
    pub cold_start: bool,
}

/// Where the log finds it.
static CURRENT: Mutex<Option<Invocation>> = Mutex::new(None);

impl Invocation {
    /// From here on this one is being answered.
    pub(crate) fn begin(self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// The one being answered; none while the process starts.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `Root=1-…` of a tracing header.
pub(crate) fn trace_id(header: &str) -> Option<String> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let is_plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    (root.len() <= 64 && root.bytes().all(is_plain)).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_taken_out_of_a_tracing_header() {
        let header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
        assert_eq!(trace_id(header).as_deref(), Some("1-67891233-abcdef012345678912345678"));
        for bad in ["", "Parent=1", "Root=a\"b", "Root=1 2"] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
