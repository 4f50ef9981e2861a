//! The documents of a tree, sorted by kind and cross-referenced, before anything is judged.
//!
//! Rules read this; they never read each other. Nothing here assumes that the documents make sense.

use rustc_hash::{FxHashMap, FxHashSet};

use super::condition::{ConditionFault, ModelPattern};
use super::pattern::Pattern;
use crate::document::{
    Body, Document, Finding, Loaded, RawAttachment, RawCatalog, RawInvariant, RawPolicy, RawPolicyTest, RawRepository,
    Rule, SourceFile, Span, Spanned,
};

/// One document of a kind, with its file.
#[derive(Debug)]
pub struct Item<'a, T> {
    /// Its file.
    pub file: &'a SourceFile,
    /// Where it stands there.
    pub span: Span,
    /// What it says.
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
    pub fn finding(&self, rule: &'static Rule, span: Span, message: impl Into<String>) -> Finding {
        Finding::new(rule, self.file, span, message)
    }
}

/// One dimension of the merged catalog: exact names and patterns.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// Entries without a final star.
    pub exact: FxHashSet<&'a str>,
    /// Entries with one, without it.
    pub prefixes: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn add(&mut self, text: &'a str) {
        match text.strip_suffix('*') {
            Some(prefix) => self.prefixes.push(prefix),
            None => {
                self.exact.insert(text);
            }
        }
    }

    /// Whether the catalog has this very value, by name or by a pattern.
    pub fn has(&self, value: &str) -> bool {
        self.exact.contains(value) || self.prefixes.iter().any(|prefix| value.starts_with(prefix))
    }

    /// Whether a pattern matches anything that the catalog has.
    pub fn touches(&self, pattern: &Pattern) -> bool {
        match pattern {
            Pattern::Exact(text) => self.has(text),
            Pattern::Prefix(prefix) => {
                self.exact.iter().any(|name| name.starts_with(&**prefix))
                    || self.prefixes.iter().any(|p| p.starts_with(&**prefix) || prefix.starts_with(p))
            }
        }
    }
}

/// The merged catalog; a list that no document gives is `None`.
#[derive(Debug, Default)]
pub struct DraftCatalog<'a> {
    /// Guardrails; never patterns.
    pub guardrails: Option<FxHashSet<&'a str>>,
    /// Teams.
    pub teams: Option<Known<'a>>,
    /// Keys.
    pub keys: Option<Known<'a>>,
    /// Models.
    pub models: Option<Known<'a>>,
    /// Tags.
    pub tags: Option<Known<'a>>,
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
    /// The attachments of each policy, as indexes into `attachments`.
    pub attached: Vec<Vec<usize>>,
    /// The merged catalog.
    pub catalog: DraftCatalog<'a>,
    /// Each distinct condition pattern, read once.
    pub conditions: FxHashMap<&'a str, Result<ModelPattern, ConditionFault>>,
    /// Names of policies whose documents are at fault: known, though not here.
    pub broken_names: FxHashSet<&'a str>,
    /// Whether no document was lost to a fault of form. Rules that speak of what is *not* there
    /// keep silent otherwise.
    pub complete: bool,
}

impl<'a> DraftSet<'a> {
    /// Sorts the documents of a tree and draws the references between them.
    pub fn new(loaded: &'a Loaded) -> Self {
        let mut draft = Self {
            repository: Vec::new(),
            catalogs: Vec::new(),
            policies: Vec::new(),
            attachments: Vec::new(),
            tests: Vec::new(),
            invariants: Vec::new(),
            by_name: FxHashMap::default(),
            parents: Vec::new(),
            attached: Vec::new(),
            catalog: DraftCatalog::default(),
            conditions: FxHashMap::default(),
            broken_names: loaded.broken_policies.iter().map(String::as_str).collect(),
            complete: !loaded.findings.iter().any(Finding::is_error),
        };
        for document in in_order(&loaded.documents) {
            draft.sort_in(document);
        }
        draft.refer();
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

    fn refer(&mut self) {
        for (index, policy) in self.policies.iter().enumerate() {
            self.by_name.entry(policy.raw.name.as_str()).or_insert(index);
        }
        self.parents = self
            .policies
            .iter()
            .map(|policy| policy.raw.inherit.as_ref().and_then(|parent| self.by_name.get(parent.as_str()).copied()))
            .collect();
        self.attached = vec![Vec::new(); self.policies.len()];
        for (index, attachment) in self.attachments.iter().enumerate() {
            let policy = self.by_name.get(attachment.raw.policy.as_str());
            if let Some(list) = policy.and_then(|policy| self.attached.get_mut(*policy)) {
                list.push(index);
            }
        }
        for text in self.policies.iter().filter_map(|p| p.raw.condition.as_ref()).flat_map(|c| &c.model.0) {
            self.conditions.entry(text.as_str()).or_insert_with(|| ModelPattern::parse(text));
        }
        for item in &self.catalogs {
            if let Some(names) = &item.raw.guardrails {
                let known = self.catalog.guardrails.get_or_insert_default();
                known.extend(names.iter().map(|name| name.as_str()));
            }
            merge(&mut self.catalog.teams, item.raw.teams.as_deref());
            merge(&mut self.catalog.keys, item.raw.keys.as_deref());
            merge(&mut self.catalog.models, item.raw.models.as_deref());
            merge(&mut self.catalog.tags, item.raw.tags.as_deref());
        }
    }

    /// Whether a policy of that name is here, or was meant to be.
    pub fn knows(&self, policy: &str) -> bool {
        self.by_name.contains_key(policy) || self.broken_names.contains(policy)
    }

    /// A policy and its ancestors, itself first; ends at an unknown parent or where a cycle closes.
    pub fn ancestry(&self, policy: usize) -> Vec<usize> {
        let mut line = vec![policy];
        let mut seen = FxHashSet::from_iter([policy]);
        let mut at = policy;
        while let Some(parent) = self.parents.get(at).copied().flatten() {
            if !seen.insert(parent) {
                break;
            }
            line.push(parent);
            at = parent;
        }
        line
    }
}

fn merge<'a>(known: &mut Option<Known<'a>>, names: Option<&'a [Spanned<String>]>) {
    if let Some(names) = names {
        let known = known.get_or_insert_default();
        names.iter().for_each(|name| known.add(name));
    }
}

/// Documents by file (bytewise) and place, whatever order they were loaded in.
fn in_order(documents: &[Document]) -> Vec<&Document> {
    let mut sorted: Vec<&Document> = documents.iter().collect();
    sorted.sort_by(|a, b| a.file.path().as_bytes().cmp(b.file.path().as_bytes()).then(a.span.start.cmp(&b.span.start)));
    sorted
}
