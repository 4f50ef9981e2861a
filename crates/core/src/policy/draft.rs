//! The documents of a tree, sorted by kind and cross-referenced, before anything is judged.
//!
//! Rules read this; they never read each other. Nothing here assumes that the documents make sense.

use std::sync::OnceLock;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::condition::{ConditionFault, ModelPattern};
use super::guardrails::Guardrails;
use super::known::DraftCatalog;
use super::lineage::{Lineage, MAX_CHAIN};
use super::reach::{Areas, Givers};
use crate::document::{
    Body, Document, Finding, Kind, Loaded, Lost, RawAttachment, RawCatalog, RawInvariant,
    RawPolicy, RawPolicyTest, RawRepository, Rule, SourceFile, Span,
};

/// Bytes that the compiled conditions of a set may have together: the limit `regex-total`.
pub const REGEX_TOTAL: usize = 256 << 20;

/// So many patterns are read side by side before they are counted against that limit.
const PATTERNS_AT_ONCE: usize = 256;

/// One document of a kind, with its file.
#[derive(Debug)]
pub struct Item<'a, T> {
    /// Its file.
    pub file: &'a SourceFile,
    /// Where it stands there.
    pub span: Span,
    /// Its fields.
    pub raw: &'a T,
}

impl<T> Clone for Item<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Item<'_, T> {}

impl<T> Item<'_, T> {
    /// A finding at a place of this document.
    pub fn make_finding(
        &self,
        rule: &'static Rule,
        span: Span,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(rule, self.file, span, message)
    }

    /// The first line of the document, for a finding that has no better place.
    pub fn first_line(&self) -> Span {
        let (start, end) = (self.span.start as usize, self.span.end as usize);
        let text = self.file.text().get(start..end).unwrap_or("");
        Span::new(start, start + text.lines().next().map_or(0, str::len))
    }
}

/// Every document of a tree by kind, in the order of files (bytewise) and places.
#[derive(Debug)]
pub struct DraftSet<'a> {
    /// The settings, if a document gives them.
    pub repository: Vec<Item<'a, RawRepository>>,
    /// The catalogs.
    pub catalogs: Vec<Item<'a, RawCatalog>>,
    /// The policies.
    pub policies: Vec<Item<'a, RawPolicy>>,
    /// The attachments.
    pub attachments: Vec<Item<'a, RawAttachment>>,
    /// The tests.
    pub tests: Vec<Item<'a, RawPolicyTest>>,
    /// The invariants.
    pub invariants: Vec<Item<'a, RawInvariant>>,
    /// The first policy of each name, as an index into `policies`.
    pub by_name: FxHashMap<&'a str, usize>,
    /// The parent of each policy, as an index into `policies`; `None`: none, or none of that name.
    pub parents: Vec<Option<usize>>,
    /// The policy of each attachment, as an index into `policies`; `None`: there is none of that
    /// name.
    pub owners: Vec<Option<usize>>,
    /// The attachments of each policy, as indexes into `attachments`.
    pub attached: Vec<Vec<usize>>,
    /// The merged catalog.
    pub catalog: DraftCatalog<'a>,
    /// Each distinct condition pattern, read once.
    pub conditions: FxHashMap<&'a str, Result<ModelPattern, ConditionFault>>,
    /// The depth of each chain, and the cycles.
    pub lineage: Lineage,
    /// Names of policies whose documents are at fault: known, though not here.
    broken_names: FxHashSet<&'a str>,
    /// Whether a policy of unknown name may be missing.
    lacks_unnamed: bool,
    lost: &'a [Lost],
    guardrails: OnceLock<Guardrails<'a>>,
    areas: OnceLock<Areas<'a>>,
    givers: OnceLock<Givers<'a>>,
}

impl<'a> DraftSet<'a> {
    /// Sorts the documents of a tree and draws the references between them.
    pub fn new(loaded: &'a Loaded) -> Self {
        Self::beside(loaded, &[])
    }

    /// As [`Self::new`]. Conditions that were read for another set, sorted by their texts, are not
    /// read again.
    pub fn beside(loaded: &'a Loaded, known: &[ModelPattern]) -> Self {
        let mut draft = Self {
            repository: Vec::new(),
            catalogs: Vec::new(),
            policies: Vec::new(),
            attachments: Vec::new(),
            tests: Vec::new(),
            invariants: Vec::new(),
            by_name: FxHashMap::default(),
            parents: Vec::new(),
            owners: Vec::new(),
            attached: Vec::new(),
            catalog: DraftCatalog::default(),
            conditions: FxHashMap::default(),
            lineage: Lineage::default(),
            broken_names: loaded
                .lost
                .iter()
                .filter(|l| may_be(l, Kind::Policy))
                .filter_map(|l| l.name.as_deref())
                .collect(),
            lacks_unnamed: loaded
                .lost
                .iter()
                .any(|lost| may_be(lost, Kind::Policy) && lost.name.is_none()),
            lost: &loaded.lost,
            guardrails: OnceLock::new(),
            areas: OnceLock::new(),
            givers: OnceLock::new(),
        };

        for document in in_order(&loaded.documents) {
            draft.sort_in(document);
        }

        draft.resolve_references();
        draft.read_conditions(known);
        draft
    }

    fn sort_in(&mut self, document: &'a Document) {
        let Document { file, span, body } = document;
        let span = *span;
        match body {
            Body::Repository(raw) => self.repository.push(Item { file, span, raw }),
            Body::Catalog(raw) => self.catalogs.push(Item { file, span, raw }),
            Body::Policy(raw) => self.policies.push(Item { file, span, raw }),
            Body::Attachment(raw) => self.attachments.push(Item { file, span, raw }),
            Body::Test(raw) => self.tests.push(Item { file, span, raw }),
            Body::Invariant(raw) => self.invariants.push(Item { file, span, raw }),
        }
    }

