//! Where a service is reached, and the requests that begin there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::call::Call;
use crate::in_process::PASSWORD;
use crate::person::{Person, unix_now};
use crate::service::Service;

/// The address of a service and a client for it. Clones follow the service to another port.
#[derive(Debug, Clone)]
pub struct Endpoint {
    at: Arc<RwLock<(Client, String)>>,
    retries: usize,
    /// Backup codes of people whose role required a second factor at their first sign-in, by their names.
    codes: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

/// Returns a client without connections, which follows no redirect: a test looks at every response itself.
///
/// # Panics
/// When there is no TLS to be had.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().expect("a client")
}

impl Endpoint {
    /// Returns the endpoint at this URL.
    pub fn at(url: &str) -> Self {
        let at = Arc::new(RwLock::new((client(), url.to_owned())));
        Self { at, retries: 0, codes: Arc::default() }
    }

    /// Returns the endpoint for clients that keep to the contract: they send a request again, up to so many times, that
    /// was refused with 503.
    #[must_use]
    pub fn retrying(mut self, times: usize) -> Self {
        self.retries = times;
        self
    }

    pub(crate) fn retries(&self) -> usize {
        self.retries
    }

    /// Moves to this URL, with a client that has no connections from before.
    pub fn move_to(&self, url: &str) {
        *self.at.write().unwrap_or_else(PoisonError::into_inner) = (client(), url.to_owned());
    }

    /// Closes every connection.
    pub fn hang_up(&self) {
        let url = self.url();
        self.move_to(&url);
    }

    /// Returns `http://address` of the service.
    pub fn url(&self) -> String {
        self.at.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(crate) fn client(&self) -> Client {
        self.at.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Returns a request of an anonymous client.
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call::new(self.clone(), method, path.into())
    }

    /// Returns a `GET` of an anonymous client.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// Returns a `POST` of an anonymous client.
    pub fn post(&self, path: impl Into<String>, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Returns a registration with [`PASSWORD`].
    pub fn register(&self, email: &str) -> Call {
        self.post("/v1/auth/register", json!({"email": email, "password": PASSWORD, "name": "Asha"}))
    }

    /// Returns a sign-in that wants its refresh token in the body. A name without `@` is a username.
    pub fn login(&self, name: &str, password: &str) -> Call {
        let field = if name.contains('@') { "email" } else { "username" };
        self.post("/v1/auth/login", json!({field: name, "password": password, "token_delivery": "body"}))
    }

    /// Returns a refresh with this token in the body.
    pub fn refresh(&self, token: &str) -> Call {
        self.post("/v1/auth/refresh", json!({"refresh_token": token}))
    }

    /// Signs a person in with [`PASSWORD`] who has an account. One whose role requires a second factor sets one up at the first
    /// sign-in, and uses a backup code at the next.
    ///
    /// # Panics
    /// When the sign-in is refused, or asks for a code of a factor that was not set up here.
    pub async fn sign_in(&self, name: &str) -> Person {
        self.sign_in_with(name, PASSWORD).await
    }

    /// The same with this password.
    ///
    /// # Panics
    /// As [`Endpoint::sign_in`] does.
    pub async fn sign_in_with(&self, name: &str, password: &str) -> Person {
        let answer = self.login(name, password).await.assert_status(200).body;
        let token = answer.get("session_token").cloned().unwrap_or_default();
        let status = answer.get("status").and_then(Value::as_str).unwrap_or_default();
        let code = if status == "mfa_required" { self.backup_code(name) } else { None };
        let session = if let Some(code) = code {
            let body = json!({"session_token": token, "code": code});
            self.post("/v1/auth/mfa/verify", body).await.assert_status(200).body
        } else if status == "mfa_enrolment_required" {
            self.enrol(name, &token).await
        } else {
            answer
        };
        Person::new(self.clone(), name, session)
    }

    /// Sets a first factor up, as a role requires it, and returns the session that comes of it.
    async fn enrol(&self, name: &str, session_token: &Value) -> Value {
        let set_up = json!({"session_token": session_token});
        let enrolment = self.post("/v1/mfa/totp/setup", set_up).await.assert_status(200);
        let code = Authenticator::scan(enrolment.text("otpauth_uri")).code_at(unix_now());
        let enable = json!({"session_token": session_token, "code": code});
        let enabled = self.post("/v1/mfa/totp/enable", enable).await.assert_status(200);
        let codes = enabled["backup_codes"].as_array().into_iter().flatten();
        let codes = codes.filter_map(Value::as_str).map(str::to_owned).collect();
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), codes);
        enabled["session"].clone()
    }

    fn backup_code(&self, name: &str) -> Option<String> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name)?.pop()
    }

    /// Registers a person and signs them in.
    ///
    /// # Panics
    /// When either is refused.
    pub async fn person(&self, email: &str) -> Person {
        self.register(email).await.assert_status(201);
        self.sign_in(email).await
    }

    /// Returns the service that shows this token.
    pub fn service(&self, token: impl Into<String>) -> Service {
        Service::new(self.clone(), token.into())
    }
}
