//! Classes of models: sets of models that some patterns and conditions cannot tell apart.
//!
//! They are found by one walk, byte by byte, over the trie of the patterns and the automata of the
//! conditions at once. Each state of the walk says which items a model that ends here meets. For
//! example:
//!
//! ```text
//! items            bit 0: the pattern gpt-*     bit 1: the condition .*-mini
//!
//! bytes walked     items met     class
//! (no model)       none          0: the absent model
//! a                none          1: every model that neither item asks for
//! gpt-             0             2: for example "gpt-"
//! -mini            1             3: for example "-mini"
//! gpt--mini        0 and 1       4: for example "gpt--mini"
//! ```
//!
//! The walk is breadth first, so that the model it found first for a class is a shortest one. It
//! stands for the class until a model of the catalog is known to lie there.

use std::rc::Rc;
use std::sync::Arc;

use regex_automata::util::primitives::StateID;
use rustc_hash::{FxHashMap, FxHashSet};

use super::automata::{self, Dfa, TooLarge};
use super::budget::Budget;
use super::chain::{ItemId, Items, ModelItem};
use super::trie::{Trie, TriePlace};
use crate::document::Dimension;
use crate::policy::condition::ModelPattern;
use crate::policy::{Catalog, Pattern};

/// The most states of one walk.
const MAX_STATES: usize = 50_000;
/// The most automata that one walk follows.
const MAX_AUTOMATA: usize = 4_096;
/// The most automaton states that one walk keeps: each state of the walk holds one for each
/// automaton.
const MAX_CELLS: usize = 16_000_000;
/// The most memory for the bits of all classes, in words.
const MAX_WORDS: usize = 8_000_000;
/// Budget units for building an automaton: about what a short expression takes, in steps.
const AUTOMATON_UNITS: u64 = 5_000;
/// The most values of a catalog that are tried as witnesses.
const MAX_CATALOG: usize = 2_000;

/// Which items a model meets, one bit for each item of a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn set_bit(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    pub(crate) fn has_bit(&self, bit: usize) -> bool {
        self.0
            .get(bit / 64)
            .is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

/// Models that no item of the space tells apart.
#[derive(Debug)]
pub(crate) struct Class {
    pub bits: Bits,
    /// An example; `None`: the absent model.
    pub witness: Option<String>,
    /// Whether the example is a model of the catalog.
    pub known: bool,
}

/// The classes that some items make. The first is the absent model.
#[derive(Debug)]
pub(crate) struct Space {
    /// Sorted.
    pub items: Vec<ItemId>,
    pub classes: Vec<Class>,
    numbers: FxHashMap<Bits, usize>,
}

impl Space {
    /// Whether the models of a class meet an item. An item that the space lacks is met by none.
    pub(crate) fn meets_item(&self, class: usize, item: ItemId) -> bool {
        self.items.binary_search(&item).is_ok_and(|bit| {
            self.classes
                .get(class)
                .is_some_and(|class| class.bits.has_bit(bit))
        })
    }

    pub(crate) fn is_absent(&self, class: usize) -> bool {
        class == 0
    }

    /// The class that a class of a finer space lies in.
    pub(crate) fn class_of(&self, finer: &Space, class: usize) -> Option<usize> {
        if finer.is_absent(class) {
            return Some(0);
        }

        let mut bits = Bits::new(self.items.len());
        for (bit, item) in self.items.iter().enumerate() {
            if finer.meets_item(class, *item) {
                bits.set_bit(bit);
            }
        }

        self.numbers.get(&bits).copied()
    }
}

/// Builds spaces and automata, and keeps them for the next time.
#[derive(Debug)]
pub(crate) struct Spaces {
    made: FxHashMap<Vec<ItemId>, Result<Rc<Space>, TooLarge>>,
    automata: FxHashMap<ItemId, Result<Rc<Dfa>, TooLarge>>,
    utf8: Result<Rc<Dfa>, TooLarge>,
    /// The catalog's models, and for each item which of them meet it.
    catalog: Vec<Arc<str>>,
    met: FxHashMap<ItemId, Rc<Vec<bool>>>,
}

