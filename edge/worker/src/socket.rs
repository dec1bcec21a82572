//! An open WebSocket: how long it may stay, and how it ends.
//!
//! A socket is decided on every now and then like the request that opened it: by the same gate, with the same credential
//! or with the token its client has presented since. What comes of that is judged here; the shell sends and closes.

use std::rc::Rc;

use crate::caller::{AuthMethod, Caller};
use crate::forward::{Forward, Watch};
use crate::problem::Code;
use crate::request_head::RequestHead;
use crate::{LEEWAY, Millis};

/// How long before the end of its token a client is told that asked for it, in seconds.
const NOTICE: u64 = 60;

/// Who a service was told of is not who there is now: another user, or other roles or scopes.
const IDENTITY_CHANGED: Ending = Ending { code: 4401, reason: "identity_changed" };

/// An open WebSocket, and what it rests on.
#[derive(Debug)]
pub struct Socket {
    /// The request that opened it, with the credential that counts now.
    head: Rc<RequestHead>,
    /// Who sent it, as the service was told.
    caller: Rc<Caller>,
    ends_at: Millis,
    watch: Watch,
    opened_at: Millis,
    /// When it was last certain that it may stay.
    certain_at: Millis,
    /// How long it stays open without that certainty.
    patience: Millis,
    interval: Millis,
    notice: Notice,
}

/// Whether the client is told that its token ends soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    /// It has presented no token, and may not know of this.
    Unwanted,
    Due,
    Given,
}

/// How a WebSocket is closed (RFC 6455 section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The code: 4401 where only another credential helps, 4403 where none does, 1013 for later.
    pub code: u16,
    /// A word that programs switch on: the `code` a request would be refused with.
    pub reason: &'static str,
}

/// A side of a WebSocket that passes the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who opened it.
    Client,
    /// The service behind.
    Service,
}

impl From<Code> for Ending {
    fn from(refused: Code) -> Self {
        let code = match refused {
            Code::AuthenticationRequired
            | Code::InvalidToken
            | Code::InvalidApiKey
            | Code::SessionRevoked
            | Code::InsufficientUserAuthentication => 4401,
            Code::Forbidden | Code::TradingFrozen | Code::ApprovalRequired => 4403,
            Code::Unavailable | Code::TooManyAttempts => 1013,
            _ => 1011,
        };
        Self { code, reason: refused.word() }
    }
}

/// Returns the code that a side is told after the other one closed with this code; `None` for a close without a code. What must
/// not be sent (RFC 6455 section 7.4.1: 1005, 1006, 1015) or means nothing tells that the other side is gone.
pub fn code_for(side: Side, code: u16) -> Option<u16> {
    match (code, side) {
        (1005, _) => None,
        (1000..=1003 | 1007..=1014 | 3000..=4999, _) => Some(code),
        (_, Side::Client) => Some(1011),
        (_, Side::Service) => Some(1001),
    }
}

impl Socket {
    /// Returns the socket of a request that may pass; `None` if nothing ends it but its two sides. It is looked at every
    /// `interval`, and stays open for `patience` while nobody can tell whether it may.
    pub(crate) fn open(
        forward: &Forward,
        head: Rc<RequestHead>,
        (interval, patience): (Millis, Millis),
        now: Millis,
    ) -> Option<Self> {
        let caller = forward.caller.clone()?;
        Some(Self {
            head,
            ends_at: caller.ends_at,
            caller,
            watch: forward.watch?,
            opened_at: now,
            certain_at: now,
            patience,
            interval,
            notice: Notice::Unwanted,
        })
    }

    /// Returns the request to decide on again.
    pub fn head(&self) -> &Rc<RequestHead> {
        &self.head
    }

    /// Returns how long to wait before the next decision, or the notice.
    pub fn pause(&self, now: Millis) -> Millis {
        let left = self.ends_at.saturating_sub(now);
        let notice = left.saturating_sub((NOTICE + LEEWAY) * 1000);
        let until_notice = if self.notice == Notice::Due { notice } else { Millis::MAX };
        self.interval.min(left).min(until_notice).max(1)
    }

