//! The versions of a policy, for a person.

use super::escape::escape_terminal;
use super::policy::fields;
use super::table::format_table;
use crate::ops::{ShownVersion, VersionList, VersionRow};

/// A line a version.
pub fn versions(list: &VersionList) -> String {
    let row = |row: &VersionRow| {
        vec![
            row.number.to_string(),
            short(&row.commit).to_owned(),
            row.time.clone(),
            states(row),
            row.author.clone(),
            row.summary.clone(),
        ]
    };
    format_table(
        &["version", "commit", "time", "state", "author", "summary"],
        &list.versions.iter().map(row).collect::<Vec<_>>(),
    )
}

/// One version: where it comes from, then its document.
pub fn version(shown: &ShownVersion) -> String {
    let row = &shown.row;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("{name:<12} {}\n", escape_terminal(value)))
    };
    line("version", &format!("{}@{}", shown.name, row.number));
    line("state", &states(row));
    line("commit", &format!("{} {}", short(&row.commit), row.summary));
    line("author", &format!("{}, {}", row.author, row.time));
    if let Some(policy) = &shown.policy {
        text.push_str(&fields(policy));
    }
    text
}

fn states(row: &VersionRow) -> String {
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

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
