//! RG116 `bad-settings`: settings that cannot be followed

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{
    Finding, RawEnvironment, RawRepository, Rule, Severity, SourceFile, Span, Spanned,
};
use crate::policy::freeze::{TimeFault, read_freeze, read_soak};
use crate::policy::{BadLevel, DraftSet, Environment, Item, Levels, Settings};

/// The one place of the settings.
const PLACE: &str = "refguard.yaml";

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG116",
    name: "bad-settings",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "the settings stand once, in refguard.yaml at the root, and can be followed",
    why: "Settings say which ref is production and what is let through. A second `Repository` \
        document, an unknown rule, two environments on one ref or a ref that git does not take \
        would leave open what holds. Errors cannot be lowered.",
    bad: &[
        (
            "policies/baseline.yaml",
            r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
        ),
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
environments:
  - name: production
    ref: production
rules:
  unusd-policy: error
"#,
        ),
    ],
    good: &[
        (
            "policies/baseline.yaml",
            r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
        ),
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
environments:
  - name: production
rules:
  unused-policy: error
"#,
        ),
    ],
};

/// A glob of `include` or `exclude` that cannot be read.
pub fn report_glob(file: &SourceFile, span: Span, fault: &str) -> Finding {
    Finding::new(&RULE, file, span, fault).with_help(
        "write a path from this file's folder on, in which `*` stands for a name, `**` for any \
            folders and `[ab]` for one of some characters",
    )
}

/// Every fault of the settings.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    check_places(draft, findings);
    for item in &draft.repository {
        check_levels(item, findings);
        check_branch(item, findings);
        let environments: Vec<Named<'_>> = item
            .raw
            .environments
            .iter()
            .flatten()
            .map(|raw| Named {
                raw,
                reference: environment_reference(raw),
            })
            .collect();
        let names: BTreeSet<&str> = environments
            .iter()
            .map(|environment| environment.raw.name.as_str())
            .collect();
        for environment in &environments {
            check_references(item, environment, findings);
            check_name(item, environment, &names, findings);
            check_times(item, environment, findings);
        }

        check_twice(
            item,
            &environments,
            |environment| environment.raw.name.as_str(),
            "name",
            findings,
        );
        check_twice(
            item,
            &environments,
            |environment| &environment.reference,
            "ref",
            findings,
        );
    }
}

fn check_places(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut first: Option<&Item<'_, RawRepository>> = None;
    for item in &draft.repository {
        match first {
            _ if **item.file.path() != *PLACE => {
                let message = format!("settings are read only from `{PLACE}` at the root");
                findings.push(
                    item.make_finding(&RULE, item.first_line(), message)
                        .with_help("move this document there"),
                );
            }
            Some(first) => {
                let finding = item
                    .make_finding(&RULE, item.first_line(), "there are settings already")
                    .with_help("merge the two documents")
                    .with_related(first.file, first.first_line(), "the first ones are here");
                findings.push(finding);
            }
            None => first = Some(item),
        }
    }
}

fn check_levels(item: &Item<'_, RawRepository>, findings: &mut Vec<Finding>) {
    let rules = super::all_rules();
    let mut suggestions = Suggestions::new(rules.iter().map(|rule| rule.name));
    for (name, level) in item.raw.rules.iter().flat_map(|rules| &rules.0) {
        let finding = match Levels::default().set_level(&rules, name, level.value) {
            Ok(()) => continue,
            Err(BadLevel::Unknown) => item
                .make_finding(
                    &RULE,
                    name.span,
                    format!("there is no rule `{}`", name.as_str()),
                )
                .with_help("`refguard explain` lists the rules")
                .maybe_help(suggestions.suggest_help(name.as_str())),
            Err(BadLevel::Fixed(rule)) => item
                .make_finding(
                    &RULE,
                    level.span,
                    format!("`{rule}` is an error, and errors cannot be lowered"),
                )
                .with_help("remove the line"),
        };

        findings.push(finding);
    }
}

fn check_branch(item: &Item<'_, RawRepository>, findings: &mut Vec<Finding>) {
    if let Some(branch) = &item.raw.publish_branch
        && let Some(fault) = ref_fault(&format!("refs/heads/{}", branch.as_str()))
    {
        let message = format!("`publish_branch` cannot be `{}`: {fault}", branch.as_str());
        findings.push(
            item.make_finding(&RULE, branch.span, message)
                .with_help("name a branch, without `refs/heads/`"),
        );
    }
}

/// An environment with the ref that it has or gets.
struct Named<'a> {
    raw: &'a Spanned<RawEnvironment>,
    reference: String,
}

impl Named<'_> {
    fn reference_span(&self) -> Span {
        self.raw
            .reference
            .as_ref()
            .map_or(self.raw.name.span, |reference| reference.span)
    }
}

