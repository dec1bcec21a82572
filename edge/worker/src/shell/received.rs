//! A request as the platform hands it over, read once.

use std::rc::Rc;

use worker::js_sys::Array;
use worker::web_sys;

use super::fault::Fault;
use crate::{RequestHead, RequestUrl, is_reserved};

/// A request, what the gate needs of it, and which of its headers go no further.
pub(super) struct Received {
    pub(super) request: web_sys::Request,
    pub(super) head: Rc<RequestHead>,
    /// Names of headers that are there and must not reach a service.
    pub(super) dropped: Vec<String>,
}

impl Received {
    /// Reads a request; `None` if its URL is not absolute.
    pub(super) fn read(request: web_sys::Request) -> Result<Option<Self>, Fault> {
        let Some(url) = RequestUrl::parse(request.url()) else { return Ok(None) };
        let mut head = RequestHead { method: request.method(), url, ..RequestHead::default() };
        let mut dropped = Vec::new();
        for (name, value) in headers(&request.headers()).lines() {
            if let Some(field) = head.header_mut(name) {
                value.clone_into(field);
            }
            if name == "connection" {
                let nominated = value.split(',').map(str::trim).filter(|name| is_plain(name));
                dropped.extend(nominated.map(str::to_owned));
            }
            if is_reserved(name) {
                dropped.push(name.to_owned());
            }
        }
        Ok(Some(Self { request, head: Rc::new(head), dropped }))
    }
}

/// Headers as text. Each look at a header costs about as much as a digest, and so does each crossing between
/// WebAssembly and JavaScript: all of them cross at once. A name holds no comma, and a value no line break.
pub(super) struct HeaderText(String);

/// Reads every header.
pub(super) fn headers(headers: &web_sys::Headers) -> HeaderText {
    HeaderText(Array::from(headers).join("\n").into())
}

impl HeaderText {
    /// Returns each name, in lower case, with its value.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split('\n').filter_map(|line| line.split_once(','))
    }
}

/// Returns whether a name that `Connection` nominates can be that of a header at all.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
