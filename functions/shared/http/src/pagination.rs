//! Lists in pages, continued by a cursor.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{Code, Problem};

const DEFAULT_LIMIT: u8 = 50;
const MAX_LIMIT: u8 = 100;

/// Longer than any cursor the store hands out.
const MAX_CURSOR: usize = 1024;

/// Which part of a list is asked for: `?limit=&cursor=`.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many items at most.
    #[param(required = false, minimum = 1, maximum = 100, default = 50)]
    pub limit: u8,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::BadRequest).with_detail("The query cannot be read."))?;
        let limit = match only(&pairs, "limit")? {
            None => DEFAULT_LIMIT,
            Some(text) => limit(text).ok_or_else(|| {
                invalid("limit", "the query parameter limit must be a whole number from 1 to 100")
            })?,
        };
        let cursor = only(&pairs, "cursor")?.filter(|cursor| !cursor.is_empty());
        if cursor
            .is_some_and(|cursor| cursor.len() > MAX_CURSOR || !cursor.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(invalid("cursor", "the query parameter cursor must be a next_cursor of this list"));
        }
        Ok(Self { limit, cursor: cursor.map(str::to_owned) })
    }
}

fn limit(text: &str) -> Option<u8> {
    // `parse` alone would take `+5`.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (1..=MAX_LIMIT).contains(number))
}

fn only<'a>(pairs: &'a [(String, String)], name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(invalid(name, "the query parameter must be given once")),
    }
}

fn invalid(name: &str, detail: &'static str) -> Problem {
    Problem::invalid(format!("/{name}"), detail)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::Json;
    use crate::testing::{Answer, app, request, send};

    async fn list(page: Page) -> Json<List<u8>> {
        Json(List { items: vec![page.limit], next_cursor: page.cursor })
    }

    async fn asked(query: &str) -> Answer {
        send(&app(Router::new().route("/list", get(list))), request("GET", &format!("/list{query}"), &[]))
            .await
    }

    #[tokio::test]
    async fn a_page_has_a_default_length_and_bounds() {
        for (query, body) in [
            ("", r#"{"items":[50],"next_cursor":null}"#),
            ("?limit=1", r#"{"items":[1],"next_cursor":null}"#),
            ("?limit=100&cursor=a%2Bb", r#"{"items":[100],"next_cursor":"a+b"}"#),
            ("?cursor=&other=1&other=2", r#"{"items":[50],"next_cursor":null}"#),
        ] {
            assert_eq!(asked(query).await.body, body, "{query}");
        }
    }

    #[tokio::test]
    async fn a_bad_parameter_is_named() {
        let long = format!("?cursor={}", "c".repeat(1025));
        for (query, pointer) in [
            ("?limit=0", "/limit"),
            ("?limit=101", "/limit"),
            ("?limit=-1", "/limit"),
            ("?limit=%2B5", "/limit"),
            ("?limit=1e1", "/limit"),
            ("?limit=", "/limit"),
            ("?limit=10&limit=20", "/limit"),
            ("?limit=99999999999999999999", "/limit"),
            ("?cursor=a%00b", "/cursor"),
            ("?cursor=a%20b", "/cursor"),
            ("?cursor=a&cursor=b", "/cursor"),
            (&long, "/cursor"),
        ] {
            assert_eq!(asked(query).await.complaint().0, pointer, "{query}");
        }
    }
}
