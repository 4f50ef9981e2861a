//! The files for CI systems: their shell steps, taken from the YAML, run against a repository with
//! a change.

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

/// Stands for `cargo`: tells what it was called with, and puts the refguard under test where the
/// built one would be.
const FAKE_CARGO: &str = r#"#!/bin/sh
printf 'cargo %s\n' "$*" >> "$CALLS"
while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin" && ln -sf "$BUILT" "$2/bin/refguard"
"#;

/// Any full hash of a commit.
const COMMIT: &str = "0123456789012345678901234567890123456789";

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
        write(
            "refguard.yaml",
            "apiVersion: refguard/v1\nkind: Repository\n",
        );
        write(
            "policies/base.yaml",
            &policy("base", "guardrails: {add: [pii, audit]}"),
        );
        write("attachments/all.yaml", ATTACHED);
        let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
            cases:\n  - name: all\n    expect: {includes: [audit]}\n";
        let base = write("tests/t.yaml", test);
        write("policies/base.yaml", &policy("base", fields));
        let temp = repo.path().with_file_name("temp");
        fs::create_dir(&temp).unwrap();
        for (name, text) in [("gh", FAKE), ("curl", FAKE), ("cargo", FAKE_CARGO)] {
            fs::write(temp.join(name), text).unwrap();
            fs::set_permissions(temp.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", temp.display(), std::env::var("PATH").unwrap());
        let job = Self {
            repo,
            folder,
            base,
            temp,
            path,
        };
        job.merge();
        job
    }

    /// The change becomes a branch, `main` stays at its base, and what is checked out is the merge
    /// of the two, as a forge makes it.
    fn merge(&self) {
        self.repo.git(["branch", "change"]);
        self.repo.git(["checkout", "-q", "--detach", "main~1"]);
        self.repo.merge("change", "merge");
    }

    /// The variables by which GitHub names the commit that is checked out, and the base of the
    /// event.
    fn event(&self) -> [(&'static str, String); 2] {
        [
            ("GITHUB_SHA", self.repo.id("HEAD")),
            ("BASE", self.base.clone()),
        ]
    }

    /// Runs a step of a pull request's job.
    fn run_step(&self, steps: &Value, name: &str) -> Output {
        let event = self.event();
        let mut env = vec![
            ("REFGUARD_URL", "https://git.example/refguard"),
            ("REFGUARD_COMMIT", COMMIT),
            ("GITHUB_ACTION_PATH", "/action"),
            ("DENY_WARNINGS", "true"),
        ];
        env.extend(event.iter().map(|(name, value)| (*name, value.as_str())));
        self.run(&step(steps, name), &env)
    }

    fn run(&self, script: &str, env: &[(&str, &str)]) -> Output {
        let temp = |name: &str| self.temp.join(name);
        let mut command = self.repo.prepared(Command::new("bash"));
        command
            .args(["-eo", "pipefail", "-c", script])
            .env("PATH", &self.path);
        command
            .env("CALLS", temp("calls"))
            .env("ANSWER", temp("answer"))
            .env("BUILT", env!("CARGO_BIN_EXE_refguard"))
            .env("CI_BUILDS_DIR", &self.temp)
            .env("RUNNER_TEMP", &self.temp);
        command
            .env("DIRECTORY", self.folder)
            .env("REFGUARD_DIRECTORY", self.folder);
        command
            .env("GITHUB_STEP_SUMMARY", temp("summary"))
            .env("GITHUB_OUTPUT", temp("output"));
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
    let found = steps
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no step `{name}`"));
    let script = found["run"].as_str().unwrap().to_owned();
    assert!(
        !script.contains("${{"),
        "a value must not become part of the script of `{name}`"
    );
    script
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn github_steps() -> Value {
    yaml("ci-templates/github-actions.yml")["jobs"]["policies"]["steps"].clone()
}

fn action_steps() -> Value {
    yaml("action.yml")["runs"]["steps"].clone()
}

#[test]
fn the_github_workflow_annotates_and_comments() {
    let job = Job::new("gaurdrails: {add: [audit]}");
    let steps = github_steps();
    assert!(job.run_step(&steps, "Install").status.success());
    let validated = job.run_step(&steps, "Validate");
    assert_eq!(validated.status.code(), Some(1));
    let said = text(&validated.stdout);
    assert!(
        said.starts_with("::error file=policies/base.yaml,line=4"),
        "{said}"
    );
    let sarif: Value = serde_json::from_str(&job.temp("refguard.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "RG012");
    assert!(job.run_step(&steps, "Review").status.success());
    assert!(job.temp("summary").starts_with("<!-- refguard review -->"));
    let comment = step(&steps, "Comment");
    let env = [("GITHUB_REPOSITORY", "o/r"), ("PULL_REQUEST", "7")];
    let body = format!("-F body=@{}/review.md\n", job.temp.display());
    job.answers("");
    assert!(job.run(&comment, &env).status.success());
    let due = format!("api --silent --method POST repos/o/r/issues/7/comments {body}");
    assert!(job.temp("calls").ends_with(&due));
    job.answers("12\n34\n");
    assert!(job.run(&comment, &env).status.success());
    assert!(job.temp("calls").ends_with(&format!(
        "--method PATCH repos/o/r/issues/comments/12 {body}"
    )));
    // Where the review could not be made there is nothing to say, and the step that failed says
    // why.
    fs::remove_file(job.temp.join("review.md")).unwrap();
    job.answers("");
    assert!(job.run(&comment, &env).status.success());
    assert!(!job.temp.join("calls").exists());
}

#[test]
fn the_github_workflow_lets_a_sound_change_pass_and_tells_of_a_failed_test() {
    let steps = github_steps();
    let job = Job::new("guardrails: {add: [audit]}");
    for name in ["Install", "Validate", "Test", "Review"] {
        assert!(job.run_step(&steps, name).status.success(), "{name}");
    }
    assert!(job.temp("summary").contains("| `pii` |"));
    let job = Job::new("guardrails: {add: [pii]}");
    assert!(job.run_step(&steps, "Install").status.success());
    let tested = job.run_step(&steps, "Test");
    assert_eq!(tested.status.code(), Some(1));
    assert!(
        text(&tested.stdout).starts_with("::error file=tests/t.yaml,line=5"),
        "{tested:?}"
    );
    // A name cannot make commands of its own for the runner, nor hide what it says.
    let case = "  - name: \"x\\n::warning::owned\\u202e\"\n    expect: {includes: [none]}\n";
    let test = format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{case}");
    job.repo.write("tests/t.yaml", &test);
    let said = job.run_step(&steps, "Test").stdout;
    let commands: Vec<&str> = text(&said)
        .lines()
        .filter(|line| line.trim_start().starts_with("::"))
        .collect();
    assert!(
        matches!(commands[..], [line] if line.starts_with("::error file=tests/t.yaml") && line.contains(r"\u{202e}")),
        "{commands:?}"
    );
    // Trouble is not taken for findings, nor for an empty review.
    let script = step(&steps, "Review");
    assert!(
        !job.run(&script, &[("BASE", COMMIT), ("GITHUB_SHA", COMMIT)])
            .status
            .success()
    );
    let nowhere = [("DIRECTORY", "no/such/folder")];
    assert_eq!(
        job.run(&step(&steps, "Validate"), &nowhere).status.code(),
        Some(1)
    );
    assert!(job.temp("refguard.sarif").is_empty());
}

#[test]
fn the_action_does_the_same() {
    let job = Job::new("guardrails: {add: [audit]}");
    let steps = action_steps();
    for name in ["Install", "Validate", "Test", "Review"] {
        let out = job.run_step(&steps, name);
        assert!(out.status.success(), "{name}: {out:?}");
    }
    let due = format!(
        "cargo install --locked --path /action --root {}/refguard\n",
        job.temp.display()
    );
    assert_eq!(job.temp("calls"), due);
    let named = job.temp("output");
    assert!(
        named.contains("file=") && named.contains("refguard.sarif") && named.contains("review.md"),
        "{named}"
    );
    assert!(job.temp("review.md").contains("| `pii` |"));
    job.repo.write(
        "policies/unused.yaml",
        &policy("unused", "guardrails: {add: [audit]}"),
    );
    assert_eq!(job.run_step(&steps, "Validate").status.code(), Some(1));
    // A base that the workflow names counts before the event's.
    let script = step(&steps, "Review");
    assert!(
        !job.run(&script, &[("GIVEN", COMMIT), ("BASE", &job.base)])
            .status
            .success()
    );
}

#[test]
fn what_others_merged_since_the_event_is_no_part_of_the_review() {
    for steps in [github_steps(), action_steps()] {
        let job = Job::new("guardrails: {add: [pii, audit, more]}");
        // While the change waits, another one drops a guardrail from the base.
        job.repo.git(["checkout", "-q", "--detach", &job.base]);
        job.repo
            .policy("other", "guardrails: {add: [audit]}")
            .write("attachments/other.yaml", &ATTACHED.replace("base", "other"));
        let theirs = job.repo.commit("theirs");
        job.repo.merge("change", "merge");
        assert_eq!(job.repo.id("HEAD^1"), theirs);
        for name in ["Install", "Review"] {
            let out = job.run_step(&steps, name);
            assert!(out.status.success(), "{name}: {out:?}");
        }
        let review = job.temp("review.md");
        assert!(
            review.contains("`more`") && !review.contains("`other`"),
            "{review}"
        );
        // A workflow that checks out the branch itself gets the same, by the base of the event.
        let event = job.event();
        job.repo.git(["checkout", "-q", "--detach", "change"]);
        let env = event
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        assert!(job.run(&step(&steps, "Review"), &env).status.success());
        let review = job.temp("review.md");
        assert!(
            review.contains("`more`") && !review.contains("`other`"),
            "{review}"
        );
    }
}

#[test]
fn nothing_is_built_but_the_commit_that_the_user_named() {
    let job = Job::new("guardrails: {add: [audit]}");
    let github = step(&github_steps(), "Install");
    let gitlab = gitlab_lines("before_script");
    let template = yaml("ci-templates/github-actions.yml")["jobs"]["policies"]["env"].clone();
    let variables = yaml("ci-templates/gitlab-ci.yml")["policies"]["variables"].clone();
    for script in [&github, &gitlab] {
        for (commit, due) in [
            ("", "fill in REFGUARD_URL and REFGUARD_COMMIT"),
            ("main", "must be the full hash"),
            ("--help", "must be the full hash"),
            (&COMMIT[1..], "must be the full hash"),
        ] {
            let env = [
                ("REFGUARD_URL", "https://git.example/refguard"),
                ("REFGUARD_COMMIT", commit),
            ];
            let out = job.run(script, &env);
            assert_eq!(out.status.code(), Some(1), "{commit}: {out:?}");
            let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
            assert!(said.contains(due), "{commit}: {said}");
        }
        assert!(!job.temp.join("calls").exists());
        let env = [
            ("REFGUARD_URL", "https://git.example/refguard"),
            ("REFGUARD_COMMIT", COMMIT),
        ];
        assert!(job.run(script, &env).status.success());
        let due = format!(
            "cargo install --locked --git https://git.example/refguard --rev {COMMIT} --root {}/refguard refguard\n",
            job.temp.display()
        );
        assert_eq!(job.temp("calls"), due);
        fs::remove_file(job.temp.join("calls")).unwrap();
    }
    for unset in [&template, &variables] {
        assert_eq!(
            (&unset["REFGUARD_URL"], &unset["REFGUARD_COMMIT"]),
            (&"".into(), &"".into())
        );
    }
}

#[test]
fn the_real_cargo_builds_the_pinned_commit() {
    let job = Job::new("guardrails: {add: [audit]}");
    let sources = TestRepo::new();
    let manifest = "[package]\nname = \"refguard\"\nversion = \"0.0.0\"\nedition = \"2021\"\n";
    sources.write("Cargo.toml", manifest);
    sources.write(
        "Cargo.lock",
        "version = 3\n\n[[package]]\nname = \"refguard\"\nversion = \"0.0.0\"\n",
    );
    sources.write("src/main.rs", "fn main() { println!(\"the pinned one\") }");
    let pinned = sources.commit("one");
    sources
        .write("src/main.rs", "fn main() { println!(\"a later one\") }")
        .commit("two");
    let url = format!("file://{}", sources.path().display());
    let toolchain = Path::new(env!("CARGO")).parent().unwrap().display();
    let path = format!("{toolchain}:{}", std::env::var("PATH").unwrap());
    let env = [
        ("REFGUARD_URL", url.as_str()),
        ("REFGUARD_COMMIT", &pinned),
        ("PATH", &path),
    ];
    for script in [
        step(&github_steps(), "Install"),
        gitlab_lines("before_script"),
    ] {
        let out = job.run(&script, &env);
        assert!(out.status.success(), "{out:?}");
        let built = job.temp.join("refguard/bin/refguard");
        assert_eq!(
            text(&Command::new(built).output().unwrap().stdout),
            "the pinned one\n"
        );
        fs::remove_dir_all(job.temp.join("refguard")).unwrap();
    }
}

#[test]
fn actions_are_named_by_their_digest_and_tokens_reach_one_step() {
    let workflow = yaml("ci-templates/github-actions.yml");
    let used = github_steps().as_array().unwrap().clone();
    let used: Vec<_> = used
        .iter()
        .filter_map(|step| step["uses"].as_str())
        .collect();
    assert_eq!(used.len(), 2);
    for action in used {
        let (_, digest) = action.split_once('@').unwrap();
        assert!(digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_eq!(
        workflow["permissions"],
        serde_json::json!({ "contents": "read" })
    );
    assert_eq!(github_steps()[0]["with"]["persist-credentials"], false);
    let text = workflow.to_string();
    assert_eq!(text.matches("github.token").count(), 1);
    assert!(!text.contains("secrets.") && workflow["on"].get("pull_request_target").is_none());
}

/// The lines of one part of the GitLab job, as one script.
fn gitlab_lines(key: &str) -> String {
    let file = yaml("ci-templates/gitlab-ci.yml");
    let lines = file["policies"][key]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The whole GitLab job.
fn gitlab_script() -> String {
    format!(
        "REFGUARD_URL=https://git.example/refguard REFGUARD_COMMIT={COMMIT}\n{}\n{}",
        gitlab_lines("before_script"),
        gitlab_lines("script")
    )
}

#[test]
fn all_of_them_take_a_folder() {
    let job = Job::below("gateway/policies", "guardrails: {add: [audit]}");
    // What stands at the top is none of theirs.
    job.repo
        .write("policies/broken.yaml", &policy("broken", "gaurdrails: {}"));
    let workflow = yaml("ci-templates/github-actions.yml")["jobs"]["policies"].clone();
    assert_eq!(workflow["env"]["DIRECTORY"], ".");
    for steps in [github_steps(), action_steps()] {
        for name in ["Install", "Validate", "Test", "Review"] {
            let out = job.run_step(&steps, name);
            assert!(out.status.success(), "{name}: {out:?}");
        }
        let review = job.temp("review.md");
        assert!(review.contains("| `pii` |"), "{review}");
        assert!(job.temp("refguard.sarif").contains("\"results\": []"));
        fs::remove_file(job.temp.join("review.md")).unwrap();
    }
    let variables = yaml("ci-templates/gitlab-ci.yml")["policies"]["variables"].clone();
    assert_eq!(variables["REFGUARD_DIRECTORY"], ".");
    let env = [
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", job.base.as_str()),
    ];
    let out = job.run(&gitlab_script(), &env);
    assert!(out.status.success(), "{out:?}");
    assert!(text(&out.stdout).contains("| `pii` |"), "{out:?}");
    assert!(
        job.repo
            .read("refguard-tests.xml")
            .contains("tests=\"1\" failures=\"0\"")
    );
    // A merged result is judged against its first parent, whatever the base of the request was.
    let merged = [
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_EVENT_TYPE", "merged_result"),
    ];
    let out = job.run(&gitlab_script(), &merged);
    assert!(out.status.success(), "{out:?}");
    assert!(text(&out.stdout).contains("| `pii` |"), "{out:?}");
}

#[test]
fn findings_name_files_where_the_forge_has_them() {
    let job = Job::below("gateway/policies", "gaurdrails: {add: [audit]}");
    let written = |verb: &str, format: &str| {
        job.repo
            .run(["-C", "gateway/policies", verb, "--format", format])
            .ends(1)
            .stdout
    };
    let place = "gateway/policies/policies/base.yaml";
    let annotation = written("validate", "github");
    assert!(
        annotation.starts_with(&format!("::error file={place},line=")),
        "{annotation}"
    );
    let sarif: Value = serde_json::from_str(&written("validate", "sarif")).unwrap();
    let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], place);
    let quality: Value = serde_json::from_str(&written("validate", "gitlab")).unwrap();
    assert_eq!(quality[0]["location"]["path"], place);
    job.repo
        .write(place, &policy("base", "guardrails: {add: [pii]}"));
    let failed = written("test", "github");
    assert!(
        failed.starts_with("::error file=gateway/policies/tests/t.yaml,line="),
        "{failed}"
    );
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
    assert!(
        !calls.contains("secret"),
        "the token stands among the arguments: {calls}"
    );
    let last = calls.lines().last().unwrap();
    let due = "--request POST --data-urlencode body@review.md \
        https://gitlab.example/api/v4/projects/3/merge_requests/7/notes";
    assert!(last.ends_with(due), "{last}");
    // A sound change; the note that is there is renewed.
    job.repo
        .policy("base", "guardrails: {add: [audit]}")
        .commit("mended");
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
    assert!(
        job.repo
            .read("refguard-tests.xml")
            .contains("tests=\"1\" failures=\"0\"")
    );
    // Outside of a merge request nothing is reviewed.
    job.answers("");
    assert!(job.run(&script, &[]).status.success());
    assert!(!job.temp("calls").contains("--request"));
    assert!(!job.repo.path().join("token.curl").exists());
}
