//! Tests and invariants that hold what a set gives today: an import writes them, so that a later
//! change shows.
//!
//! The tests ask for each attachment what a request of it gets. The invariants say which guardrails
//! every request has, and every request of an attachment; each is proved before it is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use refguard_core::document::Dimension;
use refguard_core::interop::{HeldCase, HeldInvariant, write_held_cases, write_held_invariants};
use refguard_core::policy::{Attachment, Context, Invariant, Pattern, Place, PolicySet, Targets};
use refguard_core::prove::{Budget, ProveOptions, prove_invariants};
use refguard_core::resolve::{Engine, Request};

/// Attachments that get a case; a set of thousands is not held one by one.
const MOST_CASES: usize = 200;

/// Attachments that get an invariant, besides the one for all requests.
const MOST_INVARIANTS: usize = 20;

/// Models of the catalog that are tried for a case.
const MOST_MODELS: usize = 50;

/// The files that hold a set: paths relative to the root, and texts. None where it gives nothing.
pub(super) fn held_files(set: &PolicySet) -> Vec<(String, String)> {
    let engine = Engine::new(Arc::new(set.clone()));
    let mut files = Vec::new();

    let cases = held_cases(&engine);
    if !cases.is_empty() {
        files.push((
            "tests/imported.yaml".to_owned(),
            write_held_cases("imported", &cases),
        ));
    }
    let invariants = held_invariants(&engine);
    if !invariants.is_empty() {
        files.push((
            "invariants/imported.yaml".to_owned(),
            write_held_invariants(&invariants),
        ));
    }
    files
}

fn held_cases(engine: &Engine) -> Vec<HeldCase> {
    let mut seen = BTreeSet::new();
    let mut cases = Vec::new();
    for attachment in engine.set().attachments.iter().take(MOST_CASES) {
        let context = generic_request(engine, attachment);
        let name = context.describe_values();
        if !seen.insert(name.clone()) {
            continue;
        }
        let guardrails = guardrails_of(engine, &context);
        cases.push(HeldCase {
            name,
            context,
            guardrails,
        });
    }
    cases
}

fn guardrails_of(engine: &Engine, context: &Context) -> Vec<String> {
    let request = Request {
        context: context.clone(),
        policies: Vec::new(),
    };
    engine
        .resolve(&request)
        .guardrails
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}

/// A request of an attachment: a value of the first pattern of each dimension that it names, and,
/// where it names no model, the model of the catalog that gets the most, if any gets more than
/// none.
fn generic_request(engine: &Engine, attachment: &Attachment) -> Context {
    let mut context = Context::default();
    if !attachment.everywhere {
        for (dimension, patterns) in attachment.targets.iter() {
            if let Some(pattern) = patterns.iter().flatten().next() {
                context.add_value(dimension, generic_value(pattern));
            }
        }
    }
    if context.model().is_some() {
        return context;
    }

    let mut most = (guardrails_of(engine, &context).len(), context.clone());
    let models = engine.set().catalog.values[Dimension::Model]
        .iter()
        .flatten();
    for model in models
        .filter(|model| !model.contains('*'))
        .take(MOST_MODELS)
    {
        let mut with_model = context.clone();
        with_model.add_value(Dimension::Model, model.to_string());
        let count = guardrails_of(engine, &with_model).len();
        if count > most.0 {
            most = (count, with_model);
        }
    }
    most.1
}

fn generic_value(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => text.to_string(),
        Pattern::Prefix(prefix) => format!("{prefix}x"),
    }
}

fn held_invariants(engine: &Engine) -> Vec<HeldInvariant> {
    let set = engine.set();
    let everyone = guardrails_of(engine, &Context::default());
    let mut held = Vec::new();
    held.extend(prove_required(
        set,
        "every-request",
        Targets::default(),
        everyone,
    ));

    let for_all: Vec<String> = held
        .iter()
        .flat_map(|first| first.require.clone())
        .collect();
    let mut seen = BTreeSet::new();
    let narrow = set
        .attachments
        .iter()
        .filter(|a| !a.everywhere && !a.default);
    for attachment in narrow.take(MOST_INVARIANTS) {
        let context = generic_request(engine, attachment);
        let mut required = guardrails_of(engine, &context);
        required.retain(|name| !for_all.contains(name));
        let name = format!("requests of {}", context.describe_values());
        // Names of documents are short, and hold no `@`.
        if name.len() > 100 || name.contains('@') || !seen.insert(name.clone()) {
            continue;
        }
        held.extend(prove_required(
            set,
            &name,
            attachment.targets.clone(),
            required,
        ));
    }
    held
}

/// The guardrails among `required` that every request of a box has, as an invariant that is proved;
/// `None` where there are none, or where it cannot be told.
fn prove_required(
    set: &PolicySet,
    name: &str,
    applies: Targets,
    mut required: Vec<String>,
) -> Option<HeldInvariant> {
    while !required.is_empty() {
        let invariant = Invariant {
            name: name.into(),
            applies: applies.clone(),
            except: None,
            require: required.iter().map(|name| name.as_str().into()).collect(),
            any_of: Vec::new(),
            forbid: Vec::new(),
            place: Place {
                file: "".into(),
                line: 1,
            },
        };
        let asked = PolicySet {
            invariants: vec![invariant],
            ..set.clone()
        };
        let engine = Engine::new(Arc::new(asked));
        let proof = prove_invariants(&engine, ProveOptions::default(), &Budget::default());
        let verdict = proof.invariants.into_iter().next()?;
        if verdict.holds {
            let require = required;
            return proof.exact.then_some(HeldInvariant {
                name: name.to_owned(),
                applies,
                require,
            });
        }

        let before = required.len();
        required.retain(|name| !verdict.missing.contains(name));
        if required.len() == before {
            return None;
        }
    }
    None
}
