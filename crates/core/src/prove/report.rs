//! What an analysis found, as the JSON of the command line has it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::document::{Dimension, PerDimension};
use crate::policy::Context;

/// What a change does to every possible request.
#[derive(Debug, Clone, Serialize)]
pub struct Impact {
    /// The version of the format.
    pub version: u32,
    /// The revision of the set before.
    pub base: String,
    /// The revision of the set after.
    pub head: String,
    /// Whether everything that could differ was looked at.
    pub exact: bool,
    /// What was not, each in a sentence.
    pub not_analysed: Vec<String>,
    /// Whether BASE blocks or modifies some request that HEAD lets through.
    pub weakens: bool,
    /// Such a request, where `weakens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakening: Option<Weakening>,
    /// What keeps a `weakens` that is false from being exact, each in a sentence: those of
    /// `not_analysed` that are about it.
    #[serde(skip)]
    pub weakening_doubts: Vec<String>,
    /// Requests whose guardrails or pipelines change, losses first.
    pub regions: Vec<Region>,
    /// How many more regions there are that are left out: every guardrail that is lost or gained is
    /// in a region that is shown, or named in `not_analysed`.
    pub regions_left_out: usize,
}

impl Impact {
    /// Whether the regions are all that there are.
    pub fn is_whole(&self) -> bool {
        self.exact && self.regions_left_out == 0
    }
}

/// How much of an impact a report shows. Whatever is cut is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Regions.
    pub regions: usize,
    /// Names in each list of what a region is without; where there are more, those that begin alike
    /// are put together to prefixes.
    pub names: usize,
    /// Documents that a region is because of.
    pub causes: usize,
}

impl Detail {
    /// What a person can read.
    pub const READABLE: Self = Self {
        regions: 200,
        names: 40,
        causes: 40,
    };
    /// Every region and document. Names stay put together: lists of ten thousand in each of ten
    /// thousand regions would take gigabytes.
    pub const ALL: Self = Self {
        regions: usize::MAX,
        causes: usize::MAX,
        ..Self::READABLE
    };
}

/// Requests that lose and gain the same.
#[derive(Debug, Clone, Serialize)]
pub struct Region {
    /// From when on they do; `None`: from the instant that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// From when on they no longer do, or others with them do; `None`: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Their values of the dimensions that are neither models nor tags.
    #[serde(flatten, serialize_with = "serialize_values")]
    pub values: PerDimension<Values>,
    /// Their models.
    pub models: Models,
    /// Their tags.
    pub tags: Tags,
    /// The policy that they name themselves, where it is for that policy that they lose and gain.
    pub requested: Option<String>,
    /// One of them.
    pub witness: Context,
    /// Guardrails that all of them have in BASE and not in HEAD; the witness loses no others.
    pub lost: Vec<String>,
    /// Guardrails that all of them have in HEAD and not in BASE; the witness gains no others.
    pub gained: Vec<String>,
    /// The pipelines of the witness, where what they do changes.
    pub pipelines: Option<PipelineChange>,
    /// The documents whose change does it.
    pub because: Vec<Cause>,
    /// How many more such documents there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub because_left_out: usize,
}

impl Region {
    /// Whether it holds at an instant, which is not before the one that was asked about.
    pub fn holds_at(&self, instant: Timestamp) -> bool {
        self.at.is_none_or(|at| at <= instant) && self.until.is_none_or(|until| instant < until)
    }
}

/// Whether a region says what it holds of a dimension by [`Values`]: models and tags have forms of
/// their own.
pub(super) fn is_plain(dimension: Dimension) -> bool {
    !dimension.is_set() && dimension != Dimension::Model
}

fn serialize_values<S: Serializer>(
    values: &PerDimension<Values>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let plain = values
        .written()
        .filter(|(dimension, _)| is_plain(*dimension));
    serializer.collect_map(plain.map(|(dimension, values)| (dimension.plural(), values)))
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Values of one dimension: those that match one of `any` and none of `none`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Values {
    /// Patterns.
    pub any: Vec<String>,
    /// Patterns.
    pub none: Vec<String>,
    /// Whether the absent value is among them.
    pub absent: bool,
}

/// Models: those that match one of `any`, none of `none`, every condition of `matches` and none of
/// `not_matches`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Models {
    /// Patterns.
    pub any: Vec<String>,
    /// Patterns.
    pub none: Vec<String>,
    /// Whether the absent model is among them.
    pub absent: bool,
    /// Conditions.
    pub matches: Vec<String>,
    /// Conditions.
    pub not_matches: Vec<String>,
}

