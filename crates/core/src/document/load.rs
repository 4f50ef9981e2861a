//! One file, from bytes to typed documents and findings.

use std::string::FromUtf8Error;
use std::sync::Arc;

use super::encoding::{self, WideText};
use super::header::{is_miscased_name, our_folder};
use super::rules::{
    bad_encoding, foreign_file, limit_exceeded, link_or_pointer, misnamed_file, wrong_type,
    yaml_syntax,
};
use super::{
    Finding, Kind, Limits, Node, RawAttachment, RawCatalog, RawInvariant, RawPolicy, RawPolicyTest,
    RawRepository, Release, SourceFile, Span, de, header, names::judge_names,
    requests::judge_requests, settings::judge_settings, shape, yaml,
};

/// A document of ours that has its kind's form.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file it stands in.
    pub file: SourceFile,
    /// Where it stands there.
    pub span: Span,
    /// What it says.
    pub body: Body,
}

/// A document by its kind. Cheap to clone: a reader keeps what did not change from one commit to
/// the next.
#[derive(Debug, Clone)]
pub enum Body {
    /// Settings.
    Repository(Arc<RawRepository>),
    /// What exists.
    Catalog(Arc<RawCatalog>),
    /// Which guardrails.
    Policy(Arc<RawPolicy>),
    /// For which requests.
    Attachment(Arc<RawAttachment>),
    /// What must come out for some requests.
    Test(Arc<RawPolicyTest>),
    /// What must come out for all.
    Invariant(Arc<RawInvariant>),
}

/// What was read from one file, or from all files of a set.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The documents that are ours and well-formed, in the order of their files and places.
    pub documents: Vec<Document>,
    /// What is wrong with the others.
    pub findings: Vec<Finding>,
    /// The files of the documents and findings; a renderer shows their lines.
    pub sources: Vec<SourceFile>,
    /// Documents that a fault of form has kept out of `documents`.
    pub lost: Vec<Lost>,
}

/// A document with a fault of form: what may be missing, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// Its kind; `None`: it may be any, and more than one document.
    pub kind: Option<Kind>,
    /// Its name; a reference to it is no second fault.
    pub name: Option<String>,
    /// The first release that misses it. An older one passed its file over.
    pub since: Release,
}

impl Loaded {
    /// Adds what was read from another file.
    pub fn append_loaded(&mut self, mut other: Self) {
        self.documents.append(&mut other.documents);
        self.findings.append(&mut other.findings);
        self.sources.append(&mut other.sources);

        self.lost.append(&mut other.lost);
    }

    /// A file that is not read because it passes a limit, by its size in bytes.
    pub fn oversized_file(path: impl Into<Arc<str>>, bytes: u64, limits: &Limits) -> Self {
        Self::faulty_file(path, |file| limit_exceeded::file_bytes(file, bytes, limits))
            .with_loss(Lost::default())
    }

    /// A file under one of our folders whose name is not one of YAML.
    pub fn stray_file(path: impl Into<Arc<str>>, folder: &str) -> Self {
        Self::faulty_file(path, |file| foreign_file::report_file(file, folder))
    }

    /// A YAML name that is no plain file, or cannot be read; `said` says what it is.
    pub fn not_a_file(path: impl Into<Arc<str>>, said: &str) -> Self {
        Self::faulty_file(path, |file| link_or_pointer::report_link(file, said))
            .with_loss(Lost::default())
    }

    fn with_loss(mut self, lost: Lost) -> Self {
        self.lost.push(lost);
        self
    }

    /// A file whose name ends in another case than that of the files that are read.
    pub fn misnamed_file(path: impl Into<Arc<str>>) -> Self {
        let lost = Lost {
            since: Release::V0_2,
            ..Lost::default()
        };

        Self::faulty_file(path, misnamed_file::report_file).with_loss(lost)
    }

    /// A file in UTF-16 or UTF-32. Outside of our folders 0.1 passed it over.
    fn wide_file(path: Arc<str>, wide: WideText) -> Self {
        let since = match our_folder(&path) {
            Some(_) => Release::FIRST,
            None => Release::V0_2,
        };

        let file = SourceFile::new(path, wide.text);
        Self {
            findings: vec![bad_encoding::report_wide(&file, wide.encoding, since)],
            sources: vec![file],
            ..Self::default()
        }
        .with_loss(Lost {
            since,
            ..Lost::default()
        })
    }

    fn faulty_file(
        path: impl Into<Arc<str>>,
        finding: impl FnOnce(&SourceFile) -> Finding,
    ) -> Self {
        let file = SourceFile::new(path, String::new());
        Self {
            findings: vec![finding(&file)],
            sources: vec![file],
            ..Self::default()
        }
    }
}

