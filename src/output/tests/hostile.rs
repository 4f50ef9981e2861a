//! No text and no span makes a renderer panic, and no text leaves the place where it is shown.

use proptest::prelude::*;
use refguard_core::document::rules::{duplicate_key, unknown_field};
use refguard_core::document::{Related, Span};

use super::super::escape::*;
use super::*;
use crate::ops::{CaseReport, Got, TestReport};
use crate::output::causes::group_findings;
use crate::output::failures::group_failures;

/// Text with much of what hurts.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => any::<char>().prop_map(String::from),
        4 => "[a-z: ]{0,12}",
        2 => prop::sample::select(vec![
            "\n", "\r", "\r\n", "\t", "\u{1b}[2J", "\u{202e}", "\u{feff}", "\u{85}", "\u{2028}", "\0", "::error::", "\n::",
            "##[group]", "##vso[x]", "###", "`", "```", "|", "<b>", "-->", "@user", "#12", "a@b.cc", "[x](y)", "%0A", "%",
            "www.x.y", "https://x.y", "\\", "]]>", "&amp;", "漢字", "e\u{301}", "🏳\u{fe0f}\u{200d}🌈", "\u{ffff}", "{0}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A finding anywhere in a file, or nowhere in it.
fn finding(file: SourceFile) -> impl Strategy<Value = Finding> {
    let real = (0u32..80, 0u32..80);
    let claimed = prop::option::weighted(
        0.3,
        (0u32..200, 0u32..200, any::<u32>(), 0u32..200, 0u32..200),
    );
    let place = (real, claimed).prop_map(move |((start, end), claimed)| {
        let mut location = file.locate_span(Span { start, end });
        if let Some((start, end, line, column, end_line)) = claimed {
            location.span = Span { start, end };
            (location.line, location.column, location.end_line) = (line, column, end_line);
        }
        location
    });
    let place = place.boxed();
    let related = prop::collection::vec((place.clone(), text()), 0..3);
    let help = prop::option::of(text());
    (place, text(), help, related, any::<bool>()).prop_map(
        |(location, message, help, related, is_error)| Finding {
            rule: if is_error {
                &unknown_field::RULE
            } else {
                &duplicate_key::RULE
            },
            severity: if is_error {
                refguard_core::document::Severity::Error
            } else {
                refguard_core::document::Severity::Warning
            },
            since: duplicate_key::RULE.since,
            message,
            location,
            help,
            related: related
                .into_iter()
                .map(|(location, message)| Related { location, message })
                .collect(),
        },
    )
}

fn report() -> impl Strategy<Value = (SourceFile, Vec<Finding>)> {
    (text(), text()).prop_flat_map(|(path, text)| {
        let file = SourceFile::new(path, text);
        (
            Just(file.clone()),
            prop::collection::vec(finding(file), 0..4),
        )
    })
}

/// Nothing that moves the cursor, hides, or turns the direction of writing.
fn is_plain(text: &str) -> bool {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.chars().any(|c| c != '\n' && hidden(c))
}

/// Whether a CI runner would take the line for a command.
fn obeyed(line: &str) -> bool {
    let mut after_hashes = line
        .match_indices("##")
        .filter_map(|(at, hashes)| line.get(at + hashes.len()..));
    line.trim_start().starts_with("::")
        || after_hashes.any(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
                .starts_with('[')
        })
}

proptest! {
    #[test]
    fn a_terminal_gets_one_plain_line(text in text()) {
        let escaped = escape_terminal(&text);
        prop_assert!(is_plain(&escaped) && !escaped.contains('\n'), "{escaped:?}");
        prop_assert!(!obeyed(&escaped), "{escaped:?}");
    }

    #[test]
    fn markdown_gets_plain_words(text in text()) {
        let escaped = escape_markdown(&text);
        prop_assert!(is_plain(&escaped) && !escaped.contains(['\n', '<', '>', '`', '|', '@', ':']), "{escaped:?}");
        prop_assert!(!escaped.contains("www."), "{escaped:?}");
        // What is left of markup has a backslash that is not itself escaped.
        let mut chars = escaped.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => prop_assert!(chars.next().is_some_and(|next| next.is_ascii_punctuation()), "{escaped:?}"),
                '&' => prop_assert!(chars.next() == Some('#') && chars.by_ref().find(|c| !c.is_ascii_digit()) == Some(';')),
                c => prop_assert!(!"*_[]()#{}+-=~!$^%".contains(c), "{escaped:?}"),
            }
        }
    }

    #[test]
    fn markdown_code_is_one_span(text in text()) {
        let code = markdown_code(&text);
        prop_assert!(is_plain(&code) && !code.contains(['\n', '|']), "{code:?}");
        if !code.starts_with("<code>") {
            let fence: String = code.chars().take_while(|c| *c == '`').collect();
            let inside = code.strip_prefix(&fence).and_then(|rest| rest.strip_suffix(&fence)).unwrap();
            prop_assert!(!inside.is_empty() && !inside.contains(&fence), "{code:?}");
        }
    }

    #[test]
    fn a_markdown_block_ends_where_it_should(text in text()) {
        let block = markdown_block("yaml", &text);
        let fence = block.split("yaml").next().unwrap().to_owned();
        let inside = block.split_once('\n').unwrap().1.strip_suffix(&format!("{fence}\n")).unwrap();
        prop_assert!(is_plain(&block) && !inside.contains(&fence), "{block:?}");
    }

    #[test]
    fn every_report_renders((file, findings) in report(), with_source in any::<bool>(), width in 0usize..200) {
        let sources = if with_source { vec![file] } else { Vec::new() };
        for color in [false, true] {
            rendered(&findings, &sources, Format::Human, Style { color, columns: Some(width), ..Style::default() });
        }
        for format in [Format::Json, Format::Sarif, Format::Gitlab] {
            let json: serde_json::Value = serde_json::from_str(&rendered(&findings, &sources, format, Style::default())).unwrap();
            prop_assert!(json.is_object() || json.is_array());
        }
    }

    #[test]
    fn a_log_obeys_no_text((file, findings) in report()) {
        let human = rendered(&findings, &[file], Format::Human, Style::default());
        prop_assert!(is_plain(&human), "{human:?}");
        prop_assert!(!human.lines().any(obeyed), "{human}");
    }

    #[test]
    fn github_gets_a_command_a_cause_and_a_plain_line_a_finding((_, findings) in report()) {
        let github = rendered(&findings, &[], Format::Github, Style::default());
        prop_assert!(is_plain(&github));
        let (commands, plain): (Vec<&str>, Vec<&str>) =
            github.lines().partition(|line| line.starts_with("::"));
        prop_assert_eq!(commands.len(), group_findings(findings.iter()).len());
        prop_assert_eq!(plain.len(), findings.len());
        prop_assert!(!plain.iter().any(|line| obeyed(line)), "{plain:?}");
        for line in commands {
            let (properties, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
            let (severity, properties) = properties.split_once(' ').unwrap();
            prop_assert!(severity == "error" || severity == "warning");
            let names: Vec<_> = properties.split(',').map(|pair| pair.split('=').next().unwrap()).collect();
            prop_assert!(names == ["file", "line", "endLine", "title"]
                || names == ["file", "line", "endLine", "col", "endColumn", "title"], "{names:?}");
        }
    }

    #[test]
    fn junit_is_well_formed((_, findings) in report()) {
        let junit = rendered(&findings, &[], Format::Junit, Style::default());
        let forbidden = junit.contains(['\u{fffe}', '\u{ffff}']);
        prop_assert!(is_plain(&junit) && !forbidden);
        let mut reader = quick_xml::Reader::from_str(&junit);
        while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
    }
}