impl Spaces {
    /// Examples are taken from the catalogs; earlier catalogs come first.
    pub(crate) fn new(catalogs: &[&Catalog]) -> Self {
        Self {
            made: FxHashMap::default(),
            automata: FxHashMap::default(),
            utf8: automata::utf8_automaton().map(Rc::new),
            catalog: catalog_values(
                catalogs
                    .iter()
                    .filter_map(|catalog| catalog.values[Dimension::Model].as_deref()),
            ),
            met: FxHashMap::default(),
        }
    }

    /// The classes that the items make; they are sorted, each once.
    pub(crate) fn space_of(
        &mut self,
        known: &Items,
        items: &[ItemId],
        budget: &Budget,
    ) -> Result<Rc<Space>, TooLarge> {
        if let Some(made) = self.made.get(items) {
            return made.clone();
        }

        let space = self.make_space(known, items, budget).map(Rc::new);
        // The budget was the reason: a later phase, with more of it, may succeed.
        if space.is_err() && budget.is_spent() {
            return space;
        }

        self.made.insert(items.to_vec(), space.clone());
        space
    }

    fn make_space(
        &mut self,
        known: &Items,
        items: &[ItemId],
        budget: &Budget,
    ) -> Result<Space, TooLarge> {
        let mut trie = Trie::new(items.len());
        let mut automata = Vec::new();
        for (bit, item) in items.iter().enumerate() {
            match known.item_at(*item) {
                Some(ModelItem::Pattern(pattern)) => trie.insert_pattern(pattern, bit),
                Some(ModelItem::Condition(text)) => {
                    match known.condition_of(text).and_then(ModelPattern::literals) {
                        // A string is found by the trie at no cost for each step.
                        Some(literals) => {
                            literals
                                .for_each(|text| trie.insert_pattern(&Pattern::Exact(text), bit));
                        }
                        None => {
                            let is_new = !self.automata.contains_key(item);
                            let is_paid = !is_new || budget.spend(AUTOMATON_UNITS);
                            if !is_paid || automata.len() == MAX_AUTOMATA {
                                return Err(TooLarge);
                            }

                            automata.push((bit, self.automaton_of(known, *item, budget)?));
                        }
                    }
                }
                None => return Err(TooLarge),
            }
        }

        trie.settle_fallbacks();
        let walk = ModelWalk {
            trie,
            automata,
            utf8: self.utf8.clone()?,
            bits: items.len(),
            budget,
        };

        let mut space = Space {
            items: items.to_vec(),
            classes: Vec::new(),
            numbers: FxHashMap::default(),
        };

        space.classes.push(Class {
            bits: Bits::new(items.len()),
            witness: None,
            known: true,
        });
        for (bits, witness) in walk.find_classes()? {
            space.numbers.insert(bits.clone(), space.classes.len());
            space.classes.push(Class {
                bits,
                witness: Some(witness),
                known: false,
            });
        }

        budget.spend((self.catalog.len() * items.len()) as u64);
        self.name_classes(known, &mut space);
        Ok(space)
    }

    fn automaton_of(
        &mut self,
        known: &Items,
        item: ItemId,
        budget: &Budget,
    ) -> Result<Rc<Dfa>, TooLarge> {
        if let Some(made) = self.automata.get(&item) {
            return made.clone();
        }

        let made = match known.item_at(item) {
            Some(ModelItem::Condition(text)) => known
                .condition_of(text)
                .ok_or(TooLarge)
                .and_then(automata::build_automaton)
                .map(Rc::new),
            _ => Err(TooLarge),
        };

        budget.spend(
            made.as_ref()
                .map_or(automata::WORK_OF_TOO_LARGE, |dfa| dfa.work_of_building()),
        );
        self.automata.insert(item, made.clone());
        made
    }

    /// Replaces the examples of classes by models of the catalog that lie in them.
    fn name_classes(&mut self, known: &Items, space: &mut Space) {
        let met: Vec<Rc<Vec<bool>>> = space
            .items
            .iter()
            .map(|item| self.catalog_matches(known, *item))
            .collect();

        for (at, value) in self.catalog.iter().enumerate() {
            let mut bits = Bits::new(space.items.len());
            for (bit, met) in met.iter().enumerate() {
                if met.get(at).copied().unwrap_or(false) {
                    bits.set_bit(bit);
                }
            }

            let class = space
                .numbers
                .get(&bits)
                .and_then(|class| space.classes.get_mut(*class));
            if let Some(class) = class.filter(|class| !class.known) {
                class.witness = Some(value.to_string());
                class.known = true;
            }
        }
    }

