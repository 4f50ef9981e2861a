//! Names that nobody can see the whole of: an error that a document can be read in spite of,
//! because 0.1 did.

use super::rules::bad_name;
use super::{Body, Finding, Name, SourceFile, Spanned};

/// A finding for each name of a document that has an invisible character.
pub(super) fn judge_names(file: &SourceFile, body: &Body) -> Vec<Finding> {
    // Every other file is spared the walk.
    if file.text().is_ascii() && !file.text().contains('\\') {
        return Vec::new();
    }

    let mut findings = Vec::new();
    each_name(body, &mut |name| {
        if let Some(fault) = bad_name::invisible_fault(name.as_str()) {
            findings.push(bad_name::report_name(
                file,
                name.span,
                name.as_str(),
                &fault,
            ));
        }
    });
    findings
}

/// Calls `visit` with every name of a document.
fn each_name(body: &Body, visit: &mut dyn FnMut(&Spanned<Name>)) {
    match body {
        Body::Repository(raw) => {
            raw.publish_branch.iter().for_each(&mut *visit);
            raw.environments
                .iter()
                .flatten()
                .for_each(|environment| visit(&environment.name));
        }
        Body::Catalog(raw) => raw
            .guardrails
            .iter()
            .flatten()
            .for_each(|it| visit(&it.name)),
        Body::Policy(raw) => {
            visit(&raw.name);
            let own = raw.guardrails.iter();
            own.flat_map(|own| own.add.iter().chain(&own.remove))
                .flatten()
                .for_each(&mut *visit);
            let steps = raw
                .pipeline
                .iter()
                .flat_map(|pipeline| pipeline.steps.iter());
            steps.for_each(|step| visit(&step.guardrail));
        }
        Body::Attachment(_) => {}
        Body::Test(raw) => visit(&raw.name),
        Body::Invariant(raw) => {
            visit(&raw.name);
            let lists = [&raw.require, &raw.any_of, &raw.forbid]
                .into_iter()
                .flatten();
            lists.for_each(|list| list.iter().for_each(&mut *visit));
        }
    }
}
