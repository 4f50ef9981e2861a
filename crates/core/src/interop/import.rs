//! A LiteLLM config to a policy repository: files in memory, judged before they are handed over.

use super::config;
use super::write;
use super::written::{WrittenFiles, attachment_files, file_label, file_writer, policy_files};
use crate::document::{Finding, SourceFile};
use crate::policy::{Counts, PolicySet};

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// The repository: paths relative to its root, with `/`, and texts. Empty where a finding is an
    /// error.
    pub files: Vec<(String, String)>,
    /// The set that the files make; `None` where a finding is an error.
    pub set: Option<PolicySet>,
    /// Every finding, at its place in what was imported.
    pub findings: Vec<Finding>,
    /// What was imported, for renderers.
    pub sources: Vec<SourceFile>,
    /// How many documents the files hold.
    pub counts: Counts,
}

/// Turns a LiteLLM proxy config into a policy repository. `path` is what findings call the config.
///
/// Nothing is dropped in silence: what cannot be expressed, or was read by LiteLLM in another way
/// than it was written, is a finding. With an error among them there are no files.
pub fn import_config(path: &str, text: String) -> Imported {
    let source = SourceFile::new(file_label(path), text);
    let mut findings = Vec::new();
    let config = config::read_config(&source, &mut findings);
    let mut written = WrittenFiles::new(&source);
    let catalog = write::catalog_document(config.guardrails.as_deref(), config.models.as_deref());
    written.add_files(
        &source,
        catalog.map(|tree| file_writer("catalog.yaml", &tree)),
    );
    written.add_files(&source, policy_files(&config.policies));
    written.add_files(&source, attachment_files(&config.attachments));
    let checked = written.judge_files(config.broken, findings);
    let files = if checked.set.is_some() {
        written.texts()
    } else {
        Vec::new()
    };

    let (set, findings, counts) = (checked.set, checked.findings, checked.counts);
    Imported {
        files,
        set,
        findings,
        sources: vec![source],
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Dimension;

    /// `line:column code` of each finding.
    fn found(text: &str) -> Vec<String> {
        let said =
            |f: &Finding| format!("{}:{} {}", f.location.line, f.location.column, f.rule.code);
        import_config("config.yaml", text.to_owned())
            .findings
            .iter()
            .map(said)
            .collect()
    }

    fn files(text: &str) -> Vec<(String, String)> {
        let imported = import_config("config.yaml", text.to_owned());
        assert!(imported.set.is_some(), "{:#?}", imported.findings);
        imported.files
    }

    const SOUND: &str = "policies:\n  p:\n    guardrails: {add: [g]}\npolicy_attachments:\n\
        - policy: p\n  scope: \"*\"\n";

    #[test]
    fn a_config_becomes_a_repository() {
        let config = r#"
model_list:
  - model_name: gpt-4
    litellm_params: {model: azure/gpt-4, api_key: os.environ/AZURE_KEY}
  - {model_name: gpt-4, litellm_params: {model: openai/gpt-4}}
  - {model_name: openai/*, litellm_params: {model: openai/*}}
guardrails:
  - guardrail_name: pii
    litellm_params: {guardrail: presidio, mode: pre_call}
  - guardrail_name: "no"
policies:
  Global Baseline:
    description: "a: b"
    guardrails: [pii]
    condition:
  health:
    inherit: Global Baseline
    guardrails: {add: ["no"], remove:}
    pipeline: {steps: [{guardrail: "no", on_pass: next, on_error: }]}
policy_attachments:
  - {policy: Global Baseline, scope: "*", priority: "010"}
  - {policy: health, models: [openai/gpt-5, gpt-4], default: yes, tags: }
"#;
        let got: String = files(config)
            .iter()
            .map(|(path, text)| format!("== {path}\n{text}"))
            .collect();
        let want = r#"== attachments/0001.yaml
apiVersion: refguard/v1
kind: PolicyAttachment
policy: Global Baseline
scope: "*"
priority: 10
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: health
models:
  - openai/gpt-5
  - gpt-4
default: true
== catalog.yaml
apiVersion: refguard/v1
kind: Catalog
guardrails:
  - name: pii
    modes:
      - pre_call
  - "no"
models:
  - gpt-4
  - "openai/*"
== policies/global-baseline.yaml
apiVersion: refguard/v1
kind: Policy
name: Global Baseline
description: "a: b"
guardrails:
  add:
    - pii
== policies/health.yaml
apiVersion: refguard/v1
kind: Policy
name: health
inherit: Global Baseline
guardrails:
  add:
    - "no"
pipeline:
  mode: pre_call
  steps:
    - guardrail: "no"
      on_pass: next
== refguard.yaml
apiVersion: refguard/v1
kind: Repository
"#;
        assert_eq!(got, want);
    }

    #[test]
    fn traps_are_found_at_their_place() {
        let policy = |body: &str| found(&SOUND.replace("    guardrails: {add: [g]}\n", body));
        assert_eq!(
            policy("    guardrails: {add: [g], del: [x]}\n"),
            ["3:28 RG301"]
        );
        assert_eq!(policy("    guardrails: [no]\n"), ["3:18 RG008"]);
        assert_eq!(policy("    guardrails: g\n"), ["3:17 RG008"]);
        assert_eq!(policy("    condition: {model: }\n"), ["3:16 RG304"]);
        assert_eq!(policy("    condition: {models: x}\n"), ["3:17 RG301"]);
        assert_eq!(policy("    condition: {model: []}\n"), ["3:24 RG305"]);
        assert_eq!(policy("    inherit: ''\n"), ["3:14 RG303"]);
        assert_eq!(policy("    description: 2026-11-22\n"), ["3:18 RG008"]);
        assert_eq!(
            policy("    pipeline: {mode: during_call, steps: [{guardrail: g}]}\n"),
            ["3:22 RG011"]
        );
        assert_eq!(
            policy("    pipeline: {steps: [{guardrail: g, on_fail: Block}]}\n"),
            ["3:48 RG011"]
        );
        assert_eq!(policy("    pipeline: {steps: []}\n"), ["3:23 RG010"]);

        assert_eq!(
            policy("    guardrails: {add: [g]}\n    guardrails: {}\n"),
            ["4:5 RG009"]
        );
    }

    #[test]
    fn what_is_wrong_between_entries_is_found_where_the_config_says_it() {
        let text = "\
policies:
  a:
    inherit: b
  b:
    inherit: a
  c:
    inherit: nowhere
    guardrails: {add: [nope]}
  d:
    condition: {model: \"(?=x)y\"}
  policy_e:
    guardrails: {remove: [h]}
policy_attachments:
- {policy: gone, scope: '*'}
- {policy: a, scope: '*'}
- {policy: c, teams: ['*-prod']}
- {policy: d, scope: '*'}
- {policy: policy_e, scope: '*'}
guardrails:
- {guardrail_name: g, litellm_params: {guardrail: x}}
";
        let expected = [
            "3:14 RG103",
            "5:14 RG103",
            "7:14 RG102",
            "8:24 RG312",
            "10:24 RG114",
            "11:3 RG215",
            "12:27 RG208",
            "14:12 RG109",
            "16:23 RG203",
            "20:20 RG211",
        ];

        assert_eq!(found(text), expected);
    }

    #[test]
    fn attachments_are_what_litellm_makes_of_them() {
        let attach = |fields: &str| {
            let text = SOUND.replace("  scope: \"*\"\n", fields);
            let written = import_config("config.yaml", text.clone())
                .files
                .into_iter()
                .next();
            let body = written.map_or(String::new(), |(_, text)| {
                text.lines().skip(3).collect::<Vec<_>>().join(" ")
            });
            (found(&text).join(" "), body)
        };

        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(attach(""), pair("5:3 RG302", "scope: \"*\""));
        assert_eq!(attach("  teams: []\n"), pair("6:10 RG302", "scope: \"*\""));
        assert_eq!(
            attach("  scope: prod\n"),
            pair("6:10 RG302", "scope: \"*\"")
        );
        assert_eq!(
            attach("  scope: prod\n  keys: [k]\n"),
            pair("6:10 RG303", "keys:   - k")
        );
        assert_eq!(
            attach("  keys: [k]\n  teams: []\n"),
            pair("7:10 RG303", "keys:   - k")
        );
        assert_eq!(
            attach("  scope: '*'\n  keys: [k]\n"),
            pair("7:9 RG303", "scope: \"*\"")
        );
        assert_eq!(attach("  team: [t]\n").0, "6:3 RG301");
        assert_eq!(attach("  scope: os.environ/X\n").0, "6:10 RG306");
        assert_eq!(attach("  teams: t\n").0, "6:10 RG008");

        assert_eq!(
            attach("  scope: '*'\n  priority: 3000000000\n").0,
            "7:13 RG011"
        );
    }

    #[test]
    fn other_sections_may_hold_what_they_like() {
        let rest = "general_settings: !vault x\nlitellm_settings: {a: 1, a: 2}\n? [complex]\n: 1\n";
        assert_eq!(found(&format!("{rest}{SOUND}")), Vec::<String>::new());
        let anchored = SOUND.replace("{add: [g]}", "*g");
        assert_eq!(
            found(&format!("x: &g {{add: [g]}}\n{anchored}")),
            Vec::<String>::new()
        );
        assert_eq!(
            found(&format!("x: &g {{add: [g], add: [h]}}\n{anchored}")),
            ["1:18 RG009"]
        );
        assert_eq!(found(&format!("{SOUND}policies: {{}}\n")), ["7:1 RG009"]);
        assert_eq!(found(&SOUND.replace("[g]", "!x [g]")), ["3:23 RG003"]);
        assert_eq!(found(&format!("{SOUND}---\na: 1\n")), ["8:1 RG001"]);
        assert_eq!(found(&format!("{SOUND}attachments: []\n")), ["7:1 RG301"]);
        assert_eq!(
            found(&format!("{SOUND}policy_atachments: []\n")),
            ["7:1 RG301"]
        );

        assert_eq!(
            found(&format!(
                "{SOUND}prompts: []\nmcp_servers: {{}}\nsearch_tools: []\n"
            )),
            Vec::<String>::new()
        );
    }

    #[test]
    fn at_most_500_attachments_stand_in_a_file_and_their_order_stays() {
        let mut text = "policies: {p: {guardrails: [g]}}\npolicy_attachments:\n".to_owned();
        (0..1001).for_each(|n| text.push_str(&format!("- {{policy: p, teams: [t{n}]}}\n")));
        let imported = import_config("config.yaml", text.clone());
        let paths: Vec<&str> = imported
            .files
            .iter()
            .map(|(path, _)| path.as_str())
            .filter(|p| p.starts_with('a'))
            .collect();

        assert_eq!(
            paths,
            [
                "attachments/0001.yaml",
                "attachments/0002.yaml",
                "attachments/0003.yaml"
            ]
        );
        let set = imported.set.expect("a set");
        let teams: Vec<String> = set
            .attachments
            .iter()
            .flat_map(|a| a.targets[Dimension::Team].iter().flatten())
            .map(ToString::to_string)
            .collect();

        assert_eq!(
            teams,
            (0..1001).map(|n| format!("t{n}")).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_finding_of_the_set_points_into_the_config() {
        let imported = import_config("catalog.yaml", SOUND.replace("policy: p", "policy: nobody"));
        assert!(imported.files.is_empty());
        assert!(
            imported
                .findings
                .iter()
                .all(|f| &*f.location.file == "./catalog.yaml"),
            "{:?}",
            imported.findings
        );
    }
}
