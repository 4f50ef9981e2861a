//! What another revision would say to the requests that are answered, counted beside the answers.
//!
//! Whoever answers a request hands it over without waiting; a thread of low priority asks both
//! sets. Where it does not keep up, requests are shed and counted as such. Nothing here changes an
//! answer. Must not know HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use refguard_core::document::Dimension;
use refguard_core::prove::{Detail, Region, impact_in_detail};
use refguard_core::resolve::{Asked, Context, Engine};
use refguard_core::traffic::{Compared, Comparer, hidden_key};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::background::{Way, spawn_thread};
use super::hub::Hub;
use super::notes::{Subject, lock_unpoisoned};
use super::snapshot::Snapshot;
use crate::ops::{Judged, NoProgress, Rules, Source, TrackedSet, Workspace, budget_within};

/// Requests that wait for the thread at most.
const MAX_WAITING: usize = 1_024;
/// Outcomes that are kept for requests that come again.
const MAX_KEPT: usize = 8_192;
/// Guardrails that are counted each for itself; any more count as one.
const MAX_GUARDRAILS: usize = 1_000;
/// How long finding the regions may take.
const ANALYSIS: Duration = Duration::from_secs(10);
/// How long until the next look while nothing is served.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// Why a revision is not compared.
const INCOMPARABLE: &str = "it holds no valid set: nothing is compared";
/// Samples that can be kept.
pub const MAX_SAMPLES: usize = 1_000;

/// What is shadowed.
#[derive(Debug, Clone)]
pub struct ShadowOptions {
    /// A folder of the repository.
    pub dir: PathBuf,
    /// The revision that is asked beside what is served.
    pub revision: String,
    /// How often it is looked up.
    pub poll: Duration,
    /// How many requests that differ are kept; the newest.
    pub samples: usize,
    /// Whether keys are kept as their hashes.
    pub hash_keys: bool,
}

/// A request that was answered.
enum SeenRequest {
    /// As it came: its answer was at hand.
    Body(Bytes),
    Request(Box<(Context, Vec<String>)>),
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    result: &'static str,
    region: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GuardrailLabels {
    change: &'static str,
    guardrail: String,
}

/// The counters, for Prometheus.
#[derive(Clone, Default)]
struct Counters {
    requests: Family<RequestLabels, Counter>,
    guardrails: Family<GuardrailLabels, Counter>,
}

impl Counters {
    fn count_request(&self, result: &'static str, region: &str) {
        self.requests
            .get_or_create(&RequestLabels {
                result,
                region: region.to_owned(),
            })
            .inc();
    }
}

/// What was counted between one pair of sets: the object of `/v1/shadow`.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowReport {
    /// Version of this format.
    pub version: u32,
    /// The revision that is asked beside what is served.
    #[serde(rename = "ref")]
    pub revision: String,
    /// The set that is served.
    pub set: Option<String>,
    /// Its commit.
    pub base: Option<String>,
    /// The commit of the revision; null where it cannot be asked.
    pub head: Option<String>,
    /// Since when these two are compared.
    pub since: Timestamp,
    /// Whether every region of differences is known.
    pub exact: bool,
    /// Requests that were answered: the sum of the four that follow.
    pub requests: u64,
    /// Those that get the same.
    pub same: u64,
    /// Those that do not.
    pub differs: u64,
    /// Those that could not be asked: they name a version, or there is nothing to ask.
    pub unclear: u64,
    /// Those that were let go, because there were too many.
    pub shed: u64,
    /// By guardrail, those that lose it.
    pub lost: BTreeMap<String, u64>,
    /// By guardrail, those that gain it.
    pub gained: BTreeMap<String, u64>,
    /// The regions of the impact with the requests that differ there.
    pub regions: Vec<ShadowRegion>,
    /// Those that differ and lie in no region that is known.
    pub outside: u64,
    /// The newest requests that differ, where samples are kept.
    pub samples: Vec<ShadowSample>,
}

/// A region of the impact.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowRegion {
    /// Its place in the impact's list.
    pub region: usize,
    /// How many requests differ there.
    pub requests: u64,
    /// What it is.
    pub described: Region,
}

