//! Faults are found where they are, in the work tree, in the index and in commits.

use crate::support::TestRepo;

#[test]
fn each_source_is_judged_for_itself() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .commit("sound");
    repo.policy("base", "guardrail: {add: [pii]}");
    repo.git(["add", "-A"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}");
    let _ = repo.run(["validate"]).ok();
    let _ = repo.run(["validate", "--at", "HEAD"]).ok();
    let report = repo
        .run(["validate", "--staged", "--format", "json"])
        .ends(1);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["line"]),
        (&"unknown-field".into(), &4.into()),
        "{report}"
    );
    assert_eq!(finding["file"], "policies/base.yaml");
}

/// The places, codes and severities of what `validate` finds, with the first words of each help.
fn findings(repo: &TestRepo, args: &[&str]) -> Vec<String> {
    let args = ["validate", "--format", "json"]
        .into_iter()
        .chain(args.iter().copied());
    let report: serde_json::Value = serde_json::from_str(&repo.run(args).stdout).unwrap();
    let line = |finding: &serde_json::Value| {
        let text = |field: &str| finding[field].as_str().unwrap_or("").to_owned();
        let (file, line, code) = (text("file"), &finding["line"], text("code"));
        format!(
            "{file}:{line} {code} {}: {} ({})",
            text("severity"),
            text("message"),
            text("help")
        )
    };
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

fn assert_finds(repo: &TestRepo, expected: &[&str]) {
    let found = findings(repo, &[]);
    let fits = |(found, expected): (&String, &&str)| {
        expected.split(" … ").all(|part| found.contains(part))
    };
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(fits),
        "found:\n{}\nexpected:\n{}",
        found.join("\n"),
        expected.join("\n")
    );
}

const BASE: &str = "apiVersion: refguard/v1\nkind: Policy\nname: base\nguardrails: {add: [pii]}\n\
    ---\n\
    apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

#[test]
fn nothing_of_ours_is_an_error_wherever_it_comes_from() {
    let repo = TestRepo::plain();
    assert_finds(&repo, &[".:1 RG019 error: no policy document … `-C DIR`"]);
    let _ = repo.run(["validate", "--allow-empty"]).ok();
    let _ = repo.run(["test"]).fails(1);
    let _ = repo.run(["test", "--allow-empty"]).ok();
    // A catalog is a document: both verbs take it.
    let catalog = "apiVersion: refguard/v1\nkind: Catalog\nteams: [a]\n";
    repo.write("catalog.yaml", catalog);
    let _ = repo.run(["validate"]).ok();
    let _ = repo.run(["test"]).ok();
    repo.write(
        "refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\ninclude: ['polices/**']\n",
    );
    repo.write("policies/base.yaml", BASE);
    assert_finds(
        &repo,
        &[
            "refguard.yaml:1 RG019 error: no policy",
            "refguard.yaml:3 RG218 warning: `polices/**` under `include` matches no file",
        ],
    );
}

