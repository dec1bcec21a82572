//! A person with a session, as their client speaks with the service.

use portcullis_platform::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::reply::Reply;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    at: Endpoint,
    /// Their address, or the name they signed in with.
    pub email: String,
    /// The response to the sign-in, or to the last refresh.
    pub session: Value,
}

impl Person {
    pub(crate) fn new(at: Endpoint, email: &str, session: Value) -> Self {
        Self { at, email: email.to_owned(), session }
    }

    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    fn text(&self, pointer: &str) -> &str {
        self.session.pointer(pointer).and_then(Value::as_str).expect(pointer)
    }

    /// Returns the access token.
    ///
    /// # Panics
    /// When there is none: a code was asked for.
    pub fn access_token(&self) -> &str {
        self.text("/access_token")
    }

    /// Returns the refresh token.
    ///
    /// # Panics
    /// When there is none: a code was asked for.
    pub fn refresh_token(&self) -> &str {
        self.text("/refresh_token")
    }

    /// Returns the account's id.
    ///
    /// # Panics
    /// When there is none: a code was asked for.
    pub fn user_id(&self) -> &str {
        self.text("/user/user_id")
    }

    /// Returns a request with the access token.
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        self.at.call(method, path).bearer(self.access_token())
    }

    /// Returns a `GET` with the access token.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// Returns a `POST` with the access token; null is no body.
    pub fn post(&self, path: impl Into<String>, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Returns a `PATCH` with the access token.
    pub fn patch(&self, path: impl Into<String>, body: Value) -> Call {
        self.call(Method::PATCH, path).json(body)
    }

    /// Returns a `PUT` with the access token.
    pub fn put(&self, path: impl Into<String>, body: Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// Returns a `DELETE` with the access token.
    pub fn delete(&self, path: impl Into<String>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Returns a request for the own account.
    pub fn me(&self) -> Call {
        self.get("/v1/users/me")
    }

    /// Refreshes the session; a new refresh token takes the place of the one that was shown.
    pub async fn refresh(&mut self) -> Reply {
        let reply = self.at.refresh(self.refresh_token()).await;
        if reply.status == 200 {
            self.session = reply.body.clone();
        }
        reply
    }

    /// Asks for the secret of a second factor and scans it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn set_up_factor(&self) -> Authenticator {
        let enrolment = self.post("/v1/mfa/totp/setup", Value::Null).await.assert_status(200);
        Authenticator::scan(enrolment.text("otpauth_uri"))
    }

    /// Sets a second factor up. It is proved with the code before the present one, which is still good afterwards.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn enable_factor(&self) -> Authenticator {
        let app = self.set_up_factor().await;
        let proof = json!({"code": app.code_at(unix_now() - 30)});
        self.post("/v1/mfa/totp/enable", proof).await.assert_status(200);
        app
    }
}

/// Returns the Unix second it is for a service in a process of its own.
pub fn unix_now() -> u64 {
    u64::try_from(SystemClock.now().as_second()).unwrap_or_default()
}
