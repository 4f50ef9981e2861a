//! Work grows with the text: no kind of document, made longer in one of its dimensions, takes more
//! than in proportion.
//!
//! Each case is a text that can be made as long as one likes. It is read and judged at once, twice
//! and four times a size, and the steps are compared that the primitives of the core count
//! (`document::work`): events of the parser, characters walked for a column, looks at a name or a
//! pattern, cells of an edit distance. Time is not looked at.

use rayon::ThreadPoolBuilder;

use crate::document::work::count_steps;
use crate::document::{Limits, Loaded, load_file};
use crate::policy::{Checked, Levels, check_documents};

/// Four times a text takes at most so many times the steps.
const MOST_GROWTH: f64 = 4.0 * 1.3;

/// Bytes of a text of the smallest size, about. The largest is a sixteenth of a file's limit, so
/// that the test stays short without optimisation: steps are counted, and their growth shows there.
const SMALLEST: usize = 16 << 10;

/// A text to begin with, and what is repeated.
struct Case {
    name: &'static str,
    head: &'static str,
    /// One more of the dimension; gets the number of the repetition.
    part: fn(usize) -> String,
    tail: &'static str,
}

const HEADER: &str = "apiVersion: refguard/v1\nkind: ";

fn of_number(prefix: &'static str) -> impl Fn(usize) -> String {
    move |n| format!("{prefix}{n}, ")
}

/// A name of nearly the greatest length, which differs from others at both ends and in the middle.
fn long_name(n: usize) -> String {
    let digits: String = format!("{n:06}").chars().rev().collect();
    format!("{digits}{}{n:06}{}{digits}", "a".repeat(50), "b".repeat(50))
}

fn policy_document(name: &str, rest: &str) -> String {
    format!("---\n{HEADER}Policy\nname: {name}\n{rest}\n")
}

fn attachment_document(policy: &str, rest: &str) -> String {
    format!("---\n{HEADER}PolicyAttachment\npolicy: {policy}\n{rest}\n")
}