/// A name that no branch beside the others can have. `names` are those of all environments.
fn check_name(
    item: &Item<'_, RawRepository>,
    environment: &Named<'_>,
    names: &BTreeSet<&str>,
    findings: &mut Vec<Finding>,
) {
    let name = environment.raw.name.as_str();
    let above = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
    let taken = above.into_iter().find(|above| names.contains(above));

    let fault = match taken {
        Some(above) => format!("git cannot have the branches `{above}` and `{name}` at once"),
        None if name == "HEAD" => "git means the current commit by `HEAD`".to_owned(),
        None if name.starts_with('-') => format!("git takes `{name}` for an option"),
        None => return,
    };

    let finding = item
        .make_finding(&RULE, environment.raw.name.span, fault)
        .since_release(Rule::SINCE_0_2);
    findings.push(finding.with_help("give it another name"));
}

/// Freezes and a soak that cannot be followed.
fn check_times(
    item: &Item<'_, RawRepository>,
    environment: &Named<'_>,
    findings: &mut Vec<Finding>,
) {
    let raw = environment.raw;
    let freezes = raw
        .freeze
        .iter()
        .flatten()
        .filter_map(|freeze| read_freeze(freeze).err())
        .flatten();
    let soak = raw.soak.as_ref().and_then(|soak| read_soak(soak).err());
    let alone = raw
        .soak
        .as_ref()
        .filter(|_| raw.from.is_none())
        .map(|soak| TimeFault {
            span: soak.span,
            message: format!(
                "`{}` names no environment to take its sets from",
                raw.name.as_str()
            ),
            help: "a soak is the time in another environment: name it with `from`".to_owned(),
        });

    for TimeFault {
        span,
        message,
        help,
    } in freezes.chain(soak).chain(alone)
    {
        findings.push(item.make_finding(&RULE, span, message).with_help(help));
    }
}

fn environment_reference(raw: &RawEnvironment) -> String {
    raw.reference.as_ref().map_or_else(
        || Environment::named(&raw.name).reference,
        |reference| reference.value.clone(),
    )
}

fn check_references(
    item: &Item<'_, RawRepository>,
    environment: &Named<'_>,
    findings: &mut Vec<Finding>,
) {
    let Named { raw, reference } = environment;
    let name = raw.name.as_str();
    let published = item
        .raw
        .publish_branch
        .as_ref()
        .map(|branch| branch.as_str().to_owned());
    let published = format!(
        "refs/heads/{}",
        published.unwrap_or(Settings::default().publish_branch)
    );
    if let Some(fault) = ref_fault(reference) {
        let message = format!(
            "the ref of `{name}` cannot be `{}`: {fault}",
            reference.escape_debug()
        );
        let help = "write a full name, such as `ref: refs/heads/production`";
        findings.push(
            item.make_finding(&RULE, environment.reference_span(), message)
                .with_help(help),
        );
    } else if *reference == published {
        let message =
            format!("`{name}` is on the publish branch itself: promotions would be commits on it");
        findings.push(
            item.make_finding(&RULE, environment.reference_span(), message)
                .with_help("give it a branch of its own"),
        );
    }

    let from_itself = |from: &str| from == name || format!("refs/heads/{from}") == *reference;
    if let Some(from) = raw.from.as_ref().filter(|from| from_itself(from)) {
        let message = format!("`{name}` cannot take its sets from itself");
        findings.push(
            item.make_finding(&RULE, from.span, message)
                .with_help("name a branch or another environment"),
        );
    }
}

fn check_twice<'a>(
    item: &Item<'_, RawRepository>,
    environments: &'a [Named<'a>],
    key: impl Fn(&'a Named<'a>) -> &'a str,
    what: &str,
    findings: &mut Vec<Finding>,
) {
    let place = |environment: &Named<'_>| {
        if what == "name" {
            environment.raw.name.span
        } else {
            environment.reference_span()
        }
    };

    let mut seen: FxHashMap<&str, &Named<'_>> = FxHashMap::default();
    for environment in environments {
        let key = key(environment);
        if let Some(first) = seen.get(key) {
            let message = format!("two environments have the {what} `{}`", key.escape_debug());
            let finding = item
                .make_finding(&RULE, place(environment), message)
                .with_help(format!("give it another {what}"));
            findings.push(finding.with_related(item.file, place(first), "the first one is here"));
        } else {
            seen.insert(key, environment);
        }
    }
}

