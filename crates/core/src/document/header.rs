//! Is a document ours? The answer must never be "no" by a slip of the hand.

use super::rules::{foreign_document, mistyped_header};
use super::{Finding, Node, NodeValue, SourceFile};

/// The version every document begins with.
const API_VERSION: &str = "refguard/v1";

/// Folders that hold only our documents.
pub const OUR_FOLDERS: [&str; 4] = ["policies", "attachments", "tests", "invariants"];

/// The words of [`Kind`], in its order.
pub const KINDS: [&str; 6] = [
    "Repository",
    "Catalog",
    "Policy",
    "PolicyAttachment",
    "PolicyTest",
    "Invariant",
];

/// The six kinds of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Settings.
    Repository,
    /// What exists.
    Catalog,
    /// Which guardrails.
    Policy,
    /// For which requests.
    PolicyAttachment,
    /// What must come out for some requests.
    PolicyTest,
    /// What must come out for all.
    Invariant,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Repository,
        Self::Catalog,
        Self::Policy,
        Self::PolicyAttachment,
        Self::PolicyTest,
        Self::Invariant,
    ];

    /// The word in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "Repository",
            Self::Catalog => "Catalog",
            Self::Policy => "Policy",
            Self::PolicyAttachment => "PolicyAttachment",
            Self::PolicyTest => "PolicyTest",
            Self::Invariant => "Invariant",
        }
    }

    /// The name of its schema file, without ending.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Catalog => "catalog",
            Self::Policy => "policy",
            Self::PolicyAttachment => "policy-attachment",
            Self::PolicyTest => "policy-test",
            Self::Invariant => "invariant",
        }
    }

    /// The kind of that word, whatever its case or dashes; for the command line.
    pub fn from_loose(word: &str) -> Option<Self> {
        let bare = |s: &str| s.to_lowercase().replace(['-', '_'], "");
        Self::ALL
            .into_iter()
            .find(|kind| bare(kind.as_str()) == bare(word))
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a document is to us.
#[derive(Debug)]
pub(super) enum Header {
    /// Ours, of this kind.
    Ours(Kind),
    /// Somebody else's, in a place where that is fine.
    Foreign,
    /// Nothing in it.
    Empty,
    /// Ours or meant to be, and wrong.
    Fault(Finding),
}

/// The kind that a document with a faulty header says it is.
pub(super) fn kind_said(root: &Node) -> Option<Kind> {
    root.get("kind")
        .and_then(Node::text)
        .and_then(Kind::from_word)
}

/// Whether a file name is one that is read as YAML.
pub fn is_yaml_name(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Whether a file is given to `load_file`: it has a YAML name, or one but for the case of its
/// ending, which is refused if the file is ours.
pub fn is_read_name(path: &str) -> bool {
    is_yaml_name(path) || is_miscased_name(path)
}

/// Whether only the case of its ending keeps a file from being read.
pub(super) fn is_miscased_name(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    !is_yaml_name(path)
        && (ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"))
}

/// The folder of [`OUR_FOLDERS`] that a path stands in.
pub fn our_folder(path: &str) -> Option<&'static str> {
    let first = path.split_once('/')?.0;
    OUR_FOLDERS.into_iter().find(|folder| *folder == first)
}

/// Judges the header of a parsed document.
pub(super) fn judge_header(file: &SourceFile, root: &Node) -> Header {
    if let NodeValue::Scalar { text, plain: true } = &root.value
        && matches!(&**text, "" | "~" | "null")
    {
        return Header::Empty;
    }

    if let Some((key, value)) = root.entry("apiVersion") {
        return versioned_header(file, root, key, value);
    }

    if let Some((key, kind)) = root.entry("kind")
        && kind.text().and_then(Kind::from_word).is_some()
    {
        let said = format!(
            "a document of kind `{}` without `apiVersion`",
            kind.text().unwrap_or("")
        );
        return Header::Fault(mistyped_header::no_api_version(file, key.span, &said));
    }

    if let NodeValue::Seq(items) = &root.value
        && let Some((key, _)) = items
            .iter()
            .filter_map(|item| item.entry("apiVersion"))
            .find(|(_, v)| is_ours(v))
    {
        let help = "put a line `---` between documents instead of a dash before each";
        return Header::Fault(mistyped_header::report_misplaced(
            file,
            key.span,
            "a list is no document",
            help,
        ));
    }

    if let Some(key) = key_of_our_version(root) {
        let said = format!(
            "`{API_VERSION}` stands under the key `{}`",
            key.text().unwrap_or("")
        );
        return Header::Fault(mistyped_header::no_api_version(file, key.span, &said));
    }

    foreign_header(file, root)
}

fn versioned_header(file: &SourceFile, root: &Node, key: &Node, value: &Node) -> Header {
    match value.text() {
        Some(API_VERSION) => kind_of(file, root),
        Some(text) if is_nearly_ours(text) => {
            Header::Fault(mistyped_header::api_version(file, value.span, text))
        }
        Some(_) => foreign_header(file, root),
        None => Header::Fault(mistyped_header::no_api_version(
            file,
            key.span,
            "`apiVersion` is not a word",
        )),
    }
}

fn kind_of(file: &SourceFile, root: &Node) -> Header {
    let Some((key, value)) = root.entry("kind") else {
        let place = root
            .entry("apiVersion")
            .map_or(root.span, |(key, _)| key.span);
        let said = "the field `kind` is missing";
        let help = format!(
            "add `kind:` with one of {}",
            KINDS.map(|k| format!("`{k}`")).join(", ")
        );
        return Header::Fault(mistyped_header::report_misplaced(file, place, said, &help));
    };

    match value.text() {
        Some(word) => match Kind::from_word(word) {
            Some(kind) => Header::Ours(kind),
            None => Header::Fault(mistyped_header::report_kind(file, value.span, word, &KINDS)),
        },
        None => Header::Fault(mistyped_header::report_kind(file, key.span, "", &KINDS)),
    }
}

fn foreign_header(file: &SourceFile, root: &Node) -> Header {
    let first_key = match &root.value {
        NodeValue::Map(entries) => entries.first().map_or(root.span, |(key, _)| key.span),
        NodeValue::Scalar { .. } | NodeValue::Seq(_) => root.span,
    };

    match our_place(file.path()) {
        Some(folder) => Header::Fault(foreign_document::report_document(file, first_key, folder)),
        None => Header::Foreign,
    }
}

/// Our folder that the file stands in, or the settings file itself.
fn our_place(path: &str) -> Option<&'static str> {
    our_folder(path).or((path == "refguard.yaml").then_some("refguard.yaml"))
}

fn key_of_our_version(root: &Node) -> Option<&Node> {
    match &root.value {
        NodeValue::Map(entries) => entries
            .iter()
            .find(|(_, value)| is_ours(value))
            .map(|(key, _)| key),
        NodeValue::Scalar { .. } | NodeValue::Seq(_) => None,
    }
}

fn is_ours(version: &Node) -> bool {
    version.text().is_some_and(is_nearly_ours)
}

/// Whether the version may be an alias that is not expanded yet: such a node is an empty text.
pub(super) fn is_hidden(root: &Node) -> bool {
    root.get("apiVersion")
        .is_some_and(|version| version.text() == Some(""))
}

/// Contains our name, or is within two edits of our version.
fn is_nearly_ours(text: &str) -> bool {
    text.to_lowercase().contains("refguard")
        || (text.chars().count().abs_diff(API_VERSION.len()) <= 2
            && strsim::damerau_levenshtein(text, API_VERSION) <= 2)
}

/// The value after the first `key:` that begins a line of a text, without quotes and comments.
fn value_in_text<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let value = text.lines().find_map(|line| {
        let rest = line.trim_start_matches(['{', ' ', '"', '\'']);
        let rest = rest.strip_prefix(key)?.trim_start_matches(['"', '\'']);
        rest.trim_start().strip_prefix(':')
    })?;
    let value = value.split(" #").next().unwrap_or("");

    Some(value.trim().trim_matches(['"', '\'', ',', '}']))
}

