//! The versions of a policy, for a person.

use super::age::tell_time;
use super::escape::escape_terminal;
use super::policy::format_fields;
use super::table::format_table;
use super::{Style, short_commit};
use crate::ops::{ShownVersion, VersionList, VersionRow};

/// A line a version.
pub fn format_versions(list: &VersionList, style: Style) -> String {
    let row = |row: &VersionRow| {
        vec![
            row.number.to_string(),
            short_commit(&row.commit).to_owned(),
            tell_time(&row.time, style),
            join_states(row),
            row.author.clone(),
            row.summary.clone(),
        ]
    };
    format_table(
        &["version", "commit", "time", "state", "author", "summary"],
        &list.versions.iter().map(row).collect::<Vec<_>>(),
        style,
    )
}

/// One version: where it comes from, then its document.
pub fn format_version(shown: &ShownVersion, style: Style) -> String {
    let row = &shown.row;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("{name:<12} {}\n", escape_terminal(value)))
    };
    line("version", &format!("{}@{}", shown.name, row.number));
    line("state", &join_states(row));
    line(
        "commit",
        &format!("{} {}", short_commit(&row.commit), row.summary),
    );
    line(
        "author",
        &format!("{}, {}", row.author, tell_time(&row.time, style)),
    );
    if let Some(policy) = &shown.policy {
        text.push_str(&format_fields(policy));
    }
    text
}

fn join_states(row: &VersionRow) -> String {
    let removed = row.digest.is_none().then_some("removed");
    let latest = row.latest.then_some("latest");
    row.states
        .iter()
        .map(String::as_str)
        .chain(latest)
        .chain(removed)
        .collect::<Vec<_>>()
        .join(", ")
}