/// Every kind of document along each of its lists, and YAML of every shape.
const CASES: &[Case] = &[
    Case {
        name: "keys on one line",
        head: "{",
        part: |_| "a,".to_owned(),
        tail: "}",
    },
    Case {
        name: "distinct keys on one line",
        head: "{",
        part: |n| format!("a{n},"),
        tail: "}",
    },
    Case {
        name: "nested and unclosed",
        head: "",
        part: |_| "[a, ".to_owned(),
        tail: "",
    },
    Case {
        name: "aliases of a long text",
        head: "a: &a \
            'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\nb: [",
        part: |_| "*a, ".to_owned(),
        tail: "]\n",
    },
    Case {
        name: "anchors",
        head: "b: [",
        part: |n| format!("&a{n} [x], "),
        tail: "]\n",
    },
    Case {
        name: "tags of YAML",
        head: "b: [",
        part: |_| "!x y, ".to_owned(),
        tail: "]\n",
    },
    Case {
        name: "directives",
        head: "",
        part: |_| "%A b\n".to_owned(),
        tail: "---\na: b\n",
    },
    Case {
        name: "comments",
        head: "",
        part: |n| format!("# {n}\n"),
        tail: "a: b\n",
    },
    Case {
        name: "lines of text",
        head: "a: |\n",
        part: |n| format!("  {n}\n"),
        tail: "",
    },
    Case {
        name: "guardrails on one line",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails:\n  add: [",
        part: |n| of_number("g")(n),
        tail: "]\n",
    },
    Case {
        name: "wrong types in a list",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails:\n  add: [",
        part: |_| "[], ".to_owned(),
        tail: "]\n",
    },
    Case {
        name: "unknown fields",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\n",
        part: |n| format!("guardrail{n}: x\n"),
        tail: "",
    },
    Case {
        name: "unknown guardrails of a catalog",
        head: "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [known]\n---\n\
            apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails:\n  add: [",
        part: |n| of_number("g")(n),
        tail: "]\n",
    },
    Case {
        name: "models of a condition",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\ncondition:\n  model: [",
        part: |n| of_number("gpt-")(n),
        tail: "]\n",
    },
    Case {
        name: "steps that are not added",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\n\
            pipeline:\n  mode: pre_call\n  steps:\n",
        part: |n| format!("  - {{guardrail: g{n}, on_pass: next}}\n"),
        tail: "",
    },
    Case {
        name: "tags of an attachment on one line",
        head: "apiVersion: refguard/v1\nkind: Policy\nname: p\n---\napiVersion: refguard/v1\nkind: \
            PolicyAttachment\npolicy: p\ntags: [",
        part: |n| of_number("t")(n),
        tail: "]\n",
    },
    Case {
        name: "unknown teams of an attachment",
        head: "apiVersion: refguard/v1\nkind: Catalog\nteams: [known]\n---\napiVersion: \
            refguard/v1\nkind: Policy\nname: p\n---\napiVersion: refguard/v1\nkind: \
            PolicyAttachment\npolicy: p\nteams: [",
        part: |n| of_number("t")(n),
        tail: "]\n",
    },
    Case {
        name: "a catalog's names",
        head: "apiVersion: refguard/v1\nkind: Catalog\nteams: [",
        part: |n| of_number("t")(n),
        tail: "]\n",
    },
    Case {
        name: "levels of rules that are none",
        head: "apiVersion: refguard/v1\nkind: Repository\nrules:\n",
        part: |n| format!("  unused-polic{n}: off\n"),
        tail: "",
    },
    Case {
        name: "environments",
        head: "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n",
        part: |n| format!("- name: e{n}\n"),
        tail: "",
    },
    Case {
        name: "an invariant's requests and exceptions",
        head: "apiVersion: refguard/v1\nkind: Invariant\nname: i\nrequire: [g]\n\
            for: &a\n  teams: [",
        part: |n| format!("t{n}, 'u{n}*', "),
        tail: "]\nexcept:\n  teams: ['t*', 'u*']\n",
    },
    Case {
        name: "what an invariant forbids",
        head: "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [known]\n---\napiVersion: \
            refguard/v1\nkind: Invariant\nname: i\nforbid: [",
        part: |n| of_number("g")(n),
        tail: "]\n",
    },
    Case {
        name: "cases of a test",
        head: "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n",
        part: |n| {
            format!(
                "- {{name: c{}, expect: {{excludes: [g{n}], policies: [p{n}]}}}}\n",
                n / 2
            )
        },
        tail: "",
    },
];

fn whole_text(case: &Case, bytes: usize) -> String {
    let mut text = case.head.to_owned();
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }

        text.push_str(&(case.part)(n));
    }

    text.push_str(case.tail);
    text
}

/// The steps of judging some files, all of them on one thread, where they are counted.
fn steps_of(files: Vec<(String, String)>) -> u64 {
    let judge = move || -> Checked {
        let mut loaded = Loaded::default();
        for (path, text) in files {
            loaded.append_loaded(load_file(
                path.as_str(),
                text.into_bytes(),
                &Limits::DEFAULT,
            ));
        }

        check_documents(loaded, &Levels::default())
    };

    // A pool is this thread alone, so that no step is taken on another. A thread has one pool for
    // ever.
    let run = move || {
        let pool = ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread()
            .build();
        count_steps(|| pool.expect("a pool").install(judge)).1
    };

    match std::thread::spawn(run).join() {
        Ok(steps) => steps,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Steps at once, twice and four times a size.
fn assert_linear(name: &str, files: impl Fn(usize) -> Vec<(String, String)>) {
    // Below so many steps, what is done once for any text counts for too much.
    let [one, two, four] = [1, 2, 4].map(|times| steps_of(files(times)).max(1_000) as f64);
    assert!(
        four <= MOST_GROWTH * one && two <= MOST_GROWTH / 2.0 * one,
        "{name}: {one}, {two}, {four} steps: {:.2} and {:.2} times",
        two / one,
        four / one,
    );
}

#[test]
fn every_list_of_every_kind_of_document_is_read_in_proportion() {
    for case in CASES {
        for path in ["policies/long.yaml", "elsewhere/long.yaml"] {
            assert_linear(case.name, |times| {
                vec![(path.to_owned(), whole_text(case, times * SMALLEST))]
            });
        }
    }
}

/// Documents of many files, so that the limit of documents a file is not met.
fn in_files(documents: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let documents: Vec<String> = documents.collect();
    let files = documents.chunks(500).enumerate();
    files
        .map(|(n, part)| (format!("policies/{n:04}.yaml"), part.concat()))
        .collect()
}

#[test]
fn policies_and_attachments_are_judged_in_proportion_to_their_number() {
    type Documents = fn(usize) -> String;
    let kinds: &[(&str, Documents)] = &[
        ("unknown parents", |n| {
            policy_document(&format!("p{n}"), &format!("inherit: {}", long_name(n)))
        }),
        ("policies of one name", |_| policy_document("p", "")),
        ("attachments to nothing", |n| {
            attachment_document(&long_name(n), "scope: '*'")
        }),
        ("a policy each and its attachment", |n| {
            let name = long_name(n);
            let policy = policy_document(&name, "guardrails: {add: [a, b], remove: [b]}");
            policy + &attachment_document(&name, &format!("teams: [t{n}]"))
        }),
        ("attachments of one team", |n| {
            let policy = policy_document(&format!("p{n}"), &format!("guardrails: {{add: [g{n}]}}"));
            policy + &attachment_document(&format!("p{n}"), "teams: [t]")
        }),
        ("tests of one name", |n| {
            format!(
                "---\n{HEADER}PolicyTest\nname: t\ncases: [{{name: c{n}, expect: {{guardrails: \
                    []}}}}]\n"
            )
        }),
        ("invariants", |n| {
            format!("---\n{HEADER}Invariant\nname: i{n}\nforbid: [g{n}]\n")
        }),
        ("catalogs", |n| {
            format!("---\n{HEADER}Catalog\nguardrails: [g{n}]\nteams: ['t{n}*']\n")
        }),
        ("names in another script", |n| {
            policy_document(&format!("caf\u{e9}{n}"), "")
        }),
    ];

    for (name, document) in kinds {
        assert_linear(name, |times| in_files((0..400 * times).map(document)));
    }
}

#[test]
fn a_chain_and_a_wide_family_are_judged_in_proportion() {
    assert_linear("one parent", |times| {
        let parent = |n: usize| {
            if n == 0 {
                String::new()
            } else {
                "inherit: p0".to_owned()
            }
        };

        in_files((0..400 * times).map(|n| policy_document(&format!("p{n}"), &parent(n))))
    });
    assert_linear("a cycle", |times| {
        let count = 400 * times;
        let parent = |n: usize| format!("inherit: p{}", (n + 1) % count);
        in_files((0..count).map(|n| policy_document(&format!("p{n}"), &parent(n))))
    });
}
