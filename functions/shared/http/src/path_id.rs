//! Ids in paths.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::{Code, Problem};

/// The id of the one `{parameter}` of a path. Text that is no id of this kind fails with 404, like an unknown id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId<I>(pub I);

impl<I: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Code::for_status(rejection.status()))?;
        text.parse().map(Self).map_err(|_| Code::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use portcullis_identity::SessionId;

    use super::*;
    use crate::testing::{app, request, send};

    #[tokio::test]
    async fn only_an_id_of_the_kind_is_let_through() {
        let routes = Router::new().route("/{id}", get(async |PathId(id): PathId<SessionId>| id.to_string()));
        let app = app(routes);
        let id = "ses_0199f3c2a6e47d0c8f21b7e5d4a39c10";
        assert_eq!(send(&app, request("GET", &format!("/{id}"), &[])).await.body, id);
        for other in [&*id.replace("ses", "usr"), &*id.to_uppercase(), "ses_", "nonsense"] {
            let answer = send(&app, request("GET", &format!("/{other}"), &[])).await;
            assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{other}");
        }
        let answer = send(&app, request("GET", "/%ff", &[])).await;
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()));
    }
}
