//! What each name of the catalog gets: a request for every combination of names, those that get the
//! same put together.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::why::{UnknownGuardrail, find_guardrail};
use crate::document::Dimension;
use crate::policy::{Context, PolicySet};
use crate::resolve::Engine;

/// The most requests of a matrix: the limit `matrix-requests`.
pub const MAX_REQUESTS: usize = 2_000_000;

/// What a matrix is to be of.
#[derive(Debug, Clone, Default)]
pub struct MatrixQuestion {
    /// The dimensions whose names make the rows.
    pub by: Vec<Dimension>,
    /// The guardrails that are asked for; empty: all.
    pub guardrails: Vec<String>,
    /// What all requests have in the other dimensions.
    pub context: Context,
}

/// What each name of the catalog gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Matrix {
    /// The version of the format.
    pub version: u32,
    /// The dimensions whose names make the rows.
    pub by: Vec<&'static str>,
    /// Every combination of names is in one row; every combination of a row's names gets the same.
    pub rows: Vec<Row>,
    /// Patterns of the catalog: they stand for names that cannot be listed.
    pub patterns: BTreeMap<&'static str, Vec<String>>,
}

/// Names that get the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// The names of each dimension.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// What requests with them get, sorted; of those that are asked for, where some are.
    pub guardrails: Vec<String>,
}

/// Why there is no matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadMatrix {
    /// The catalog lists no name of a dimension.
    NoNames(Dimension),
    /// A dimension is named twice.
    Twice(Dimension),
    /// There are too many combinations.
    TooLarge(usize),
    /// A guardrail is asked for that does not exist.
    Unknown(UnknownGuardrail),
}

impl std::fmt::Display for BadMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoNames(dimension) => write!(
                f,
                "no catalog lists the names of {}: rows are made of them",
                dimension.plural()
            ),
            Self::Twice(dimension) => {
                write!(f, "`{}` is named twice in `--by`", dimension.singular())
            }
            Self::TooLarge(requests) => write!(
                f,
                "the names make {requests} requests: the limit `matrix-requests` is {MAX_REQUESTS}"
            ),
            Self::Unknown(unknown) => unknown.fmt(f),
        }
    }
}

impl std::error::Error for BadMatrix {}

/// The names of a dimension in the catalog, sorted, and its patterns.
fn names_of(set: &PolicySet, dimension: Dimension) -> (Vec<&str>, Vec<&str>) {
    let listed = set.catalog.values[dimension]
        .iter()
        .flatten()
        .map(|name| &**name);
    let (mut patterns, mut names): (Vec<&str>, Vec<&str>) =
        listed.partition(|name| name.ends_with('*'));
    names.sort_unstable();
    names.dedup();
    patterns.sort_unstable();
    patterns.dedup();

    (names, patterns)
}

/// Makes the matrix of a set.
///
/// # Errors
/// See [`BadMatrix`].
pub fn make_matrix(engine: &Engine, question: &MatrixQuestion) -> Result<Matrix, BadMatrix> {
    let set: &PolicySet = engine.set();
    let wanted = number_wanted(set, &question.guardrails)?;

    let mut axes: Vec<(Dimension, Vec<&str>)> = Vec::new();
    let mut left_out = BTreeMap::new();
    for dimension in &question.by {
        if axes.iter().any(|(known, _)| known == dimension) {
            return Err(BadMatrix::Twice(*dimension));
        }

        let (names, patterns) = names_of(set, *dimension);
        if names.is_empty() {
            return Err(BadMatrix::NoNames(*dimension));
        }

        if !patterns.is_empty() {
            let patterns = patterns.into_iter().map(str::to_owned).collect();
            left_out.insert(dimension.singular(), patterns);
        }

        axes.push((*dimension, names));
    }

    let requests = axes.iter().map(|(_, names)| names.len());
    let requests = requests.fold(1usize, usize::saturating_mul);
    if requests > MAX_REQUESTS {
        return Err(BadMatrix::TooLarge(requests));
    }

    let asking = MatrixAsker {
        engine,
        wanted: &wanted,
    };

    let block = asking.ask_block(&axes, &question.context);
    let mut rows = Vec::new();
    block.list_rows(set, &mut rows, &BTreeMap::new());
    let by = question
        .by
        .iter()
        .map(|dimension| dimension.singular())
        .collect();
    Ok(Matrix {
        version: 1,
        by,
        rows,
        patterns: left_out,
    })
}

/// The guardrails that are asked for, by their numbers in the set; all where none is named.
fn number_wanted(set: &PolicySet, names: &[String]) -> Result<FixedBitSet, BadMatrix> {
    let mut wanted = FixedBitSet::with_capacity(set.guardrails.len());
    wanted.set_range(.., names.is_empty());
    for name in names {
        find_guardrail(set, name).map_err(BadMatrix::Unknown)?;
        // One that only the catalog knows is given to nobody.
        let number = set.guardrails.binary_search_by(|known| (**known).cmp(name));
        number.into_iter().for_each(|number| wanted.insert(number));
    }
    Ok(wanted)
}

struct MatrixAsker<'a> {
    engine: &'a Engine,
    wanted: &'a FixedBitSet,
}

/// What requests get, split by names as far as they differ.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Block<'a> {
    /// All get these guardrails, by their numbers in the set.
    Same(FixedBitSet),
    /// By the names of a dimension, those together whose blocks are alike.
    Split(Dimension, Vec<(Vec<&'a str>, Block<'a>)>),
}

impl MatrixAsker<'_> {
    /// Asks for all combinations of the names of some axes.
    fn ask_block<'n>(&self, axes: &[(Dimension, Vec<&'n str>)], context: &Context) -> Block<'n> {
        let Some(((dimension, names), others)) = axes.split_first() else {
            return Block::Same(&self.engine.guardrails_of(context) & self.wanted);
        };
        let of_name = |name: &&'n str| {
            let mut context = context.clone();
            context.add_value(*dimension, (*name).to_owned());
            (*name, self.ask_block(others, &context))
        };

        // The outermost axis is shared out; the others are a thread's own.
        let blocks: Vec<(&str, Block<'_>)> = names.par_iter().map(of_name).collect();

        let mut order: FxHashMap<Block<'n>, usize> = FxHashMap::default();
        let mut groups: Vec<Vec<&str>> = Vec::new();
        for (name, block) in blocks {
            let at = *order.entry(block).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(name),
                None => groups.push(vec![name]),
            }
        }

        let mut merged: Vec<(usize, Block<'_>)> =
            order.into_iter().map(|(block, at)| (at, block)).collect();
        merged.sort_unstable_by_key(|(at, _)| *at);
        let blocks = merged.into_iter().map(|(_, block)| block);

        Block::Split(*dimension, groups.into_iter().zip(blocks).collect())
    }
}

impl Block<'_> {
    fn list_rows(
        &self,
        set: &PolicySet,
        rows: &mut Vec<Row>,
        names: &BTreeMap<&'static str, Vec<String>>,
    ) {
        match self {
            Self::Same(guardrails) => {
                let guardrails = guardrails
                    .ones()
                    .filter_map(|number| set.guardrails.get(number));
                let guardrails = guardrails.map(|name| (**name).to_owned()).collect();
                rows.push(Row {
                    names: names.clone(),
                    guardrails,
                });
            }
            Self::Split(dimension, groups) => {
                for (group, block) in groups {
                    let mut names = names.clone();
                    let group = group.iter().map(|name| (*name).to_owned()).collect();
                    names.insert(dimension.singular(), group);
                    block.list_rows(set, rows, &names);
                }
            }
        }
    }
}