    /// Takes what the gate says of the request now. Fails if the socket ends.
    pub fn decided(&mut self, outcome: Result<&Forward, Code>, now: Millis) -> Result<(), Ending> {
        match outcome {
            Ok(forward) => self.rely_on(forward, now),
            // Nobody can tell, but that it is over.
            Err(_) if now >= self.ends_at => Err(self.expired()),
            Err(Code::Unavailable | Code::TooManyAttempts)
                if self.watch == Watch::Patient && now.saturating_sub(self.certain_at) < self.patience =>
            {
                Ok(())
            }
            Err(code) => Err(code.into()),
        }
    }

    /// Returns the request to decide on where the client presents this token in place of its credential.
    pub fn with_token(&self, token: &str) -> Rc<RequestHead> {
        Rc::new(RequestHead {
            authorization: format!("Bearer {token}"),
            api_key: String::new(),
            // So that a token in its address is not looked at.
            upgrade: String::new(),
            ..RequestHead::clone(&self.head)
        })
    }

    /// Takes what the gate says of the request with another token. Returns what to tell the client; fails if the socket ends.
    /// While nobody can tell, the old token goes on counting.
    pub fn renewed(
        &mut self,
        head: Rc<RequestHead>,
        outcome: Result<&Forward, Code>,
        now: Millis,
    ) -> Result<String, Ending> {
        self.notice = Notice::Due;
        match outcome {
            Ok(forward) => {
                self.rely_on(forward, now)?;
                self.head = head;
                Ok(self.told("token\",\"status\":\"accepted", now))
            }
            Err(Code::Unavailable) => Ok(self.told("token\",\"status\":\"unavailable", now)),
            Err(code) => Err(code.into()),
        }
    }

    /// Returns the notice that the token ends soon, once.
    pub fn notice(&mut self, now: Millis) -> Option<String> {
        let is_due = self.notice == Notice::Due && self.seconds_left(now) <= NOTICE;
        is_due.then(|| {
            self.notice = Notice::Given;
            self.told("token_expiring", now)
        })
    }

    /// The service was told who is there when the socket opened, and hears nothing of a change.
    fn rely_on(&mut self, forward: &Forward, now: Millis) -> Result<(), Ending> {
        let caller = forward.caller.as_deref().ok_or(IDENTITY_CHANGED)?;
        let (then, is) = (&self.caller.identity, &caller.identity);
        let is_same = then.user_id == is.user_id
            && then.roles == is.roles
            && then.scopes == is.scopes
            && then.auth_method == is.auth_method;
        if !is_same {
            return Err(IDENTITY_CHANGED);
        }
        // Nobody sees the orders that go through a socket.
        if forward.needs_approvals() {
            return Err(Code::ApprovalRequired.into());
        }
        // A request would go on with what is known. Here it may be this socket that learns nothing more: the platform allows
        // each one so many fetches. Whoever connects again knows as much as anybody, and stays.
        let learnt_nothing = |at| at > self.opened_at && now.saturating_sub(at) > self.patience;
        if forward.followed_at.is_some_and(learnt_nothing) {
            return Err(Code::Unavailable.into());
        }
        self.ends_at = caller.ends_at;
        self.certain_at = now;
        Ok(())
    }

    fn expired(&self) -> Ending {
        let code =
            if self.caller.method == AuthMethod::Token { Code::InvalidToken } else { Code::InvalidApiKey };
        code.into()
    }

    fn seconds_left(&self, now: Millis) -> u64 {
        (self.ends_at.saturating_sub(now) / 1000).saturating_sub(LEEWAY)
    }

    /// A message of the edge itself.
    fn told(&self, kind: &str, now: Millis) -> String {
        format!(r#"{{"type":"portcullis.{kind}","expires_in":{}}}"#, self.seconds_left(now))
    }
}
