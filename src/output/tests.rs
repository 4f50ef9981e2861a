//! Every format over one set of real findings, and what no text or span may do to any of them.

mod hostile;
mod schemas;

use refguard_core::document::{Limits, Loaded, Severity, load_file};

use super::*;

const TYPO: &str = "\
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
team: [finance]
";

const TWICE: &str = "\
apiVersion: refguard/v1
kind: Policy
name: baseline
owner: no
guardrails:
  add: [pii_blocker]
description: a {0} and a [link](https://example.com) for @everyone
guardrails:
  add: [debug_log]
";

/// A key and a value that try to leave the line they are shown on.
const HOSTILE: &str = "\
apiVersion: refguard/v1
kind: Policy
name: hostile
\"x\\e[2J\\n::error file=a::`owned`\": |
  ##[stop-commands]
descripton: \u{202e}evil
";

fn long_line() -> String {
    let names = |from: u32| {
        (from..from + 80)
            .map(|n| format!("guardrail_{n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "apiVersion: refguard/v1\nkind: Policy\nname: wide\n\
         guardrails: {{add: [{}], drop: [x], remove: [{}]}}\n",
        names(100),
        names(200)
    )
}

/// Real findings of every shape, in the order of a report.
fn fixture() -> Loaded {
    let limits = Limits::DEFAULT;
    let mut all = Loaded::default();
    let files = [
        ("policies/baseline.yaml", TYPO),
        ("policies/ünï code,50%.yaml", TWICE),
        ("policies/hostile.yaml", HOSTILE),
    ];
    for (path, text) in files {
        all.append_loaded(load_file(path, text.as_bytes().to_vec(), &limits));
    }
    all.append_loaded(load_file(
        "policies/wide.yaml",
        long_line().into_bytes(),
        &limits,
    ));
    all.append_loaded(Loaded::oversized_file(
        "policies/big.yaml",
        2_000_000,
        &limits,
    ));
    all.append_loaded(Loaded::stray_file("policies/notes.txt", "policies"));
    all.findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    all
}

const CHECKED: Checked = Checked {
    files: 14,
    policies: 12,
    attachments: 9,
    tests: 1,
};

fn rendered(findings: &[Finding], sources: &[SourceFile], format: Format, style: Style) -> String {
    let mut out = Vec::new();
    render(
        &Report {
            findings,
            sources,
            checked: CHECKED,
            prefix: "",
        },
        format,
        style,
        &mut out,
    )
    .unwrap();
    String::from_utf8(out).unwrap()
}

fn fixture_as(format: Format) -> String {
    let all = fixture();
    rendered(&all.findings, &all.sources, format, Style::default())
}

fn clean_as(format: Format) -> String {
    rendered(&[], &[], format, Style::default())
}

#[test]
fn a_name_of_a_format_reads_back_and_another_is_refused() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let refused = "xml".parse::<Format>().unwrap_err().to_string();
    assert_eq!(
        refused,
        "unknown format `xml`: it is one of human, json, sarif, github, junit, gitlab"
    );
    assert!(
        Format::ALL
            .iter()
            .all(|format| refused.contains(format.as_str()))
    );
}

#[test]
fn human() {
    insta::assert_snapshot!(fixture_as(Format::Human));
}

#[test]
fn human_in_colour_says_the_same() {
    let all = fixture();
    let colored = rendered(
        &all.findings,
        &all.sources,
        Format::Human,
        Style {
            color: true,
            columns: Some(120),
            ..Style::default()
        },
    );
    assert!(colored.contains("\u{1b}["));
    assert_eq!(
        anstream::adapter::strip_str(&colored).to_string(),
        fixture_as(Format::Human)
    );
}

#[test]
fn human_lines_fit_a_narrow_terminal() {
    let all = fixture();
    let narrow = rendered(
        &all.findings,
        &all.sources,
        Format::Human,
        Style {
            color: false,
            columns: Some(60),
            ..Style::default()
        },
    );
    let source_lines: Vec<_> = narrow
        .lines()
        .filter(|line| line.contains("guardrail_"))
        .collect();
    assert!(!source_lines.is_empty());
    assert!(
        source_lines.iter().all(|line| line.chars().count() <= 60),
        "{source_lines:?}"
    );
}

#[test]
fn human_labels_what_is_near_and_notes_what_is_not() {
    use refguard_core::document::{Span, rules::duplicate_key::RULE};
    let file = SourceFile::new(
        "a.yaml",
        format!(
            "one\rtwo\r\nthree {}\n{}end\n",
            "x".repeat(300),
            "\n".repeat(200)
        ),
    );
    let other = SourceFile::new("b.yaml", "\nfour\n".to_owned());
    let text = file.text();
    let at = |word: &str| {
        text.find(word)
            .map(|start| Span::new(start, start + word.len()))
            .unwrap()
    };
    let far = Span::new(text.rfind("xx").unwrap(), text.rfind("xx").unwrap() + 2);
    let finding = Finding::new(&RULE, &file, at("three"), "said thrice")
        .with_related(&file, at("one"), "two lines above")
        .with_related(&file, far, "far to the right")
        .with_related(&file, at("end"), "far below")
        .with_related(&other, Span::new(1, 5), "in another file");
    insta::assert_snapshot!(rendered(&[finding], &[file.clone(), other], Format::Human, Style { color: false, columns: Some(60), ..Style::default() }), @r"
    error[RG009]: said thrice
     --> a.yaml:3:1
      |
    1 | one
      | --- two lines above
    2 | two
    3 | three xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      | ^^^^^
      |
      = note: far to the right: a.yaml:3:305
      = note: far below: a.yaml:204:1
      = note: in another file: b.yaml:2:1
      = note: refguard explain RG009

    error: 1 error in 14 files
    ");
}

#[test]
fn human_sums_up_what_was_checked() {
    assert_eq!(
        clean_as(Format::Human),
        "ok: 12 policies, 9 attachments, 1 test in 14 files\n"
    );
    let stray = Loaded::stray_file("policies/notes.txt", "policies");
    let warned = rendered(&stray.findings, &[], Format::Human, Style::default());
    assert!(
        warned.ends_with("ok: 12 policies, 9 attachments, 1 test in 14 files, 1 warning\n"),
        "{warned}"
    );
}

#[test]
fn json() {
    insta::assert_snapshot!(fixture_as(Format::Json));
    insta::assert_snapshot!(clean_as(Format::Json), @r#"
    {
      "version": 1,
      "findings": [],
      "errors": 0,
      "warnings": 0
    }
    "#);
}

#[test]
fn github() {
    insta::assert_snapshot!(fixture_as(Format::Github));
    assert_eq!(clean_as(Format::Github), "");
}

#[test]
fn github_shows_ten_of_each_level_the_worst_first_and_counts_the_rest() {
    let all = fixture();
    let of = |severity| {
        all.findings
            .iter()
            .find(|found| found.severity == severity)
            .unwrap()
    };
    let (error, warning) = (of(Severity::Error), of(Severity::Warning));
    let many: Vec<Finding> = std::iter::repeat_n(warning, 11)
        .chain(std::iter::repeat_n(error, 25))
        .cloned()
        .collect();
    // What says the same is one annotation.
    let said = |(at, finding): (usize, Finding)| Finding {
        message: format!("{at}: {}", finding.message),
        ..finding
    };
    let many: Vec<Finding> = many.into_iter().enumerate().map(said).collect();
    let text = rendered(&many, &[], Format::Github, Style::default());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[..10].iter().all(|line| line.starts_with("::error ")));
    assert!(
        lines[10..20]
            .iter()
            .all(|line| line.starts_with("::warning "))
    );
    assert_eq!(
        lines[20],
        "::notice title=refguard::15 more errors and 1 more warning: every one is a line of the log"
    );
    assert_eq!(lines.len(), 21 + many.len());
    let place = |found: &Finding| format!("{}:{}:", found.location.file, found.location.line);
    for (line, found) in lines[21..].iter().zip(&many) {
        assert!(line.starts_with(&place(found)), "{line}");
    }
}

#[test]
fn junit() {
    insta::assert_snapshot!(fixture_as(Format::Junit));
    insta::assert_snapshot!(clean_as(Format::Junit), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="refguard" tests="1" failures="0" errors="0">
      <testsuite name="refguard validate" tests="1" failures="0" errors="0" skipped="0">
        <testcase name="all policies" classname="refguard"/>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn gitlab() {
    insta::assert_snapshot!(fixture_as(Format::Gitlab));
    assert_eq!(clean_as(Format::Gitlab), "[]\n");
}

#[test]
fn sarif() {
    let sarif = fixture_as(Format::Sarif).replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    insta::assert_snapshot!(sarif);
}

#[test]
fn a_rule_explained() {
    let unknown_field = fixture()
        .findings
        .iter()
        .map(|f| f.rule)
        .find(|rule| rule.code == "RG012")
        .unwrap();
    insta::assert_snapshot!(format_rule(unknown_field));
    insta::assert_snapshot!(rules_markdown(&[unknown_field]));
}

#[test]
fn explanations_of_all_rules_hold_no_control_character() {
    let rules = refguard_core::document::rules::ALL;
    let page = rules_markdown(rules);
    for rule in rules {
        let text = format_rule(rule);
        assert!(
            text.starts_with(rule.code) && text.contains(rule.name),
            "{text}"
        );
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert_eq!(
            page.matches(&format!("\n## {} {}\n", rule.code, rule.name))
                .count(),
            1
        );
    }
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
}
