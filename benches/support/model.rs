//! Made-up policy sets of any size, the same for the same seed.
//!
//! Shaped like a gateway of many teams: four in ten policies inherit, a quarter have a condition, a
//! tenth a pipeline; attachments name teams and keys for the most part, some a prefix with a model,
//! some tags; three match every request.

use std::fmt::Write;

use refguard_core::document::Dimension;
use refguard_core::resolve::{Context, Request};

const REGIONS: [&str; 5] = ["eu", "us", "apac", "latam", "mea"];
const DOMAINS: [&str; 10] = [
    "health", "finance", "legal", "retail", "research", "support", "hr", "platform", "growth",
    "risk",
];
const MODELS: [&str; 12] = [
    "gpt-4",
    "gpt-4o",
    "gpt-4-turbo",
    "gpt-5",
    "gpt-5-mini",
    "claude-opus-4",
    "claude-sonnet-4",
    "bedrock/claude-sonnet",
    "bedrock/llama-3",
    "azure/gpt-4o",
    "gemini-2.5-pro",
    "mistral-large",
];
/// As they stand in the file: a text, or a list of them.
const CONDITIONS: [&str; 7] = [
    r#""gpt-4.*""#,
    r#""gpt-5(-mini)?""#,
    r#""claude-(opus|sonnet)-.*""#,
    r#""bedrock/.*""#,
    r#""azure/gpt-4o""#,
    r#"["gpt-4", "gpt-4o"]"#,
    r#"["gemini-.*", "mistral-large"]"#,
];
const FAMILIES: [&str; 4] = ["bedrock/*", "azure/*", "gpt-*", "claude-*"];
const GUARDRAILS: usize = 120;
const ATTACHMENTS_A_FILE: usize = 20;

/// How large a set is to be.
#[derive(Clone, Copy)]
pub struct Size {
    pub policies: usize,
    pub attachments: usize,
    pub teams: usize,
}

impl Size {
    /// As many attachments as policies, and ten of them a team: what a request gets stays alike at
    /// any size.
    pub fn of(attachments: usize) -> Self {
        Self {
            policies: attachments,
            attachments,
            teams: (attachments / 10).max(10),
        }
    }
}

/// A made-up set.
pub struct Model {
    teams: Vec<String>,
    keys: Vec<String>,
    tags: Vec<String>,
    policies: Vec<(String, String)>,
    attachments: Vec<String>,
}

impl Model {
    pub fn new(size: Size, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let teams = (0..size.teams)
            .map(|i| format!("{}-{}-{i:05}", dice.pick(&DOMAINS), dice.pick(&REGIONS)))
            .collect();
        let keys = (0..size.teams)
            .map(|i| format!("{}-key-{i:05}", dice.pick(&["prod", "dev", "ci"])))
            .collect();
        let tags = (0..(size.teams / 10).max(20))
            .map(|i| {
                format!(
                    "{}-{i:04}",
                    dice.pick(&["phi", "pci", "pii", "tier", "proj"])
                )
            })
            .collect();
        let mut model = Self {
            teams,
            keys,
            tags,
            policies: Vec::new(),
            attachments: Vec::new(),
        };
        model.policies = (0..size.policies).map(|i| policy(i, &mut dice)).collect();
        model.attachments = (0..size.attachments)
            .map(|i| model.attachment(i, size.policies, &mut dice))
            .collect();
        model
    }

