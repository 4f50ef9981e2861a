//! The files for CI systems: their shell steps, taken from the YAML, run against a repository with a change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// Stands for `gh` and for `curl`: tells what it was called with, and answers as it was told.
const FAKE: &str = r#"#!/bin/sh
printf '%s\n' "$*" >> "$CALLS"
for word in "$@"; do
    case $word in --method | --request) exit 0 ;; esac
done
cat "$ANSWER"
"#;

/// A repository with a change on a branch, and what the steps see beside it.
struct Job {
    repo: TestRepo,
    /// Where in the repository the policies are.
    folder: &'static str,
    base: String,
    temp: PathBuf,
    path: String,
}

impl Job {
    /// `fields`: what the change makes of the policy.
    fn new(fields: &str) -> Self {
        Self::below(".", fields)
    }

    fn below(folder: &'static str, fields: &str) -> Self {
        let repo = TestRepo::new();
        let write =
            |path: &str, text: &str| repo.write(&format!("{folder}/{path}"), text).commit(path);
        write("refguard.yaml", "apiVersion: refguard/v1\nkind: Repository\n");
        write("policies/base.yaml", &policy("base", "guardrails: {add: [pii, audit]}"));
        write("attachments/all.yaml", ATTACHED);
        let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: all\n    expect: {includes: [audit]}\n";
        let base = write("tests/t.yaml", test);
        write("policies/base.yaml", &policy("base", fields));
        let temp = repo.path().with_file_name("temp");
        fs::create_dir(&temp).unwrap();
        for name in ["gh", "curl"] {
            fs::write(temp.join(name), FAKE).unwrap();
            fs::set_permissions(temp.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_refguard")).parent().unwrap();
        let path =
            format!("{}:{}:{}", temp.display(), bin.display(), std::env::var("PATH").unwrap());
        Self { repo, folder, base, temp, path }
    }

    fn run(&self, script: &str, env: &[(&str, &str)]) -> Output {
        let temp = |name: &str| self.temp.join(name);
        let mut command = self.repo.prepared(Command::new("bash"));
        command.args(["-eo", "pipefail", "-c", script]).env("PATH", &self.path);
        command
            .env("CALLS", temp("calls"))
            .env("ANSWER", temp("answer"))
            .env("RUNNER_TEMP", &self.temp);
        command.env("DIRECTORY", self.folder).env("REFGUARD_DIRECTORY", self.folder);
        command.env("GITHUB_STEP_SUMMARY", temp("summary")).env("GITHUB_OUTPUT", temp("output"));
        command.envs(env.iter().copied()).output().unwrap()
    }

    fn answers(&self, text: &str) {
        fs::write(self.temp.join("answer"), text).unwrap();
        let _ = fs::remove_file(self.temp.join("calls"));
    }

    fn temp(&self, name: &str) -> String {
        fs::read_to_string(self.temp.join(name)).unwrap()
    }
}

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// The script of a step by its name.
fn step(steps: &Value, name: &str) -> String {
    let found = steps.as_array().unwrap().iter().find(|step| step["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no step `{name}`"));
    let script = found["run"].as_str().unwrap().to_owned();
    assert!(!script.contains("${{"), "a value must not become part of the script of `{name}`");
    script
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_github_workflow_annotates_and_comments() {
    let job = Job::new("gaurdrails: {add: [audit]}");
    let steps = yaml("ci-templates/github-actions.yml")["jobs"]["policies"]["steps"].clone();
    assert!(job.run(&step(&steps, "Install"), &[]).status.success());
    let validated = job.run(&step(&steps, "Validate"), &[]);
    assert_eq!(validated.status.code(), Some(1));
    let said = text(&validated.stdout);
    assert!(said.starts_with("::error file=policies/base.yaml,line=4"), "{said}");
    let sarif: Value = serde_json::from_str(&job.repo.read("refguard.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "RG012");
    let base = ("BASE", job.base.as_str());
    assert!(job.run(&step(&steps, "Review"), &[base]).status.success());
    assert!(job.temp("summary").starts_with("<!-- refguard review -->"));
    let comment = step(&steps, "Comment");
    let env = [("GITHUB_REPOSITORY", "o/r"), ("PULL_REQUEST", "7")];
    job.answers("");
    assert!(job.run(&comment, &env).status.success());
    assert!(
        job.temp("calls").ends_with(
            "api --silent --method POST repos/o/r/issues/7/comments -F body=@review.md\n"
        )
    );
    job.answers("12\n34\n");
    assert!(job.run(&comment, &env).status.success());
    assert!(
        job.temp("calls")
            .ends_with("--method PATCH repos/o/r/issues/comments/12 -F body=@review.md\n")
    );
}

#[test]
fn the_github_workflow_lets_a_sound_change_pass_and_tells_of_a_failed_test() {
    let job = Job::new("guardrails: {add: [audit]}");
    let steps = yaml("ci-templates/github-actions.yml")["jobs"]["policies"]["steps"].clone();
    for name in ["Validate", "Test"] {
        assert!(job.run(&step(&steps, name), &[]).status.success(), "{name}");
    }
    assert!(job.run(&step(&steps, "Review"), &[("BASE", &job.base)]).status.success());
    assert!(job.temp("summary").contains("**Loses** policy `base`: `pii`"));
    let job = Job::new("guardrails: {add: [pii]}");
    let tested = job.run(&step(&steps, "Test"), &[]);
    assert_eq!(tested.status.code(), Some(1));
    assert!(text(&tested.stdout).starts_with("::error file=tests/t.yaml,line=5"), "{tested:?}");
    // A name cannot make commands of its own for the runner, nor hide what it says.
    let case = "  - name: \"x\\n::warning::owned\\u202e\"\n    expect: {includes: [none]}\n";
    let test = format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{case}");
    job.repo.write("tests/t.yaml", &test);
    let said = job.run(&step(&steps, "Test"), &[]).stdout;
    let lines: Vec<&str> = text(&said).lines().collect();
    assert!(
        matches!(lines[..], [line] if line.starts_with("::error file=tests/t.yaml") && line.contains(r"\u{202e}")),
        "{lines:?}"
    );
    // A base that is not there is trouble, not an empty review.
    let trouble =
        job.run(&step(&steps, "Review"), &[("BASE", "0123456789012345678901234567890123456789")]);
    assert!(!trouble.status.success());
}

#[test]
fn the_action_does_the_same() {
    let job = Job::new("guardrails: {add: [audit]}");
    let steps = yaml("action.yml")["runs"]["steps"].clone();
    let env = [("DENY_WARNINGS", "true"), ("BASE", job.base.as_str()), ("GITHUB_ACTION_PATH", "/")];
    for name in ["Install", "Validate", "Test", "Review"] {
        let out = job.run(&step(&steps, name), &env);
        assert!(out.status.success(), "{name}: {out:?}");
    }
    let named = job.temp("output");
    assert!(
        named.contains("file=") && named.contains("refguard.sarif") && named.contains("review.md"),
        "{named}"
    );
    assert!(job.temp("review.md").contains("**Loses** policy `base`: `pii`"));
    job.repo.write("policies/unused.yaml", &policy("unused", "guardrails: {add: [audit]}"));
    assert_eq!(job.run(&step(&steps, "Validate"), &env).status.code(), Some(1));
}

/// The lines of the GitLab job, as one script.
fn gitlab_script() -> String {
    let file = yaml("ci-templates/gitlab-ci.yml");
    let lines = |key: &str| {
        let lines =
            file["policies"][key].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(file["policies"]["variables"]["REFGUARD_DIRECTORY"], ".");
    format!("{}\n{}", lines("before_script"), lines("script"))
}

#[test]
fn all_of_them_take_a_folder() {
    let job = Job::below("gateway/policies", "guardrails: {add: [audit]}");
    // What stands at the top is none of theirs.
    job.repo.write("policies/broken.yaml", &policy("broken", "gaurdrails: {}")).commit("beside");
    let base = ("BASE", job.base.as_str());
    let workflow = yaml("ci-templates/github-actions.yml")["jobs"]["policies"].clone();
    assert_eq!(workflow["env"]["DIRECTORY"], ".");
    for steps in [workflow["steps"].clone(), yaml("action.yml")["runs"]["steps"].clone()] {
        for name in ["Validate", "Test", "Review"] {
            let out = job.run(&step(&steps, name), &[base, ("DENY_WARNINGS", "false")]);
            assert!(out.status.success(), "{name}: {out:?}");
        }
    }
    // What later steps take is at the top.
    for review in [job.repo.read("review.md"), job.temp("review.md")] {
        assert!(review.contains("**Loses** policy `base`: `pii`"), "{review}");
    }
    assert!(job.repo.read("refguard.sarif").contains("\"results\": []"));
    let env =
        [("CI_MERGE_REQUEST_IID", "7"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", job.base.as_str())];
    let out = job.run(&gitlab_script(), &env);
    assert!(out.status.success(), "{out:?}");
    assert!(text(&out.stdout).contains("**Loses** policy `base`: `pii`"), "{out:?}");
    assert!(job.repo.read("refguard-tests.xml").contains("tests=\"1\" failures=\"0\""));
}

#[test]
fn findings_name_files_where_the_forge_has_them() {
    let job = Job::below("gateway/policies", "gaurdrails: {add: [audit]}");
    let written = |verb: &str, format: &str| {
        job.repo.run(["-C", "gateway/policies", verb, "--format", format]).ends(1).stdout
    };
    let place = "gateway/policies/policies/base.yaml";
    let annotation = written("validate", "github");
    assert!(annotation.starts_with(&format!("::error file={place},line=")), "{annotation}");
    let sarif: Value = serde_json::from_str(&written("validate", "sarif")).unwrap();
    let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], place);
    let quality: Value = serde_json::from_str(&written("validate", "gitlab")).unwrap();
    assert_eq!(quality[0]["location"]["path"], place);
    job.repo.write(place, &policy("base", "guardrails: {add: [pii]}"));
    let failed = written("test", "github");
    assert!(failed.starts_with("::error file=gateway/policies/tests/t.yaml,line="), "{failed}");
}

#[test]
fn the_gitlab_job_reports_and_notes() {
    let job = Job::new("gaurdrails: {add: [audit]}");
    let script = gitlab_script();
    let env = [
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", job.base.as_str()),
        ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
        ("CI_PROJECT_ID", "3"),
        ("REFGUARD_TOKEN", "secret"),
    ];
    job.answers("[]");
    let out = job.run(&script, &env);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let issues: Value =
        serde_json::from_str(&job.repo.read("gl-code-quality-report.json")).unwrap();
    assert_eq!(issues[0]["location"]["path"], "policies/base.yaml");
    let calls = job.temp("calls");
    let last = calls.lines().last().unwrap();
    let due = "--request POST --data-urlencode body@review.md https://gitlab.example/api/v4/projects/3/merge_requests/7/notes";
    assert!(last.ends_with(due), "{last}");
    // A sound change; the note that is there is renewed.
    job.repo.policy("base", "guardrails: {add: [audit]}").commit("mended");
    job.answers(
        r#"[{"id": 1, "body": "a note"}, {"id": 5, "body": "<!-- refguard review -->\nold"}]"#,
    );
    let out = job.run(&script, &env);
    assert!(out.status.success(), "{out:?}");
    assert!(
        job.temp("calls")
            .lines()
            .last()
            .unwrap()
            .contains("--request PUT --data-urlencode body@review.md")
    );
    assert!(job.temp("calls").ends_with("/notes/5\n"));
    assert!(job.repo.read("refguard-tests.xml").contains("tests=\"1\" failures=\"0\""));
    // Outside of a merge request nothing is reviewed.
    job.answers("");
    assert!(job.run(&script, &[]).status.success());
    assert!(!job.temp.join("calls").exists());
}
