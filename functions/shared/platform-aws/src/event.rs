//! Events of API Gateway, Function URLs and load balancers, made safe for `lambda_http` and put right after it.
//!
//! `lambda_http` builds a request's URI out of the client's `Host` and normalises it: a bad host ends in a panic and
//! `/v1/%2e%2e/admin` becomes `/admin`; a body that is not the base64 it is said to be ends in a panic too. So whatever
//! it must not interpret is taken out of the event before ([`take_raw`]) and put into the request after
//! ([`Raw::restore`]): the path and query the client sent, the body, and the address the sender's own context names.
//! The host is dropped for good; nothing reads it. Methods, headers, cookies and the form of the response are
//! `lambda_http`'s.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HOST, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// What may stand in a path stays as it came, escapes included; the rest is escaped: API Gateway may have decoded it.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The error for an event that cannot be turned into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableEvent {
    /// The path or query is invalid.
    #[error("the event has no usable path")]
    Path,
    /// The body is declared to be base64 and is not.
    #[error("the event has no usable body")]
    Body,
    /// The event is of a kind that is not sent to any function.
    #[error("the event is of an unknown kind")]
    Kind,
}

/// The address of the client as the sender of the event saw it, in the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

/// The parts of an event that `lambda_http` must not interpret.
#[derive(Debug)]
pub(crate) struct Raw {
    uri: Uri,
    body: Bytes,
    address: Option<IpAddr>,
}

/// Takes out of an event what `lambda_http` must not interpret; the event is safe to be given to it afterwards in any
/// case. Fails when what was taken out is no path, no query or no body.
pub(crate) fn take_raw(event: &mut LambdaRequest) -> Result<Raw, UnusableEvent> {
    let taken = match event {
        LambdaRequest::ApiGatewayV2(event) => of_http_api(event),
        LambdaRequest::ApiGatewayV1(event) => of_rest_api(event),
        LambdaRequest::Alb(event) => of_load_balancer(event),
        _ => return Err(UnusableEvent::Kind),
    };
    let uri = uri(&taken.path, &taken.query)?;
    Ok(Raw { uri, body: body(taken.body, taken.is_base64)?, address: taken.address })
}

/// The parts taken out of an event, unchecked.
struct Taken {
    path: String,
    query: String,
    body: Option<String>,
    is_base64: bool,
    address: Option<IpAddr>,
}

/// An HTTP API or a Function URL (payload version 2.0). The query comes as it was sent.
fn of_http_api(event: &mut ApiGatewayV2httpRequest) -> Taken {
    let context = &mut event.request_context;
    let address = context.http.source_ip.as_deref().and_then(|text| text.parse().ok());
    let (stage, path) = (context.stage.take(), event.raw_path.take().unwrap_or_default());
    context.domain_name = None;
    event.headers.remove(HOST);
    event.query_string_parameters = QueryMap::default();
    Taken {
        path: without_stage(&path, stage.as_deref()).to_owned(),
        query: event.raw_query_string.take().unwrap_or_default(),
        body: event.body.take(),
        is_base64: std::mem::take(&mut event.is_base64_encoded),
        address,
    }
}

/// A REST API (payload version 1.0), behind which AWS WAF may stand. The query comes decoded.
fn of_rest_api(event: &mut ApiGatewayProxyRequest) -> Taken {
    let context = &mut event.request_context;
    let address = context.identity.source_ip.as_deref().and_then(|text| text.parse().ok());
    (context.stage, context.domain_name) = (None, None);
    keep_repeated(&mut event.multi_value_headers, &mut event.headers);
    let query =
        take_query(&mut event.multi_value_query_string_parameters, &mut event.query_string_parameters);
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    Taken {
        path: event.path.take().unwrap_or_default(),
        query: joined(&query, escaped),
        body: event.body.take(),
        is_base64: std::mem::take(&mut event.is_base64_encoded),
        address,
    }
}

