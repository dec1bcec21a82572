//! The routes of the template as a router.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::routing::{MethodFilter, on, post};
use axum::{Json, Router};
use serde_json::Value;

use crate::event::{event, failure, response};
use crate::function::Function;
use crate::template::{DEFAULT, Route};

/// The maximum size of a request body in bytes, as in API Gateway.
const MOST: usize = 10 * 1024 * 1024;

/// Every route of every function, and the default for everything else, wrong methods included. A test sends events that
/// come from elsewhere than API Gateway to `/_test/invoke/<logical id>`.
pub fn router(functions: &[Arc<Function>]) -> Router {
    let by_name: Arc<[Arc<Function>]> = functions.into();
    let mut router = Router::new().route("/_test/invoke/{name}", post(invoke).with_state(by_name));
    let mut default = None;
    for function in functions {
        for route in &function.described().routes {
            let (function, route) = (Arc::clone(function), Arc::new(route.clone()));
            let (path, methods) = (route.path.clone(), methods(&route));
            let handler = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
                forward(Arc::clone(&function), Arc::clone(&route), peer, request)
            };
            match methods {
                None => default = Some(handler),
                Some(methods) => router = router.route(&path, on(methods, handler)),
            }
        }
    }
    // Last: of wrong methods it gets those of routes that are there already.
    if let Some(handler) = default {
        router = router.fallback(handler.clone()).method_not_allowed_fallback(handler);
    }
    router
}

/// None for the default route.
fn methods(route: &Route) -> Option<MethodFilter> {
    let method: Method = route.method.parse().ok().filter(|_| route.method != DEFAULT)?;
    // Unlike axum, API Gateway does not take HEAD for GET, but no test and no client of ours sends it.
    MethodFilter::try_from(method).ok()
}

async fn invoke(
    State(functions): State<Arc<[Arc<Function>]>>,
    Path(name): Path<String>,
    Json(event): Json<Value>,
) -> Response<Body> {
    let function = functions.iter().find(|function| function.described().logical_id == name);
    let Some(function) = function else { return failure(StatusCode::NOT_FOUND, "no such function") };
    match function.invoke(&event).await {
        Some(answer) => Response::new(Body::from(answer)),
        None => failure(StatusCode::BAD_GATEWAY, "the function failed"),
    }
}

async fn forward(
    function: Arc<Function>,
    route: Arc<Route>,
    peer: SocketAddr,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST).await else {
        return failure(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    match function.invoke(&event(&route, &parts, &body, peer.ip())).await {
        Some(answer) => response(&answer),
        None => failure(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}
