//! Counters of the daemon, in one registry that the endpoints add theirs to.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::clients::{ClientState, ClientTally};
use super::notes::lock_unpoisoned;
use super::status::{SetStatus, Status};

/// Bounds of a reload's time, in seconds.
const RELOAD_BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SetLabel {
    set: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    set: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SnapshotLabels {
    set: String,
    commit: String,
    promotion: String,
    digest: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CommitLabels {
    set: String,
    commit: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientLabels {
    set: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The daemon's registry of metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    reloads: Family<ReloadLabels, Counter>,
    reload_seconds: Histogram,
    ready: Gauge,
    polling: Gauge,
    snapshot: Family<SnapshotLabels, Gauge>,
    policies: Family<SetLabel, Gauge>,
    attachments: Family<SetLabel, Gauge>,
    loaded_at: Family<SetLabel, Gauge>,
    next_expiry: Family<SetLabel, Gauge>,
    checked_at: Family<SetLabel, Gauge>,
    rejected: Family<CommitLabels, Gauge>,
    unserved_seconds: Family<SetLabel, Seconds>,
    commits_behind: Family<SetLabel, Gauge>,
    stale: Family<SetLabel, Gauge>,
    failing: Family<SetLabel, Gauge>,
    clients: Family<ClientLabels, Gauge>,
    client_commits: Family<CommitLabels, Gauge>,
    hold: Family<SetLabel, Gauge>,
    build: Family<BuildLabels, Gauge>,
    fetch: FetchGauges,
    lost_decisions: Counter,
}

/// How fetching goes: updated by its thread.
#[derive(Debug, Clone, Default)]
pub(super) struct FetchGauges {
    failing: Gauge,
    fetched_at: Gauge,
}

impl FetchGauges {
    /// A fetch has ended, well or not.
    pub(super) fn note_fetch(&self, is_good: bool) {
        self.failing.set((!is_good).into());
        if is_good {
            self.fetched_at.set(Timestamp::now().as_second());
        }
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("refguard")),
            reloads: Family::default(),
            reload_seconds: Histogram::new(RELOAD_BUCKETS),
            ready: Gauge::default(),
            polling: Gauge::default(),
            snapshot: Family::default(),
            policies: Family::default(),
            attachments: Family::default(),
            loaded_at: Family::default(),
            next_expiry: Family::default(),
            checked_at: Family::default(),
            rejected: Family::default(),
            unserved_seconds: Family::default(),
            commits_behind: Family::default(),
            stale: Family::default(),
            failing: Family::default(),
            clients: Family::default(),
            client_commits: Family::default(),
            hold: Family::default(),
            build: Family::default(),
            fetch: FetchGauges::default(),
            lost_decisions: Counter::default(),
        };
        metrics.register_all(|registry| metrics.register_own(registry));
        metrics
    }

    fn register_own(&self, registry: &mut Registry) {
        registry.register("reloads", "Loads of a set by result", self.reloads.clone());
        registry.register(
            "reload_seconds",
            "Time of a load, from the ref to the swap",
            self.reload_seconds.clone(),
        );
        registry.register("ready", "Whether requests are answered", self.ready.clone());
        registry.register(
            "watch_polling",
            "Whether only polling tells of changes",
            self.polling.clone(),
        );
        registry.register("snapshot_info", "What is served", self.snapshot.clone());
        registry.register(
            "snapshot_policies",
            "Policies that are served",
            self.policies.clone(),
        );
        registry.register(
            "snapshot_attachments",
            "Attachments that are served",
            self.attachments.clone(),
        );
        let text = "When the next attachment of what is served expires; no sample: none does";
        registry.register(
            "next_expiry_timestamp_seconds",
            text,
            self.next_expiry.clone(),
        );
        let text = "When what is served was loaded";
        registry.register(
            "snapshot_loaded_timestamp_seconds",
            text,
            self.loaded_at.clone(),
        );
        let text = "When the ref was last read successfully";
        registry.register(
            "ref_checked_timestamp_seconds",
            text,
            self.checked_at.clone(),
        );
        registry.register(
            "rejected_info",
            "What was rejected last",
            self.rejected.clone(),
        );
        let text = "Seconds since the ref came to hold what is not served";
        registry.register("ref_unserved_seconds", text, self.unserved_seconds.clone());
        registry.register(
            "commits_behind",
            "Commits of the ref that are not served",
            self.commits_behind.clone(),
        );
        registry.register(
            "stale",
            "Whether the ref was not read for too long",
            self.stale.clone(),
        );
        let text = "Whether the repository, the ref or what it holds cannot be read";
        registry.register("failing", text, self.failing.clone());
        registry.register(
            "clients",
            "Clients that report, by state",
            self.clients.clone(),
        );
        let text = "Clients that enforce a commit";
        registry.register("clients_commit", text, self.client_commits.clone());
        registry.register("hold", "Whether promotions are on hold", self.hold.clone());
        registry.register("build_info", "The program that serves", self.build.clone());
        self.build
            .get_or_create(&BuildLabels {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        registry.register(
            "fetch_failing",
            "Whether the last fetch failed",
            self.fetch.failing.clone(),
        );
        let text = "When the last fetch succeeded; 0: never";
        registry.register(
            "fetched_timestamp_seconds",
            text,
            self.fetch.fetched_at.clone(),
        );
        let text = "Decisions that the log was too slow for, or could not write";
        registry.register("decisions_dropped", text, self.lost_decisions.clone());
    }

    /// Adds metrics to the registry.
    pub fn register_all(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut lock_unpoisoned(&self.registry));
    }

    /// The counter of decisions that are in no log.
    pub(super) fn lost_decisions(&self) -> Counter {
        self.lost_decisions.clone()
    }

    /// The gauges of the fetching thread.
    pub(super) fn fetch_gauges(&self) -> FetchGauges {
        self.fetch.clone()
    }

    pub(super) fn count_reload(&self, set: &str, result: &'static str, took: Duration) {
        self.reloads
            .get_or_create(&ReloadLabels {
                set: set.to_owned(),
                result,
            })
            .inc();
        self.reload_seconds.observe(took.as_secs_f64());
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self, status: &Status, tally: &ClientTally) -> String {
        self.ready.set(status.ready.into());
        self.polling.set((status.watch == "polling").into());
        self.snapshot.clear();
        self.rejected.clear();
        self.next_expiry.clear();
        status.sets.iter().for_each(|set| self.fill_gauges(set));
        self.count_clients(status, tally);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &lock_unpoisoned(&self.registry));
        text
    }

    /// Every state of every set, also those that no client is in: an alert can then tell nought
    /// from nothing.
    fn count_clients(&self, status: &Status, tally: &ClientTally) {
        self.clients.clear();
        self.client_commits.clear();
        for set in &status.sets {
            for state in ClientState::ALL {
                let count = tally.states.get(&(set.name.clone(), state)).copied();
                let labels = ClientLabels {
                    set: set.name.clone(),
                    state: state.name(),
                };
                self.clients
                    .get_or_create(&labels)
                    .set(gauge_value(count.unwrap_or(0)));
            }
        }
        for ((set, commit), count) in &tally.commits {
            let labels = CommitLabels {
                set: set.clone(),
                commit: commit.clone(),
            };
            self.client_commits
                .get_or_create(&labels)
                .set(gauge_value(*count));
        }
    }

    fn fill_gauges(&self, status: &SetStatus) {
        let set = || SetLabel {
            set: status.name.clone(),
        };
        if let Some(digest) = &status.digest {
            let labels = SnapshotLabels {
                set: status.name.clone(),
                commit: status.commit.clone().unwrap_or_default(),
                promotion: status.promotion.map(|n| n.to_string()).unwrap_or_default(),
                digest: digest.clone(),
            };
            self.snapshot.get_or_create(&labels).set(1);
        }
        if let Some(rejected) = &status.rejected {
            let commit = rejected.commit.clone().unwrap_or_default();
            self.rejected
                .get_or_create(&CommitLabels {
                    set: status.name.clone(),
                    commit,
                })
                .set(1);
        }
        if let Some(until) = status.valid_until {
            self.next_expiry
                .get_or_create(&set())
                .set(until.as_second());
        }
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.policies
            .get_or_create(&set())
            .set(number(status.policies));
        self.attachments
            .get_or_create(&set())
            .set(number(status.attachments));
        self.loaded_at
            .get_or_create(&set())
            .set(status.loaded_at.map_or(0, |at| at.as_second()));
        self.checked_at
            .get_or_create(&set())
            .set(status.checked_at.map_or(0, |at| at.as_second()));
        self.unserved_seconds
            .get_or_create(&set())
            .set(status.lag_seconds);
        let behind = status.commits_behind.and_then(|n| i64::try_from(n).ok());
        self.commits_behind
            .get_or_create(&set())
            .set(behind.unwrap_or(0));
        self.stale.get_or_create(&set()).set(status.stale.into());
        self.failing
            .get_or_create(&set())
            .set(status.failing.is_some().into());
        self.hold
            .get_or_create(&set())
            .set(status.hold.is_some().into());
    }
}

fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