/// A request that differs.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowSample {
    /// When it was compared.
    pub at: Timestamp,
    /// The request.
    pub context: Context,
    /// What it loses and gains, and where.
    #[serde(flatten)]
    pub compared: Compared,
}

/// The shadow of a set.
pub struct Shadow {
    hub: Arc<Hub>,
    queue: SyncSender<SeenRequest>,
    shed: AtomicU64,
    counters: Counters,
    report: Mutex<ShadowReport>,
}

impl Shadow {
    /// Begins to compare.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start_shadow(hub: Arc<Hub>, options: ShadowOptions) -> std::io::Result<Arc<Self>> {
        let counters = Counters::default();
        let registered = counters.clone();
        hub.metrics().register_all(move |registry| {
            registry.register(
                "shadow_requests",
                "Requests by what the shadow says to them, and the region of those that differ",
                registered.requests,
            );
            registry.register(
                "shadow_guardrails",
                "Requests that lose or gain a guardrail by the shadow",
                registered.guardrails,
            );
        });

        let (queue, inbox) = sync_channel(MAX_WAITING);
        let report = Mutex::new(empty_report(&options.revision));
        let shed = AtomicU64::new(0);
        let shadow = Arc::new(Self {
            hub,
            queue,
            shed,
            counters,
            report,
        });
        let own = shadow.clone();
        spawn_thread("refguard-shadow", Way::Far, move || {
            Caster::new(own, options).cast_until_stopped(&inbox)
        })?;
        Ok(shadow)
    }

    /// Takes a request whose answer was at hand.
    pub fn see_body(&self, answered: &Snapshot, body: &Bytes) {
        self.queue_seen(answered, || SeenRequest::Body(body.clone()));
    }

    /// Takes a request that was answered, and the policies that it names.
    pub fn see_request(&self, answered: &Snapshot, context: &Context, named: &[String]) {
        self.queue_seen(answered, || {
            SeenRequest::Request(Box::new((context.clone(), named.to_vec())))
        });
    }

    fn queue_seen(&self, answered: &Snapshot, seen: impl FnOnce() -> SeenRequest) {
        // Requests without a set are what is compared.
        if !self
            .hub
            .set_name(None)
            .is_ok_and(|set| set == answered.name)
        {
            return;
        }
        if self.queue.try_send(seen()).is_err() {
            self.shed.fetch_add(1, Ordering::Relaxed);
            self.counters.count_request("shed", "");
        }
    }

    /// Why the revision is not asked, where that is so.
    pub fn trouble(&self) -> Option<String> {
        self.hub.notes().sentence(Subject::Shadow, "")
    }

    /// What was counted so far.
    pub fn report_counts(&self) -> ShadowReport {
        let mut report = lock_unpoisoned(&self.report).clone();
        report.shed = self.shed.load(Ordering::Relaxed);
        report.requests = report.same + report.differs + report.unclear + report.shed;
        report
    }
}

fn empty_report(revision: &str) -> ShadowReport {
    ShadowReport {
        version: 1,
        revision: revision.to_owned(),
        set: None,
        base: None,
        head: None,
        since: Timestamp::now(),
        exact: false,
        requests: 0,
        same: 0,
        differs: 0,
        unclear: 0,
        shed: 0,
        lost: BTreeMap::new(),
        gained: BTreeMap::new(),
        regions: Vec::new(),
        outside: 0,
        samples: Vec::new(),
    }
}

/// Two sets that are compared.
struct Pair {
    base: Arc<Snapshot>,
    head: Arc<Engine>,
    head_commit: String,
    comparer: Comparer,
    /// From then on one of them answers otherwise, without a change of documents.
    until: Option<Timestamp>,
    /// What became of requests, by their bodies.
    kept: FxHashMap<Bytes, CastOutcome>,
}

/// What becomes of a request.
#[derive(Clone)]
enum CastOutcome {
    Same,
    Differs(Arc<(Context, Compared)>),
    Unclear,
}