#[test]
fn a_glob_that_matches_nothing_is_said_where_it_stands() {
    let repo = TestRepo::new();
    let settings =
        "apiVersion: refguard/v1\nkind: Repository\nexclude:\n  - policies/old/**\n  - charts/**\n";
    repo.write("refguard.yaml", settings)
        .write("policies/base.yaml", BASE);
    repo.write("policies/old/base.yaml", BASE).commit("sound");
    for args in [&[][..], &["--at", "HEAD"], &["--staged"]] {
        let found = findings(&repo, args);
        assert!(
            found[0].starts_with("refguard.yaml:5 RG218 warning: `charts/**`"),
            "{found:?}"
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let long = settings.replace("charts/**", &format!("'{}'", "{a,".repeat(400)));
    repo.write("refguard.yaml", &long);
    assert_finds(
        &repo,
        &["refguard.yaml:5 RG116 error: this glob has 1200 bytes"],
    );
}

#[test]
fn every_fault_of_the_settings_is_said_at_once() {
    let repo = TestRepo::new();
    let settings = "apiVersion: refguard/v1\nkind: Repository\nrules: {unused-polcy: off}\n\
        include: ['[', 'policies/**', 'a{']\n\
        environments:\n  - name: production\n    freeze:\n      \
        - {from: 2026-13-01, to: x}\n      - {days: [fri], from: '25:00', to: '24:30', timezone: Europe/Berln}\n    \
        soak: soon\n";
    repo.write("refguard.yaml", settings)
        .write("policies/base.yaml", BASE);
    assert_finds(
        &repo,
        &[
            "refguard.yaml:3 RG116 error: there is no rule `unused-polcy` … `unused-policy`",
            "refguard.yaml:4 RG116 error: `[` is not a glob … `**`",
            "refguard.yaml:4 RG116 error: `a{` is not a glob",
            "refguard.yaml:8 RG116 error: `2026-13-01` is no day of the calendar: months go from 01 to 12",
            "refguard.yaml:8 RG116 error: `x` is neither a date",
            "refguard.yaml:9 RG116 error: `25:00` is no time of a day",
            "refguard.yaml:9 RG116 error: `24:30` is no time of a day",
            "refguard.yaml:9 RG116 error: there is no time zone `Europe/Berln` … `Europe/Berlin`",
            "refguard.yaml:10 RG116 error: `production` names no environment",
            "refguard.yaml:10 RG116 error: `soon` is no length of time",
        ],
    );
}

#[test]
fn a_file_of_another_encoding_or_name_does_not_vanish() {
    let repo = TestRepo::new();
    repo.write("policies/base.yaml", BASE)
        .write("values.YAML", "a: b\n");
    let wide = |text: &str, mark: &[u8]| {
        [
            mark.to_vec(),
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ]
        .concat()
    };
    std::fs::write(
        repo.path().join("catalog.yaml"),
        wide("apiVersion: refguard/v1\n", &[]),
    )
    .unwrap();
    std::fs::write(
        repo.path().join("other.yaml"),
        wide("a: b\n", &[0xff, 0xfe]),
    )
    .unwrap();
    repo.write("policies/more.Yml", BASE)
        .write("elsewhere/more.YAML", BASE);
    assert_finds(
        &repo,
        &[
            "catalog.yaml:1 RG002 error: this file is UTF-16, not UTF-8 … iconv",
            "elsewhere/more.YAML:1 RG018 error: this file is not read",
            "other.yaml:1 RG002 error: this file is UTF-16",
            "policies/more.Yml:1 RG018 error: this file is not read: its name ends in `.Yml` … \
             ends in `.yml`",
        ],
    );
    repo.commit("one");
    assert_eq!(findings(&repo, &["--at", "HEAD"]), findings(&repo, &[]));
}

#[test]
fn messages_speak_of_documents_and_not_of_the_program() {
    let repo = TestRepo::new();
    let attached = |field: &str| BASE.replace("scope: \"*\"", &format!("scope: \"*\"\n{field}"));
    for (text, said) in [
        (
            attached("priority: 1.0"),
            "expected a whole number, without a point or an exponent, found the number `1.0`",
        ),
        (attached("priority: 2147483648"), "`priority`"),
        (attached("~: x"), "the key before this `:` is missing"),
        (
            BASE.replace("{add: [pii]}", "[pii]"),
            "`guardrails`: expected a mapping, found a list (write `add: …` below it; its fields \
             are `add`, `remove`)",
        ),
        (
            BASE.replace("name: base\n", "name: ba\u{200b}se\n"),
            "has the character U+200B, which cannot be seen",
        ),
        (
            BASE.replace("name: base\n", "name: \"ba\\U000E0041se\"\n"),
            "has the character U+E0041, which cannot be seen",
        ),
        (
            BASE.replace(
                "kind: Policy\n",
                "kind: Policy\n<<<<<<< HEAD\nowner: a\n=======\nowner: b\n>>>>>>> theirs\n",
            ),
            "git left both sides here",
        ),
    ] {
        let found = findings(repo.write("policies/base.yaml", &text), &[]);
        assert!(found[0].contains(said), "{found:?}");
        assert_eq!(
            found.iter().filter(|line| line.contains(said)).count(),
            1,
            "{found:?}"
        );
        for word in [
            "i32",
            "u32",
            "struct",
            "enum",
            "sequence",
            "invalid type",
            "newtype",
        ] {
            assert!(!found[0].contains(word), "{found:?}");
        }
    }
}

#[test]
fn another_tools_file_full_of_aliases_is_left_alone() {
    let repo = TestRepo::new();
    repo.write("policies/base.yaml", BASE);
    let scalar = format!(
        "a: &a {}\nb: [{}*a]\n",
        "x".repeat(900 << 10),
        "*a,".repeat(9_900)
    );
    repo.write("other.yaml", &scalar);
    let nested = |n: usize| format!("&b{n} [");
    let anchors: String = (0..60).map(nested).collect();
    repo.write(
        "nested.yaml",
        &format!("{anchors}{}{}\n", "a,".repeat(400_000), "]".repeat(60)),
    );
    // Expanded, the first is 9 GB and the second 24,000,000 nodes.
    let program = env!("CARGO_BIN_EXE_refguard");
    let limited = format!("ulimit -v 1000000; RAYON_NUM_THREADS=1 exec {program} validate");
    let mut shell = repo.prepared(std::process::Command::new("sh"));
    let out = shell.args(["-c", &limited]).output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn a_reader_that_has_seen_enough_makes_no_fault_a_success() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrail: {add: [pii]}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = repo
        .refguard()
        .arg("validate")
        .stdout(writer)
        .status()
        .unwrap();

    assert_eq!(ended.code(), Some(1));
}

#[test]
fn a_cause_in_many_files_is_one_entry() {
    let repo = TestRepo::new();
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pij]\n",
    );
    for number in 0..20 {
        repo.policy(&format!("p{number:02}"), "guardrails: {add: [pii]}");
    }
    let said = repo.run(["validate"]).ends(1).stdout;
    assert_eq!(said.matches("error[").count(), 1, "{said}");
    let places =
        "the same at policies/p01.yaml:4:20, policies/p02.yaml:4:20 and 17 more: 20 places in all";
    assert!(said.contains(places), "{said}");
    assert!(said.contains("20 errors"), "{said}");
    let all = repo.run(["validate", "--format", "json"]).ends(1).stdout;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["errors"], 20);

    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: matrix-eu\n\
        cases:\n  - name: all\n    \
         matrix: {teams: [a, b, c], models: [m1, m2]}\n    expect: {includes: [pii]}\n";
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii]\n",
    )
    .write("tests/t.yaml", test);
    let said = repo.run(["test"]).ends(1).stdout;
    assert!(
        said.contains("6 of 6 cases of `matrix-eu` fail alike"),
        "{said}"
    );
    assert_eq!(said.matches("-->").count(), 1, "{said}");
}