    fn resolve_references(&mut self) {
        for (index, policy) in self.policies.iter().enumerate() {
            self.by_name
                .entry(policy.raw.name.as_str())
                .or_insert(index);
        }

        self.parents = self
            .policies
            .iter()
            .map(|policy| {
                policy
                    .raw
                    .inherit
                    .as_ref()
                    .and_then(|parent| self.by_name.get(parent.as_str()).copied())
            })
            .collect();
        let owner =
            |item: &Item<'a, RawAttachment>| self.by_name.get(item.raw.policy.as_str()).copied();
        self.owners = self.attachments.iter().map(owner).collect();
        self.attached = vec![Vec::new(); self.policies.len()];
        for (index, owner) in self.owners.iter().enumerate() {
            if let Some(list) = owner.and_then(|policy| self.attached.get_mut(policy)) {
                list.push(index);
            }
        }

        self.lineage = Lineage::new(&self.parents);
        self.catalog = DraftCatalog::new(&self.catalogs);
    }

    /// Reads each distinct pattern once: several at a time, but counted against the budget in the
    /// order in which they are written, so that what passes it is always the same.
    fn read_conditions(&mut self, known: &[ModelPattern]) {
        let mut seen = FxHashSet::default();
        let texts: Vec<&'a str> = self
            .policies
            .iter()
            .filter_map(|policy| policy.raw.condition.as_ref())
            .flat_map(|condition| &condition.model.0)
            .map(|text| text.as_str())
            .filter(|text| seen.insert(*text))
            .collect();

        let mut total = 0;
        for texts in texts.chunks(PATTERNS_AT_ONCE) {
            let read: Vec<_> = if total > REGEX_TOTAL {
                Vec::new()
            } else {
                texts
                    .par_iter()
                    .map(|text| read_pattern(text, known))
                    .collect()
            };
            let mut read = read.into_iter();
            for text in texts {
                let read = read.next().filter(|_| total <= REGEX_TOTAL);
                let read = read.unwrap_or_else(|| Err(too_much_regex()));
                total += read.as_ref().map_or(0, ModelPattern::compiled_size);
                self.conditions.insert(text, read);
            }
        }
    }

    /// Whether a policy of that name is here, or was meant to be.
    pub fn knows_policy(&self, policy: &str) -> bool {
        self.by_name.contains_key(policy)
            || self.broken_names.contains(policy)
            || self.lacks_unnamed
    }

    /// Whether documents of a kind may be missing because of a fault of form. Rules that speak of
    /// what is *not* there keep silent then.
    pub fn may_lack(&self, kind: Kind) -> bool {
        self.lost.iter().any(|lost| may_be(lost, kind))
    }

    /// A policy and its ancestors, itself first. Ends at an unknown parent; of a chain that is too
    /// long or a cycle it is only the beginning.
    pub fn chain_upwards(&self, policy: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(policy), |at| self.parents.get(*at).copied().flatten())
            .take(MAX_CHAIN)
    }

    /// Whether every ancestor is known, and the chain ends within the limit.
    pub fn has_sound_line(&self, policy: usize) -> bool {
        let depth = self.lineage.depths.get(policy).copied().flatten();
        depth.is_some_and(|depth| depth <= MAX_CHAIN)
            && self
                .chain_upwards(policy)
                .last()
                .and_then(|root| self.policies.get(root))
                .is_some_and(|root| root.raw.inherit.is_none())
    }

    /// What the policies add; read at the first question.
    pub fn guardrails(&self) -> &Guardrails<'a> {
        self.guardrails
            .get_or_init(|| Guardrails::new(&self.policies))
    }

    /// The requests that each attachment is for; drawn at the first question.
    pub fn areas(&self) -> &Areas<'a> {
        self.areas.get_or_init(|| Areas::new(self))
    }

    /// Which attachments give which guardrail; drawn at the first question.
    pub fn givers(&self) -> &Givers<'a> {
        self.givers.get_or_init(|| Givers::new(self))
    }
}

fn may_be(lost: &Lost, kind: Kind) -> bool {
    lost.kind.is_none_or(|of| of == kind)
}

/// A pattern, as it was read before if it was.
fn read_pattern(text: &str, known: &[ModelPattern]) -> Result<ModelPattern, ConditionFault> {
    let found = known.binary_search_by(|pattern| pattern.text().cmp(text));
    match found.ok().and_then(|at| known.get(at)) {
        Some(pattern) => Ok(pattern.clone()),
        None => ModelPattern::parse(text),
    }
}

fn too_much_regex() -> ConditionFault {
    let limit = REGEX_TOTAL;
    ConditionFault {
        range: 0..0,
        message: format!(
            "the conditions of this set are too large together: the limit `regex-total` is {limit} \
                bytes"
        ),
        help: Some("use the same pattern in several policies: it counts once".to_owned()),
        limit: true,
    }
}

/// Documents by file (bytewise) and place, whatever order they were loaded in.
fn in_order(documents: &[Document]) -> Vec<&Document> {
    let mut sorted: Vec<&Document> = documents.iter().collect();
    sorted.sort_by(|a, b| {
        a.file
            .path()
            .as_bytes()
            .cmp(b.file.path().as_bytes())
            .then(a.span.start.cmp(&b.span.start))
    });
    sorted
}
