//! Cross-origin requests (Fetch, section "CORS protocol"): exact origins with credentials, and never `*`.

use crate::verdict::Answer;

/// Every method the edge lets through.
pub(crate) const METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";
const REQUEST_HEADERS: &str = "authorization,content-type,idempotency-key,x-api-key,x-request-id";
const RESPONSE_HEADERS: &str = "x-request-id,retry-after,www-authenticate";
/// A change of the list reaches open pages this soon, in seconds.
const PREFLIGHT_AGE: &str = "600";

/// The page a request comes from, if it comes from one that may read the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a>(Option<&'a str>);

impl<'a> Page<'a> {
    /// Compares the header with the list, byte by byte.
    pub(crate) fn of(origin: &'a str, allowed: &[String]) -> Self {
        Self(Some(origin).filter(|origin| allowed.iter().any(|one| one == origin)))
    }

    /// What lets it read the answer. The answer depends on the origin either way, which caches have to know.
    pub(crate) fn headers(self) -> Vec<(&'static str, &'a str)> {
        let mut headers = vec![("vary", "origin")];
        if let Self(Some(origin)) = self {
            headers.extend([
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", RESPONSE_HEADERS),
            ]);
        }
        headers
    }

    /// The answer to a preflight: the same for every path, so that it says nothing about what exists.
    pub(crate) fn preflight(self, request_id: &str) -> Answer {
        let mut answer = Answer::new(204, request_id, &self);
        if self.0.is_some() {
            answer.header("access-control-allow-methods", METHODS);
            answer.header("access-control-allow-headers", REQUEST_HEADERS);
            answer.header("access-control-max-age", PREFLIGHT_AGE);
        }
        answer
    }
}
