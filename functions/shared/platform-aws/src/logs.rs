//! Log lines as CloudWatch reads them: JSON with the field names of Lambda Powertools, and in the line of each completed
//! request its metrics in the Embedded Metric Format. One line is both, so log and metrics cannot disagree.

use std::fmt;
use std::io::{Write, stdout};
use std::sync::Arc;

use portcullis_platform::{Clock, Environment};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::invocation::Invocation;
use crate::settings::ENVIRONMENT;

/// The namespace of the product's metrics.
const NAMESPACE: &str = "Portcullis";
/// Fields that are metrics of the deployment: one of a failed notification, and one of a service token with a successor.
const COUNTED: [&str; 3] = ["MailFailures", "OutdatedServiceTokens", "EdgeFailures"];
/// A field that only the line of a completed request has.
const LATENCY: &str = "latency_ms";

/// A source of counts that other crates collect while a request is served.
pub trait Measurements: fmt::Debug + Send + Sync {
    /// Returns the counts since the last call, and resets them.
    fn take(&self) -> Measured;
}

/// The counts of one request, by name.
#[derive(Debug, Default)]
pub struct Measured {
    /// Counts published as CloudWatch metrics of the service; each costs something every month.
    pub metrics: Vec<(&'static str, f64)>,
    /// Counts written to the log line alone, not published as metrics.
    pub details: Vec<(&'static str, f64)>,
}

/// A [`Measurements`] without any counts, for functions that collect none.
#[derive(Debug, Clone, Copy)]
pub struct NothingMeasured;

impl Measurements for NothingMeasured {
    fn take(&self) -> Measured {
        Measured::default()
    }
}

/// A `tracing` layer that writes each event as one line of JSON.
#[derive(Debug)]
pub struct JsonLines<W> {
    service: String,
    deployment: String,
    function: String,
    memory: Option<u64>,
    clock: Arc<dyn Clock>,
    measurements: Arc<dyn Measurements>,
    writer: W,
}

impl JsonLines<fn() -> std::io::Stdout> {
    /// Returns a layer that writes to the standard output, which Lambda forwards to CloudWatch. `service` and the
    /// deployment, `ENVIRONMENT`, are the dimensions of the metrics.
    pub fn new(
        service: &str,
        environment: &Environment,
        clock: Arc<dyn Clock>,
        measurements: Arc<dyn Measurements>,
    ) -> Self {
        Self {
            service: service.to_owned(),
            deployment: environment.raw(ENVIRONMENT.name).unwrap_or(ENVIRONMENT.default).to_owned(),
            function: environment.raw("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default().to_owned(),
            memory: environment.raw("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse().ok()),
            clock,
            measurements,
            writer: stdout,
        }
    }
}

impl<W> JsonLines<W> {
    fn line(&self, event: &Event<'_>, correlation: Option<Value>) -> Map<String, Value> {
        let now = self.clock.now();
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("message".into(), Value::Null);
        line.insert("timestamp".into(), now.to_string().into());
        line.insert("service".into(), self.service.as_str().into());
        line.insert("environment".into(), self.deployment.as_str().into());
        let place = (metadata.module_path().unwrap_or_default(), metadata.line().unwrap_or_default());
        line.insert("location".into(), format!("{}:{}", place.0, place.1).into());
        line.insert("function_name".into(), self.function.as_str().into());
        line.insert("function_memory_size".into(), self.memory.into());
        if let Some(invocation) = Invocation::current() {
            line.insert("cold_start".into(), invocation.cold_start.into());
            line.insert("function_arn".into(), invocation.function_arn.into());
            line.insert("function_request_id".into(), invocation.request_id.into());
            line.insert("xray_trace_id".into(), invocation.trace_id.into());
        }
        event.record(&mut Fields(&mut line));
        if let Some(id) = line.remove("request_id").or(correlation) {
            line.insert("correlation_id".into(), id);
        }
        if line.contains_key(LATENCY) {
            self.add_metrics(&mut line, now.as_millisecond());
        } else if let Some(name) = COUNTED.into_iter().find(|name| line.contains_key(*name)) {
            let metric = json!({
                "Namespace": NAMESPACE,
                "Dimensions": [["environment"]],
                "Metrics": [{"Name": name, "Unit": "Count"}],
            });
            let at = now.as_millisecond();
            line.insert("_aws".into(), json!({"Timestamp": at, "CloudWatchMetrics": [metric]}));
        }
        line
    }

    /// Requests are counted by service and outcome, everything else by service alone, each for its deployment: whatever has more dimensions is
    /// more metrics, and those are paid for one by one.
    fn add_metrics(&self, line: &mut Map<String, Value>, at: i64) {
        let outcome = line.get("code").cloned().unwrap_or_else(|| "ok".into());
        let is_reuse = outcome == "session_revoked" && line.get("route") == Some(&"/v1/auth/refresh".into());
        let latency = line.remove(LATENCY).and_then(|value| value.as_f64()).unwrap_or_default();
        let measured = self.measurements.take();
        let mut metrics = vec![("Latency", latency, "Milliseconds")];
        metrics.extend(is_reuse.then_some(("RefreshReuse", 1.0, "Count")));
        metrics.extend(measured.metrics.into_iter().map(|(name, count)| (name, count, "Count")));
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, _, unit)| json!({"Name": name, "Unit": unit})).collect();
        let directives = [
            json!({"Namespace": NAMESPACE, "Dimensions": [["environment", "service"]], "Metrics": definitions}),
            json!({
                "Namespace": NAMESPACE,
                "Dimensions": [["environment", "service", "outcome"]],
                "Metrics": [{"Name": "Requests", "Unit": "Count"}],
            }),
        ];
        line.insert("outcome".into(), outcome);
        line.insert("Requests".into(), json!(1.0));
        let counts = metrics.iter().map(|(name, value, _)| (*name, *value)).chain(measured.details);
        line.extend(counts.map(|(name, value)| (name.to_owned(), json!(value))));
        line.insert("_aws".into(), json!({"Timestamp": at, "CloudWatchMetrics": directives}));
    }
}

/// The id of the request a span stands for, kept with the span.
struct Correlation(Value);

impl<S, W, O> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        if let (Some(span), Some(id)) = (context.span(id), fields.remove("request_id")) {
            span.extensions_mut().insert(Correlation(id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let correlation = context.event_scope(event).and_then(|mut scope| {
            scope.find_map(|span| span.extensions().get::<Correlation>().map(|found| found.0.clone()))
        });
        let mut text = Value::from(self.line(event, correlation)).to_string();
        text.push('\n');
        // In one write, so that lines of concurrent tasks never mix. An error here has nowhere to be reported.
        let _ = (self.writer)().write_all(text.as_bytes());
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use jiff::Timestamp;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            "2026-11-21T12:00:00.5Z".parse().unwrap()
        }
    }

    #[derive(Debug)]
    struct Three;

    impl Measurements for Three {
        fn take(&self) -> Measured {
            Measured { metrics: vec![("ConsumedWriteUnits", 3.0)], details: vec![("TableRounds", 2.0)] }
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let layer = JsonLines {
            service: "refresh".into(),
            deployment: "prod".into(),
            function: "portcullis-dev-refresh".into(),
            memory: Some(512),
            clock: Arc::new(Noon),
            measurements: Arc::new(Three),
            writer: {
                let lines = lines.clone();
                move || lines.clone()
            },
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_names_of_powertools_and_the_id_of_its_request() {
        let lines = logged(|| {
            let span = tracing::info_span!("request", request_id = "req-1");
            span.in_scope(|| tracing::error!(error = %"no\nway", "a request failed"));
        });
        let line = &lines[0];
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["message"], "a request failed");
        assert_eq!(line["timestamp"], "2026-11-21T12:00:00.5Z");
        assert_eq!(line["service"], "refresh");
        assert_eq!(line["function_name"], "portcullis-dev-refresh");
        assert_eq!(line["correlation_id"], "req-1");
        assert_eq!(line["error"], "no\nway");
        assert!(line["location"].as_str().unwrap().starts_with("portcullis_platform_aws::logs::tests:"));
        assert!(line.get("_aws").is_none(), "only an answered request is counted");
    }

    #[test]
    fn a_letter_that_was_not_sent_is_counted_for_whoever_is_paged() {
        let lines = logged(|| tracing::error!(MailFailures = 1.0, error = "no post", "a mail was not sent"));
        let metric = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (&metric["Dimensions"], &lines[0]["MailFailures"]),
            (&json!([["environment"]]), &json!(1.0))
        );
        assert_eq!(lines[0]["environment"], "prod");
        assert_eq!(metric["Metrics"], json!([{"Name": "MailFailures", "Unit": "Count"}]));
    }

    #[test]
    fn a_token_that_has_a_successor_is_counted_for_its_alarm() {
        let lines = logged(|| tracing::warn!(OutdatedServiceTokens = 1.0, holder = "edge", "it has"));
        let metric = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metric["Dimensions"], json!([["environment"]]));
        assert_eq!(metric["Metrics"], json!([{"Name": "OutdatedServiceTokens", "Unit": "Count"}]));
        assert_eq!((&lines[0]["OutdatedServiceTokens"], &lines[0]["holder"]), (&json!(1.0), &json!("edge")));
    }

    #[test]
    fn what_failed_at_the_edge_is_counted_for_its_alarm() {
        let lines = logged(|| tracing::warn!(EdgeFailures = 7.0, keys = 3, upstreams = 4, "it says"));
        let metric = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metric["Dimensions"], json!([["environment"]]));
        assert_eq!(metric["Metrics"], json!([{"Name": "EdgeFailures", "Unit": "Count"}]));
        assert_eq!((&lines[0]["EdgeFailures"], &lines[0]["keys"]), (&json!(7.0), &json!(3)));
    }

    #[test]
    fn the_line_of_an_answered_request_is_its_metrics() {
        let lines = logged(|| {
            let route = "/v1/auth/refresh";
            tracing::info!(route, status = 401, code = "session_revoked", latency_ms = 7, "request answered");
            tracing::info!(route, status = 200, latency_ms = 3, "request answered");
        });
        let directives = json!([
            {"Namespace": "Portcullis", "Dimensions": [["environment", "service"]], "Metrics": [
                {"Name": "Latency", "Unit": "Milliseconds"},
                {"Name": "RefreshReuse", "Unit": "Count"},
                {"Name": "ConsumedWriteUnits", "Unit": "Count"},
            ]},
            {"Namespace": "Portcullis", "Dimensions": [["environment", "service", "outcome"]], "Metrics": [
                {"Name": "Requests", "Unit": "Count"},
            ]},
        ]);
        assert_eq!(
            lines[0]["_aws"],
            json!({"Timestamp": 1_795_262_400_500_u64, "CloudWatchMetrics": directives})
        );
        // CloudWatch takes the values from the members of these names.
        assert_eq!((&lines[0]["ConsumedWriteUnits"], &lines[0]["TableRounds"]), (&json!(3.0), &json!(2.0)));
        assert_eq!((&lines[0]["Latency"], &lines[0]["outcome"]), (&json!(7.0), &json!("session_revoked")));
        assert_eq!((&lines[1]["Requests"], &lines[1]["outcome"]), (&json!(1.0), &json!("ok")));
        assert!(lines[1].get("RefreshReuse").is_none());
    }
}
