//! HTTP requests as events of API Gateway (HTTP API, payload version 2.0), and the results of functions as HTTP responses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::template::Route;

/// The result of a function, in the form API Gateway reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Returns the event for a request.
pub(crate) fn event(route: &Route, request: &Parts, body: &Bytes, peer: IpAddr) -> Value {
    let path = request.uri.path();
    let key = if route.method == route.path {
        route.path.clone()
    } else {
        format!("{} {}", route.method, route.path)
    };
    let cookies: Vec<&str> = texts(&request.headers, &COOKIE).flat_map(|line| line.split("; ")).collect();
    // Text stays text, whatever its content type; all else is encoded.
    let text = std::str::from_utf8(body);
    json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": request.uri.query().unwrap_or_default(),
        "headers": headers(&request.headers),
        "cookies": Some(cookies).filter(|cookies| !cookies.is_empty()),
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "domainName": "localhost", "domainPrefix": "local",
            "requestId": "local", "routeKey": key, "stage": "$default", "time": "21/Nov/2026:00:00:00 +0000",
            "timeEpoch": 0,
            "http": {
                "method": request.method.as_str(), "path": path, "protocol": "HTTP/1.1",
                "sourceIp": peer.to_string(), "userAgent": "",
            },
        },
        "body": Some(text.map_or_else(|_| STANDARD.encode(body), str::to_owned)).filter(|body| !body.is_empty()),
        "isBase64Encoded": text.is_err(),
    })
}

/// One value each, cookies apart.
fn headers(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let names = headers.keys().filter(|name| *name != COOKIE);
    names.map(|name| (name.as_str(), texts(headers, name).collect::<Vec<_>>().join(","))).collect()
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| str::from_utf8(value.as_bytes()).ok())
}

/// Returns the response for the result of a function; 500 when the result is malformed, as API Gateway does.
pub(crate) fn response(answer: &[u8]) -> Response<Body> {
    read(answer).unwrap_or_else(|| failure(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

fn read(answer: &[u8]) -> Option<Response<Body>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status_code).ok()?;
    for (name, value) in &answer.headers {
        response.headers_mut().append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
    }
    for cookie in &answer.cookies {
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_str(cookie).ok()?);
    }
    Some(response)
}

/// What API Gateway says by itself.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response<Body> {
    (status, axum::Json(json!({"message": message}))).into_response()
}
