//! What must hold for any input: the bodies of the fuzz targets.
//!
//! The project's own tests run the same bodies over the corpus and some mutations of it, so that a
//! promise which is broken shows without a fuzzer too.

use std::sync::Arc;

use refguard::output::{self, Format, Report, Style};
use refguard_core::document::{
    Finding, Limits, Loaded, Location, SourceFile, is_read_name, load_file,
};
use refguard_core::interop::import_config;
use refguard_core::policy::condition::ModelPattern;
use refguard_core::policy::{Checked, Levels, PolicySet, check_documents};
use refguard_core::resolve::{Context, Engine, Request, explain_request};

/// One file under `policies/`: it becomes a set that answers, or errors that every format can show.
pub fn document(data: &[u8]) {
    judge(&[("policies/fuzz.yaml", data)]);
}

/// Several files of a set, settings and catalog among them: each begins with a line `== PATH`, as
/// in what `cat` of a repository might show. They become a set that answers, or errors.
pub fn tree(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parts = text.split("== ").filter_map(|part| part.split_once('\n'));
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    for (path, text) in parts.take(16) {
        // A tree has one file of a name.
        if files.iter().all(|(other, _)| *other != path) {
            files.push((path, text.as_bytes()));
        }
    }
    judge(&files);
}

fn judge(files: &[(&str, &[u8])]) {
    let read = || {
        let mut loaded = Loaded::default();
        for (path, bytes) in files.iter().filter(|(path, _)| is_read_name(path)) {
            loaded.append_loaded(load_file(*path, bytes.to_vec(), &Limits::DEFAULT));
        }
        check_documents(loaded, &Levels::default())
    };
    let checked = read();
    let refused = checked.findings.iter().any(Finding::is_error);
    assert_eq!(
        checked.set.is_none(),
        refused,
        "a set without errors, or errors: {:?}",
        checked.findings
    );
    assert!(
        checked.findings.is_sorted_by_key(Finding::sort_key),
        "findings out of order"
    );
    for finding in &checked.findings {
        let places = std::iter::once(&finding.location)
            .chain(finding.related.iter().map(|related| &related.location));
        places.for_each(|place| stands(place, &checked.sources));
    }
    render(&checked);
    let again = read();
    assert_eq!(again.findings, checked.findings, "two readings differ");
    if let (Some(set), Some(again)) = (checked.set, again.set) {
        assert_eq!(set.digest, again.digest, "two readings differ");
        answer(set);
    }
}

/// A place lies in its file, on borders of characters, and its line is there.
fn stands(place: &Location, sources: &[SourceFile]) {
    let Some(source) = sources.iter().find(|source| source.path() == &place.file) else {
        return;
    };
    let (text, span) = (
        source.text(),
        place.span.start as usize..place.span.end as usize,
    );
    assert!(
        text.get(span).is_some(),
        "{place:?} is outside of a text of {} bytes",
        text.len()
    );
    assert!(
        place.line >= 1 && place.column >= 1,
        "{place:?} counts from 1"
    );
    assert!(
        (place.line, place.column) <= (place.end_line, place.end_column),
        "{place:?} ends before it begins"
    );
}

fn render(checked: &Checked) {
    let report = Report {
        findings: &checked.findings,
        sources: &checked.sources,
        checked: output::Checked::default(),
        prefix: "",
    };
    for format in Format::ALL {
        let mut text = Vec::new();
        output::render(&report, format, Style::default(), &mut text)
            .expect("a vector takes everything");
        let text = String::from_utf8(text).expect("output is text");
        let raw = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(
            raw, None,
            "a control character of the input reaches the output as {format}"
        );
    }
}

/// The index answers as a scan does, and every answer can be explained.
fn answer(set: PolicySet) {
    let request_of = |attachment: &refguard_core::policy::Attachment| {
        let mut context = Context::default();
        for (dimension, patterns) in attachment.targets.iter() {
            let first = patterns.iter().flatten().next();
            context.extend(first.map(|pattern| (dimension, pattern.to_string())));
        }
        context
    };
    let mut contexts = vec![Context::default()];
    contexts.extend(
        set.attachments
            .iter()
            .take(8)
            .map(|attachment| request_of(attachment)),
    );
    let engine = Engine::new(Arc::new(set));
    for context in contexts {
        let request = Request {
            context,
            policies: Vec::new(),
        };
        let (indexed, scanned) = (engine.resolve(&request), engine.resolve_by_scan(&request));
        assert_eq!(
            format!("{:?}", indexed.policies),
            format!("{:?}", scanned.policies),
            "index and scan differ"
        );
        assert_eq!(
            indexed.guardrails, scanned.guardrails,
            "index and scan differ"
        );
        explain_request(&engine, &request);
    }
}

/// A condition's text: it is refused at a place within it, or it matches at least itself.
pub fn condition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match ModelPattern::parse(text) {
        Ok(pattern) => {
            assert!(
                pattern.matches(text),
                "`{text}` does not hold for the model of that name"
            );
            for model in [
                "",
                "gpt-4o",
                "\u{130}\u{131}",
                "a\nb",
                "\u{1c}",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
            ] {
                pattern.matches(model);
            }
        }
        Err(fault) => {
            assert!(
                text.get(fault.range.clone()).is_some(),
                "{:?} is not in `{text}`",
                fault.range
            );
            assert!(!fault.message.is_empty());
        }
    }
}

/// A LiteLLM config: it is refused, or it becomes files that stay inside and are a sound set.
pub fn import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let imported = import_config("config.yaml", text.to_owned());
    for finding in &imported.findings {
        stands(&finding.location, &imported.sources);
    }
    if imported.findings.iter().any(Finding::is_error) {
        return;
    }
    let mut loaded = Loaded::default();
    for (path, text) in &imported.files {
        let inside =
            !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        assert!(inside, "`{path}` leads out of the folder");
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    let checked = check_documents(loaded, &Levels::default());
    let error = checked.findings.iter().find(|finding| finding.is_error());
    assert_eq!(
        error.map(ToString::to_string),
        None,
        "what was written is at fault"
    );
}