/// Whether a document without a sound tree must be taken for ours, by its text alone.
pub(super) fn may_be_ours(path: &str, text: &str) -> bool {
    if our_place(path).is_some() || text.to_lowercase().contains("refguard") {
        return true;
    }

    match value_in_text(text, "apiVersion") {
        Some(version) if !version.starts_with('*') => is_nearly_ours(version),
        // An alias may stand for anything.
        _ => value_in_text(text, "kind").is_some_and(|kind| Kind::from_word(kind).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_ours_and_a_stranger_is_not() {
        for text in [
            "refguard/v2",
            "Refguard/v1",
            "refgurd/v1",
            "refgaurd/v1",
            "refguard.io/v1",
            "regard/v1",
        ] {
            assert!(is_nearly_ours(text), "{text}");
        }

        for text in ["kyverno.io/v1", "v1", "apps/v1", "cilium.io/v2"] {
            assert!(!is_nearly_ours(text), "{text}");
        }
    }

    #[test]
    fn a_broken_file_is_ours_by_its_text() {
        assert!(may_be_ours("x.yaml", "apiVersion: refgaurd/v1\nkind: [\n"));
        assert!(may_be_ours("x.yaml", "kind: PolicyAttachment\nfoo: [\n"));
        assert!(!may_be_ours(
            "x.yaml",
            "apiVersion: kyverno.io/v1\nkind: Policy\nfoo: [\n"
        ));
        assert!(may_be_ours("policies/x.yaml", "{{ template }}"));

        assert!(!may_be_ours("charts/x.yaml", "{{ template }}"));
    }
}
