//! The Lambda runtime around a service that answers requests.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use lambda_runtime::{Context, Error, LambdaEvent, Runtime, service_fn};

use crate::event::{into_answer, into_request};
use crate::invocation::{Invocation, trace_id};

/// The address of the client as API Gateway saw it, in the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

/// Answers invocations until Lambda ends the process.
///
/// # Errors
/// When the Runtime API cannot be reached, which outside of Lambda is always.
pub async fn serve<F>(answer: impl Fn(Request<Bytes>) -> F) -> Result<(), Error>
where
    F: Future<Output = Response<Bytes>>,
{
    let is_first = AtomicBool::new(true);
    let handler = service_fn(|event: LambdaEvent<ApiGatewayV2httpRequest>| {
        invocation(&event.context, is_first.swap(false, Ordering::Relaxed)).begin();
        let request = into_request(event.payload);
        let answering = request.map(|(mut request, address)| {
            request.extensions_mut().extend(address.map(ClientIp).map(extension).unwrap_or_default());
            answer(request)
        });
        async move {
            Ok::<_, Error>(match answering {
                Ok(answering) => into_answer(answering.await),
                Err(error) => {
                    tracing::warn!(%error, "an event was refused");
                    refused()
                }
            })
        }
    });
    Runtime::new(handler).run().await
}

/// Does what events other than requests ask for, until Lambda ends the process. An event that failed is logged with its
/// causes; whoever sent it is told no more than that.
///
/// # Errors
/// When the Runtime API cannot be reached, which outside of Lambda is always.
pub async fn serve_events<E, F, X>(perform: impl Fn(E) -> F) -> Result<(), Error>
where
    E: for<'de> serde::Deserialize<'de>,
    F: Future<Output = Result<(), X>>,
    X: std::error::Error + 'static,
{
    let is_first = AtomicBool::new(true);
    let handler = service_fn(|event: LambdaEvent<E>| {
        invocation(&event.context, is_first.swap(false, Ordering::Relaxed)).begin();
        let performing = perform(event.payload);
        async move {
            performing.await.map_err(|error| {
                let chain =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
                let causes: Vec<String> = chain.map(ToString::to_string).collect();
                tracing::error!(error = causes.join(": "), "an event could not be dealt with");
                Error::from("see the log of the function")
            })
        }
    });
    Runtime::new(handler).run().await
}

fn extension(address: ClientIp) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(address);
    extensions
}

/// No router can be asked about what is no request.
fn refused() -> ApiGatewayV2httpResponse {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    into_answer(response)
}

fn invocation(context: &Context, cold_start: bool) -> Invocation {
    Invocation {
        request_id: context.request_id.clone(),
        function_arn: context.invoked_function_arn.clone(),
        trace_id: context.xray_trace_id.as_deref().and_then(trace_id),
        cold_start,
    }
}