/// Compares on a thread of its own.
struct Caster {
    shadow: Arc<Shadow>,
    options: ShadowOptions,
    sets: TrackedSet,
    pair: Option<Pair>,
    /// The last commit that cannot be compared, with what.
    incomparable: Option<(String, Arc<str>)>,
    samples: VecDeque<ShadowSample>,
}

impl Caster {
    fn new(shadow: Arc<Shadow>, options: ShadowOptions) -> Self {
        let (sets, samples) = (TrackedSet::default(), VecDeque::new());
        Self {
            shadow,
            options,
            sets,
            pair: None,
            incomparable: None,
            samples,
        }
    }

    fn cast_until_stopped(mut self, inbox: &Receiver<SeenRequest>) {
        let mut looked: Option<Instant> = None;
        loop {
            if looked.is_none_or(|at| at.elapsed() >= self.options.poll) {
                let trouble = self.look_at_request().err();
                let revision = &self.options.revision;
                let trouble = trouble.map(|error| format!("shadow `{revision}`: {error:#}"));
                // Before anything is served there is nothing to compare with: that is looked at
                // again soon.
                let is_settled = self.pair.is_some() || trouble.is_some();
                self.shadow
                    .hub
                    .notes()
                    .report_trouble(Subject::Shadow, "", trouble);
                looked = is_settled.then(Instant::now);
            }
            let patience = if looked.is_some() {
                self.options.poll
            } else {
                FIRST_LOOK
            };
            match inbox.recv_timeout(patience) {
                Ok(seen) => self.count_pair(seen),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks up what is served and what the revision holds, and begins anew where either is another
    /// one.
    fn look_at_request(&mut self) -> Result<()> {
        let Ok(snapshot) = self.shadow.hub.snapshot_of(None) else {
            return Ok(());
        };
        let workspace = Workspace::open(&self.options.dir)?;
        let commit = workspace.revision(&self.options.revision)?.0.to_string();
        let now = Timestamp::now();
        let is_same = |pair: &Pair| {
            pair.head_commit == commit
                && pair.base.set().digest == snapshot.set().digest
                && pair.until.is_none_or(|until| now < until)
        };
        if self.pair.as_ref().is_some_and(is_same) {
            return Ok(());
        }

        let compared = (commit.clone(), snapshot.set().digest.clone());
        if self.incomparable.as_ref() == Some(&compared) {
            bail!(INCOMPARABLE);
        }
        self.pair = None;
        self.begin_anew(&snapshot, None);
        let source = Source::At(commit.clone());
        let (judged, _) = workspace.judge(&source, Rules::OfThen, &mut self.sets, &NoProgress)?;
        let head = match judged {
            Judged::Sound(engine) | Judged::Outdated(engine, _) => engine.as_of(now),
            Judged::Faulty(_) => {
                self.incomparable = Some(compared);
                bail!(INCOMPARABLE);
            }
        };
        let budget = budget_within(ANALYSIS);
        let impact = impact_in_detail(&snapshot.engine, &head, &budget, Detail::READABLE);
        let exact = impact.is_whole();
        self.begin_anew(&snapshot, Some((&commit, exact, &impact.regions)));
        let comparer = Comparer::new(&snapshot.engine, &head, impact.regions);
        let ends = [snapshot.engine.valid_until(), head.valid_until()];
        self.pair = Some(Pair {
            base: snapshot,
            head,
            head_commit: commit,
            comparer,
            until: ends.into_iter().flatten().min(),
            kept: FxHashMap::default(),
        });
        Ok(())
    }

    /// Counts from nothing; with another pair, regions and guardrails mean something else.
    fn begin_anew(&mut self, snapshot: &Snapshot, head: Option<(&str, bool, &[Region])>) {
        self.samples.clear();
        self.shadow.counters.requests.clear();
        self.shadow.counters.guardrails.clear();
        self.shadow.shed.store(0, Ordering::Relaxed);
        let mut report = lock_unpoisoned(&self.shadow.report);
        *report = empty_report(&self.options.revision);
        report.set = Some(snapshot.name.to_string());
        report.base = snapshot.commit.as_deref().map(str::to_owned);
        if let Some((commit, exact, regions)) = head {
            report.head = Some(commit.to_owned());
            report.exact = exact;
            let regions = regions.iter().enumerate();
            report.regions = regions
                .map(|(region, described)| ShadowRegion {
                    region,
                    requests: 0,
                    described: described.clone(),
                })
                .collect();
        }
    }

    fn count_pair(&mut self, seen: SeenRequest) {
        let outcome = match (&mut self.pair, seen) {
            (None, _) => CastOutcome::Unclear,
            (Some(pair), SeenRequest::Request(request)) => {
                let (context, named) = *request;
                pair.compare_answers(context, named)
            }
            (Some(pair), SeenRequest::Body(body)) => pair.compare_body(body),
        };
        let shadow = self.shadow.clone();
        let mut report = lock_unpoisoned(&shadow.report);
        match outcome {
            CastOutcome::Same => {
                report.same += 1;
                shadow.counters.count_request("same", "");
            }
            CastOutcome::Unclear => {
                report.unclear += 1;
                shadow.counters.count_request("unclear", "");
            }
            CastOutcome::Differs(told) => {
                let (context, compared) = &*told;
                self.add_difference(&mut report, context, compared);
            }
        }
    }

    fn add_difference(
        &mut self,
        report: &mut ShadowReport,
        context: &Context,
        compared: &Compared,
    ) {
        let counters = &self.shadow.counters;
        report.differs += 1;
        match compared.region.and_then(|at| report.regions.get_mut(at)) {
            Some(region) => {
                region.requests += 1;
                counters.count_request("differs", &region.region.to_string());
            }
            None => {
                report.outside += 1;
                counters.count_request("differs", "outside");
            }
        }
        for (change, guardrails, counts) in [
            ("lost", &compared.lost, &mut report.lost),
            ("gained", &compared.gained, &mut report.gained),
        ] {
            for guardrail in guardrails {
                let is_new = !counts.contains_key(guardrail) && counts.len() >= MAX_GUARDRAILS;
                let name = if is_new { "others" } else { guardrail.as_str() };
                *counts.entry(name.to_owned()).or_default() += 1;
                let labels = GuardrailLabels {
                    change,
                    guardrail: name.to_owned(),
                };
                counters.guardrails.get_or_create(&labels).inc();
            }
        }
        if self.options.samples > 0 {
            if self.samples.len() >= self.options.samples.min(MAX_SAMPLES) {
                self.samples.pop_front();
            }
            let context = if self.options.hash_keys {
                hide_key(context)
            } else {
                context.clone()
            };
            let compared = compared.clone();
            self.samples.push_back(ShadowSample {
                at: Timestamp::now(),
                context,
                compared,
            });
            report.samples = self.samples.iter().rev().cloned().collect();
        }
    }
}

impl Pair {
    fn compare_answers(&self, context: Context, named: Vec<String>) -> CastOutcome {
        if named.iter().any(|name| name.contains('@')) {
            return CastOutcome::Unclear;
        }
        let (base, head) = (&self.base.engine, &self.head);
        match self.comparer.compare_answers(base, head, &context, &named) {
            Some(compared) => CastOutcome::Differs(Arc::new((context, compared))),
            None => CastOutcome::Same,
        }
    }

    fn compare_body(&mut self, body: Bytes) -> CastOutcome {
        if let Some(known) = self.kept.get(&body) {
            return known.clone();
        }
        let outcome = match Asked::from_json(&body) {
            Ok(Asked::One(context, named)) => self.compare_answers(context, named),
            _ => CastOutcome::Unclear,
        };
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        self.kept.insert(body, outcome.clone());
        outcome
    }
}

/// A request with its key as a hash.
fn hide_key(context: &Context) -> Context {
    let mut hidden = context.clone();
    if let Some(key) = context.value(Dimension::Key) {
        hidden.set_values(Dimension::Key, [hidden_key(key)]);
    }
    hidden
}
