//! Each open WebSocket: messages go from one side to the other as they come, while a task beside them asks the gate now and then
//! whether the socket may stay.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use worker::Context;
use worker::js_sys::{ArrayBuffer, JSON, JsString, Reflect};
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::web_sys::{self, BinaryType, CloseEvent, MessageEvent, ResponseInit, WebSocket};
use worker::worker_sys::WebSocketPair;
use worker::worker_sys::ext::{ResponseExt as _, ResponseInitExt as _, WebSocketExt as _};

use super::fault::Fault;
use super::isolate::Isolate;
use super::timer::{now, within};
use super::{admission, executor};
use crate::{Code, Ending, Side, Socket, code_for};

/// Bytes of a binary message, or UTF-16 units of a text, that are passed on.
const MOST: u32 = 1 << 20;
const TOO_LONG: Ending = Ending { code: 1009, reason: "message_too_long" };
/// Bytes that wait at most for a side that takes them slower than they come. A Worker cannot hold the other side back.
const MOST_WAITING: u32 = 4 << 20;
const TOO_SLOW: Ending = Ending { code: 1008, reason: "too_slow" };
/// The code of a side that went without a word (RFC 6455 section 7.1.5).
const LOST: u16 = 1006;

/// The `type` of the message by which a client presents another token.
const TOKEN: &str = "portcullis.token";
/// A token of the greatest length, and what is around it.
const MOST_OF_TOKEN: u32 = 9000;

/// Both sides of a WebSocket, and what its task is woken for.
struct Ends {
    /// Nothing once it has ended.
    sides: RefCell<Option<Sides>>,
    /// What the client presented last, until it is looked at.
    token: Cell<Option<String>>,
    waker: Cell<Option<Waker>>,
}

struct Sides {
    client: WebSocket,
    service: WebSocket,
}

/// A WebSocket that is open as long as this is there: nobody else asks whether it may stay.
struct Watched(Rc<Ends>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.end(Code::Unavailable.into());
    }
}

/// Returns the response that opens a WebSocket for the client; `upstream` is that of the service.
pub(super) fn open(
    isolate: &'static Isolate,
    context: &Rc<Context>,
    socket: Socket,
    upstream: &web_sys::Response,
) -> Result<web_sys::Response, Fault> {
    let mut pair = WebSocketPair::new()?;
    let service = upstream.websocket().ok_or_else(|| Fault::new("an upgrade to something else"))?;
    let ends = Ends::between(&pair.server()?, &service)?;
    executor::watch(watch(isolate, Rc::clone(context), Watched(ends), socket));
    let mut init = ResponseInit::new();
    init.set_status(101);
    init.set_headers_headers(&upstream.headers());
    init.websocket(&pair.client()?)?;
    Ok(web_sys::Response::new_with_opt_str_and_init(None, &init)?)
}

/// Asks the gate about a socket until it ends.
async fn watch(
    isolate: &'static Isolate,
    context: Rc<Context>,
    watched: Watched,
    mut socket: Socket,
) -> JsValue {
    let ends = &watched.0;
    while !ends.is_over() {
        let presented = within(socket.pause(now()), ends.woken()).await.flatten();
        if ends.is_over() {
            break;
        }
        match look(isolate, &context, &mut socket, presented).await {
            Ok(message) => ends.tell(message.or_else(|| socket.notice(now()))),
            Err(ending) => ends.end(ending),
        }
    }
    JsValue::UNDEFINED
}

/// Decides on a socket, by the token that the client presents if it does. Returns what to tell the client; fails if the socket
/// ends.
async fn look(
    isolate: &'static Isolate,
    context: &Rc<Context>,
    socket: &mut Socket,
    presented: Option<String>,
) -> Result<Option<String>, Ending> {
    // A request may be decided on a page that is being replaced. A socket waits: it is looked at less often.
    if isolate.gate.borrow().revocations_wanted(now()).is_some() {
        let _ = isolate.identity_service.wait(isolate, context).await;
    }
    let head = presented.as_ref().map_or_else(|| Rc::clone(socket.head()), |token| socket.with_token(token));
    let decision = admission::decide(isolate, &head, context).await;
    let outcome = match &decision {
        Ok(forward) => Ok(&**forward),
        Err(refusal) => Err(refusal.code.unwrap_or(Code::InternalError)),
    };
    match presented {
        Some(_) => socket.renewed(head, outcome, now()).map(Some),
        None => socket.decided(outcome, now()).map(|()| None),
    }
}

