//! Cross-origin requests (Fetch, section "CORS protocol"): exact origins with credentials, and never `*`.

use crate::verdict::EdgeResponse;

/// Every method the edge lets through.
pub(crate) const METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";
const REQUEST_HEADERS: &str =
    "authorization,content-type,idempotency-key,x-api-key,x-approval-id,x-request-id";
const RESPONSE_HEADERS: &str = "x-request-id,retry-after,www-authenticate";
/// A change of the list reaches open pages this soon, in seconds.
const PREFLIGHT_AGE: &str = "600";

/// The page a request comes from, if it comes from one that may read the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a>(Option<&'a str>);

impl<'a> Page<'a> {
    /// Compares the header with the list, byte by byte.
    pub(crate) fn of(origin: &'a str, allowed: &[String]) -> Self {
        Self(Some(origin).filter(|origin| allowed.iter().any(|one| one == origin)))
    }

    /// Returns whether it is a page of the list.
    pub(crate) fn is_allowed(self) -> bool {
        self.0.is_some()
    }

    /// Returns the headers that let the page read the response. The response depends on the origin either way, which
    /// caches have to know.
    pub(crate) fn headers(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let granted = self.0.map(|origin| {
            [
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", RESPONSE_HEADERS),
            ]
        });
        [("vary", "origin")].into_iter().chain(granted.into_iter().flatten())
    }

    /// Returns the response to a preflight: the same for every path, so that it does not tell what exists.
    pub(crate) fn preflight(self, request_id: &str) -> EdgeResponse {
        let mut response = EdgeResponse::new(204, request_id, self);
        if self.0.is_some() {
            response.header("access-control-allow-methods", METHODS);
            response.header("access-control-allow-headers", REQUEST_HEADERS);
            response.header("access-control-max-age", PREFLIGHT_AGE);
        }
        response
    }
}
