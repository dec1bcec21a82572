//! The header by which a client says: this is the same request again.

use axum::extract::OptionalFromRequestParts;
use http::request::Parts;

use crate::Problem;

/// What a client calls one intended effect (draft-ietf-httpapi-idempotency-key-header). Handlers take it as
/// `Option<IdempotencyKey>`; a key that is there and unusable is 422, never ignored, because the client relies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

const NAME: &str = "idempotency-key";

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=255).contains(&text.len()) && visible).then(|| Self(text.to_owned()))
    }

    /// The key as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(NAME).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(Self::parse).filter(|_| values.next().is_none());
        key.map(Some).ok_or_else(|| {
            let pointer = format!("/{NAME}");
            Problem::invalid(
                pointer,
                "the header Idempotency-Key must be one of 1 to 255 visible ASCII characters",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;

    use super::*;
    use crate::testing::{TestResponse, app, request, send};

    async fn create(key: Option<IdempotencyKey>) -> String {
        key.map_or_else(|| "none".to_owned(), |key| key.as_str().to_owned())
    }

    async fn sent(values: &[&str]) -> TestResponse {
        let headers: Vec<_> = values.iter().map(|value| (NAME, *value)).collect();
        send(&app(Router::new().route("/", post(create))), request("POST", "/", &headers)).await
    }

    #[tokio::test]
    async fn it_may_be_absent_and_is_otherwise_kept_as_written() {
        let long = "k".repeat(255);
        assert_eq!(sent(&[]).await.body, "none");
        for good in ["1", r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, &long] {
            assert_eq!(sent(&[good]).await.body, good.as_bytes());
        }
    }

    #[tokio::test]
    async fn an_unusable_one_is_refused_rather_than_ignored() {
        let long = "k".repeat(256);
        for bad in [&[""][..], &["a b"], &["é"], &[&long], &["a", "b"], &["a", "a"]] {
            let (pointer, detail) = sent(bad).await.complaint();
            assert_eq!(pointer, "/idempotency-key", "{bad:?}");
            assert!(detail.contains("255 visible"), "{detail}");
        }
    }
}