/// Reads one file with a YAML name. `path` is relative to the root, with `/`.
pub fn load_file(path: impl Into<Arc<str>>, bytes: Vec<u8>, limits: &Limits) -> Loaded {
    let path = path.into();
    if !is_miscased_name(&path) {
        return load_bytes(path, bytes, limits);
    }

    // Such a file is not read. It is refused where it is meant for us.
    if our_folder(&path).is_none() {
        let loaded = load_bytes(path.clone(), bytes, limits);
        if loaded.documents.is_empty() && loaded.findings.is_empty() {
            return Loaded::default();
        }
    }

    Loaded::misnamed_file(path)
}

fn load_bytes(path: Arc<str>, bytes: Vec<u8>, limits: &Limits) -> Loaded {
    if let Some(wide) = WideText::read_wide(&bytes) {
        let ours = wide.has_mark || header::may_be_ours(&path, &wide.text);
        return if ours {
            Loaded::wide_file(path, wide)
        } else {
            Loaded::default()
        };
    }

    if bytes.len() > limits.file_bytes {
        let ours = header::may_be_ours(&path, &String::from_utf8_lossy(&bytes));
        return if ours {
            Loaded::oversized_file(path, bytes.len() as u64, limits)
        } else {
            Loaded::default()
        };
    }

    match String::from_utf8(bytes) {
        Ok(text) => load_text(SourceFile::new(path, text), limits),
        Err(error) => load_other_text(path, &error),
    }
}

/// A file that is not UTF-8, and does not begin as UTF-16 or UTF-32 does.
fn load_other_text(path: Arc<str>, error: &FromUtf8Error) -> Loaded {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let file = SourceFile::new(path, text);
    let mut loaded = Loaded::default();
    let since = match header::may_be_ours(file.path(), file.text()) {
        true => Some(Release::FIRST),
        false => encoding::has_wide_mark(error.as_bytes()).then_some(Release::V0_2),
    };

    if let Some(since) = since {
        loaded
            .findings
            .push(bad_encoding::not_utf8(&file, at).since_release(since));
        loaded.lost.push(Lost {
            since,
            ..Lost::default()
        });
        loaded.sources.push(file);
    }

    loaded
}

fn load_text(file: SourceFile, limits: &Limits) -> Loaded {
    let mut loaded = Loaded::default();
    if file.text().starts_with(link_or_pointer::LFS_HEADER) {
        loaded.findings.push(link_or_pointer::report_pointer(&file));
        loaded.lost.push(Lost::default());
    } else if let Some(conflict) = merge_conflict(file.text()) {
        if header::may_be_ours(file.path(), file.text()) {
            load_conflict(&file, conflict, limits, &mut loaded);
        }
    } else if let Some(finding) = forbidden_character(&file) {
        if header::may_be_ours(file.path(), file.text()) {
            loaded.findings.push(finding);
            loaded.lost.push(Lost::default());
        }
    } else {
        load_documents(&file, limits, &mut loaded);
    }

    if !loaded.findings.is_empty() || !loaded.documents.is_empty() {
        loaded.sources.push(file);
    }

    loaded
}

/// The first character that readers of YAML disagree on.
pub(super) fn forbidden_character(file: &SourceFile) -> Option<Finding> {
    let bad = |(at, c): &(usize, char)| match c {
        '\t' | '\n' | '\r' => false,
        '\u{feff}' => *at > 0,
        '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    };

    file.text()
        .char_indices()
        .find(bad)
        .map(|(at, c)| bad_encoding::report_character(file, at, c))
}

fn load_documents(file: &SourceFile, limits: &Limits, loaded: &mut Loaded) {
    let is_ours = |root: &Node| {
        let header = header::judge_header(file, root);
        header::is_hidden(root)
            || !matches!(header, header::Header::Foreign | header::Header::Empty)
    };

    for document in yaml::parse_documents(file, limits, yaml::Dialect::Ours, is_ours) {
        load_document(file, document, limits, loaded);
    }

    cap_findings(file, limits, &mut loaded.findings);
}

/// A file with both sides of a merge. 0.1 asked only whether it is sound all the same, as texts
/// beside our documents can be.
fn load_conflict(file: &SourceFile, place: Span, limits: &Limits, loaded: &mut Loaded) {
    let finding = yaml_syntax::merge_conflict(file, place);
    load_documents(file, limits, loaded);
    if loaded.findings.iter().any(Finding::is_error) {
        loaded.documents.clear();
        loaded.findings = vec![finding];
        loaded.lost = vec![Lost::default()];
    } else {
        loaded.findings.push(finding.since_release(Release::V0_2));
    }
}

/// The first line that git wrote for a merge that a person must finish: `<<<<<<< HEAD`, where lines
/// `=======` and `>>>>>>> other` follow. All begin their lines, which no YAML of ours does so.
fn merge_conflict(text: &str) -> Option<Span> {
    let mut first = None;
    let mut has_middle = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare.starts_with("<<<<<<< ") {
            first = first.or(Some(Span::new(at, at + bare.len())));
        } else if bare == "=======" {
            has_middle = first.is_some();
        } else if bare.starts_with(">>>>>>> ") && has_middle {
            return first;
        }

        at += line.len();
    }

    None
}