#[test]
fn files_are_judged_with_the_set_around_them() {
    let repo = TestRepo::new();
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
        cases:\n  - name: one\n    expect: {includes: [pii]}\n";
    repo.policy("a", "inherit: b\nguardrails: {add: [pii]}")
        .policy("b", "guardrails: {add: [log]}")
        .write("tests/good/t.yaml", &test.replace("pii", "log"))
        .write("tests/bad/t.yaml", &test.replace("name: t", "name: u"))
        .write(
            "attachments/b.yaml",
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: b\nscope: \"*\"\n",
        )
        .commit("one");
    // The parent stands in another file: by itself the child would be at fault.
    let _ = repo
        .run(["validate", "policies/b.yaml", "--deny-warnings"])
        .ok();
    let _ = repo
        .run(["validate", "policies/a.yaml", "--deny-warnings"])
        .fails(1);
    let _ = repo.run(["test", "tests/good"]).ok();
    let said = repo
        .run(["-C", "tests", "test", "bad/t.yaml"])
        .ends(1)
        .stdout;
    assert!(said.contains("0 passed, 1 failed"), "{said}");

    repo.policy("b", "gaurdrails: {add: [log]}");
    let run = repo.run(["validate", "policies/a.yaml"]).ends(0);
    assert!(
        run.stderr.contains("1 error in other files"),
        "{}",
        run.stderr
    );
    let _ = repo.run(["validate", "policies"]).fails(1);
    assert!(
        repo.run(["validate", "policies/c.yaml"])
            .fails(2)
            .contains("no documents in `policies/c.yaml`")
    );
    assert!(
        repo.run(["validate", "/"])
            .fails(2)
            .contains("is not below the root")
    );
    assert!(
        repo.run(["test", "--at", "main", "policies"])
            .fails(2)
            .contains("no test stands in `policies`")
    );
}

