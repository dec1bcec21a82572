//! What a service responded: status, headers and body, and what every refusal has in common.

use std::fmt;
use std::ops::Index;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::contract::assert_documented;

/// A response that was read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The request, for messages.
    pub to: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body where it is JSON; null otherwise.
    pub body: Value,
}

impl Reply {
    /// Reads the response to a request, which has to be one that the OpenAPI document has.
    pub(crate) async fn read(method: &str, path: &str, response: Response) -> reqwest::Result<Self> {
        let to = format!("{method} {path}");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_documented(method, path, status, &headers);
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { to, status, headers, text, body })
    }

    /// Returns a header; none when it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns a text of the body.
    ///
    /// # Panics
    /// When there is none of this name.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub fn text(&self, name: &str) -> &str {
        self[name].as_str().expect(name)
    }

    /// Returns the list in the body: `items` of a page, or all of it.
    ///
    /// # Panics
    /// When there is none.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub fn items(&self) -> &[Value] {
        self.body.get("items").unwrap_or(&self.body).as_array().expect("a list")
    }

    /// Asserts the status, and returns the reply.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "what is asserted may be all there is to it")]
    pub fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Asserts a refusal in the form of RFC 9457 with this status and code, whose id is in its header and its body, and
    /// which says how to authenticate where that is what is missing. Returns the reply.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "what is asserted may be all there is to it")]
    pub fn assert_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self["code"].as_str()), (status, Some(code)), "{self}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert!(self.header("x-request-id").is_some(), "{self}");
        assert_eq!(self.header("x-request-id"), self["request_id"].as_str(), "{self}");
        if status == 401 {
            let challenge = self.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer error=\""), "{self}: {challenge}");
        }
        self
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} {}", self.to, self.status, self.text)
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    /// Returns a value of the body; null where there is none.
    fn index(&self, name: &str) -> &Value {
        self.body.get(name).unwrap_or(&Value::Null)
    }
}
