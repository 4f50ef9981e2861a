//! The documents of a set that decide what one request gets, apart from all others: which change of
//! them gave or took something.
//!
//! What a request gets depends on the attachments that match it and on the chains of their
//! policies. So a small set of those answers it as the whole one does, and a line of thousands of
//! sets is followed by what each changes of the few documents. Catalogs, tests and settings are
//! left out: they decide whether a set is valid, never what a request gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::document::{Body, Dimension, Document, Loaded, RawAttachment, Release, Spanned};
use crate::policy::{
    Context, Pattern, check_errors, meets_values, raw_attachment_json, raw_policy_json,
};
use crate::prove::{Cause, How};
use crate::resolve::{Engine, Request, Requested};

/// The documents of a set that a request depends on: attachments that match it, and policies that
/// they may bring it. It holds what was added to it; looking documents up is left to the caller.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Attachments that match, by file and place.
    attachments: BTreeMap<Spot, Document>,
    /// Policies by name, by file and place: more than one where the set has the fault of two of one
    /// name.
    policies: BTreeMap<String, BTreeMap<Spot, Document>>,
    /// The instant to answer as of; `None`: as if nothing ever expired.
    instant: Option<Timestamp>,
}

/// Where a document stands: its file, and the offset of its first byte there.
type Spot = (Arc<str>, u32);

/// A document that a change touched, on either side.
#[derive(Debug, Clone)]
pub struct TouchedDocument {
    /// Before the change.
    pub before: Option<Document>,
    /// After it.
    pub after: Option<Document>,
}

/// Whether an attachment's document matches a context.
fn matches_context(raw: &RawAttachment, context: &Context) -> bool {
    let named = Dimension::ALL
        .into_iter()
        .filter_map(|of| Some((of, raw.patterns(of)?)));
    let parsed = |texts: &[Spanned<String>]| -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text)).collect()
    };

    raw.scope.is_some()
        || named
            .map(|(of, texts)| (of, parsed(texts)))
            .all(|(of, patterns)| meets_values(of, &patterns, context.values(of)))
}

impl Part {
    /// The same documents at an instant.
    pub fn as_of(&self, instant: Timestamp) -> Self {
        Self {
            instant: Some(instant),
            ..self.clone()
        }
    }

    /// The instants at which attachments end, each with the documents that do; in order.
    pub fn expiries(&self) -> BTreeMap<Timestamp, Vec<Cause>> {
        let mut found: BTreeMap<Timestamp, Vec<Cause>> = BTreeMap::new();
        for document in self.attachments.values() {
            let Body::Attachment(raw) = &document.body else {
                continue;
            };
            let Some(expires) = raw.expiry_instant() else {
                continue;
            };
            let place = document.file.locate_span(document.span);
            found.entry(expires).or_default().push(Cause {
                kind: "PolicyAttachment",
                name: raw.policy.value.clone(),
                file: place.file.to_string(),
                line: place.line,
                change: How::Expired,
            });
        }

        found
    }

    /// Why the attachments that end at an instant were there, where the first of them says it.
    pub fn reason_of_expiry(&self, instant: Timestamp) -> Option<String> {
        self.attachments
            .values()
            .find_map(|document| match &document.body {
                Body::Attachment(raw) if raw.expiry_instant() == Some(instant) => {
                    raw.reason.as_ref().map(|reason| reason.value.clone())
                }
                _ => None,
            })
    }

    /// Takes in a document that the request could depend on: an attachment that matches, or a
    /// policy.
    pub fn add_document(&mut self, document: &Document, context: &Context) {
        let spot = document_spot(document);
        match &document.body {
            Body::Attachment(raw) if matches_context(raw, context) => {
                self.attachments.insert(spot, document.clone());
            }
            Body::Policy(raw) => {
                let of = self
                    .policies
                    .entry(raw.name.as_str().to_owned())
                    .or_default();
                of.insert(spot, document.clone());
            }
            _ => {}
        }
    }

    /// Whether a document that comes or goes can change what the request gets; `names` are the
    /// policies that it depends on now.
    pub fn is_touched_by(document: &Document, request: &Request, names: &BTreeSet<String>) -> bool {
        match &document.body {
            Body::Attachment(raw) => matches_context(raw, &request.context),
            Body::Policy(raw) => names.contains(raw.name.as_str()),
            _ => false,
        }
    }

    /// Takes a document out.
    pub fn remove_document(&mut self, document: &Document) {
        let spot = document_spot(document);
        match &document.body {
            Body::Attachment(_) => {
                self.attachments.remove(&spot);
            }
            Body::Policy(raw) => {
                // An entry that is empty says that there is no such policy: nobody is to look it up
                // again.
                if let Some(of) = self.policies.get_mut(raw.name.as_str()) {
                    of.remove(&spot);
                }
            }
            _ => {}
        }
    }

