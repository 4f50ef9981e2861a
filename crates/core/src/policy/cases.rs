//! Test documents to cases: a matrix becomes one case for each combination of its lists.

use super::build::{box_targets, place_of};
use super::draft::Item;
use super::{Context, Expect, Place, Targets, TestCase, TestSuite};
use crate::document::{
    Dimension, RawCase, RawContext, RawExpect, RawPolicyTest, SourceFile, Spanned,
};

/// Cases that a set may have, those of matrices counted: the limit `test-cases`.
pub const MAX_CASES: usize = 100_000;

/// Number of requests that a matrix expands to, capped just above the limit.
pub fn count_cases(raw: &RawCase) -> usize {
    let Some(matrix) = &raw.matrix else { return 1 };
    let sizes = Dimension::ALL
        .iter()
        .map(|dimension| matrix.choices_of(*dimension).map_or(1, |c| c.len()));
    sizes
        .fold(1, |product: usize, size| product.saturating_mul(size))
        .min(MAX_CASES + 1)
}

pub(super) fn build_suite(item: &Item<'_, RawPolicyTest>) -> TestSuite {
    let cases = item
        .raw
        .cases
        .iter()
        .flat_map(|case| expand_cases(item.file, case))
        .collect();

    TestSuite {
        name: item.raw.name.as_str().into(),
        cases,
        place: place_of(item),
    }
}

/// A request of a matrix, with the part of the case's name that distinguishes it.
#[derive(Clone, Default)]
struct Cell {
    context: Context,
    label: String,
}

fn expand_cases(file: &SourceFile, raw: &Spanned<RawCase>) -> Vec<TestCase> {
    let location = file.locate_span(raw.span);
    let place = Place {
        file: location.file,
        line: location.line,
    };

    let texts = |list: &Option<Vec<Spanned<String>>>| {
        list.iter().flatten().map(|t| t.value.clone()).collect()
    };
    let exceptions: Vec<(Targets, Expect)> = raw
        .expect_for
        .iter()
        .flatten()
        .map(|e| (box_targets(&e.for_), build_expect(&e.expect)))
        .collect();
    let case = |cell: Cell| TestCase {
        name: format!("{}{}", raw.name.value, cell.label),
        expect: expect_of(&cell, &exceptions).unwrap_or_else(|| build_expect(&raw.expect)),
        context: cell.context,
        policies: texts(&raw.policies),
        outcomes: raw
            .outcomes
            .iter()
            .flat_map(|o| &o.0)
            .map(|(name, outcomes)| (name.value.clone(), outcomes.value.0.clone()))
            .collect(),
        place: place.clone(),
    };

    matrix_cells(raw).into_iter().map(case).collect()
}

fn matrix_cells(raw: &RawCase) -> Vec<Cell> {
    let shared = raw.context.as_ref().map(base_cell).unwrap_or_default();
    let Some(matrix) = &raw.matrix else {
        return vec![shared];
    };
    let mut cells = vec![shared];
    for dimension in Dimension::WRITTEN {
        if let Some(choices) = matrix.choices_of(dimension) {
            let spread = |cell: &Cell| {
                choices
                    .iter()
                    .map(|values| cell.with_values(dimension, values))
                    .collect::<Vec<_>>()
            };

            cells = cells.iter().flat_map(spread).collect();
        }
    }

    cells
        .iter_mut()
        .filter(|cell| !cell.label.is_empty())
        .for_each(|cell| cell.label.push(')'));
    cells
}

fn base_cell(raw: &RawContext) -> Cell {
    let mut context = Context::default();
    for dimension in Dimension::ALL {
        let values = raw
            .values(dimension)
            .iter()
            .map(|value| value.value.clone());
        context.extend(values.map(|value| (dimension, value)));
    }

    Cell {
        context,
        label: String::new(),
    }
}

impl Cell {
    /// The same request with more values of a dimension, and their part of the name: `eu`, of a set
    /// `[a b]`.
    fn with_values(&self, dimension: Dimension, values: &[Spanned<String>]) -> Self {
        let mut cell = self.clone();
        let texts: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
        cell.label
            .push_str(if cell.label.is_empty() { " (" } else { ", " });
        cell.label.push_str(&match dimension.is_set() {
            true => format!("[{}]", texts.join(" ")),
            false => texts.concat(),
        });

        cell.context
            .extend(texts.into_iter().map(|text| (dimension, text.to_owned())));
        cell
    }
}

fn expect_of(cell: &Cell, exceptions: &[(Targets, Expect)]) -> Option<Expect> {
    exceptions
        .iter()
        .find(|(targets, _)| targets.matches_context(&cell.context))
        .map(|(_, expect)| expect.clone())
}

fn build_expect(raw: &RawExpect) -> Expect {
    let texts = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
        list.as_ref()
            .map(|list| list.iter().map(|text| text.value.clone()).collect())
    };

    Expect {
        guardrails: texts(&raw.guardrails),
        includes: texts(&raw.includes),
        excludes: texts(&raw.excludes),
        policies: texts(&raw.policies),
        action: raw.action.map(|a| a.value),
    }
}