/// Keeps the first findings of a file, by their places, and adds one that there are more.
fn cap_findings(file: &SourceFile, limits: &Limits, findings: &mut Vec<Finding>) {
    if findings.len() > limits.findings_per_file {
        findings.sort_by_key(|finding| finding.location.span);
        let rest = findings.split_off(limits.findings_per_file);
        let place = rest
            .first()
            .map_or_else(Span::default, |finding| finding.location.span);
        let since = rest
            .iter()
            .filter(|it| it.is_error())
            .map(|it| it.since)
            .min();
        let finding = limit_exceeded::report_findings(file, place, limits);
        findings.push(finding.since_release(since.unwrap_or_default()));
    }
}

fn load_document(
    file: &SourceFile,
    document: yaml::YamlDocument,
    limits: &Limits,
    loaded: &mut Loaded,
) {
    let yaml::YamlDocument {
        root,
        span,
        mut findings,
        ..
    } = document;
    let Some(root) = root else {
        let text = file
            .text()
            .get(span.start as usize..span.end as usize)
            .unwrap_or("");
        if header::may_be_ours(file.path(), text) {
            loaded.findings.append(&mut findings);
            loaded.lost.push(Lost::default());
        }

        return;
    };

    match header::judge_header(file, &root) {
        header::Header::Empty | header::Header::Foreign => {}
        header::Header::Fault(finding) => {
            loaded.lost.push(Lost {
                kind: header::kind_said(&root),
                name: name_of(&root),
                since: Release::FIRST,
            });
            loaded.findings.append(&mut findings);
            loaded.findings.push(finding);
        }
        header::Header::Ours(kind) => {
            if loaded.findings.len() > limits.findings_per_file {
                loaded.lost.push(lost_document(kind, &root));
                return;
            }

            let body = typed_body(kind, &root);
            let most = limits.findings_per_file + 1;
            findings.append(&mut shape::judge_shape(
                file,
                kind,
                &root,
                body.is_ok(),
                most,
            ));
            if findings.is_empty() {
                match body {
                    Ok(body) => {
                        findings.append(&mut judge_names(file, &body));
                        findings.append(&mut judge_requests(file, &body));
                        findings.extend(judge_settings(file, &body));
                        loaded.documents.push(Document {
                            file: file.clone(),
                            span: root.span,
                            body,
                        });
                    }
                    Err(error) => {
                        findings.push(type_fault(file, &root, &error));
                        loaded.lost.push(lost_document(kind, &root));
                    }
                }
            } else {
                loaded.lost.push(lost_document(kind, &root));
            }

            loaded.findings.append(&mut findings);
        }
    }
}

/// Why a document that its schema accepts is not of its type: `10.0` for a whole number.
fn type_fault(file: &SourceFile, root: &Node, error: &de::DeError) -> Finding {
    wrong_type::report_unreadable(file, error.span.unwrap_or(root.span), &error.message)
}

fn lost_document(kind: Kind, root: &Node) -> Lost {
    Lost {
        kind: Some(kind),
        name: name_of(root),
        since: Release::FIRST,
    }
}

fn name_of(root: &Node) -> Option<String> {
    root.get("name").and_then(Node::text).map(str::to_owned)
}

/// The document as its kind's type; knows no rule but the type's own.
pub(super) fn typed_body(kind: Kind, root: &Node) -> Result<Body, de::DeError> {
    Ok(match kind {
        Kind::Repository => Body::Repository(de::from_node(root)?),
        Kind::Catalog => Body::Catalog(de::from_node(root)?),
        Kind::Policy => Body::Policy(de::from_node(root)?),
        Kind::PolicyAttachment => Body::Attachment(de::from_node(root)?),
        Kind::PolicyTest => Body::Test(de::from_node(root)?),
        Kind::Invariant => Body::Invariant(de::from_node(root)?),
    })
}