    /// Says of a policy that it is looked up: there is what was added of it, and nothing else.
    pub fn know_policy(&mut self, policy: &str) {
        self.policies.entry(policy.to_owned()).or_default();
    }

    /// Policies that the matching attachments, the request and their chains name and that are not
    /// known yet.
    pub fn unknown_policies(&self, request: &Request) -> Vec<String> {
        let mut unknown = Vec::new();
        self.walk_chain(request, |name| unknown.push(name.to_owned()));
        unknown
    }

    /// The names of all policies that the request depends on.
    pub fn reached_policies(&self, request: &Request) -> BTreeSet<String> {
        self.walk_chain(request, |_| {})
    }

    fn walk_chain(&self, request: &Request, mut unknown: impl FnMut(&str)) -> BTreeSet<String> {
        let attached = self.attachments.values().filter_map(attached_policy);
        let asked = request.policies.iter().filter_map(|asked| match asked {
            Requested::Named(name) => Some(name.as_str()),
            _ => None,
        });
        let mut next: Vec<&str> = attached.chain(asked).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = next.pop() {
            if !seen.insert(name.to_owned()) {
                continue;
            }

            match self.policies.get(name) {
                Some(of) => next.extend(of.values().filter_map(parent_of)),
                None => unknown(name),
            }
        }

        seen
    }

    /// The documents that the request depends on, by file and place.
    pub fn part_documents(&self, request: &Request) -> Vec<Document> {
        let names = self.reached_policies(request);
        let policies = self
            .policies
            .iter()
            .filter(|(name, _)| names.contains(*name));
        let policies = policies.flat_map(|(_, of)| of.values());
        let mut documents: Vec<Document> =
            self.attachments.values().chain(policies).cloned().collect();
        documents.sort_by_key(document_spot);

        documents
    }

    /// The guardrails that the request gets; `None` where the documents make no set.
    pub fn answer_request(&self, request: &Request) -> Option<Vec<String>> {
        resolve_documents(self.part_documents(request), request, self.instant)
    }

    /// Takes out the attachments of a policy that is gone.
    fn detach_policy(&mut self, policy: &str) {
        self.attachments
            .retain(|_, attachment| attached_policy(attachment) != Some(policy));
    }
}

fn resolve_documents(
    documents: Vec<Document>,
    request: &Request,
    instant: Option<Timestamp>,
) -> Option<Vec<String>> {
    let mut sources: Vec<_> = documents
        .iter()
        .map(|document| document.file.clone())
        .collect();
    sources.dedup_by(|a, b| a.path() == b.path());
    let checked = check_errors(
        Loaded {
            documents,
            sources,
            ..Loaded::default()
        },
        Release::FIRST,
    );
    let engine = Arc::new(Engine::new(Arc::new(checked.set?)));
    let engine = instant.map_or_else(|| engine.clone(), |instant| engine.as_of(instant));
    let resolution = engine.resolve(request);

    Some(
        resolution
            .guardrails
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    )
}

/// The most documents of one change that are tried out one by one.
const MOST_TRIED: usize = 64;

impl TouchedDocument {
    /// Pairs the documents of the files that a change touched, of those that say something else:
    /// policies by name, attachments that are alike by policy and order.
    pub fn pair_documents(before: &[Document], after: &[Document]) -> Vec<Self> {
        let mut pairs: Vec<Self> = Vec::new();
        let mut old: BTreeMap<(bool, &str), Vec<&Document>> = BTreeMap::new();
        for document in before {
            if let Some(key) = document_key(document) {
                old.entry(key).or_default().push(document);
            }
        }

        let mut new: Vec<&Document> = Vec::new();
        for document in after {
            let of = document_key(document).and_then(|key| old.get_mut(&key));
            let same = of.and_then(|of| {
                let at = of
                    .iter()
                    .position(|other| canonical_value(other) == canonical_value(document))?;
                Some(of.remove(at))
            });
            if same.is_none() && document_key(document).is_some() {
                new.push(document);
            }
        }

        for document in new {
            let of = document_key(document).and_then(|key| old.get_mut(&key));
            let before = of
                .filter(|of| !of.is_empty())
                .map(|of| of.remove(0).clone());
            pairs.push(Self {
                before,
                after: Some(document.clone()),
            });
        }

        let gone = old.into_values().flatten();
        pairs.extend(gone.map(|it| Self {
            before: Some(it.clone()),
            after: None,
        }));
        pairs
    }

    /// The change as reports name it.
    fn cause_of(&self) -> Option<Cause> {
        let (change, document) = match (&self.before, &self.after) {
            (None, Some(after)) => (How::Added, after),
            (Some(before), None) => (How::Removed, before),
            (Some(_), Some(after)) => (How::Changed, after),
            (None, None) => return None,
        };

        let (is_policy, name) = document_key(document)?;
        let kind = if is_policy {
            "Policy"
        } else {
            "PolicyAttachment"
        };

        let place = document.file.locate_span(document.span);
        let (name, file) = (name.to_owned(), place.file.to_string());
        Some(Cause {
            kind,
            name,
            file,
            line: place.line,
            change,
        })
    }