/// An Application Load Balancer. The query comes as it was sent. Its context names no client: the balancer appends the
/// address it saw to `X-Forwarded-For`, so the last one there is its own word and all before it are the client's. That
/// holds while `routing.http.xff_header_processing.mode` of the balancer is `append`, which is its default.
fn of_load_balancer(event: &mut AlbTargetGroupRequest) -> Taken {
    let address =
        last_forwarded_for(&event.multi_value_headers).or_else(|| last_forwarded_for(&event.headers));
    keep_repeated(&mut event.multi_value_headers, &mut event.headers);
    let query =
        take_query(&mut event.multi_value_query_string_parameters, &mut event.query_string_parameters);
    Taken {
        path: event.path.take().unwrap_or_default(),
        query: joined(&query, str::to_owned),
        body: event.body.take(),
        is_base64: std::mem::take(&mut event.is_base64_encoded),
        address,
    }
}

/// The last entry alone is the balancer's, with a port where it is told to add one. What stands before it is the client's,
/// whatever bytes it is made of, and must not make the last one unreadable.
fn last_forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let all = headers.get_all("x-forwarded-for").iter().next_back()?;
    let last = all.as_bytes().rsplit(|byte| *byte == b',').next()?;
    let last = str::from_utf8(last).ok()?.trim();
    last.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Leaves every value of a header in the event: of two maps that name one, `lambda_http` takes the single value, and a
/// repetition that must be refused would not be seen.
fn keep_repeated(multiple: &mut HeaderMap, single: &mut HeaderMap) {
    if !multiple.is_empty() {
        single.clear();
    }
    multiple.remove(HOST);
    single.remove(HOST);
}

/// The repeated parameters where the sender names them, else the single ones; none of either stays in the event.
fn take_query(multiple: &mut QueryMap, single: &mut QueryMap) -> QueryMap {
    let (multiple, single) = (std::mem::take(multiple), std::mem::take(single));
    if multiple.is_empty() { single } else { multiple }
}

fn joined(query: &QueryMap, text: impl Fn(&str) -> String) -> String {
    let pairs = query.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn body(text: Option<String>, is_base64: bool) -> Result<Bytes, UnusableEvent> {
    match (text, is_base64) {
        (None, _) => Ok(Bytes::new()),
        (Some(text), false) => Ok(Bytes::from(text)),
        (Some(text), true) => STANDARD.decode(text).map(Bytes::from).map_err(|_| UnusableEvent::Body),
    }
}

/// Stages other than `$default` stand in front of the path.
fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage
        .filter(|stage| *stage != "$default")
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    rest.unwrap_or(path)
}

fn uri(path: &str, query: &str) -> Result<Uri, UnusableEvent> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = percent_encode(path.as_bytes(), NOT_IN_A_PATH);
    let separator = if query.is_empty() { "" } else { "?" };
    let text = format!("{slash}{path}{separator}{query}");
    // Not parsed as a whole: `//host/path` is a path here and no host.
    let path_and_query = PathAndQuery::try_from(text).map_err(|_| UnusableEvent::Path)?;
    Ok(Uri::from(path_and_query))
}

impl Raw {
    /// Puts back into the request of the same event what was taken out.
    pub(crate) fn restore(self, request: lambda_http::Request) -> Request<Bytes> {
        let mut request = request.map(|_| self.body);
        *request.uri_mut() = self.uri;
        if let Some(address) = self.address {
            request.extensions_mut().insert(ClientIp(address));
        }
        request
    }
}

/// Joins repeated headers to one value each: `lambda_http` gives an HTTP API the first alone. Cookies stay apart.
pub(crate) fn joined_headers<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers();
    let repeated =
        headers.keys().filter(|name| *name != SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some());
    let repeated: Vec<_> = repeated.cloned().collect();
    for name in repeated {
        let texts = response.headers().get_all(&name).iter().filter_map(|value| value.to_str().ok());
        let joined = texts.collect::<Vec<_>>().join(", ");
        if let Ok(joined) = HeaderValue::from_str(&joined) {
            response.headers_mut().insert(name, joined);
        }
    }
    response
}

#[cfg(test)]
mod tests;
