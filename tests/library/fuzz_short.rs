//! The fuzz targets without a fuzzer: their seed corpus, and some thousand mutations of it, the
//! same each run.

#[path = "../../fuzz/src/lib.rs"]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Pieces that mean something to one of the parsers.
const WORDS: &[&str] = &[
    "\n",
    "\n---\n",
    "\r\n",
    "\t",
    " ",
    "  - ",
    ": ",
    "? ",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "%YAML 1.1\n",
    "|\n",
    ">-\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "\\u0000",
    "\\x1b",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "é",
    "🦀",
    "null",
    "~",
    "no",
    "0755",
    "1e3",
    "2147483648",
    "refguard/v1",
    "== refguard.yaml\n",
    "== catalog.yaml\n",
    "kind: Policy",
    "name: ",
    "inherit: ",
    "guardrails: ",
    "scope: \"*\"",
    "priority: ",
    "(?i)",
    "(?=",
    "\\d",
    "[^",
    "a-z",
    "{2,}",
    "*?",
    "+",
    "|",
    "^",
    "$",
    ".*",
    "\\<",
];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut data = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len() + 1);
        let end = (at + 1 + dice.below(12)).min(data.len());
        match dice.below(6) {
            0 if at < data.len() => data[at] = dice.below(256) as u8,
            1 => drop(data.drain(at..end.max(at))),
            2 => drop(data.splice(at..at, data[at..end.max(at)].to_vec())),
            3 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let piece = other[from..(from + dice.below(60)).min(other.len())].to_vec();
                drop(data.splice(at..at, piece));
            }
            _ => drop(data.splice(at..at, WORDS[dice.below(WORDS.len())].bytes())),
        }
    }
    data
}

fn run(target: &str, mutations: usize, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(
        seeds.len() >= 5,
        "{} holds {} seeds",
        corpus.display(),
        seeds.len()
    );
    let mut dice = Dice(1);
    let inputs = seeds
        .iter()
        .cloned()
        .chain((0..mutations).map(|_| mutate(&seeds, &mut dice)));
    for input in inputs {
        if catch_unwind(AssertUnwindSafe(|| body(&input))).is_err() {
            panic!(
                "the target `{target}` breaks on {:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }
}

#[test]
fn documents() {
    run("document", 1_000, bodies::document);
}

#[test]
fn trees() {
    run("tree", 500, bodies::tree);
}

#[test]
fn conditions() {
    run("condition", 5_000, bodies::condition);
}

#[test]
fn imports() {
    run("import", 500, bodies::import);
}
