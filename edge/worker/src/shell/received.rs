//! A request as the platform hands it over, read once.

use std::rc::Rc;

use worker::js_sys::{Object, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{self, Headers};

use super::fault::Fault;
use crate::{RequestHead, RequestUrl, is_reserved};

/// A request, what the gate needs of it, and which of its headers go no further.
pub(super) struct Received {
    pub(super) head: Rc<RequestHead>,
    pub(super) headers: PlainHeaders,
    /// Names of headers that may be there and must not reach a service.
    pub(super) dropped: Vec<String>,
    /// A stream, or the bytes of one that was read.
    pub(super) body: Option<JsValue>,
}

impl Received {
    /// Reads a request; `None` if its URL is not absolute.
    pub(super) fn read(request: &web_sys::Request) -> Result<Option<Self>, Fault> {
        let Some(url) = RequestUrl::parse(request.url()) else { return Ok(None) };
        let mut head = RequestHead { method: request.method(), url, ..RequestHead::default() };
        let headers = PlainHeaders::of(&request.headers())?;
        let mut dropped = Vec::new();
        for name in headers.names() {
            if let Some(field) = head.header_mut(name) {
                *field = headers.get(name)?;
            }
            if name == "connection" {
                // Names come in lower case, but not those a client writes into a value.
                let nominated = headers.get(name)?;
                dropped.extend(
                    nominated
                        .split(',')
                        .map(str::trim)
                        .filter(|name| is_plain(name))
                        .map(str::to_ascii_lowercase),
                );
            }
            if is_reserved(name) {
                dropped.push(name.to_owned());
            }
        }
        // These methods have no body, and a look at a body costs as much as a header.
        let body = if matches!(head.method.as_str(), "GET" | "HEAD") {
            None
        } else {
            request.body().map(JsValue::from)
        };
        Ok(Some(Self { head: Rc::new(head), headers, dropped, body }))
    }
}

/// Headers as a plain object of JavaScript. Each call of `Headers` costs about as much as a digest; this takes one call to
/// read them all, and one to write them all. Headers of one name are one value here, which is the same to every recipient
/// (RFC 9110 section 5.3) but for `Set-Cookie`.
pub(super) struct PlainHeaders {
    pub(super) object: Object,
    names: String,
}

impl PlainHeaders {
    /// Reads every header.
    pub(super) fn of(headers: &Headers) -> Result<Self, Fault> {
        let object = Object::from_entries(headers)?;
        // No name holds a comma.
        let names = Object::keys(&object).join(",").into();
        Ok(Self { object, names })
    }

    /// Returns the names that were read, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.split(',')
    }

    /// Returns whether this name was read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Returns the value under a name, empty if there is none.
    pub(super) fn get(&self, name: &str) -> Result<String, Fault> {
        Ok(Reflect::get(&self.object, &JsValue::from(name))?.as_string().unwrap_or_default())
    }

    /// Writes a header over what there was.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), Fault> {
        Reflect::set(&self.object, &JsValue::from(name), &JsValue::from(value))?;
        Ok(())
    }

    /// Takes a header away.
    pub(super) fn remove(&self, name: &str) -> Result<(), Fault> {
        Reflect::delete_property(&self.object, &JsValue::from(name))?;
        Ok(())
    }
}

/// Returns whether a name that `Connection` nominates can be that of a header at all.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
