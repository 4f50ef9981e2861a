//! A comment of much that is hostile.

use super::*;
use crate::ops::{ComingVersion, ComingVersions};
use crate::repo::CommitId;
use refguard_core::document::{Finding, Span, rules};
use refguard_core::policy::Counts;

/// Characters that escapes make many of.
const HOSTILE: &str = "@#`|<!-- x -->";

fn hostile(length: usize) -> String {
    HOSTILE.chars().cycle().take(length).collect()
}

fn owner(number: usize) -> Owner {
    let policies = vec![hostile(128); 20];
    Owner {
        owner: Some(format!("{number}{}", hostile(4_000))),
        policies,
    }
}

fn review() -> Review {
    let rule = rules::ALL.first().copied().unwrap();
    let file = refguard_core::document::SourceFile::new(hostile(4_000), String::new());
    let finding = |number: usize| {
        Finding::new(
            rule,
            &file,
            Span::new(0, 0),
            format!("{number}{}", hostile(4_000)),
        )
        .with_help(hostile(4_000))
    };
    let environment = |number: usize| Foreseen {
        environment: format!("{number}{}", hostile(128)),
        could: false,
        undecided: false,
        gates: vec![GateWord {
            gate: "hold",
            says: Says::Refused,
            message: hostile(4_000),
            file: Some(hostile(4_000)),
            line: Some(1),
        }],
    };
    let version = |number: u64| ComingVersion {
        policy: hostile(128),
        number,
        removed: true,
    };
    Review {
        base: hostile(4_000),
        base_commit: "0123456789012345678901234567890123456789"
            .parse::<CommitId>()
            .unwrap(),
        head: hostile(4_000),
        head_commit: None,
        prefix: String::new(),
        counts: Counts::default(),
        new: (0..500).map(finding).collect(),
        gone: 3,
        errors: 500,
        diff: None,
        impact: None,
        shift: None,
        owners: (0..500).map(owner).collect(),
        safeguards: None,
        tests: None,
        versions: ComingVersions::Known((1..500).map(version).collect()),
        environments: (0..100).map(environment).collect(),
        replay: None,
    }
}

#[test]
fn a_comment_is_shorter_than_what_forges_take_however_much_there_is_to_say() {
    let page = review_markdown(&review(), &PlaceLinks::default());
    assert!(page.len() < 65_536, "{}", page.len());
    assert!(
        page.contains("### Gates") && page.contains("### Whom to ask"),
        "{page}"
    );
    assert!(page.contains("- … and "), "{page}");
    let json = serde_json::to_value(crate::output::review_object(&review())).unwrap();
    assert_eq!(json["findings"]["new"].as_array().map(Vec::len), Some(500));
}

#[test]
fn a_gate_that_there_was_no_time_for_refuses_nothing() {
    let foreseen = Foreseen {
        environment: "production".to_owned(),
        could: false,
        undecided: true,
        gates: vec![GateWord {
            gate: "valid",
            says: Says::Undecided,
            message: "a loss of protection cannot be ruled out".to_owned(),
            file: None,
            line: None,
        }],
    };
    let review = Review {
        environments: vec![foreseen],
        ..review()
    };
    let page = review_markdown(&review, &PlaceLinks::default());
    let said = "production not decided in the time of this review: gate valid";
    assert!(page.replace('`', "").contains(said), "{page}");
    assert!(!page.contains("could not take it"), "{page}");
    assert!(page.contains("is not decided in the time"), "{page}");
    let json = serde_json::to_value(crate::output::review_object(&review)).unwrap();
    let environment = &json["environments"][0];
    assert_eq!(environment["undecided"], true, "{environment}");
    assert_eq!(environment["gates"][0]["says"], "undecided");
}
