//! Where everything stands, for a person.

use super::escape::escape_terminal;
use super::resolution::Paint;
use super::{Style, short_commit};
use crate::ops::{EnvironmentStatus, PolicyChanges, Status};

/// Drafts first, then the environments.
pub fn format_status(status: &Status, style: Style) -> String {
    let paint = Paint(style);
    let mut text = match &status.published {
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
        return match environment.promotion {
            None => format!("{name}: nothing was promoted yet\n"),
            Some(number) => {
                let said = format!(
                    "its branch is gone, but its ledger stands at promotion {number}: \
                     `refguard promote` names the command that restores it"
                );
                format!("{name}: {}\n", paint.bad(&said))
            }
        };
    };
    let promotion =
        environment.promotion.map_or_else(String::new, |number| format!("promotion {number}, "));
    let mut text = format!("{name}: {promotion}{}\n", short_commit(commit));
    if environment.external {
        text.push_str(&format!("  {}\n", paint.warn("something else than a promotion moved it")));
    }
    if let Some(hold) = &environment.hold {
        let said =
            format!("on hold since promotion {} ({}): {}", hold.promotion, hold.since, hold.reason);
        text.push_str(&format!("  {}\n", paint.warn(&escape_terminal(&said))));
    }
    let branch = status.published.as_ref().map_or("", |published| &published.branch);
    for (count, what) in [(environment.behind, "behind"), (environment.ahead, "ahead of")] {
        if let Some(count @ 1..) = count {
            let commits = super::count(count, "commit", "commits");
            text.push_str(&format!("  {commits} {what} {}\n", escape_terminal(branch)));
        }
    }
    if !environment.policies.is_empty() {
        text.push_str(&format!("  {} has what it lacks:\n", escape_terminal(branch)));
        text.push_str(&format_changes(&environment.policies, paint));
    }
    text
}

fn format_changes(changes: &PolicyChanges, paint: &Paint) -> String {
    let mut text = String::new();
    let lists = [("+", &changes.added), ("-", &changes.removed), ("~", &changes.changed)];
    for (sign, names) in lists {
        for name in names {
            text.push_str(&format!("    {sign} {}\n", escape_terminal(name)));
        }
    }
    for file in &changes.faulty {
        let said = format!("! {file} cannot be read: see `refguard validate`");
        text.push_str(&format!("    {}\n", paint.warn(&escape_terminal(&said))));
    }
    text
}