/// A report of test cases whose names and differences are of any text, long or short.
fn test_report() -> impl Strategy<Value = TestReport> {
    let case = (
        text(),
        text(),
        text(),
        prop::collection::vec(text(), 0..3),
        any::<bool>(),
        1usize..800,
    );
    let case = case.prop_map(|(file, test, case, differences, ok, repeat)| CaseReport {
        file,
        line: 1,
        test,
        case: case.repeat(repeat),
        ok,
        got: Got {
            guardrails: Vec::new(),
            policies: Vec::new(),
            action: refguard_core::document::FinalAction::Allow,
        },
        want: serde_json::Value::Null,
        differences: differences
            .into_iter()
            .map(|line| line.repeat(repeat))
            .collect(),
        near: Vec::new(),
    });
    prop::collection::vec(case, 0..14).prop_map(|cases| TestReport {
        version: 1,
        passed: cases.iter().filter(|case| case.ok).count(),
        failed: cases.iter().filter(|case| !case.ok).count(),
        cases,
        coverage: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn long_texts_render_in_every_format_at_a_bounded_size(
        (file, findings) in report(),
        repeat in 1usize..4_000,
        width in 0usize..400,
    ) {
        let file = SourceFile::new(file.path().to_string(), file.text().repeat(repeat));
        let long: Vec<Finding> = findings
            .into_iter()
            .map(|found| Finding {
                message: found.message.repeat(repeat),
                help: found.help.map(|help| help.repeat(repeat)),
                ..found
            })
            .collect();
        let given: usize = long
            .iter()
            .map(|found| found.message.len() + found.help.as_ref().map_or(0, String::len))
            .sum();
        for format in Format::ALL {
            let style = Style { columns: Some(width), ..Style::default() };
            let text = rendered(&long, std::slice::from_ref(&file), format, style);
            // The longest escape of a byte has eight; `&#8203;` and the like come in threes.
            prop_assert!(text.len() <= 24 * given + 60_000, "{format}: {} of {given}", text.len());
        }
    }

    #[test]
    fn results_of_tests_stay_in_their_formats(report in test_report()) {
        let junit = tests_junit(&report);
        let forbidden = junit.contains(['\u{fffe}', '\u{ffff}']);
        prop_assert!(is_plain(&junit) && !forbidden);
        let mut names = std::collections::BTreeSet::new();
        let mut reader = quick_xml::Reader::from_str(&junit);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag)
                    if tag.name().as_ref() == b"testcase" =>
                {
                    let attributes: Vec<_> =
                        tag.attributes().map(|attribute| attribute.unwrap().value.into_owned()).collect();
                    prop_assert!(names.insert(attributes), "two cases have one name");
                }
                _ => {}
            }
        }
        prop_assert_eq!(names.len(), report.cases.len());

        let github = tests_github(&report, "policies");
        prop_assert!(is_plain(&github));
        let commands = github.lines().filter(|line| line.starts_with("::error ")).count();
        prop_assert_eq!(commands, group_failures(&report.cases).len().min(10));
        let plain = github.lines().filter(|line| line.starts_with("policies/")).count();
        prop_assert_eq!(plain, report.failed);
        prop_assert!(is_plain(&tests_human(&report, Style::default())));
    }
}
