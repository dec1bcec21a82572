//! The parameters after the question mark, read into one type for each route.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use http::request::Parts;
use portcullis_identity::InvalidValue;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;

use crate::explain::{GENERAL, escape, pointer, quoted_name};
use crate::{Code, FieldError, Problem};

/// The longest part of an unknown name that is repeated.
const LONGEST_NAME: usize = 64;

/// The parameters of a query. Each may be given once, and there are no others: a filter with a mistake in its name would
/// return what nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// Two sets of parameters of one query, such as a filter and a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Both<A, B>(pub A, pub B);

/// What the parameters of a query are read into.
pub trait Parameters: Sized {
    /// Returns the names of the parameters.
    fn names() -> Vec<String>;

    /// Returns the parameters of a query, whatever else is in it; fails with what is wrong with one of them.
    fn read(query: &str) -> Result<Self, FieldError>;
}

impl<T: DeserializeOwned + IntoParams> Parameters for T {
    fn names() -> Vec<String> {
        T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
    }

    fn read(query: &str) -> Result<Self, FieldError> {
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map_err(|error| explain(&error))
    }
}

impl<A: Parameters, B: Parameters> Parameters for Both<A, B> {
    fn names() -> Vec<String> {
        [A::names(), B::names()].concat()
    }

    fn read(query: &str) -> Result<Self, FieldError> {
        Ok(Self(A::read(query)?, B::read(query)?))
    }
}

impl<T: Parameters, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let unknown = unknown::<T>(query)
            .into_iter()
            .map(|name| FieldError::new(format!("/{}", escape(&name)), "there is no such query parameter"));
        match T::read(query) {
            Ok(parameters) if unknown.len() == 0 => Ok(Self(parameters)),
            read => Err(unknown.chain(read.err()).fold(Code::ValidationFailed.into(), Problem::with_error)),
        }
    }
}

/// Returns the names in a query that are those of no parameter, each once.
fn unknown<T: Parameters>(query: &str) -> BTreeSet<String> {
    let known = if query.is_empty() { Vec::new() } else { T::names() };
    let given = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = given.filter(|name| !known.iter().any(|known| known == name));
    unknown.map(|name| name.chars().take(LONGEST_NAME).collect()).collect()
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
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TestResponse, app, request, send};

    #[derive(Debug, Deserialize, IntoParams)]
    struct Wanted {
        first: String,
        second: Option<String>,
    }

    async fn sent(query: &str) -> TestResponse {
        let echo = async |Query(wanted): Query<Wanted>| format!("{} {:?}", wanted.first, wanted.second);
        send(&app(Router::new().route("/", get(echo))), request("GET", &format!("/{query}"), &[])).await
    }

    #[tokio::test]
    async fn known_parameters_are_decoded() {
        assert_eq!(sent("?first=a%26b+c").await.body, "a&b c None");
        assert_eq!(sent("?first=a&second=").await.body, "a Some(\"\")");
    }

    #[tokio::test]
    async fn an_unknown_parameter_is_named_beside_what_else_is_wrong() {
        let unknown = "there is no such query parameter";
        for (query, told) in [
            ("?first=a&x=1&x=2", vec![("/x", unknown)]),
            ("?First=a", vec![("/First", unknown), ("/first", "the query parameter is needed once")]),
            ("?first=a&%2F=1&", vec![("/~1", unknown)]),
            ("?first=a&=", vec![("/", unknown)]),
        ] {
            let answer = sent(query).await;
            assert_eq!(answer.problem(), (422, "validation_failed".to_owned()), "{query}");
            let errors = answer.json()["errors"].clone();
            let wanted =
                told.into_iter().map(|(pointer, detail)| json!({"pointer": pointer, "detail": detail}));
            assert_eq!(errors, wanted.collect::<Value>(), "{query}");
        }
        let long = sent(&format!("?first=a&{}=1", "n".repeat(5_000))).await;
        assert_eq!(long.complaint().0.len(), 1 + LONGEST_NAME);
    }

    #[tokio::test]
    async fn two_sets_are_read_from_one_query() {
        let echo = async |Query(Both(wanted, page)): Query<Both<Wanted, crate::Page>>| {
            format!("{} {}", wanted.first, usize::from(page.limit))
        };
        let app = app(Router::new().route("/", get(echo)));
        assert_eq!(send(&app, request("GET", "/?limit=7&first=a", &[])).await.body, "a 7");
        let answer = send(&app, request("GET", "/?limit=7&first=a&last=b", &[])).await;
        assert_eq!(answer.complaint().0, "/last");
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
