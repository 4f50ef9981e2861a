//! What the requests of a test must keep besides their shape: one spelling of each dimension, and
//! the limits that every request keeps, wherever it comes from.

use super::limits::{MAX_TAGS, MAX_VALUE};
use super::rules::{duplicate_key, limit_exceeded};
use super::{Body, Dimension, Finding, RawCase, RawContext, Release, SourceFile, Spanned};

/// Every fault of the requests of a document, if it is a test.
pub(super) fn judge_requests(file: &SourceFile, body: &Body) -> Vec<Finding> {
    let Body::Test(test) = body else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for case in &test.cases {
        findings.extend(
            case.context
                .iter()
                .flat_map(|context| both_spellings(file, context)),
        );
        for dimension in Dimension::ALL {
            judge_values(file, case, dimension, &mut findings);
        }
    }

    findings
}

/// `team` beside `team_alias`: one dimension given twice.
fn both_spellings(file: &SourceFile, context: &RawContext) -> Vec<Finding> {
    let twice = Dimension::WRITTEN.map(|dimension| {
        let [first, second] = context.both_names(dimension)?;
        Some(duplicate_key::report_key(
            file,
            second.span,
            dimension.singular(),
            first.span,
        ))
    });

    twice.into_iter().flatten().collect()
}

/// Every value that is too long, and every list of too many.
fn judge_values(
    file: &SourceFile,
    case: &RawCase,
    dimension: Dimension,
    findings: &mut Vec<Finding>,
) {
    let shared = case
        .context
        .as_ref()
        .map_or(&[][..], |context| context.values(dimension));
    let choices = case
        .matrix
        .as_ref()
        .and_then(|matrix| matrix.choices_of(dimension));
    let choices = choices.unwrap_or_default();
    let is_long = |value: &&Spanned<String>| value.len() > MAX_VALUE;
    for value in shared
        .iter()
        .chain(choices.iter().copied().flatten())
        .filter(is_long)
    {
        let what = format!("this {} has {} bytes", dimension.singular(), value.len());
        let finding =
            limit_exceeded::report_limit(file, value.span, "request-value", MAX_VALUE, &what);
        findings
            .push(newer_than_file(finding).with_help("no request with a longer value is answered"));
    }

    // What a matrix gives of a set comes on top of what all its requests share.
    let most = choices.iter().map(|choice| choice.len()).max().unwrap_or(0);
    let total = shared.len() + most;

    if dimension.is_set() && total > MAX_TAGS {
        let place = shared
            .first()
            .or_else(|| choices.iter().copied().flatten().next());
        let place = place.map_or(case.name.span, |value| value.span);
        let what = format!("a request of this case has {total} {}", dimension.plural());
        let finding = limit_exceeded::report_limit(file, place, "request-tags", MAX_TAGS, &what);
        findings
            .push(newer_than_file(finding).with_help("no request with more of them is answered"));
    }
}

/// A limit of requests that 0.1 did not have.
fn newer_than_file(finding: Finding) -> Finding {
    finding.since_release(Release::V0_2)
}

#[cfg(test)]
mod tests {
    use crate::document::{Limits, load_file};

    fn found(case: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n\
             - name: c\n  expect: {{}}\n{case}"
        );
        let loaded = load_file("t.yaml", text.into_bytes(), &Limits::DEFAULT);
        loaded
            .findings
            .iter()
            .map(|f| format!("{}: {}", f.location.line, f.message))
            .collect()
    }

    #[test]
    fn a_value_has_at_most_1024_bytes_in_a_context_and_in_a_matrix() {
        let (fits, long) = ("x".repeat(1024), "é".repeat(513));
        for (case, what) in [
            ("  context: {key: VALUE}", "key"),
            ("  context:\n    team_alias: VALUE", "team"),
            ("  context: {tags: [a, VALUE]}", "tag"),
            ("  matrix: {models: [VALUE]}", "model"),
            ("  matrix: {tags: [[a, VALUE]]}", "tag"),
        ] {
            assert_eq!(found(&case.replace("VALUE", &fits)), [""; 0], "{case}");
            let line = 6 + case.lines().count();
            let want =
                format!("{line}: this {what} has 1026 bytes: the limit `request-value` is 1024");
            assert_eq!(found(&case.replace("VALUE", &long)), [want], "{case}");
        }
    }

    #[test]
    fn a_request_has_at_most_256_tags_those_of_its_matrix_counted() {
        let tags = |count: usize| vec!["t"; count].join(", ");
        let case = |shared, own| {
            format!(
                "  context: {{tags: [{}]}}\n  matrix: {{tags: [[{}], x]}}\n",
                tags(shared),
                tags(own)
            )
        };

        assert_eq!(found(&case(250, 6)), [""; 0]);
        let want = "7: a request of this case has 257 tags: the limit `request-tags` is 256";
        assert_eq!(found(&case(250, 7)), [want]);

        assert_eq!(found(&case(0, 257)).len(), 1);
    }
}
