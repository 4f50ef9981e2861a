//! The hooks as the pre-commit framework runs them: the real one, where the tests are told of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// The `pre-commit` beside the Python that the tests are told of.
fn program() -> Option<PathBuf> {
    let python = std::env::var_os("REFGUARD_TEST_PYTHON");
    python
        .map(|python| Path::new(&python).with_file_name("pre-commit"))
        .filter(|path| path.exists())
}

/// A repository whose pre-commit hook is the framework's, with `refguard-system` of this source
/// tree.
struct Framework {
    repo: TestRepo,
    program: PathBuf,
    path: String,
}

impl Framework {
    fn new(program: PathBuf) -> Self {
        let repo = TestRepo::new();
        let bin = Path::new(env!("CARGO_BIN_EXE_refguard")).parent().unwrap();
        let beside = program.parent().unwrap();
        let path = format!(
            "{}:{}:{}",
            bin.display(),
            beside.display(),
            std::env::var("PATH").unwrap()
        );
        let hooks = repo.path().with_file_name("hooks");
        std::fs::create_dir(&hooks).unwrap();
        let declared = include_str!("../../.pre-commit-hooks.yaml");
        std::fs::write(hooks.join(".pre-commit-hooks.yaml"), declared).unwrap();
        let framework = Self {
            repo,
            program,
            path,
        };
        for args in [
            &["init", "-q"][..],
            &["add", "-A"],
            &["commit", "-q", "-m", "hooks"],
        ] {
            assert!(
                framework
                    .git(&[&["-C", "../hooks"], args].concat())
                    .status
                    .success()
            );
        }
        let revision = framework.repo.git(["-C", "../hooks", "rev-parse", "HEAD"]);
        let config = format!(
            "repos:\n  - repo: {}\n    rev: {revision}\n    hooks:\n      - id: refguard-system\n",
            hooks.display()
        );
        framework.repo.write(".pre-commit-config.yaml", &config);
        framework.install();
        framework
    }

    /// Runs `pre-commit install`, which renames a hook that it finds.
    fn install(&self) {
        let installed = self.run(&["install"]);
        assert!(installed.status.success(), "{installed:?}");
    }

    fn run(&self, args: &[&str]) -> Output {
        self.repo
            .prepared(Command::new(&self.program))
            .env("PATH", &self.path)
            .args(args)
            .output()
            .unwrap()
    }

    fn git(&self, args: &[&str]) -> Output {
        self.repo
            .prepared(Command::new("git"))
            .env("PATH", &self.path)
            .args(args)
            .output()
            .unwrap()
    }

    fn refused(&self, args: &[&str]) -> String {
        let out = self.git(args);
        assert!(!out.status.success(), "git {args:?} succeeded");
        String::from_utf8(out.stderr).unwrap()
    }

    fn commits(&self, message: &str) {
        for args in [&["add", "-A"][..], &["commit", "-q", "-m", message]] {
            let out = self.git(args);
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}

#[test]
fn the_framework_judges_what_is_staged() {
    let Some(program) = program() else {
        println!("no `pre-commit` beside REFGUARD_TEST_PYTHON: the framework is not tested");
        return;
    };
    let framework = Framework::new(program);
    let repo = &framework.repo;
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    framework.commits("one");
    repo.policy("base", "gaurdrails: {add: [pii]}")
        .git(["add", "-A"]);
    let said = framework.refused(&["commit", "-m", "two"]);
    assert!(
        said.contains("policies/base.yaml:4:1") && said.contains("did you mean `guardrails`?"),
        "{said}"
    );
    // What is not staged is put aside by the framework, and comes back.
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .git(["add", "-A"]);
    repo.policy("base", "gaurdrails: {}");
    assert!(
        framework
            .git(&["commit", "-q", "-m", "two"])
            .status
            .success()
    );
    assert!(repo.read("policies/base.yaml").contains("gaurdrails"));
    repo.git(["checkout", "-q", "--", "policies"]);
    // No file name would be passed for a removal.
    repo.git(["rm", "-q", "policies/base.yaml"]);
    assert!(
        framework
            .refused(&["commit", "-m", "three"])
            .contains("attachments/all.yaml:3")
    );
}

#[test]
fn hooks_live_on_beside_the_framework() {
    let Some(program) = program() else {
        println!("no `pre-commit` beside REFGUARD_TEST_PYTHON: the framework is not tested");
        return;
    };
    let framework = Framework::new(program);
    let repo = &framework.repo;
    let hook = repo.path().join(".git/hooks/pre-commit");
    let own = "#!/bin/sh\necho the old one >&2\ntest ! -e stop\n";
    // First the user's own hook, then ours, then the framework: it renames ours.
    std::fs::write(&hook, own).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(repo.run(["hook", "install"]).ok().contains("calls"));
    framework.install();
    assert!(repo.path().join(".git/hooks/pre-commit.legacy").exists());
    repo.policy("base", "gaurdrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    repo.git(["add", "-A"]);
    let said = framework.refused(&["commit", "-m", "one"]);
    assert!(
        said.contains("the old one") && said.contains("gaurdrails"),
        "{said}"
    );
    // To renew ours leaves the framework's where it is.
    let renewed = repo.run(["hook", "install"]).ok();
    assert!(
        renewed.contains("unchanged .git/hooks/pre-commit.legacy"),
        "{renewed}"
    );
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("stop", "")
        .git(["add", "-A"]);
    assert!(
        framework
            .refused(&["commit", "-m", "one"])
            .contains("the old one")
    );
    repo.remove("stop");
    framework.commits("one");
}

#[test]
fn a_framework_that_was_kept_and_comes_back_does_not_run_in_circles() {
    let Some(program) = program() else {
        println!("no `pre-commit` beside REFGUARD_TEST_PYTHON: the framework is not tested");
        return;
    };
    let framework = Framework::new(program);
    let repo = &framework.repo;
    repo.run(["hook", "install"]).ok();
    framework.install();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    framework.commits("one");
    repo.policy("base", "gaurdrails: {}").git(["add", "-A"]);
    assert!(
        framework
            .refused(&["commit", "-m", "two"])
            .contains("gaurdrails")
    );
}
