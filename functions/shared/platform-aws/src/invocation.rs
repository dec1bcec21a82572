//! The invocation in progress, for log lines. A process serves one invocation at a time, so one global holds it.

use std::sync::{Mutex, PoisonError};

/// The identifiers of one Lambda invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The request id that Lambda assigned to the invocation.
    pub request_id: String,
    /// The ARN by which the function was invoked.
    pub function_arn: String,
    /// The root of its X-Ray trace, without the parent and the sampling decision; none when it is not traced.
    pub trace_id: Option<String>,
    /// Whether this is the first invocation of the process (a cold start).
    pub cold_start: bool,
}

/// The invocation in progress, read by every log line.
static CURRENT: Mutex<Option<Invocation>> = Mutex::new(None);

impl Invocation {
    /// Makes this the current invocation until the next one begins.
    pub(crate) fn begin(self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// Returns the current invocation; none while the process starts.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the value of `Root=1-…` in an `X-Amzn-Trace-Id` header; none when there is none, or not a plain one.
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
