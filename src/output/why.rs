//! Why a request gets a guardrail or does not, for a person and as JSON.

use refguard_core::policy::Context;
use refguard_core::questions::{Giver, Obstacle};
use serde::Serialize;

use super::Style;
use super::escape::escape_terminal;
use super::resolution::Paint;
use super::short_commit;
use crate::ops::SetOrigin;

/// Policies that are told of, unless all are asked for.
const SHOWN: usize = 5;

/// The answer to `why`.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// Version of this format.
    pub version: u32,
    /// The set that was asked: an environment, a revision, `worktree` or `staged`.
    pub set: String,
    /// Its commit; `None` of a work tree or index.
    pub commit: Option<String>,
    /// The promotion's number, where it is one.
    pub promotion: Option<u64>,
    /// The request.
    pub context: Context,
    /// The guardrail.
    pub guardrail: String,
    /// Whether the request gets it.
    pub has: bool,
    /// Each policy that gives it or could, the nearest first.
    pub policies: Vec<Giver>,
}

impl Why {
    /// An answer and where it comes from.
    pub fn new(
        origin: &SetOrigin,
        context: &Context,
        guardrail: &str,
        policies: Vec<Giver>,
    ) -> Self {
        Self {
            version: 1,
            set: origin.name.clone(),
            commit: origin.commit.clone(),
            promotion: origin.promotion,
            context: context.clone(),
            guardrail: guardrail.to_owned(),
            has: policies.iter().any(|policy| policy.gives),
            policies,
        }
    }
}

/// The answer in words: whether, then who gives it, then what keeps the nearest others from it.
pub fn format_why(why: &Why, all: bool, style: Style) -> String {
    let paint = Paint(style);
    let guardrail = paint.strong(&escape_terminal(&why.guardrail));
    let request = escape_terminal(&why.context.describe_values()).into_owned();
    let verdict = if why.has {
        paint.good("yes")
    } else {
        paint.warn("no")
    };
    let gets = if why.has { "gets" } else { "does not get" };
    let mut text = format!("{verdict}: {request} {gets} {guardrail}\n");

    let (giving, others): (Vec<&Giver>, Vec<&Giver>) =
        why.policies.iter().partition(|policy| policy.gives);
    for giver in &giving {
        let via = giver.matched_via.as_deref().unwrap_or_default();
        let (name, place) = name_policy(giver, &paint);
        text.push_str(&format!(
            "  {name} ({place}) gives it: {}\n",
            escape_terminal(via)
        ));
    }
    if why.policies.is_empty() {
        text.push_str("  no policy adds it\n");
    }

    // Whoever has it wants to know who gives it; what else could is asked for.
    let shown = match (all, why.has) {
        (true, _) => others.len(),
        (false, true) => 0,
        (false, false) => SHOWN.min(others.len()),
    };
    for giver in others.iter().take(shown) {
        let (name, place) = name_policy(giver, &paint);
        text.push_str(&format!("  {name} ({place}) could give it, but:\n"));
        giver
            .obstacles
            .iter()
            .for_each(|obstacle| push_obstacle(&mut text, obstacle));
    }
    match others.len() - shown {
        0 => {}
        left => text.push_str(&format!(
            "  {} more could give it: --all lists {}\n",
            super::count(left, "policy", "policies"),
            if left == 1 { "it" } else { "them" }
        )),
    }

    let commit = why
        .commit
        .as_deref()
        .map(|commit| format!(" at {}", short_commit(commit)));
    let promotion = why.promotion.map(|number| format!(", promotion {number}"));
    text.push_str(&format!(
        "from: {}{}{}\n",
        escape_terminal(&why.set),
        commit.unwrap_or_default(),
        promotion.unwrap_or_default()
    ));
    text
}

fn name_policy(giver: &Giver, paint: &Paint) -> (String, String) {
    let name = paint.strong(&escape_terminal(&giver.policy));
    (
        name,
        format!("{}:{}", escape_terminal(&giver.file), giver.line),
    )
}

fn push_obstacle(text: &mut String, obstacle: &Obstacle) {
    let (message, change) = (&obstacle.message, &obstacle.change);
    let place = format!("{}:{}", obstacle.file, obstacle.line);
    // A change that names another document names its place itself.
    let said = if change.contains(&place) {
        String::new()
    } else {
        format!(" ({place})")
    };
    let line = format!("{message}{said}");
    text.push_str(&format!("    - {}\n", escape_terminal(&line)));
    text.push_str(&format!(
        "      to change that: {}\n",
        escape_terminal(change)
    ));
}