impl Ends {
    /// Accepts both sides, and passes on what each of them sends.
    fn between(client: &WebSocket, service: &WebSocket) -> Result<Rc<Self>, Fault> {
        let ends = Rc::new(Self {
            sides: RefCell::new(Some(Sides { client: client.clone(), service: service.clone() })),
            token: Cell::default(),
            waker: Cell::default(),
        });
        ends.listen(client, Side::Client)?;
        ends.listen(service, Side::Service)?;
        Ok(ends)
    }

    /// The listeners belong to the socket and go with it: once it has ended, nothing they hold leads back to it.
    fn listen(self: &Rc<Self>, socket: &WebSocket, side: Side) -> Result<(), Fault> {
        let ends = Rc::clone(self);
        let on_message = Closure::<dyn FnMut(MessageEvent)>::own_aborting(move |event: MessageEvent| {
            ends.pass_on(side, &event.data());
        });
        let ends = Rc::clone(self);
        let on_close = Closure::<dyn FnMut(CloseEvent)>::own_aborting(move |event: CloseEvent| {
            ends.closed(event.code(), &event.reason());
        });
        let ends = Rc::clone(self);
        let on_error = Closure::<dyn FnMut()>::own_aborting(move || ends.closed(LOST, ""));
        for (event, listener) in [
            ("message", on_message.into_js_value()),
            ("close", on_close.into_js_value()),
            ("error", on_error.into_js_value()),
        ] {
            socket.add_event_listener_with_callback(event, listener.unchecked_ref())?;
        }
        socket.set_binary_type(BinaryType::Arraybuffer);
        Ok(socket.accept()?)
    }

    /// Sends a message of one side to the other.
    fn pass_on(&self, from: Side, message: &JsValue) {
        let length = match message.dyn_ref::<JsString>() {
            Some(text) => text.length(),
            None => message.unchecked_ref::<ArrayBuffer>().byte_length(),
        };
        if length > MOST {
            return self.end(TOO_LONG);
        }
        if from == Side::Client && length <= MOST_OF_TOKEN && self.takes(message) {
            return;
        }
        let outcome = self.sides.borrow().as_ref().map(|sides| {
            let other = sides.other_than(from);
            // Whatever the value is: the binding does not look at it.
            other.send_with_array_buffer(message.unchecked_ref()).map(|()| other.buffered_amount())
        });
        match outcome {
            Some(Err(_)) => self.closed(LOST, ""),
            Some(Ok(waiting)) if waiting > MOST_WAITING => self.end(TOO_SLOW),
            _ => {}
        }
    }

    /// Takes a message by which the client presents a token, and returns whether it is one.
    fn takes(&self, message: &JsValue) -> bool {
        let Some(text) = message.dyn_ref::<JsString>().filter(|text| text.includes(TOKEN, 0)) else {
            return false;
        };
        let Ok(object) = JSON::parse(&String::from(text)) else { return false };
        let member = |name: &str| Reflect::get(&object, &JsValue::from(name)).ok()?.as_string();
        let is_token = member("type").is_some_and(|kind| kind == TOKEN);
        if is_token {
            self.token.set(Some(member("access_token").unwrap_or_default()));
            self.wake();
        }
        is_token
    }

    /// One side has closed with this code, or both are to: the other one is told, and the first one's own word returned to it.
    fn closed(&self, code: u16, reason: &str) {
        if let Some(Sides { client, service }) = self.sides.take() {
            close(&client, Side::Client, code, reason);
            close(&service, Side::Service, code, reason);
            self.wake();
        }
    }

    /// Closes both sides.
    fn end(&self, Ending { code, reason }: Ending) {
        self.closed(code, reason);
    }

    fn is_over(&self) -> bool {
        self.sides.borrow().is_none()
    }

    /// Sends the client a message of the edge itself.
    fn tell(&self, message: Option<String>) {
        if let (Some(message), Some(sides)) = (message, &*self.sides.borrow()) {
            // Whether it arrives, the next message shows.
            let _ = sides.client.send_with_str(&message);
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Waits until the client presents a token, or the socket ends.
    async fn woken(&self) -> Option<String> {
        poll_fn(|context| {
            let token = self.token.take();
            if token.is_some() || self.is_over() {
                return Poll::Ready(token);
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

impl Sides {
    fn other_than(&self, side: Side) -> &WebSocket {
        match side {
            Side::Client => &self.service,
            Side::Service => &self.client,
        }
    }
}

/// Closes a side after one has closed with this code. One that is closed already stays as it is.
fn close(socket: &WebSocket, side: Side, code: u16, reason: &str) {
    let _ = match code_for(side, code) {
        Some(same) if same == code => socket.close_with_code_and_reason(code, reason),
        // The reason is the platform's then, and for nobody's eyes.
        Some(other) => socket.close_with_code(other),
        None => socket.close(),
    };
}
