//! Metrics of requests.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Bounds of a request's time, in seconds.
const BUCKETS: [f64; 12] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 1.0, 60.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

/// Counters of the endpoints.
pub(super) struct Measures {
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that found no place; where there is room, they are heard for a moment.
    pub refused: Counter,
    /// Long-polls that wait.
    pub parked: Gauge,
    /// Pages that follow what is in force.
    pub following: Gauge,
    /// Answers that were given before, and given again.
    pub repeated: Counter,
}

impl Measures {
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            seconds: Histogram::new(BUCKETS),
            connections: Gauge::default(),
            refused: Counter::default(),
            parked: Gauge::default(),
            following: Gauge::default(),
            repeated: Counter::default(),
        }
    }

    pub fn register_all(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests by route and status",
            self.requests.clone(),
        );
        registry.register(
            "http_request_seconds",
            "Time of a request",
            self.seconds.clone(),
        );
        registry.register(
            "http_connections",
            "Connections that are open",
            self.connections.clone(),
        );
        let text = "Connections that found no place because too many are open";
        registry.register("http_connections_refused", text, self.refused.clone());
        registry.register("http_parked", "Long-polls that wait", self.parked.clone());
        registry.register(
            "http_following",
            "Open pages that follow what is in force",
            self.following.clone(),
        );
        let text = "Answers that were kept from the same request before, of the same snapshot";
        registry.register("http_answers_repeated", text, self.repeated.clone());
    }

    pub fn count_request(&self, route: &str, status: StatusCode, took: Duration) {
        let labels = RequestLabels {
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