#[test]
fn a_bare_repository_has_neither_an_index_nor_files_to_judge() {
    let repo = TestRepo::new();
    repo.write("all.yaml", BASE).commit("one");
    let bare = repo.cloned(&["--bare"]);
    // Not even where something has left an index there.
    for prepare in [&["rev-parse", "main"], &["read-tree", "main"]] {
        bare.git(prepare.iter().copied());
        for args in [&["validate"][..], &["validate", "--staged"]] {
            let said = bare.run(args.iter().copied()).fails(2);
            assert!(
                said.contains("is a git repository without a work tree"),
                "{said}"
            );
            assert!(
                said.contains("help: read a commit with `--at REV`"),
                "{said}"
            );
        }
    }
    bare.run(["validate", "--at", "main"]).ok();
}

#[test]
fn a_pipeline_and_a_chain_have_limits_that_say_so() {
    let repo = TestRepo::new();
    let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("g{n}")).collect() };
    let policy = |guardrails: usize, steps: usize| {
        let steps = names(steps).iter().fold(String::new(), |all, name| {
            format!("{all}    - {{guardrail: {name}, on_pass: next}}\n")
        });
        let add = names(guardrails).join(", ");
        repo.policy(
            "base",
            &format!(
                "guardrails: {{add: [{add}]}}\npipeline:\n  mode: pre_call\n  steps:\n{steps}"
            ),
        );
        repo.policy("child", "inherit: base\nguardrails: {add: [own]}");
    };
    policy(4_095, 1_024);
    let _ = repo.run(["validate"]).ok();
    policy(4_096, 1_025);
    let said = repo.run(["validate"]).ends(1).stdout;
    for limit in [
        "the pipeline of `base` has 1025 steps: the limit `pipeline-steps` is 1024",
        "the chain of `child` adds 4097 guardrails: the limit `chain-guardrails` is 4096",
    ] {
        assert!(said.contains(limit), "{said}");
    }
    assert!(!said.contains("`base` adds"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_judged_where_it_stands() {
    let repo = TestRepo::new();
    repo.write("policies/base.yaml", BASE);
    std::os::unix::fs::symlink("/etc/hostname", repo.path().join("policies/out.yaml")).unwrap();
    let help = "replace it by the file itself, or leave it out with `exclude`";
    let found = findings(&repo, &["policies/out.yaml"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("policies/out.yaml:1 RG017") && found[0].contains(help),
        "{found:?}"
    );
    std::fs::remove_file(repo.path().join("policies/out.yaml")).unwrap();
    std::os::unix::fs::symlink("base.yaml", repo.path().join("policies/twin.yaml")).unwrap();
    let found = findings(&repo, &["policies/twin.yaml"]);
    assert!(
        found[0].starts_with("policies/twin.yaml:3 RG101"),
        "{found:?}"
    );
}
