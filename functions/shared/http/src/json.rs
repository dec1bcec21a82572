//! JSON bodies: what is accepted, what is refused before a field is looked at, and how responses are written.

mod content_type;
mod members;
mod unambiguous;

use std::fmt;
use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::PartialSchema;

use crate::{Code, Problem, body};

/// A JSON object that must be there, or a JSON response. Unknown fields are ignored; an empty text in a field that may be
/// left out is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// A JSON object that may be left out; then it is the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + PartialSchema, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !content_type::is_json(request.headers()) {
            return Err(Code::UnsupportedMediaType.into());
        }
        parse(&body::read(request.into_body()).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default + PartialSchema, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = content_type::is_json(request.headers());
        let body = body::read(request.into_body()).await?;
        match (body.is_empty(), is_json) {
            (true, _) => Ok(Self(T::default())),
            (false, true) => parse(&body).map(Self),
            (false, false) => Err(Code::UnsupportedMediaType.into()),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => {
                tracing::error!(%error, "a response could not be written as JSON");
                Problem::new(Code::InternalError).into_response()
            }
        }
    }
}

/// Reads a member that is an object; fails for an array, which a struct would be filled from by position.
pub fn object<'de, T: DeserializeOwned, D: Deserializer<'de>>(member: D) -> Result<T, D::Error> {
    let Value::Object(members) = Value::deserialize(member)? else {
        return Err(D::Error::custom("must be an object"));
    };
    T::deserialize(Value::Object(members)).map_err(D::Error::custom)
}

/// An object among others, such as in a list; an array is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(member: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        member.deserialize_map(Members(PhantomData))
    }
}

/// Reads a member of a change that can be replaced and not removed: it may be left out, and where it is there, `null` and an
/// empty text are refused like any other value that is none. For `deserialize_with`, beside `default`.
pub fn lasting<'de, T: Deserialize<'de>, D: Deserializer<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}