/// Why git does not take a name for a ref (<https://git-scm.com/docs/git-check-ref-format>).
fn ref_fault(name: &str) -> Option<&'static str> {
    const FORBIDDEN: [char; 8] = [' ', '~', '^', ':', '?', '*', '[', '\\'];
    let parts = || name.split('/');
    if !name.starts_with("refs/") {
        Some("it does not begin with `refs/`")
    } else if parts().any(str::is_empty) {
        Some("a part between its slashes is empty")
    } else if parts().any(|part| part.starts_with('.') || part.ends_with(".lock")) {
        Some("a part of it begins with `.` or ends with `.lock`")
    } else if name.contains("..") || name.contains("@{") || name.ends_with('.') {
        Some("it has `..` or `@{`, or ends with `.`")
    } else if name.contains(|c: char| c.is_control() || FORBIDDEN.contains(&c)) {
        Some("it has a character that git does not allow there")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::ref_fault;
    use crate::policy::rules::tests::{ATTACHED, places};

    fn of(settings: &str) -> Vec<(&'static str, u32)> {
        let settings = format!("apiVersion: refguard/v1\nkind: Repository\n{settings}");
        places(&[("p.yaml", ATTACHED), ("refguard.yaml", &settings)])
    }

    #[test]
    fn refs_as_git_takes_them() {
        for name in ["refs/heads/production", "refs/env/a-b.c", "refs/heads/é"] {
            assert_eq!(ref_fault(name), None, "{name}");
        }

        let bad = [
            "production",
            "refs/",
            "refs//a",
            "refs/.a",
            "refs/a.lock",
            "refs/a..b",
            "refs/a b",
            "refs/a@{1",
            "refs/a.",
        ];

        for name in bad {
            assert!(ref_fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_fault_of_an_environment_has_its_line() {
        assert_eq!(
            of("environments: [{name: production}, {name: staging, from: main}]\n"),
            []
        );
        assert_eq!(
            of(
                "environments:\n  - name: production\n  - name: production\n    ref: refs/heads/x\n"
            ),
            [("RG116", 5), ("RG124", 6)]
        );
        assert_eq!(
            of("environments:\n  - name: a\n  - name: b\n    ref: refs/heads/a\n"),
            [("RG116", 6), ("RG124", 6)]
        );
        assert_eq!(
            of("environments:\n  - name: a\n    from: a\n"),
            [("RG116", 5)]
        );
        assert_eq!(of("environments:\n  - name: a b\n"), [("RG116", 4)]);
        assert_eq!(of("environments:\n  - name: main\n"), [("RG116", 4)]);
        assert_eq!(of("environments:\n  - name: HEAD\n"), [("RG116", 4)]);
        assert_eq!(of("environments:\n  - name: '-x'\n"), [("RG116", 4)]);
        assert_eq!(
            of("environments:\n  - name: eu/a\n  - name: eu/a/b\n"),
            [("RG116", 5)]
        );

        assert_eq!(of("publish_branch: a..b\n"), [("RG116", 3), ("RG222", 3)]);
    }

    #[test]
    fn a_freeze_or_soak_that_cannot_be_followed_has_its_line() {
        let of = |rest: &str| of(&format!("environments:\n  - name: a\n{rest}"));
        assert_eq!(
            of("    freeze: [{from: 2026-12-20, to: 2027-01-02T06:00:00Z}]\n"),
            []
        );
        assert_eq!(
            of("    freeze: [{days: [fri], from: 16:00, to: \"24:00\"}]\n"),
            []
        );
        assert_eq!(
            of("    freeze: [{from: soon, to: 2027-01-02}]\n"),
            [("RG116", 5)]
        );
        assert_eq!(
            of("    freeze: [{days: [], from: \"16:00\", to: \"17:00\"}]\n"),
            [("RG116", 5)]
        );
        assert_eq!(of("    from: b\n    soak: 24h\n"), []);
        assert_eq!(of("    from: b\n    soak: never\n"), [("RG116", 6)]);

        assert_eq!(of("    soak: 24h\n"), [("RG116", 5)]);
    }

    #[test]
    fn an_error_is_not_lowered_and_a_warning_may_be() {
        assert_eq!(
            of("rules: {unused-policy: off, RG202: error, duplicate-policy: error}\n"),
            []
        );
        assert_eq!(of("rules:\n  duplicate-policy: warn\n"), [("RG116", 4)]);
        assert_eq!(of("rules:\n  yaml-syntax: off\n"), [("RG116", 4)]);
    }

    #[test]
    fn settings_stand_once_and_at_the_root() {
        let settings = "apiVersion: refguard/v1\nkind: Repository\n";
        assert_eq!(
            places(&[("a.yaml", settings), ("p.yaml", ATTACHED)]),
            [("RG116", 1)]
        );
        let twice = format!("{settings}---\n{settings}");

        assert_eq!(
            places(&[("p.yaml", ATTACHED), ("refguard.yaml", &twice)]),
            [("RG116", 4)]
        );
    }
}
