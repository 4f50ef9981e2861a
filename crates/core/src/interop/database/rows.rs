//! The saved answers of `/policies/list` and `/policies/attachments/list`, row by row.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::document::{Dimension, Node, NodeValue, Span, Spanned};
use crate::interop::config::{ConfigReader, attachment, is_null, policy};
use crate::interop::model::{AttachmentDoc, PolicyDoc};
use crate::interop::python::{self, Scalar};
use crate::interop::rules::mended_row;

/// Where a version stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Draft,
    Published,
    Production,
}

const STATES: [(&str, State); 3] = [
    ("draft", State::Draft),
    ("published", State::Published),
    ("production", State::Production),
];

/// One version of a policy.
#[derive(Debug)]
pub(super) struct Version {
    pub doc: PolicyDoc,
    pub number: i64,
    pub state: State,
    /// From the config, not from a row: older than every row.
    pub from_config: bool,
    pub author: Option<String>,
    pub time: Option<Timestamp>,
    /// Where the row has a time that cannot be right.
    pub odd_time: Option<Span>,
}

/// The rows of `key`, or of a bare list.
pub(super) fn list_rows<'n>(
    reader: &mut ConfigReader<'_>,
    root: &'n Node,
    key: &str,
) -> &'n [Node] {
    match (&root.value, root.get(key).map(|node| (node, &node.value))) {
        (NodeValue::Seq(items), _) | (_, Some((_, NodeValue::Seq(items)))) => items,
        (_, Some((node, _))) => {
            reader.report_wrong(node, key, "a list");
            &[]
        }
        _ => {
            reader.report_missing(root, key, " of the saved answer");
            &[]
        }
    }
}

/// One row of `policies`; fields that are not the policy's own are LiteLLM's business.
pub(super) fn read_version(reader: &mut ConfigReader<'_>, row: &Node) -> Option<Version> {
    let get = |key: &str| row.get(key).filter(|node| !is_null(node));
    let Some(name) = get("policy_name") else {
        reader.report_missing(row, "policy_name", " of a policy");
        return None;
    };
    let name = reader
        .read_text(name, "policy_name")
        .filter(|name| reader.is_name(name))?;
    let of = format!(" of the policy `{}`", &*name);
    let mut names = |key: &str| {
        get(key)
            .and_then(|node| reader.read_names(node, key))
            .unwrap_or_default()
    };

    let (add, remove) = (names("guardrails_add"), names("guardrails_remove"));
    let doc = PolicyDoc {
        description: get("description").and_then(|node| reader.read_text(node, "description")),
        owner: None,
        inherit: get("inherit").and_then(|node| policy::read_parent(reader, node)),
        add,
        remove,
        condition: get("condition").and_then(|node| policy::read_condition(reader, node, &of)),
        pipeline: get("pipeline").and_then(|node| policy::read_pipeline(reader, node, &of)),
        requestable: false,
        name,
    };

    let state = match get("version_status") {
        Some(node) => reader.read_choice(node, "version_status", &STATES)?.value,
        // As LiteLLM takes a row from before there were versions.
        None => State::Production,
    };

    let number = get("version_number").and_then(|node| match python::read_scalar(node) {
        Some(Scalar::Int(number)) => number,
        _ => None,
    });
    let mut version = Version {
        doc,
        number: number.unwrap_or(1),
        state,
        from_config: is_from_config(row),
        author: get("created_by")
            .and_then(Node::text)
            .and_then(clean_author),
        time: get("created_at").and_then(Node::text).and_then(parse_time),
        odd_time: None,
    };

    mend_version(reader, row, &mut version);
    Some(version)
}

/// Says of a row that it has no author, and notes that it has no time, where it has the field. What
/// the config defines has neither.
fn mend_version(reader: &mut ConfigReader<'_>, row: &Node, version: &mut Version) {
    if version.from_config {
        return;
    }

    if let Some(node) = row.get("created_by").filter(|_| version.author.is_none()) {
        let (name, number) = (&version.doc.name, version.number);
        let what = "has no author: its commit is by `litellm`";
        reader.push_finding(mended_row::report_row(
            reader.file,
            node.span,
            name,
            number,
            what,
        ));
    }

    if version.time.is_none() {
        version.odd_time = row.get("created_at").map(|node| node.span);
    }
}

/// An author as a commit can have it: some text, without what git ends a name at.
fn clean_author(text: &str) -> Option<String> {
    let plain = |c: char| {
        if c.is_control() || matches!(c, '<' | '>') {
            ' '
        } else {
            c
        }
    };

    let text: String = text.chars().map(plain).collect();
    let text = text.trim();
    // Git takes a name of such characters alone for none.
    text.chars()
        .any(char::is_alphanumeric)
        .then(|| text.to_owned())
}

/// One row of `attachments`: an empty list is the database's way to say "none".
pub(super) fn read_attachment_row(
    reader: &mut ConfigReader<'_>,
    row: &Node,
) -> Option<AttachmentDoc> {
    let get = |key: &str| row.get(key).filter(|node| !is_null(node));
    let Some(policy) = get("policy_name") else {
        reader.report_missing(row, "policy_name", " of an attachment");
        return None;
    };
    let policy = reader.read_text(policy, "policy_name")?;
    let mut list = |dimension: Dimension| {
        let (key, node) = (dimension.plural(), get(dimension.plural())?);
        let value = reader
            .read_texts(node, key)
            .filter(|list| !list.is_empty())?;
        Some(Spanned {
            value,
            span: node.span,
        })
    };

    let mut lists = attachment::Lists::default();
    for dimension in Dimension::LITELLM {
        lists[dimension] = list(dimension);
    }

    attachment::assemble_document(reader, row, policy, lists)
}

/// Whether a row shows what config.yaml defines.
pub(super) fn is_from_config(row: &Node) -> bool {
    row.get("definition_location").and_then(Node::text) == Some("config")
}

/// A time with an offset, or one without, which is UTC; `None` of one that no version of LiteLLM
/// can have written.
fn parse_time(text: &str) -> Option<Timestamp> {
    let utc = || {
        text.parse::<DateTime>()
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    };

    let time = text.parse::<Timestamp>().ok().or_else(utc)?;
    (0..LATEST).contains(&time.as_second()).then_some(time)
}

/// The year 2100, in seconds.
const LATEST: i64 = 4_102_444_800;

#[cfg(test)]
mod tests {
    use super::{clean_author, parse_time};

    #[test]
    fn times_with_and_without_an_offset() {
        let want = Some("2024-01-01T10:00:00.5Z".parse().expect("a time"));
        for text in [
            "2024-01-01T10:00:00.500000Z",
            "2024-01-01T12:00:00.5+02:00",
            "2024-01-01T10:00:00.5",
        ] {
            assert_eq!(parse_time(text), want, "{text}");
        }

        for text in [
            "yesterday",
            "",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn authors_as_git_takes_them() {
        assert_eq!(clean_author("user-1"), Some("user-1".to_owned()));
        assert_eq!(clean_author(" a <b>\n"), Some("a  b".to_owned()));
        for text in ["", "  ", "<>", "."] {
            assert_eq!(clean_author(text), None, "{text}");
        }
    }
}