/// serde would fill the fields of a struct from an array, too, by their position: names would mean nothing, and every field
/// that is added in between would change what a client has said. So a body is an object.
fn parse<T: DeserializeOwned + PartialSchema>(bytes: &[u8]) -> Result<T, Problem> {
    unambiguous::check(bytes)?;
    let Ok(Value::Object(members)) = serde_json::from_slice(bytes) else {
        return Err(Problem::invalid("", "must be an object"));
    };
    members::read(members)
        .map_err(|faults| faults.into_iter().fold(Problem::new(Code::ValidationFailed), Problem::with_error))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use http::Request;
    use utoipa::ToSchema;

    use super::*;
    use crate::testing::{TestResponse, app, request, send};

    #[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
    struct Login {
        email: String,
        password: String,
        #[serde(default)]
        device: Option<Device>,
    }

    #[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
    struct Device {
        name: String,
    }

    fn routes() -> Router {
        Router::new()
            .route("/login", post(async |Json(login): Json<Login>| Json(login)))
            .route("/logout", post(async |OptionalJson(login): OptionalJson<Login>| Json(login.email)))
    }

    fn of_type(path: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
        request("POST", path, &[("content-type", media_type)]).map(|_| body.into())
    }

    async fn posted(body: impl Into<Body>) -> TestResponse {
        send(&app(routes()), of_type("/login", "application/json", body)).await
    }

    #[tokio::test]
    async fn unknown_fields_are_ignored() {
        let answer = posted(r#"{"email":"a","password":"b","more":{"x":[1]}}"#).await;
        assert_eq!((answer.status, &answer.json()["email"]), (200, &"a".into()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }

    #[tokio::test]
    async fn another_or_no_media_type_is_415() {
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"] {
            let answer = send(&app(routes()), of_type("/login", media_type, "{}")).await;
            assert_eq!(answer.problem(), (415, "unsupported_media_type".to_owned()));
        }
        let answer = send(&app(routes()), request("POST", "/login", &[]).map(|_| "{}".into())).await;
        assert_eq!(answer.problem(), (415, "unsupported_media_type".to_owned()));
    }

    #[tokio::test]
    async fn what_is_not_json_is_400() {
        for body in ["", "{", "nonsense", r#"{"email":"a","password":"b"} trailing"#, "{\"email\":\"\u{0}\"}"]
        {
            assert_eq!(posted(body).await.problem(), (400, "malformed_json".to_owned()), "{body}");
        }
        assert_eq!(posted(vec![b'"', 0xff, b'"']).await.problem(), (400, "malformed_json".to_owned()));
        assert_eq!(posted("[".repeat(5_000)).await.problem(), (400, "malformed_json".to_owned()));
    }

    #[tokio::test]
    async fn a_name_twice_is_400_at_any_depth_and_in_any_spelling() {
        for body in [
            r#"{"email":"a","email":"b","password":"c"}"#,
            r#"{"email":"a","\u0065mail":"b","password":"c"}"#,
            r#"{"email":"a","password":"c","more":[{"x":1,"x":2}]}"#,
        ] {
            assert_eq!(posted(body).await.problem(), (400, "malformed_json".to_owned()), "{body}");
        }
    }

    #[tokio::test]
    async fn a_value_of_another_type_is_422_and_is_not_repeated() {
        for (body, pointer) in [
            (r#"{"email":["a@x","b@y"],"password":"hunter2"}"#, "/email"),
            (r#"{"email":{"x":1},"password":"hunter2"}"#, "/email"),
            (r#"{"email":"a","password":123456}"#, "/password"),
            (r#"{"email":"a"}"#, "/password"),
            (r#"{"email":"a","password":"b","device":{"name":7}}"#, "/device/name"),
        ] {
            let answer = posted(body).await;
            assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!text.contains("hunter2") && !text.contains("123456") && !text.contains("a@x"), "{text}");
        }
    }

    #[test]
    fn an_object_in_a_list_is_read_by_the_names_of_its_members_alone() {
        let read = |text: &str| serde_json::from_str::<Vec<Object<Device>>>(text);
        assert_eq!(read(r#"[{"name":"phone"}]"#).unwrap()[0].0.name, "phone");
        for text in [r#"[["phone"]]"#, r#"["phone"]"#, "[null]", "[7]", r#"{"name":"phone"}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn every_fault_of_a_body_is_told_at_once() {
        let answer = posted(r#"{"email":7,"device":{}}"#).await;
        assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        let told: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(told, ["/email", "/password", "/device/name"]);
    }

    #[tokio::test]
    async fn a_body_that_is_no_object_is_422() {
        for body in [r#"["a","b",null]"#, " \n\t\r[]", "null", "7", "true", r#""{}""#] {
            for path in ["/login", "/logout"] {
                let answer = send(&app(routes()), of_type(path, "application/json", body)).await;
                assert_eq!(answer.problem(), (422, "validation_failed".to_owned()), "{path}: {body}");
                let error = &answer.json()["errors"][0];
                assert_eq!((&error["pointer"], &error["detail"]), (&"".into(), &"must be an object".into()));
            }
        }
        let spaced = posted(" \r\n\t{\"email\":\"a\",\"password\":\"b\"} ").await;
        assert_eq!(spaced.status, 200);
    }

    #[tokio::test]
    async fn a_large_body_is_413() {
        let large = format!(r#"{{"email":"{}","password":"b"}}"#, "a".repeat(crate::MAX_BODY));
        assert_eq!(posted(large).await.problem(), (413, "payload_too_large".to_owned()));
    }

    #[tokio::test]
    async fn an_optional_body_may_be_absent_but_not_wrong() {
        let app = app(routes());
        assert_eq!(send(&app, request("POST", "/logout", &[])).await.status, 200);
        assert_eq!(send(&app, of_type("/logout", "text/plain", "{}")).await.status, 415);
        assert_eq!(send(&app, of_type("/logout", "application/json", "{")).await.status, 400);
    }
}
