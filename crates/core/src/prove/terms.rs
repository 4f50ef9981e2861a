//! A set of classes of models in few words: patterns and conditions that models meet or do not
//! meet.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use super::cone::any_value;
use super::report::Models;
use super::world::{ModelItem, World};
use crate::effect::{Budget, Space};
use crate::policy::Pattern;

/// Classes of one space that have the same description.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub models: Models,
    /// The pattern of `models.any`; `None`: only the absent model.
    pub any: Option<Pattern>,
    /// The classes, those with a model of the catalog first.
    pub classes: Vec<usize>,
}

/// An item that the models of a term all meet, or all do not.
type Literal = (usize, bool);

/// Terms that together have all of the classes and no other; `None`: the budget was spent first.
pub(super) fn model_terms(
    world: &World<'_>,
    space: &Space,
    classes: &[usize],
    budget: &Budget,
) -> Option<Vec<Term>> {
    let mut present: Vec<usize> = classes
        .iter()
        .copied()
        .filter(|class| !space.is_absent(*class))
        .collect();

    present.sort_by_key(|class| {
        (
            space.classes.get(*class).is_none_or(|class| !class.known),
            *class,
        )
    });
    let mut absent = classes.iter().any(|class| space.is_absent(*class));
    let mut is_wanted = vec![false; space.classes.len()];
    for class in &present {
        if let Some(is_wanted) = is_wanted.get_mut(*class) {
            *is_wanted = true;
        }
    }

    let mut terms: Vec<Term> = Vec::new();
    let mut told: FxHashSet<usize> = FxHashSet::default();
    for class in &present {
        if told.contains(class) {
            continue;
        }

        let literals = drop_literals(world, space, *class, &is_wanted, budget)?;
        budget.spend((present.len() * literals.len().max(1)) as u64);
        let mut term = describe_literals(world, space, &literals);
        term.classes = present
            .iter()
            .copied()
            .filter(|class| agrees_with(space, *class, &literals))
            .collect();
        told.extend(&term.classes);
        if absent && literals.iter().all(|(_, meets)| !meets) {
            absent = false;
            term.models.absent = true;
            term.classes.push(0);
        }

        terms.push(term);
    }

    if absent {
        let models = Models {
            any: Vec::new(),
            none: Vec::new(),
            absent: true,
            matches: Vec::new(),
            not_matches: Vec::new(),
        };

        terms.push(Term {
            models,
            any: None,
            classes: vec![0],
        });
    }

    Some(terms)
}

/// What tells the class from all that are not wanted; the least natural conditions are dropped
/// first.
fn drop_literals(
    world: &World<'_>,
    space: &Space,
    class: usize,
    is_wanted: &[bool],
    budget: &Budget,
) -> Option<Vec<Literal>> {
    let mut literals: Vec<Literal> = space
        .items
        .iter()
        .enumerate()
        .map(|(bit, item)| (bit, space.meets_item(class, *item)))
        .collect();
    let rank = |(bit, meets): &Literal| match space
        .items
        .get(*bit)
        .and_then(|item| world.items.item_at(*item))
    {
        Some(ModelItem::Pattern(pattern)) => {
            (u8::from(*meets) * 2 + 1, Reverse(pattern.to_string().len()))
        }
        _ => (u8::from(*meets) * 2, Reverse(0)),
    };

    literals.sort_by_key(rank);
    let mut at = 0;
    while at < literals.len() {
        // Most classes disagree at one of the first literals.
        if !budget.spend((space.classes.len() * 4) as u64) {
            return None;
        }

        let dropped = literals.remove(at);
        let excess = (1..space.classes.len()).any(|class| {
            !is_wanted.get(class).is_some_and(|wanted| *wanted)
                && agrees_with(space, class, &literals)
        });
        if excess {
            literals.insert(at, dropped);
            at += 1;
        }
    }

    Some(literals)
}

fn agrees_with(space: &Space, class: usize, literals: &[Literal]) -> bool {
    let bits = space.classes.get(class).map(|class| &class.bits);
    bits.is_some_and(|bits| {
        literals
            .iter()
            .all(|(bit, meets)| bits.has_bit(*bit) == *meets)
    })
}

fn describe_literals(world: &World<'_>, space: &Space, literals: &[Literal]) -> Term {
    let mut patterns: (Vec<&Pattern>, Vec<&Pattern>) = (Vec::new(), Vec::new());
    let mut models = Models {
        any: Vec::new(),
        none: Vec::new(),
        absent: false,
        matches: Vec::new(),
        not_matches: Vec::new(),
    };

    for (bit, meets) in literals {
        match (
            space
                .items
                .get(*bit)
                .and_then(|item| world.items.item_at(*item)),
            meets,
        ) {
            (Some(ModelItem::Pattern(pattern)), true) => patterns.0.push(pattern),
            (Some(ModelItem::Pattern(pattern)), false) => patterns.1.push(pattern),
            (Some(ModelItem::Condition(text)), true) => models.matches.push(text.to_string()),
            (Some(ModelItem::Condition(text)), false) => models.not_matches.push(text.to_string()),
            (None, _) => {}
        }
    }

    // Patterns that one model matches are nested: the innermost implies the others.
    let narrowest = patterns
        .0
        .iter()
        .find(|p| patterns.0.iter().all(|other| other.covers(p)));
    let any = narrowest.map_or_else(any_value, |pattern| (*pattern).clone());
    models.none = patterns
        .1
        .iter()
        .filter(|p| p.overlaps(&any))
        .map(|p| p.to_string())
        .collect();
    models.any = vec![any.to_string()];
    for list in [
        &mut models.none,
        &mut models.matches,
        &mut models.not_matches,
    ] {
        list.sort_unstable();
    }

    Term {
        models,
        any: Some(any),
        classes: Vec::new(),
    }
}
