//! What is counted and timed, and the text that Prometheus reads.
//!
//! Callers name what happened and see no type of the metrics library. Every label is bounded: names written in the code,
//! status codes that we answer, and routes of the configuration.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric's name begins with it.
const PREFIX: &str = "switchboard";
/// The upper bound of the fastest bucket, in seconds: a commit to a local disk takes about this long.
const FASTEST_SECONDS: f64 = 0.001;
/// Each bucket is twice as wide as the one before; the last ends at 33 s, just over a handler's default time limit.
const LATENCY_BUCKETS: u16 = 16;
/// Group sizes from 1 to 1,024, doubling.
const GROUP_BUCKETS: u16 = 11;

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Timers<const N: usize> = Family<Labels<N>, Histogram>;

/// The counters and timers of one process.
pub struct Metrics {
    registry: Registry,
    events: Counters<2>,
    webhook_answers: Counters<1>,
    rejected_signatures: Counters<1>,
    connections: Family<Labels<1>, Gauge>,
    cut_connections: Counters<2>,
    route_matches: Counters<2>,
    deliveries: Counters<2>,
    sends: Counters<1>,
    group_size: Histogram,
    webhook: Histogram,
    commit: Histogram,
    handler: Timers<1>,
    send: Histogram,
}

/// How the events of the types that a route takes fared at its `when`, since this process started.
#[derive(Debug, Clone)]
pub struct RouteCounts {
    matched: Counter,
    not_matched: Counter,
    failed: Counter,
}

impl RouteCounts {
    /// An event goes to the route.
    pub fn matched(&self) {
        self.matched.inc();
    }

    /// An event does not.
    pub fn not_matched(&self) {
        self.not_matched.inc();
    }

    /// The expression failed, and the event's job waits for a person.
    pub fn failed(&self) {
        self.failed.inc();
    }

    /// How many of each: matched, not matched, failed.
    pub fn totals(&self) -> [u64; 3] {
        [&self.matched, &self.not_matched, &self.failed].map(Counter::get)
    }
}

/// How many jobs of one kind and route stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobGauge<'a> {
    /// Deliver or send.
    pub kind: &'static str,
    /// The route, empty for sends.
    pub route: &'a str,
    /// Where they stand.
    pub state: &'static str,
    /// How many.
    pub count: i64,
}

impl Metrics {
    /// All counts at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let it = &mut registry;
        Self {
            events: counters(
                it,
                "events",
                "Events committed, by type, and whether each repeated an earlier one",
            ),
            webhook_answers: counters(it, "webhook_answers", "Answers to webhook deliveries, by status code"),
            rejected_signatures: counters(
                it,
                "rejected_signatures",
                "Deliveries that were not believed, by reason",
            ),
            connections: connections(it),
            cut_connections: counters(
                it,
                "cut_connections",
                "Connections that were closed on their clients, by listener and reason",
            ),
            route_matches: counters(
                it,
                "route_matches",
                "Events of a type that a route takes, by what its `when` said",
            ),
            deliveries: counters(it, "deliveries", "Attempts to deliver an event to a route, by outcome"),
            sends: counters(it, "sends", "Attempts to send a message, by outcome"),
            group_size: group_size(it),
            webhook: timer(it, "webhook", "From a delivery's headers to its answer"),
            commit: timer(it, "commit", "The commit of one group of deliveries"),
            handler: timers(it, "handler", "One run of a route's handler"),
            send: timer(it, "send", "One send request to Connectly"),
            registry,
        }
    }

    /// An event was committed; `kind` is its type's name.
    pub fn event(&self, kind: &'static str, duplicate: bool) {
        let duplicate = if duplicate { "true" } else { "false" };
        self.events.get_or_create(&[label("type", kind), label("duplicate", duplicate)]).inc();
    }

    /// A webhook delivery was answered with this status code, so long after its headers came.
    pub fn webhook_answer(&self, status: u16, took: Duration) {
        let status = ("status", Cow::Owned(status.to_string()));
        self.webhook_answers.get_or_create(&[status]).inc();
        self.webhook.observe(took.as_secs_f64());
    }

    /// A delivery was not believed: `missing`, `malformed`, `mismatch` or `unknown_account`.
    pub fn rejected_signature(&self, reason: &'static str) {
        self.rejected_signatures.get_or_create(&[label("reason", reason)]).inc();
    }

    /// A client connected to this listener.
    pub fn connection_opened(&self, listener: &'static str) {
        self.connections.get_or_create(&[label("listener", listener)]).inc();
    }

    /// A connection to this listener ended, whoever ended it.
    pub fn connection_closed(&self, listener: &'static str) {
        self.connections.get_or_create(&[label("listener", listener)]).dec();
    }

    /// A connection is closed on its client: to make `room` for another, because its `handshake` failed, or because the
    /// client was `slow` with a request's head, or `idle`.
    pub fn connection_cut(&self, listener: &'static str, reason: &'static str) {
        self.cut_connections.get_or_create(&[label("listener", listener), label("reason", reason)]).inc();
    }

    /// A group of deliveries was committed.
    pub fn group_committed(&self, size: usize, took: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a group has far fewer than 2^52 deliveries")]
        self.group_size.observe(size as f64);
        self.commit.observe(took.as_secs_f64());
    }

    /// What counts the events of a route. Kept by whoever counts: it is asked for each event.
    pub fn route_counts(&self, route: &str) -> RouteCounts {
        let counter = |result| {
            self.route_matches.get_or_create(&[named("route", route), label("result", result)]).clone()
        };
        RouteCounts {
            matched: counter("matched"),
            not_matched: counter("not_matched"),
            failed: counter("failed"),
        }
    }

    /// A route's handler ran for this long.
    pub fn handler_ran(&self, route: &str, took: Duration) {
        self.handler.get_or_create(&[named("route", route)]).observe(took.as_secs_f64());
    }

    /// A try to deliver an event to a route came to this outcome.
    pub fn delivery(&self, route: &str, outcome: &'static str) {
        self.deliveries.get_or_create(&[named("route", route), label("outcome", outcome)]).inc();
    }

    /// A try to send a message came to this outcome.
    pub fn send(&self, outcome: &'static str) {
        self.sends.get_or_create(&[label("outcome", outcome)]).inc();
    }

    /// A request to Connectly's send endpoint took this long.
    pub fn send_request(&self, took: Duration) {
        self.send.observe(took.as_secs_f64());
    }

    /// Everything in the text form of [`CONTENT_TYPE`], with the jobs as the store counts them at this moment.
    pub fn render(&self, jobs: &[JobGauge<'_>]) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &job_gauges(jobs))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics(..)")
    }
}