    /// The files of the set: path and text.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            (
                "refguard.yaml".to_owned(),
                "apiVersion: refguard/v1\nkind: Repository\n".to_owned(),
            ),
            ("catalog.yaml".to_owned(), self.catalog()),
        ];
        files.extend(self.policies.iter().cloned());
        for (i, chunk) in self.attachments.chunks(ATTACHMENTS_A_FILE).enumerate() {
            files.push((format!("attachments/{i:06}.yaml"), chunk.join("---\n")));
        }
        files
    }

    /// Requests by its teams, keys, models and tags.
    pub fn requests(&self, count: usize, seed: u64) -> Vec<Request> {
        let mut dice = Dice(seed);
        let mut request = || {
            let tags = if dice.chance(30) {
                dice.sample(&self.tags, 3)
            } else {
                Vec::new()
            };
            let mut context = Context::from_values([
                (Dimension::Team, dice.pick(&self.teams).as_str()),
                (Dimension::Key, dice.pick(&self.keys).as_str()),
                (Dimension::Model, *dice.pick(&MODELS)),
            ]);
            context.extend(tags.into_iter().map(|tag| (Dimension::Tag, tag)));
            Request {
                context,
                policies: Vec::new(),
            }
        };
        (0..count).map(|_| request()).collect()
    }

    fn catalog(&self) -> String {
        let guardrails: Vec<String> = (0..GUARDRAILS).map(guardrail).collect();
        let models: Vec<String> = MODELS
            .iter()
            .chain(&["gpt-4.1"])
            .map(|model| (*model).to_owned())
            .collect();
        let mut text = "apiVersion: refguard/v1\nkind: Catalog\n".to_owned();
        for (key, names) in [
            ("guardrails", &guardrails),
            ("teams", &self.teams),
            ("keys", &self.keys),
            ("models", &models),
        ] {
            let _ = writeln!(text, "{key}:");
            names
                .iter()
                .for_each(|name| text.push_str(&format!("  - \"{name}\"\n")));
        }
        text
    }

    fn attachment(&self, i: usize, policies: usize, dice: &mut Dice) -> String {
        let mut text = format!(
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {}\n",
            policy_name(i % policies)
        );
        let mut put = |key: &str, names: &[String]| text.push_str(&format!("{key}: {names:?}\n"));
        match dice.below(100) {
            _ if i < 3 => text.push_str("scope: \"*\"\n"),
            0..45 => put("teams", &dice.sample(&self.teams, 3)),
            45..60 => {
                let team = dice.pick(&self.teams);
                put(
                    "teams",
                    &[format!("{}*", &team[..(9 + dice.below(6)).min(team.len())])],
                );
                put("models", &[(*dice.pick(&MODELS)).to_owned()]);
            }
            60..80 => put("keys", &dice.sample(&self.keys, 3)),
            80..92 => put("tags", &[dice.pick(&self.tags).clone()]),
            _ => {
                put("teams", &[dice.pick(&self.teams).clone()]);
                put("models", &[(*dice.pick(&FAMILIES)).to_owned()]);
            }
        }
        if dice.chance(10) {
            let _ = writeln!(text, "priority: {}", dice.below(106).cast_signed() - 5);
        }
        if i > 3 && dice.chance(2) {
            text.push_str("default: true\n");
        }
        text
    }
}

fn policy(i: usize, dice: &mut Dice) -> (String, String) {
    let name = policy_name(i);
    let mut text = format!(
        "apiVersion: refguard/v1\nkind: Policy\nname: {name}\ndescription: \"Policy number {i} for {}\"\n",
        dice.pick(&DOMAINS)
    );
    let inherits = i > 0 && dice.chance(40);
    if inherits {
        // A recent policy, or one of the first: deep chains and crowded parents.
        let parent = if dice.chance(50) {
            i - 1 - dice.below(i.min(50))
        } else {
            dice.below(i.min(20))
        };
        let _ = writeln!(text, "inherit: {}", policy_name(parent));
    }
    let all: Vec<String> = (0..GUARDRAILS).map(guardrail).collect();
    let add = dice.sample(&all, 5);
    let _ = writeln!(text, "guardrails:\n  add: [{}]", add.join(", "));
    if inherits && dice.chance(30) {
        let _ = writeln!(text, "  remove: [{}]", dice.sample(&all, 2).join(", "));
    }
    if dice.chance(25) {
        let _ = writeln!(text, "condition:\n  model: {}", dice.pick(&CONDITIONS));
    }
    if dice.chance(10) {
        let _ = writeln!(
            text,
            "pipeline:\n  mode: {}\n  steps:",
            dice.pick(&["pre_call", "post_call"])
        );
        for guardrail in add {
            let on_fail = dice.pick(&["block", "next", "modify_response"]);
            let _ = writeln!(
                text,
                "    - guardrail: {guardrail}\n      on_fail: {on_fail}\n      on_pass: next"
            );
        }
    }
    (format!("policies/{:02}/{name}.yaml", i % 100), text)
}

fn policy_name(i: usize) -> String {
    format!("policy-{i:06}")
}

fn guardrail(i: usize) -> String {
    format!("guardrail_{i:03}")
}

/// A small generator of our own (SplitMix64), so that a seed means the same set for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One to `most` different ones.
    fn sample(&mut self, from: &[String], most: usize) -> Vec<String> {
        let count = (1 + self.below(most)).min(from.len());
        let mut taken: Vec<String> = Vec::new();
        while taken.len() < count {
            let one = self.pick(from);
            if !taken.contains(one) {
                taken.push(one.clone());
            }
        }
        taken
    }
}