    /// Puts the side before in the place of the side after, or the other way round. A policy that
    /// goes takes its attachments with it: without it they would make no set.
    fn swap_document(&self, part: &mut Part, context: &Context, back: bool) {
        let (from, to) = if back {
            (&self.after, &self.before)
        } else {
            (&self.before, &self.after)
        };

        if let Some(from) = from {
            part.remove_document(from);
        }

        match (to, from.as_ref().map(|from| &from.body)) {
            (Some(to), _) => part.add_document(to, context),
            (None, Some(Body::Policy(raw))) => part.detach_policy(raw.name.as_str()),
            (None, _) => {}
        }
    }
}

/// The documents whose change gives a request its guardrails or takes them: a document is one if
/// its change alone does it, or if without its change it would not have come to it; where only
/// several together do, all are.
///
/// What each document does is worked out once, whatever is asked of it.
#[derive(Debug)]
pub struct CauseFinder<'t> {
    /// What the request got, and gets; `None`: that is not known.
    old: Given,
    new: Given,
    near: Vec<&'t TouchedDocument>,
    /// Of the first of those: what the request would get with its change alone, and without it.
    tried: Vec<(Given, Given)>,
}

/// What a request gets, where it is known.
type Given = Option<Vec<String>>;

impl<'t> CauseFinder<'t> {
    /// Looks at the documents that differ between two parts.
    pub fn new(
        before: &Part,
        after: &Part,
        touched: &'t [TouchedDocument],
        request: &Request,
    ) -> Self {
        let (names_before, names_after) = (
            before.reached_policies(request),
            after.reached_policies(request),
        );
        let is_touched = |document: &Option<Document>, names: &BTreeSet<String>| {
            let document = document.as_ref();
            document.is_some_and(|document| Part::is_touched_by(document, request, names))
        };
        let is_near = |it: &&TouchedDocument| {
            is_touched(&it.before, &names_before) || is_touched(&it.after, &names_after)
        };

        let near: Vec<&TouchedDocument> = touched.iter().filter(is_near).collect();
        let swap = |it: &&TouchedDocument| {
            let (mut forward, mut back) = (before.clone(), after.clone());
            it.swap_document(&mut forward, &request.context, false);
            it.swap_document(&mut back, &request.context, true);
            (
                forward.answer_request(request),
                back.answer_request(request),
            )
        };
        Self {
            old: before.answer_request(request),
            new: after.answer_request(request),
            tried: near.iter().take(MOST_TRIED).map(swap).collect(),
            near,
        }
    }

    /// The documents that gave or took a guardrail, sorted.
    pub fn causes_of(&self, guardrail: &str) -> Vec<Cause> {
        let has = |given: &Given| {
            let given = given.as_ref()?;
            Some(given.iter().any(|name| name == guardrail))
        };
        let (old, new) = (has(&self.old), has(&self.new));
        let decides = |(forward, back): &(Given, Given)| {
            let (forward, back) = (has(forward), has(back));
            forward == new && new.is_some() || back == old && old.is_some()
        };

        let tried = self.near.iter().zip(&self.tried);
        let mut found: Vec<Cause> = tried
            .filter(|(_, swapped)| decides(swapped))
            .filter_map(|(it, _)| it.cause_of())
            .collect();
        if found.is_empty() {
            found = self.near.iter().filter_map(|it| it.cause_of()).collect();
        }

        found.sort();
        found
    }
}

fn document_spot(document: &Document) -> Spot {
    (document.file.path().clone(), document.span.start)
}

fn attached_policy(document: &Document) -> Option<&str> {
    match &document.body {
        Body::Attachment(raw) => Some(&raw.policy.value),
        _ => None,
    }
}

fn parent_of(document: &Document) -> Option<&str> {
    match &document.body {
        Body::Policy(raw) => raw.inherit.as_ref().map(|parent| parent.value.as_str()),
        _ => None,
    }
}

/// What a document is known by: whether it is a policy, and the policy's name.
fn document_key(document: &Document) -> Option<(bool, &str)> {
    match &document.body {
        Body::Policy(raw) => Some((true, raw.name.as_str())),
        Body::Attachment(raw) => Some((false, &raw.policy.value)),
        _ => None,
    }
}

fn canonical_value(document: &Document) -> serde_json::Value {
    match &document.body {
        Body::Policy(raw) => raw_policy_json(raw),
        Body::Attachment(raw) => raw_attachment_json(raw),
        _ => serde_json::Value::Null,
    }
}
