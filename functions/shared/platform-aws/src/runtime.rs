//! The Lambda runtime around a service that responds to requests, and around one that events start.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, Error, LambdaEvent, Service, service_fn};
use lambda_runtime::Runtime;
use portcullis_platform::with_causes;

use crate::event::{joined_headers, take_raw};
use crate::invocation::{Invocation, trace_id};

/// Responds to invocations until Lambda ends the process. Each kind of event that `lambda_http` knows gets a response in
/// its own form; the request has the path, query and body that the client sent, and the address of the client as the
/// sender of the event saw it among its extensions ([`ClientIp`](crate::ClientIp)).
///
/// # Errors
/// When the Runtime API cannot be reached, which outside of Lambda is always.
pub async fn serve<F, B>(respond: impl Fn(Request<Bytes>) -> F) -> Result<(), Error>
where
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes, Error: Debug> + Default + Unpin + Send + 'static,
{
    let is_first = AtomicBool::new(true);
    let handler = service_fn(|event: LambdaEvent<LambdaRequest>| {
        invocation(&event.context, is_first.swap(false, Ordering::Relaxed)).begin();
        invoke(event, &respond)
    });
    Runtime::new(handler).run().await
}

/// One event: what `lambda_http` must not interpret goes around it.
pub(crate) fn invoke<'a, F, B>(
    mut event: LambdaEvent<LambdaRequest>,
    respond: &'a impl Fn(Request<Bytes>) -> F,
) -> impl Future<Output = Result<impl serde::Serialize + Debug, Error>>
where
    F: Future<Output = Response<B>> + Send + 'a,
    B: Body<Data = Bytes, Error: Debug> + Default + Unpin + Send + 'static,
{
    let mut raw = Some(take_raw(&mut event.payload));
    let service = service_fn(move |request: lambda_http::Request| {
        // Called once: an event is one request.
        let responding = raw.take().map(|raw| raw.map(|raw| respond(raw.restore(request))));
        async move {
            Ok::<_, Error>(match responding {
                Some(Ok(responding)) => joined_headers(responding.await),
                Some(Err(error)) => {
                    tracing::warn!(%error, "an event was refused");
                    refused()
                }
                None => refused(),
            })
        }
    });
    Adapter::from(service).call(event)
}

/// Performs the work of events other than requests, until Lambda ends the process. An error is logged with its causes;
/// its sender learns no more than that the event failed.
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
                tracing::error!(error = with_causes(&error), "an event could not be dealt with");
                Error::from("see the log of the function")
            })
        }
    });
    Runtime::new(handler).run().await
}

/// Returns the 400 response for an event that cannot be turned into a request, and so reaches no router.
fn refused<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn invocation(context: &Context, cold_start: bool) -> Invocation {
    Invocation {
        request_id: context.request_id.clone(),
        function_arn: context.invoked_function_arn.clone(),
        trace_id: context.xray_trace_id.as_deref().and_then(trace_id),
        cold_start,
    }
}
