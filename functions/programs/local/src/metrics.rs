//! Metrics in the form of Prometheus, on a port of their own.
//!
//! Labels have few values whoever calls: routes are patterns, methods and statuses those of HTTP, codes those of the product.
//! Nothing of a person is counted apart.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Method;
use portcullis_http::Code;
use portcullis_platform::{Mail, Mailer, MailerError, Misconfigured, Variable};
use portcullis_store::Meter;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where metrics are.
pub(crate) const METRICS_ADDR: Variable = Variable {
    name: "METRICS_ADDR",
    default: "",
    about: "address and port of GET /metrics (Prometheus), /livez and /readyz, without TLS and for a monitor alone; none when unset",
    aliases: &[],
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// In seconds: from an answer without the table to the longest that a request may take.
const LATENCIES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    job: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    refusals: Family<CodeLabel, Counter>,
    in_flight: Gauge,
    connections: Gauge,
    jobs: Family<JobLabels, Counter>,
    mails: Family<OutcomeLabel, Counter>,
    outdated_service_tokens: Counter<f64, AtomicU64>,
    edge_failures: Counter<f64, AtomicU64>,
    table: Table,
}

/// What the table consumed, taken from its meter whenever somebody looks.
#[derive(Default)]
struct Table {
    meter: Mutex<Meter>,
    calls: Counter,
    read_units: Counter<f64, AtomicU64>,
    write_units: Counter<f64, AtomicU64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn durations() -> Histogram {
    Histogram::new(LATENCIES)
}

impl Metrics {
    /// Returns the metrics, all of them zero.
    pub fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            refusals: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            jobs: Family::default(),
            mails: Family::default(),
            outdated_service_tokens: Counter::default(),
            edge_failures: Counter::default(),
            table: Table::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        all.register("build", "The version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        all.register("requests", "Requests by route and status", self.requests.clone());
        let seconds = Unit::Seconds;
        let about = "How long requests took";
        all.register_with_unit("request_duration", about, seconds, self.durations.clone());
        all.register("refusals", "Responses that refuse, by error code", self.refusals.clone());
        all.register("requests_in_flight", "Requests that are being answered", self.in_flight.clone());
        all.register("connections", "Connections that are open", self.connections.clone());
        all.register("job_turns", "Turns of scheduled jobs by outcome", self.jobs.clone());
        all.register("mails", "Mails by outcome", self.mails.clone());
        let about = "Requests with a service token that has a successor";
        all.register("outdated_service_tokens", about, self.outdated_service_tokens.clone());
        all.register("edge_failures", "What the edge could not reach or decide", self.edge_failures.clone());
        all.register("table_calls", "Calls of the table", self.table.calls.clone());
        all.register("table_read_units", "Read capacity consumed", self.table.read_units.clone());
        all.register("table_write_units", "Write capacity consumed", self.table.write_units.clone());
    }

    /// Takes what the table consumes from this meter.
    pub(crate) fn read_from(&self, meter: Meter) {
        *self.table.meter.lock().unwrap_or_else(PoisonError::into_inner) = meter;
    }

    /// Returns everything as a monitor reads it; fails never, as text can always be written.
    fn text(&self) -> Result<String, fmt::Error> {
        let used = self.table.meter.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.table.calls.inc_by(used.calls);
        self.table.read_units.inc_by(used.read_units);
        self.table.write_units.inc_by(used.write_units);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a connection as open until what it returns is dropped.
    pub(crate) fn open_connection(&self) -> Counted {
        Counted::begin(&self.connections)
    }

    /// Counts a turn of a job.
    pub(crate) fn count_turn(&self, job: &'static str, outcome: &'static str) {
        self.jobs.get_or_create(&JobLabels { job, outcome }).inc();
    }

    fn count_response(&self, method: &Method, route: &str, response: &Response, seconds: f64) {
        let (method, status) = (known(method), u32::from(response.status().as_u16()));
        self.requests.get_or_create(&RequestLabels { method, route: route.to_owned(), status }).inc();
        self.durations.get_or_create(&RouteLabel { route: route.to_owned() }).observe(seconds);
        if let Some(code) = response.extensions().get::<Code>() {
            self.refusals.get_or_create(&CodeLabel { code: code.as_str() }).inc();
        }
    }
}

/// Something that is counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Clients may make up methods, and each would be a line for good.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("other")
}

/// Counts each request when there is a response; a request that its client gives up is none.
pub(crate) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let _in_flight = Counted::begin(&metrics.in_flight);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = tokio::time::Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    metrics.count_response(&method, route, &response, began.elapsed().as_secs_f64());
    response
}

/// A mailer whose outcomes are counted.
#[derive(Debug)]
pub(crate) struct CountedMailer {
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) metrics: Arc<Metrics>,
}