    fn catalog_matches(&mut self, known: &Items, item: ItemId) -> Rc<Vec<bool>> {
        if let Some(met) = self.met.get(&item) {
            return met.clone();
        }

        let meets = |value: &Arc<str>| match known.item_at(item) {
            Some(ModelItem::Pattern(pattern)) => pattern.matches(Some(value)),
            Some(ModelItem::Condition(text)) => known
                .condition_of(text)
                .is_some_and(|pattern| pattern.matches(value)),
            None => false,
        };

        let met = Rc::new(self.catalog.iter().map(meets).collect::<Vec<bool>>());
        self.met.insert(item, met.clone());
        met
    }
}

/// The exact values of catalogs, without the empty one.
pub(crate) fn catalog_values<'a>(lists: impl Iterator<Item = &'a [Arc<str>]>) -> Vec<Arc<str>> {
    lists
        .flatten()
        .filter(|value| !value.is_empty() && matches!(Pattern::parse(value), Pattern::Exact(_)))
        .take(MAX_CATALOG)
        .cloned()
        .collect()
}

/// One walk over the trie, the automata of the conditions, and the automaton of valid UTF-8.
struct ModelWalk<'a> {
    trie: Trie,
    automata: Vec<(usize, Rc<Dfa>)>,
    utf8: Rc<Dfa>,
    bits: usize,
    budget: &'a Budget,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    place: TriePlace,
    utf8: StateID,
    automata: Vec<StateID>,
}

/// The states met so far, how each was reached first, and the classes found.
#[derive(Default)]
struct Met {
    known: FxHashSet<State>,
    states: Vec<(State, Option<(usize, u8)>)>,
    found: FxHashSet<Bits>,
    classes: Vec<(Bits, String)>,
}