/// Sets of tags: those that have one of `any` (where it is not empty), one of each list of `also`,
/// and none of `none`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Tags {
    /// Patterns.
    pub any: Vec<String>,
    /// Patterns.
    pub none: Vec<String>,
    /// Whether the empty set is among them.
    pub absent: bool,
    /// Lists of patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Vec<String>>,
}

/// The pipelines of a request before and after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PipelineChange {
    /// In BASE.
    pub before: Vec<PipelineView>,
    /// In HEAD.
    pub after: Vec<PipelineView>,
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PipelineView {
    /// The policy it belongs to.
    pub policy: String,
    /// When it runs.
    pub mode: &'static str,
    /// What it runs.
    pub steps: Vec<StepView>,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StepView {
    /// The guardrail.
    pub guardrail: String,
    /// What follows a pass.
    pub on_pass: &'static str,
    /// What follows a fail.
    pub on_fail: &'static str,
    /// What follows an error.
    pub on_error: &'static str,
    /// Whether it hands on what it changed.
    pub pass_data: bool,
}

/// A document whose change does something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// `Policy` or `PolicyAttachment`.
    pub kind: &'static str,
    /// The policy's name.
    pub name: String,
    /// Its file: in HEAD, or in BASE where it is removed.
    pub file: String,
    /// Its line there.
    pub line: u32,
    /// What became of it.
    pub change: How,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Only HEAD has it.
    Added,
    /// Only BASE has it.
    Removed,
    /// Its fields differ.
    Changed,
    /// Its fields are the same, but it has expired.
    Expired,
}

/// In what way HEAD does less than BASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeakeningKind {
    /// HEAD lets the request through.
    LetThrough,
    /// HEAD stops it only when the model has been called.
    Late,
    /// HEAD replaces the answer where BASE refuses the request.
    Softened,
}

/// A request that BASE stops and HEAD does not, or only later, or less.
#[derive(Debug, Clone, Serialize)]
pub struct Weakening {
    /// From when on; `None`: from the instant that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Until when HEAD is weaker for any request; `None`: for good, or it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// In what way.
    pub kind: WeakeningKind,
    /// The request.
    pub witness: Context,
    /// The policies that it names itself.
    pub requested: Vec<String>,
    /// What its guardrails return; those not named pass.
    pub outcomes: std::collections::BTreeMap<String, &'static str>,
    /// What BASE does then.
    pub before: &'static str,
    /// What HEAD does then.
    pub after: &'static str,
    /// The documents whose change does it.
    pub because: Vec<Cause>,
}

/// What became of the invariants.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// The version of the format.
    pub version: u32,
    /// Whether every verdict is certain.
    pub exact: bool,
    /// What is not, each in a sentence.
    pub not_analysed: Vec<String>,
    /// The set's invariants in the order of files and places, then the built-in ones.
    pub invariants: Vec<Verdict>,
}

impl Proof {
    /// Whether every invariant is known to hold.
    pub fn holds(&self) -> bool {
        self.exact && self.invariants.iter().all(|verdict| verdict.holds)
    }
}

/// What became of one invariant.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Its name; a built-in one has its flag's.
    pub name: String,
    /// Its file; `None` of a built-in one.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<u32>,
    /// Whether no request was found that breaks it.
    pub holds: bool,
    /// From when on it does not hold; `None`: from the instant that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// A request that breaks it.
    pub counterexample: Option<Context>,
    /// The same request with more, where it is by having more that it loses something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<Context>,
    /// The guardrails that the request gets.
    pub got: Vec<String>,
    /// Those required that it does not get.
    pub missing: Vec<String>,
    /// Those forbidden that it gets.
    pub forbidden: Vec<String>,
    /// Attachments that come near to giving what is missing, or that give what is forbidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<NearView>,
}

/// An attachment that explains a counterexample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NearView {
    /// Its policy.
    pub policy: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// What became of it for this request.
    pub why: String,
}
