//! A store that answers at once: it learns one answer for each kind of request from a real engine and repeats it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    PassOn,
    Learn,
    Repeat,
}

/// Requests go to the engine until it is told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Instantly(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: SharedHttpConnector,
    mode: RwLock<Mode>,
    answers: Mutex<HashMap<String, Vec<u8>>>,
}

impl Instantly {
    pub(crate) fn after(engine: impl HttpConnector + 'static) -> Self {
        Self(Arc::new(Inner {
            engine: SharedHttpConnector::new(engine),
            mode: RwLock::new(Mode::PassOn),
            answers: Mutex::default(),
        }))
    }

    /// Remembers the engine's answers from now on, the last one of each operation.
    pub(crate) fn learn(&self) {
        self.set(Mode::Learn);
    }

    /// Asks the engine no more.
    pub(crate) fn answer_at_once(&self) {
        self.set(Mode::Repeat);
    }

    fn set(&self, mode: Mode) {
        *self.0.mode.write().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    pub(crate) fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

impl HttpClient for Instantly {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Instantly {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mode = *self.0.mode.read().unwrap_or_else(PoisonError::into_inner);
        let operation = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        match mode {
            Mode::PassOn => self.0.engine.call(request),
            Mode::Learn => {
                let inner = Arc::clone(&self.0);
                HttpConnectorFuture::new(async move {
                    let answer = inner.engine.call(request).await?;
                    let body = answer.body().bytes().unwrap_or_default().to_vec();
                    let mut answers = inner.answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.insert(operation, body);
                    Ok(answer)
                })
            }
            Mode::Repeat => {
                let answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
                let body = answers.get(&operation).expect("an answer was learnt").clone();
                let status = StatusCode::try_from(200).expect("a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
            }
        }
    }
}
