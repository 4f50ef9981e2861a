//! Random small sets: few names, so that what one attachment does meets what another does.

use std::fmt::Write as _;

use crate::document::{Dimension, PerDimension};

/// A generator of numbers: the same seed, the same set.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;

        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub fn some<T: Clone>(&mut self, list: &[T], most: usize) -> Vec<T> {
        (0..1 + self.below(most))
            .map(|_| self.pick(list).clone())
            .collect()
    }
}

const GUARDRAILS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const TEAMS: [&str; 5] = ["a", "ab", "a*", "b", "*"];
const KEYS: [&str; 3] = ["k", "k*", "*"];
const MODELS: [&str; 5] = ["m", "m*", "mx", "n*", "*"];
const TAGS: [&str; 5] = ["t", "t*", "tu", "s", "*"];
const USERS: [&str; 4] = ["u", "u*", "uz", "*"];
const TOOLS: [&str; 4] = ["s/a", "s/*", "s*", "*"];
const CONDITIONS: [&str; 7] = ["m", "m.*", "(m|n)x?", "n", ".+", "[a-m]x*", "m(x|y)+"];
const ACTIONS: [&str; 4] = ["next", "next", "allow", "block"];

/// Which of the policy's guardrails, and what it does on pass, fail and error.
pub type Step = (usize, [&'static str; 3]);

#[derive(Debug, Clone)]
pub struct Policy {
    pub name: usize,
    pub parent: Option<usize>,
    pub add: Vec<&'static str>,
    pub remove: Vec<&'static str>,
    pub condition: Vec<&'static str>,
    pub pipeline: Option<(bool, Vec<Step>)>,
}

/// The patterns of a box.
pub type Lists = PerDimension<Option<Vec<&'static str>>>;

#[derive(Debug, Clone)]
pub struct Attachment {
    pub policy: usize,
    pub lists: Lists,
    pub priority: Option<usize>,
    pub default: bool,
    /// The end of a day of December 2026.
    pub expires: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Invariant {
    pub applies: Lists,
    pub except: Option<Lists>,
    pub lists: [Vec<&'static str>; 3],
}

#[derive(Debug, Clone, Default)]
pub struct Set {
    pub policies: Vec<Policy>,
    pub attachments: Vec<Attachment>,
    pub invariants: Vec<Invariant>,
}

pub fn set(r: &mut Random) -> Set {
    let policies = (0..1 + r.below(4))
        .map(|name| policy(r, name))
        .collect::<Vec<_>>();
    let attachments = (0..1 + r.below(6))
        .map(|_| attachment(r, policies.len()))
        .collect();
    Set {
        policies,
        attachments,
        invariants: Vec::new(),
    }
}

fn policy(r: &mut Random, name: usize) -> Policy {
    let add = if r.chance(85) {
        r.some(&GUARDRAILS, 3)
    } else {
        Vec::new()
    };

    let steps = |r: &mut Random| {
        let one = |r: &mut Random| {
            let at = r.below(add.len());
            (
                at,
                [
                    *r.pick(&ACTIONS),
                    *r.pick(&["block", "next", "allow", "modify_response"]),
                    *r.pick(&ACTIONS),
                ],
            )
        };

        (0..1 + r.below(2)).map(|_| one(r)).collect::<Vec<_>>()
    };

    Policy {
        name,
        parent: (name > 0 && r.chance(40)).then(|| r.below(name)),
        remove: if r.chance(20) {
            r.some(&GUARDRAILS, 2)
        } else {
            Vec::new()
        },
        condition: if r.chance(35) {
            r.some(&CONDITIONS, 2)
        } else {
            Vec::new()
        },
        pipeline: (!add.is_empty() && r.chance(35)).then(|| (r.chance(70), steps(r))),
        add,
    }
}

fn lists(r: &mut Random) -> Lists {
    PerDimension::from_fn(|dimension| {
        let (percent, pool): (usize, &[&str]) = match dimension {
            Dimension::Team => (40, &TEAMS),
            Dimension::Key => (25, &KEYS),
            Dimension::User => (15, &USERS),
            Dimension::Tag => (40, &TAGS),
            Dimension::Model => (30, &MODELS),
            Dimension::Tool => (15, &TOOLS),
        };

        r.chance(percent).then(|| r.some(pool, 2))
    })
}

fn attachment(r: &mut Random, policies: usize) -> Attachment {
    Attachment {
        policy: r.below(policies),
        lists: lists(r),
        priority: r.chance(20).then(|| r.below(3)),
        default: r.chance(30),
        expires: None,
    }
}

pub fn invariant(r: &mut Random) -> Invariant {
    let some = |r: &mut Random, percent| {
        if r.chance(percent) {
            r.some(&GUARDRAILS, 2)
        } else {
            Vec::new()
        }
    };

    let mut invariant = Invariant {
        applies: lists(r),
        except: r.chance(40).then(|| lists(r)),
        lists: [some(r, 50), some(r, 40), some(r, 40)],
    };

    if invariant.lists.iter().all(Vec::is_empty) {
        invariant.lists[0] = vec!["g0"];
    }

    invariant
}

/// The set after a change or a few.
pub fn changed(r: &mut Random, set: &Set) -> Set {
    let mut set = set.clone();
    for _ in 0..1 + r.below(3) {
        let policies = set.policies.len();
        match r.below(9) {
            0 => set.attachments.push(attachment(r, policies)),
            1 if set.attachments.len() > 1 => {
                let at = r.below(set.attachments.len());
                set.attachments.remove(at);
            }
            2 if !set.attachments.is_empty() => {
                let at = r.below(set.attachments.len());
                set.attachments[at] = attachment(r, policies);
            }
            3 if !set.attachments.is_empty() => {
                let at = r.below(set.attachments.len());
                set.attachments[at].default ^= true;
            }
            4 if !set.attachments.is_empty() => {
                let at = r.below(set.attachments.len());
                set.attachments[at].priority = r.chance(70).then(|| r.below(3));
            }
            5 => set.policies.push(policy(r, policies)),
            6 => {
                let at = r.below(policies);
                set.policies[at].condition = if r.chance(50) {
                    r.some(&CONDITIONS, 2)
                } else {
                    Vec::new()
                };
            }
            7 => {
                let at = r.below(policies);
                set.policies[at].pipeline = policy(r, at)
                    .pipeline
                    .filter(|_| !set.policies[at].add.is_empty());
            }
            _ => {
                let at = r.below(policies);
                set.policies[at] = policy(r, at);
            }
        }
    }

    set
}

/// Some attachments of a set expire: on one of three days, the first of which is over on
/// 2026-12-02.
pub fn let_expire(r: &mut Random, set: &mut Set) {
    for attachment in &mut set.attachments {
        if r.chance(50) {
            attachment.expires = Some(*r.pick(&[1, 10, 20]));
        }
    }
}

fn list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

fn boxed(lists: &Lists) -> String {
    let parts = lists.written().filter_map(|(dimension, patterns)| {
        Some(format!(
            "{}: {}",
            dimension.plural(),
            list(patterns.as_ref()?)
        ))
    });

    parts.collect::<Vec<_>>().join(", ")
}

impl Set {
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        for p in &self.policies {
            p.write(&mut out);
        }

        for a in &self.attachments {
            let _ = write!(
                out,
                "---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p{}\n",
                a.policy
            );
            let lists = boxed(&a.lists);
            let _ = if lists.is_empty() {
                writeln!(out, "scope: \"*\"")
            } else {
                writeln!(out, "{}", lists.replace("], ", "]\n"))
            };

            if let Some(priority) = a.priority {
                let _ = writeln!(out, "priority: {priority}");
            }

            if a.default {
                out.push_str("default: true\n");
            }

            if let Some(day) = a.expires {
                let _ = writeln!(out, "expires: 2026-12-{day:02}");
            }
        }

        for (at, i) in self.invariants.iter().enumerate() {
            let _ = write!(
                out,
                "---\napiVersion: refguard/v1\nkind: Invariant\nname: i{at}\n"
            );
            let _ = writeln!(out, "for: {{{}}}", boxed(&i.applies));
            if let Some(except) = &i.except {
                let _ = writeln!(out, "except: {{{}}}", boxed(except));
            }

            for (name, names) in ["require", "any_of", "forbid"].iter().zip(&i.lists) {
                if !names.is_empty() {
                    let _ = writeln!(out, "{name}: {}", list(names));
                }
            }
        }

        out
    }
}

impl Policy {
    fn write(&self, out: &mut String) {
        let _ = write!(
            out,
            "---\napiVersion: refguard/v1\nkind: Policy\nname: p{}\n",
            self.name
        );

        if let Some(parent) = self.parent {
            let _ = writeln!(out, "inherit: p{parent}");
        }

        if !self.add.is_empty() || !self.remove.is_empty() {
            let _ = write!(
                out,
                "guardrails:\n  add: {}\n  remove: {}\n",
                list(&self.add),
                list(&self.remove)
            );
        }

        if !self.condition.is_empty() {
            let _ = write!(out, "condition:\n  model: {}\n", list(&self.condition));
        }

        if let Some((pre, steps)) = &self.pipeline {
            let mode = if *pre { "pre_call" } else { "post_call" };
            let _ = write!(out, "pipeline:\n  mode: {mode}\n  steps:\n");
            for (at, [pass, fail, error]) in steps {
                let guardrail = self.add[*at % self.add.len()];
                let _ = writeln!(
                    out,
                    "    - {{guardrail: {guardrail}, on_pass: {pass}, on_fail: {fail}, on_error: \
                        {error}}}"
                );
            }
        }
    }
}