impl ModelWalk<'_> {
    /// Every class but the absent one and the empty string, each with one string: a shortest one of
    /// printable characters where there is one.
    fn find_classes(&self) -> Result<Vec<(Bits, String)>, TooLarge> {
        let all = self.representative_bytes();
        let (printable, rest): (Vec<u8>, Vec<u8>) =
            all.iter().partition(|byte| matches!(byte, b' '..=b'~'));
        let mut met = Met::default();
        met.add_state(self.start_state(), None);
        let mut at = 0;
        while at < met.states.len() {
            self.take_step(at, &printable, &mut met)?;
            at += 1;
        }

        let reached = at;
        at = 0;
        while at < met.states.len() {
            self.take_step(at, if at < reached { &rest } else { &all }, &mut met)?;
            at += 1;
        }

        Ok(met.classes)
    }

    /// Extends a state by each of some bytes.
    fn take_step(&self, from: usize, bytes: &[u8], met: &mut Met) -> Result<(), TooLarge> {
        for byte in bytes {
            if met.is_too_large(self.automata.len(), self.bits)
                || !self.budget.spend(2 + self.automata.len() as u64)
            {
                return Err(TooLarge);
            }

            let Some(next) = met
                .states
                .get(from)
                .map(|(state, _)| self.next_state(state, *byte))
            else {
                continue;
            };

            if self.utf8.is_dead(next.utf8) {
                continue;
            }

            if self.utf8.accepts(next.utf8) {
                let bits = self.met_by(&next);
                if met.found.insert(bits.clone()) {
                    met.classes.push((bits, met.spell_model(from, *byte)));
                }
            }

            met.add_state(next, Some((from, *byte)));
        }

        Ok(())
    }

    fn start_state(&self) -> State {
        State {
            place: self.trie.root_place(),
            utf8: self.utf8.start(),
            automata: self.automata.iter().map(|(_, dfa)| dfa.start()).collect(),
        }
    }

    fn next_state(&self, state: &State, byte: u8) -> State {
        State {
            place: self.trie.next_place(state.place, byte),
            utf8: self.utf8.next(state.utf8, byte),
            automata: self
                .automata
                .iter()
                .zip(&state.automata)
                .map(|((_, dfa), at)| dfa.next(*at, byte))
                .collect(),
        }
    }

    fn met_by(&self, state: &State) -> Bits {
        let mut bits = Bits::new(self.bits);
        self.trie
            .each_met(state.place, &mut |bit| bits.set_bit(bit));
        for ((bit, dfa), at) in self.automata.iter().zip(&state.automata) {
            if dfa.accepts(*at) {
                bits.set_bit(*bit);
            }
        }

        bits
    }

    /// One byte of each group that nothing tells apart; letters and digits are preferred.
    fn representative_bytes(&self) -> Vec<u8> {
        let mut order: Vec<u8> = (b'a'..=b'z')
            .chain(b'0'..=b'9')
            .chain([b'-'])
            .chain(b'A'..=b'Z')
            .collect();

        order.extend((b'!'..=b'~').filter(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-'));
        order.extend((0..=255).filter(|byte| !matches!(byte, b'!'..=b'~')));
        let mut seen: FxHashSet<Vec<u16>> = FxHashSet::default();
        order.retain(|byte| {
            let mut signature: Vec<u16> = self
                .automata
                .iter()
                .map(|(_, d)| u16::from(d.byte_class(*byte)))
                .collect();

            signature.push(u16::from(self.utf8.byte_class(*byte)));
            signature.push(if self.trie.knows_byte(*byte) {
                256 + u16::from(*byte)
            } else {
                0
            });
            seen.insert(signature)
        });

        order
    }
}

impl Met {
    /// Whether what is kept passes a limit; a walk over many automata, or with many bits, ends
    /// earlier.
    fn is_too_large(&self, automata: usize, bits: usize) -> bool {
        let cells = self.states.len().saturating_mul(automata);
        let words = self.classes.len().saturating_mul(bits.div_ceil(64));
        self.states.len() > MAX_STATES || cells > MAX_CELLS || words > MAX_WORDS
    }

    fn add_state(&mut self, state: State, from: Option<(usize, u8)>) {
        if self.known.insert(state.clone()) {
            self.states.push((state, from));
        }
    }

    /// The bytes that led to a state, and one byte more, as a string.
    fn spell_model(&self, from: usize, byte: u8) -> String {
        let mut bytes = vec![byte];
        let mut at = from;
        while let Some((_, Some((before, byte)))) = self.states.get(at) {
            bytes.push(*byte);
            at = *before;
        }

        bytes.reverse();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::chain::Items;

    /// The space of some conditions, and the units that it took.
    fn space_of(texts: impl Iterator<Item = String>) -> (Result<Rc<Space>, TooLarge>, u64) {
        let mut items = Items::default();
        let mut ids: Vec<ItemId> = texts
            .map(|text| items.add_condition(&ModelPattern::parse(&text).unwrap()))
            .collect();
        ids.sort_unstable();
        let budget = Budget::default();
        let space = Spaces::new(&[]).space_of(&items, &ids, &budget);

        (space, budget.units_used())
    }

    #[test]
    fn strings_in_conditions_cost_what_their_bytes_are() {
        let (space, few) = space_of((0..500).map(|it| format!("model-{it}")));
        assert_eq!(
            space.unwrap().classes.len(),
            502,
            "each, every other one, and none"
        );
        let (space, more) = space_of((0..2_000).map(|it| format!("model-{it}")));
        assert_eq!(space.unwrap().classes.len(), 2_002);

        assert!(more < 6 * few, "{few} units for 500, {more} for 2,000");
    }

    #[test]
    fn a_literal_that_is_escaped_is_met_by_its_text_and_by_what_it_says() {
        let (space, _) = space_of([r"gpt-4\.1".to_owned(), "gpt-4x1".to_owned()].into_iter());
        let space = space.unwrap();
        let named = |name: &str| {
            space
                .classes
                .iter()
                .any(|it| it.witness.as_deref() == Some(name))
        };

        assert!(named("gpt-4.1") && named("gpt-4x1"));
        assert_eq!(
            space.classes.len(),
            4,
            "the text of the pattern is in the class of what it says"
        );
    }

    #[test]
    fn more_than_can_be_kept_ends_soon() {
        let (space, used) = space_of((0..5_000).map(|it| format!("model-{it}.*x")));
        assert_eq!(space.unwrap_err(), TooLarge);
        assert!(used < 50_000_000, "{used}");
        let (space, used) = space_of((0..40_000).map(|it| format!("model-{it}")));
        assert_eq!(space.unwrap_err(), TooLarge);

        assert!(used < 200_000_000, "{used}");
    }
}
