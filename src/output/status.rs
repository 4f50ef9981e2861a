//! Where everything stands, for a person.

use super::age::tell_time;
use super::escape::escape_terminal;
use super::resolution::Paint;
use super::{Style, short_commit};
use crate::ops::{EnvironmentStatus, ExpiringAttachment, PolicyChanges, Problem, Status};

/// Documents beside the policies that are listed.
const DOCUMENTS: usize = 20;

/// What is wrong first, then drafts, then the environments.
pub fn format_status(status: &Status, style: Style) -> String {
    let paint = Paint(style);
    let mut text = String::new();
    for Problem {
        environment,
        message,
    } in &status.problems
    {
        let whose = environment
            .as_ref()
            .map(|name| format!("{name}: "))
            .unwrap_or_default();
        let line = format!("{whose}{message}");
        text.push_str(&format!("{} {}\n", paint.bad("!"), escape_terminal(&line)));
    }
    text += &match &status.published {
        Some(published) => {
            format!(
                "published: {} at {}\n",
                escape_terminal(&published.branch),
                short_commit(&published.commit)
            )
        }
        None => "published: nothing yet\n".to_owned(),
    };
    match &status.drafts {
        None => {}
        Some(drafts) if drafts.is_empty() => text.push_str("drafts: none\n"),
        Some(drafts) => {
            text.push_str("drafts in the work tree:\n");
            text.push_str(&format_changes(drafts, &paint));
        }
    }
    for environment in &status.environments {
        text.push_str(&format_environment(environment, status, &paint));
    }
    text
}

fn format_environment(environment: &EnvironmentStatus, status: &Status, paint: &Paint) -> String {
    let name = paint.strong(&escape_terminal(&environment.name));
    let Some(commit) = &environment.commit else {
        // Of one whose branch is gone the problems tell.
        let is_new = environment.promotion.is_none();
        return if is_new {
            format!("{name}: no promotion is known\n")
        } else {
            String::new()
        };
    };
    let promotion = environment
        .promotion
        .map_or_else(String::new, |number| format!("promotion {number}, "));
    let mut text = format!("{name}: {promotion}{}\n", short_commit(commit));
    let branch = status
        .published
        .as_ref()
        .map_or("", |published| &published.branch);
    if let Some(behind @ 1..) = environment.behind {
        let commits = super::count(behind, "commit", "commits");
        text.push_str(&format!("  {commits} behind {}\n", escape_terminal(branch)));
    }
    if let Some(ahead @ 1..) = environment.ahead {
        let commits = super::count(ahead, "commit", "commits");
        let branch = escape_terminal(branch);
        text.push_str(&format!("  holds {commits} that {branch} does not have\n"));
    }
    for ending in &environment.expiring {
        let ExpiringAttachment {
            policy,
            file,
            line,
            expires,
            reason,
        } = ending;
        let why = reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let expires = tell_time(expires, paint.0);
        let words = format!("{expires} the attachment of {policy} ends ({file}:{line}){why}");
        text.push_str(&format!("  {}\n", escape_terminal(&words)));
    }
    if let Some(soak) = &environment.soak {
        text.push_str(&format!(
            "  takes sets that stayed for {soak} where they come from\n"
        ));
    }
    if !environment.policies.is_empty() {
        text.push_str(&format!(
            "  {} has what it lacks:\n",
            escape_terminal(branch)
        ));
        text.push_str(&format_changes(&environment.policies, paint));
    }
    text
}

fn format_changes(changes: &PolicyChanges, paint: &Paint) -> String {
    let mut text = String::new();
    let lists = [
        ("+", &changes.added),
        ("-", &changes.removed),
        ("~", &changes.changed),
    ];
    for (sign, names) in lists {
        for name in names {
            text.push_str(&format!("    {sign} {}\n", escape_terminal(name)));
        }
    }
    for document in changes.documents.iter().take(DOCUMENTS) {
        let sign = match document.change {
            "added" => "+",
            "removed" => "-",
            _ => "~",
        };
        let named = match (document.kind, document.name.as_str()) {
            (_, "") => String::new(),
            ("attachment", policy) => format!(" of {policy}"),
            (_, name) => format!(" {name}"),
        };
        let words = format!("{sign} {}{named} ({})", document.kind, document.file);
        text.push_str(&format!("    {}\n", escape_terminal(&words)));
    }
    if let Some(more) = changes
        .documents
        .len()
        .checked_sub(DOCUMENTS)
        .filter(|more| *more > 0)
    {
        let more = super::count(more, "more document", "more documents");
        text.push_str(&format!("    … and {more} (--format json has each)\n"));
    }
    for file in &changes.faulty {
        let said = format!("! {file} cannot be read: see `refguard validate`");
        text.push_str(&format!("    {}\n", paint.warn(&escape_terminal(&said))));
    }
    text
}
