//! Lists in pages, continued by a cursor.

use std::str::FromStr;

use portcullis_identity::InvalidValue;
use serde::{Deserialize, Serialize};
use serde_with::{As, NoneAsEmptyString};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// The longest cursor that is parsed; those of the store are shorter.
const MAX_CURSOR: usize = 1024;

/// The page of a list to return: `?limit=&cursor=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many items to return at most.
    #[serde(default)]
    #[param(value_type = u8, required = false, minimum = 1, maximum = 100, default = 50)]
    pub limit: Limit,
    /// The `next_cursor` of the previous page; absent for the first page.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, format = "cursor", max_length = 1024)]
    pub cursor: Option<Cursor>,
}

impl Page {
    /// Returns the position that the page starts after, `None` for the first page; fails if the cursor is not of this list.
    pub fn after<C: FromStr>(&self) -> Result<Option<C>, Problem> {
        let parsed = self.cursor.as_ref().map(|cursor| cursor.0.parse()).transpose();
        parsed.map_err(|_| Problem::invalid("/cursor", "is not one that this list gave out"))
    }
}

/// How many items a page has at most: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Limit(u8);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<String> for Limit {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        // `parse` alone would take `+5`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && (1..=100).contains(number));
        number
            .map(Self)
            .ok_or(InvalidValue::new("the query parameter limit must be a whole number from 1 to 100"))
    }
}

impl From<Limit> for usize {
    fn from(limit: Limit) -> Self {
        limit.0.into()
    }
}

/// The position in a list, in visible ASCII. Each list has its own form of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl FromStr for Cursor {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.len() > MAX_CURSOR || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidValue::new("the query parameter cursor must be a next_cursor of this list"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// Returns the page with what was found, which goes on after `next`.
    pub fn of<I: Into<T>>(found: Vec<I>, next: Option<impl ToString>) -> Self {
        Self {
            items: found.into_iter().map(Into::into).collect(),
            next_cursor: next.map(|next| next.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::testing::{TestResponse, app, request, send};
    use crate::{Json, Query};

    async fn list(Query(page): Query<Page>) -> Json<List<usize>> {
        let next_cursor = page.after().expect("any text will do");
        Json(List { items: vec![page.limit.into()], next_cursor })
    }

    async fn query_page(query: &str) -> TestResponse {
        send(&app(Router::new().route("/list", get(list))), request("GET", &format!("/list{query}"), &[]))
            .await
    }

    #[tokio::test]
    async fn a_page_has_a_default_length_and_bounds() {
        for (query, body) in [
            ("", r#"{"items":[50],"next_cursor":null}"#),
            ("?limit=1", r#"{"items":[1],"next_cursor":null}"#),
            ("?limit=100&cursor=a%2Bb", r#"{"items":[100],"next_cursor":"a+b"}"#),
            ("?cursor=", r#"{"items":[50],"next_cursor":null}"#),
        ] {
            assert_eq!(query_page(query).await.body, body, "{query}");
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
            ("?page=2", "/page"),
            (&long, "/cursor"),
        ] {
            assert_eq!(query_page(query).await.complaint().0, pointer, "{query}");
        }
    }
}
