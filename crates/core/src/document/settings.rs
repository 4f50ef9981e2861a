//! What settings must keep besides their shape: a bound on what verbs and daemons look at one by
//! one.

use super::limits::MAX_ENVIRONMENTS;
use super::rules::limit_exceeded;
use super::{Body, Finding, SourceFile};

/// Every fault of a document, if it holds settings.
pub(super) fn judge_settings(file: &SourceFile, body: &Body) -> Option<Finding> {
    let Body::Repository(settings) = body else {
        return None;
    };
    let environments = settings.environments.as_ref()?;
    let first_too_many = environments.get(MAX_ENVIRONMENTS)?;
    let span = first_too_many.name.span;
    let what = format!("these settings have {} environments", environments.len());
    let finding = limit_exceeded::report_limit(file, span, "environments", MAX_ENVIRONMENTS, &what);

    Some(finding.with_help("an environment is a place that is promoted to, not a team or a tenant"))
}

#[cfg(test)]
mod tests {
    use super::MAX_ENVIRONMENTS;
    use crate::document::{Limits, load_file};

    #[test]
    fn settings_have_so_many_environments_and_no_more() {
        let found = |count: usize| {
            let names: Vec<String> = (0..count).map(|it| format!("  - name: e{it}\n")).collect();
            let text = format!(
                "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n{}",
                names.concat()
            );
            let loaded = load_file("refguard.yaml", text.into_bytes(), &Limits::DEFAULT);
            loaded
                .findings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };

        assert_eq!(found(MAX_ENVIRONMENTS), [""; 0]);
        let one_more = found(MAX_ENVIRONMENTS + 1);
        assert_eq!(one_more.len(), 1);

        assert!(
            one_more[0].contains("the limit `environments` is 200"),
            "{one_more:?}"
        );
    }
}
