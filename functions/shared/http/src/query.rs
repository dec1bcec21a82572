//! The parameters after the question mark, read into one type for each route.

use axum::extract::FromRequestParts;
use http::request::Parts;
use portcullis_identity::InvalidValue;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::explain::{GENERAL, pointer, quoted_name};
use crate::{Code, FieldError, Problem};

/// The parameters of a query. A parameter that `T` knows may be given once; others are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs)
            .map(Self)
            .map_err(|error| Problem::new(Code::ValidationFailed).with_error(explain(&error)))
    }
}

/// Returns which parameter is at fault and what would do.
fn explain(error: &serde_path_to_error::Error<serde::de::value::Error>) -> FieldError {
    let message = error.inner().to_string();
    if let Some(name) = quoted_name(&message, "duplicate field `") {
        return FieldError::new(format!("/{name}"), "the query parameter must be given once");
    }
    if let Some(name) = quoted_name(&message, "missing field `") {
        return FieldError::new(format!("/{name}"), "the query parameter is needed once");
    }
    let detail = message.strip_prefix(InvalidValue::PREFIX).unwrap_or(GENERAL).to_owned();
    FieldError::new(pointer(error.path()), detail)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use serde::Deserialize;

    use super::*;
    use crate::testing::{TestResponse, app, request, send};

    #[derive(Debug, Deserialize)]
    struct Wanted {
        first: String,
        second: Option<String>,
    }

    async fn sent(query: &str) -> TestResponse {
        let echo = async |Query(wanted): Query<Wanted>| format!("{} {:?}", wanted.first, wanted.second);
        send(&app(Router::new().route("/", get(echo))), request("GET", &format!("/{query}"), &[])).await
    }

    #[tokio::test]
    async fn known_parameters_are_decoded_and_others_ignored() {
        assert_eq!(sent("?first=a%26b+c&x=1&x=2").await.body, "a&b c None");
    }

    #[tokio::test]
    async fn a_missing_or_repeated_parameter_is_named() {
        for (query, pointer, detail) in [
            ("", "/first", "the query parameter is needed once"),
            ("?second=a", "/first", "the query parameter is needed once"),
            ("?first=a&first=b", "/first", "the query parameter must be given once"),
            ("?first=a&second=b&second=b", "/second", "the query parameter must be given once"),
        ] {
            assert_eq!(sent(query).await.complaint(), (pointer.to_owned(), detail.to_owned()), "{query}");
        }
    }
}