/// A registry for one scrape only: a job that is gone leaves no stale gauge behind, and two scrapes share nothing.
fn job_gauges(jobs: &[JobGauge<'_>]) -> Registry {
    let gauges = Family::<Labels<3>, Gauge>::default();
    for job in jobs {
        let labels = [label("kind", job.kind), named("route", job.route), label("state", job.state)];
        gauges.get_or_create(&labels).set(job.count);
    }
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register("jobs", "Unfinished and parked jobs", gauges);
    registry
}

const fn label(name: &'static str, value: &'static str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Borrowed(value))
}

fn named(name: &'static str, value: &str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Owned(value.to_owned()))
}

fn counters<const N: usize>(registry: &mut Registry, name: &str, help: &str) -> Counters<N> {
    let counters = Counters::default();
    registry.register(name, help, counters.clone());
    counters
}

fn connections(registry: &mut Registry) -> Family<Labels<1>, Gauge> {
    let gauges = Family::<Labels<1>, Gauge>::default();
    registry.register("connections", "Open connections, by listener", gauges.clone());
    gauges
}

fn timer(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let timer = latency();
    registry.register_with_unit(name, help, Unit::Seconds, timer.clone());
    timer
}

fn timers<const N: usize>(registry: &mut Registry, name: &str, help: &str) -> Timers<N> {
    let timers = Timers::new_with_constructor(latency);
    registry.register_with_unit(name, help, Unit::Seconds, timers.clone());
    timers
}

fn group_size(registry: &mut Registry) -> Histogram {
    let sizes = Histogram::new(exponential_buckets(1.0, 2.0, GROUP_BUCKETS));
    registry.register("group_size", "Deliveries committed together", sizes.clone());
    sizes
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(FASTEST_SECONDS, 2.0, LATENCY_BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_happened_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.event("message.received", false);
        metrics.event("message.received", true);
        metrics.webhook_answer(200, Duration::from_millis(3));
        metrics.rejected_signature("mismatch");
        metrics.connection_opened("public");
        metrics.connection_cut("public", "idle");
        metrics.group_committed(3, Duration::from_millis(2));
        metrics.handler_ran("greeter", Duration::from_millis(20));
        metrics.delivery("greeter", "done");
        metrics.send("accepted");
        metrics.send_request(Duration::from_millis(80));
        let job = JobGauge { kind: "deliver", route: "greeter", state: "parked", count: 4 };
        let text = metrics.render(&[job]).unwrap();
        for line in [
            "switchboard_events_total{type=\"message.received\",duplicate=\"true\"} 1",
            "switchboard_webhook_answers_total{status=\"200\"} 1",
            "switchboard_rejected_signatures_total{reason=\"mismatch\"} 1",
            "switchboard_connections{listener=\"public\"} 1",
            "switchboard_cut_connections_total{listener=\"public\",reason=\"idle\"} 1",
            "switchboard_group_size_sum 3.0",
            "switchboard_webhook_seconds_bucket{le=\"0.004\"} 1",
            "switchboard_commit_seconds_count 1",
            "switchboard_handler_seconds_count{route=\"greeter\"} 1",
            "switchboard_deliveries_total{route=\"greeter\",outcome=\"done\"} 1",
            "switchboard_sends_total{outcome=\"accepted\"} 1",
            "switchboard_send_seconds_count 1",
            "switchboard_jobs{kind=\"deliver\",route=\"greeter\",state=\"parked\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn jobs_that_are_gone_leave_no_gauge() {
        let metrics = Metrics::new();
        metrics.render(&[JobGauge { kind: "send", route: "", state: "ready", count: 1 }]).unwrap();
        assert!(!metrics.render(&[]).unwrap().contains("switchboard_jobs{"));
    }
}
