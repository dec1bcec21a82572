//! Events of API Gateway (HTTP API, payload version 2.0) as requests, and responses as it wants them.
//!
//! The runtime's own adapter makes the request's URI out of the client's `Host` and normalises it: a bad host ends in a
//! panic and `/v1/%2e%2e/admin` becomes `/admin`. Here the URI is the path the client asked for and nothing else; the
//! host stays a header nobody looks at. A path that names something else after decoding meets no route.

use std::fmt::Write;
use std::net::IpAddr;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Response};

/// An event that is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableEvent {
    /// The path or query is none.
    #[error("the event has no usable path")]
    Path,
    /// The body is said to be base64 and is not.
    #[error("the event has no usable body")]
    Body,
}

/// The request of an event and the address it came from, as API Gateway saw it.
pub(crate) fn into_request(
    event: ApiGatewayV2httpRequest,
) -> Result<(Request<Bytes>, Option<IpAddr>), UnusableEvent> {
    let context = event.request_context;
    let address = context.http.source_ip.as_deref().and_then(|text| text.parse().ok());
    let path = event.raw_path.unwrap_or_default();
    let uri =
        path_and_query(without_stage(&path, context.stage.as_deref()), event.raw_query_string.as_deref());
    let body = match (event.body, event.is_base64_encoded) {
        (None, _) => Bytes::new(),
        (Some(text), false) => Bytes::from(text),
        (Some(text), true) => STANDARD.decode(text).map_err(|_| UnusableEvent::Body)?.into(),
    };
    let mut request = Request::builder()
        .method(context.http.method)
        .uri(uri)
        .body(body)
        .map_err(|_| UnusableEvent::Path)?;
    *request.headers_mut() = event.headers;
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty()) {
        // API Gateway takes them out of the headers and apart.
        if let Ok(value) = HeaderValue::from_str(&cookies.join("; ")) {
            request.headers_mut().insert(COOKIE, value);
        }
    }
    Ok((request, address))
}

/// Stages other than `$default` stand in front of the path.
fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage
        .filter(|stage| *stage != "$default")
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    rest.unwrap_or(path)
}

/// API Gateway may have decoded the path; what cannot stand in a URI is encoded again. The query comes as it was sent.
fn path_and_query(path: &str, query: Option<&str>) -> String {
    let mut uri = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        uri.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'@' | b'A'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => {
                uri.push(byte.into());
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        uri.push('?');
        uri.push_str(query);
    }
    uri
}

/// A response as API Gateway wants it: cookies on their own, other headers joined to one value each.
pub(crate) fn into_answer(response: Response<Bytes>) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = i64::from(parts.status.as_u16());
    answer.cookies = texts(&parts.headers, &SET_COOKIE).map(str::to_owned).collect();
    for name in parts.headers.keys().filter(|name| *name != SET_COOKIE) {
        let joined = texts(&parts.headers, name).collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::from_str(&joined) {
            answer.headers.insert(name, value);
        }
    }
    answer.body = match String::from_utf8(body.into()) {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(Body::Text(text)),
        Err(binary) => {
            answer.is_base64_encoded = true;
            Some(Body::Text(STANDARD.encode(binary.as_bytes())))
        }
    };
    answer
}

fn texts<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(path: &str, change: impl FnOnce(&mut Value)) -> ApiGatewayV2httpRequest {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "limit=2&cursor=a%2Fb",
            "cookies": ["a=1", "refresh=rt_x"],
            "headers": {"content-type": "application/json", "host": "a b", "x-forwarded-for": "6.6.6.6"},
            "requestContext": {
                "stage": "$default", "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.7"},
            },
            "body": "{}", "isBase64Encoded": false,
        });
        change(&mut event);
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn an_event_is_the_request_it_was_made_of() {
        let (request, address) = into_request(event("/v1/sessions", |_| {})).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/v1/sessions?limit=2&cursor=a%2Fb");
        assert_eq!(request.headers()["cookie"], "a=1; refresh=rt_x");
        assert_eq!(request.body(), "{}");
        assert_eq!(address, Some("192.0.2.7".parse().unwrap()), "and no header decides it");
    }

    #[test]
    fn the_host_and_dots_in_the_path_change_nothing() {
        for (path, uri) in [
            ("/v1/%2e%2e/admin", "/v1/%2e%2e/admin"),
            ("/v1/../admin", "/v1/../admin"),
            ("//evil.example/v1", "//evil.example/v1"),
            ("/v1/a b?x#y", "/v1/a%20b%3Fx%23y"),
            ("/v1/ä", "/v1/%C3%A4"),
            ("", "/"),
        ] {
            let event = event(path, |event| event["rawQueryString"] = "".into());
            let (request, _) = into_request(event).unwrap();
            assert_eq!(request.uri().path(), uri);
            assert_eq!(request.uri().host(), None);
        }
    }

    #[test]
    fn a_named_stage_is_no_part_of_the_path() {
        for (stage, path, uri) in [
            ("prod", "/prod/v1/sessions", "/v1/sessions"),
            ("prod", "/prod", "/"),
            ("prod", "/production/v1", "/production/v1"),
            ("$default", "/prod/v1", "/prod/v1"),
        ] {
            let event = event(path, |event| event["requestContext"]["stage"] = stage.into());
            assert_eq!(into_request(event).unwrap().0.uri().path(), uri);
        }
    }

    #[test]
    fn binary_bodies_travel_as_base64() {
        let encoded = |text: &'static str| {
            event("/", |event| {
                event["isBase64Encoded"] = true.into();
                event["body"] = text.into();
            })
        };
        assert_eq!(into_request(encoded("/w==")).unwrap().0.body().as_ref(), [0xff]);
        assert_eq!(into_request(encoded("?")).unwrap_err(), UnusableEvent::Body);
        let answer = into_answer(Response::new(Bytes::from_static(&[0xff])));
        assert_eq!((answer.body, answer.is_base64_encoded), (Some(Body::Text("/w==".into())), true));
    }

    #[test]
    fn a_query_that_is_none_is_told_and_not_guessed_at() {
        let event = event("/v1", |event| event["rawQueryString"] = "a=\u{7f} b".into());
        assert_eq!(into_request(event).unwrap_err(), UnusableEvent::Path);
    }

    #[test]
    fn headers_of_any_bytes_a_client_may_send_are_taken() {
        let event = event("/v1", |event| event["headers"]["user-agent"] = "Zoë\u{80}".into());
        assert!(into_request(event).unwrap().0.headers().contains_key("user-agent"));
    }

    #[test]
    fn cookies_stand_apart_and_repeated_headers_are_joined() {
        let response = Response::builder()
            .status(201)
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("vary", "origin")
            .header("vary", "accept")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        let answer = serde_json::to_value(into_answer(response)).unwrap();
        insta::assert_json_snapshot!(answer, @r#"
        {
          "body": "{}",
          "cookies": [
            "a=1",
            "b=2"
          ],
          "headers": {
            "vary": "origin, accept"
          },
          "isBase64Encoded": false,
          "multiValueHeaders": {},
          "statusCode": 201
        }
        "#);
    }
}