#[async_trait]
impl Mailer for CountedMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailerError> {
        let sent = self.mailer.send(mail).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(MailerError::Refused(_)) => "refused",
            Err(MailerError::Unavailable(_)) => "unavailable",
        };
        self.metrics.mails.get_or_create(&OutcomeLabel { outcome }).inc();
        sent
    }
}

/// A `tracing` layer that counts what is logged for whoever is paged.
#[derive(Debug)]
pub struct CountedEvents(pub Arc<Metrics>);

impl<S: Subscriber> Layer<S> for CountedEvents {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Counts(&self.0));
    }
}

struct Counts<'a>(&'a Metrics);

impl Visit for Counts<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "OutdatedServiceTokens" => self.0.outdated_service_tokens.inc_by(value),
            "EdgeFailures" => self.0.edge_failures.inc_by(value),
            _ => 0.0,
        };
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Binds the port of metrics; `None` where none is wanted. Fails when it is no address, or in use.
pub(crate) async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Misconfigured> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|error| {
        Misconfigured::new(METRICS_ADDR.name, format!("cannot listen on {address}: {error}"))
    })
}

/// Serves the metrics, and what stands beside them, for as long as the process runs.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>, beside: Router) {
    let routes = Router::new().route("/metrics", get(show)).with_state(metrics).merge(beside);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the port of metrics is gone");
    }
}

async fn show(State(metrics): State<Arc<Metrics>>) -> Response {
    let text = metrics.text().unwrap_or_default();
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use tower::ServiceExt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    async fn asked(metrics: &Arc<Metrics>, method: &str, path: &str) {
        let refused = || async { (StatusCode::FORBIDDEN, Extension(Code::Forbidden)) };
        let routes = Router::new()
            .route("/v1/users/{id}", get(|| async { "asha@example.com" }).delete(refused))
            .layer(from_fn_with_state(Arc::clone(metrics), count));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        routes.oneshot(request).await.unwrap();
    }

    fn lines(metrics: &Metrics, beginning: &str) -> Vec<String> {
        let text = metrics.text().unwrap();
        text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn however_many_ways_a_client_asks_there_are_few_lines() {
        let metrics = Metrics::new();
        for number in 0..1_000 {
            asked(&metrics, "GET", &format!("/v1/users/usr_{number}")).await;
            asked(&metrics, &format!("X{number}"), &format!("/made/up/{number}")).await;
        }
        asked(&metrics, "DELETE", "/v1/users/usr_1").await;
        let counted = lines(&metrics, "portcullis_requests_total");
        assert_eq!(counted.len(), 3, "{counted:?}");
        assert!(
            counted.iter().any(|line| line.contains(r#"route="/v1/users/{id}""#) && line.ends_with(" 1000"))
        );
        assert!(counted.iter().any(|line| line.contains(r#"method="other",route="unmatched",status="404""#)));
        assert_eq!(
            lines(&metrics, "portcullis_refusals_total"),
            [r#"portcullis_refusals_total{code="forbidden"} 1"#]
        );
        assert_eq!(lines(&metrics, "portcullis_requests_in_flight"), ["portcullis_requests_in_flight 0"]);
        let text = metrics.text().unwrap();
        assert!(!text.contains("usr_") && !text.contains("asha"), "{text}");
        assert!(text.contains("portcullis_request_duration_seconds_bucket") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_logged_for_whoever_is_paged_is_counted() {
        let metrics = Metrics::new();
        let subscriber = tracing_subscriber::registry().with(CountedEvents(Arc::clone(&metrics)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(OutdatedServiceTokens = 1.0, holder = "edge", "it has a successor");
            tracing::warn!(EdgeFailures = 7.0, keys = 3, "it says");
        });
        assert_eq!(lines(&metrics, "portcullis_edge_failures_total"), ["portcullis_edge_failures_total 7.0"]);
        let outdated = lines(&metrics, "portcullis_outdated_service_tokens_total");
        assert_eq!(outdated, ["portcullis_outdated_service_tokens_total 1.0"]);
    }

    #[tokio::test]
    async fn a_mail_is_counted_by_its_outcome_alone() {
        #[derive(Debug)]
        struct Refusing;
        #[async_trait]
        impl Mailer for Refusing {
            async fn send(&self, _: &Mail) -> Result<(), MailerError> {
                Err(MailerError::Refused("no".into()))
            }
        }
        let metrics = Metrics::new();
        let mailer = CountedMailer { mailer: Arc::new(Refusing), metrics: Arc::clone(&metrics) };
        let mail = Mail { to: "asha@example.com".into(), subject: "x", body: "y".into() };
        mailer.send(&mail).await.unwrap_err();
        assert_eq!(lines(&metrics, "portcullis_mails"), [r#"portcullis_mails_total{outcome="refused"} 1"#]);
    }
}
