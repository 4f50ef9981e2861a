//! The trie of the patterns that models are asked for, as one automaton over bytes.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::policy::Pattern;

/// Where a string read so far stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TriePlace {
    node: u32,
    /// Whether the string has left the trie; then the node is where its deepest prefix ends.
    left: bool,
}

#[derive(Debug, Default)]
struct Node {
    exact: Vec<usize>,
    prefix: Vec<usize>,
    parent: Option<u32>,
    /// The nearest node at or above this one where a prefix ends, or the root.
    deepest: u32,
}

/// The trie of some patterns, each with a number.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    edges: FxHashMap<(u32, u8), u32>,
    bytes: FxHashSet<u8>,
}

impl Trie {
    pub(crate) fn new(patterns: usize) -> Self {
        let mut nodes = Vec::with_capacity(patterns + 1);
        nodes.push(Node::default());
        Self {
            nodes,
            edges: FxHashMap::default(),
            bytes: FxHashSet::default(),
        }
    }

    pub(crate) fn insert_pattern(&mut self, pattern: &Pattern, number: usize) {
        let (Pattern::Exact(text) | Pattern::Prefix(text)) = pattern;
        let mut at = 0;
        for byte in text.bytes() {
            self.bytes.insert(byte);
            at = match self.edges.get(&(at, byte)) {
                Some(next) => *next,
                None => self.grow_child(at, byte),
            };
        }

        let Some(node) = self.nodes.get_mut(at as usize) else {
            return;
        };

        match pattern {
            Pattern::Exact(_) => node.exact.push(number),
            Pattern::Prefix(_) => node.prefix.push(number),
        }
    }

    fn grow_child(&mut self, at: u32, byte: u8) -> u32 {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node {
            parent: Some(at),
            ..Node::default()
        });
        self.edges.insert((at, byte), next);

        next
    }

    /// To be called once all patterns are in: finds where a string goes that leaves the trie.
    pub(crate) fn settle_fallbacks(&mut self) {
        // Parents stand before their children.
        for at in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(at) else {
                continue;
            };
            let above = node
                .parent
                .and_then(|parent| self.nodes.get(parent as usize))
                .map_or(0, |node| node.deepest);
            let deepest = if node.prefix.is_empty() {
                above
            } else {
                u32::try_from(at).unwrap_or(u32::MAX)
            };

            if let Some(node) = self.nodes.get_mut(at) {
                node.deepest = deepest;
            }
        }
    }

    pub(crate) fn root_place(&self) -> TriePlace {
        TriePlace {
            node: 0,
            left: false,
        }
    }

    pub(crate) fn next_place(&self, place: TriePlace, byte: u8) -> TriePlace {
        if place.left {
            return place;
        }

        match self.edges.get(&(place.node, byte)) {
            Some(next) => TriePlace {
                node: *next,
                left: false,
            },
            None => TriePlace {
                node: self
                    .nodes
                    .get(place.node as usize)
                    .map_or(0, |node| node.deepest),
                left: true,
            },
        }
    }

    /// Whether some pattern tells this byte from others.
    pub(crate) fn knows_byte(&self, byte: u8) -> bool {
        self.bytes.contains(&byte)
    }

    /// The patterns that a string that stands here matches.
    pub(crate) fn each_met(&self, place: TriePlace, found: &mut impl FnMut(usize)) {
        let mut at = self.nodes.get(place.node as usize);
        if let Some(node) = at.filter(|_| !place.left) {
            node.exact.iter().for_each(|number| found(*number));
        }

        while let Some(node) = at {
            node.prefix.iter().for_each(|number| found(*number));
            at = node
                .parent
                .and_then(|parent| self.nodes.get(parent as usize));
        }
    }
}
