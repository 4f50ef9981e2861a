//! Test documents to cases: a matrix becomes one case for each combination of its lists.

use super::build::{place, targets};
use super::draft::Item;
use super::{Expect, Place, Targets, TestCase, TestSuite};
use crate::document::{
    RawCase, RawContext, RawExpect, RawMatrix, RawPolicyTest, SourceFile, Spanned,
};

/// Cases that a set may have, those of matrices counted: the limit `test-cases`.
pub const MAX_CASES: usize = 100_000;

/// How many cases a case stands for; of too many, that they are.
pub fn product(raw: &RawCase) -> usize {
    let Some(matrix) = &raw.matrix else { return 1 };
    let RawMatrix { teams, keys, models, tags } = &matrix.value;
    let lists = [teams, keys, models].map(|list| list.as_ref().map_or(1, Vec::len));
    let tags = tags.as_ref().map_or(1, Vec::len);
    lists.iter().fold(tags, |product, length| product.saturating_mul(*length)).min(MAX_CASES + 1)
}

pub(super) fn suite(item: &Item<'_, RawPolicyTest>) -> TestSuite {
    let cases = item.raw.cases.iter().flat_map(|case| cases(item.file, case)).collect();
    TestSuite { name: item.raw.name.as_str().into(), cases, place: place(item) }
}

/// A request of a matrix, with the part of the case's name that tells it from the others.
#[derive(Clone, Default)]
struct Cell {
    team: Option<String>,
    key: Option<String>,
    model: Option<String>,
    tags: Vec<String>,
    label: String,
}

fn cases(file: &SourceFile, raw: &Spanned<RawCase>) -> Vec<TestCase> {
    let location = file.locate(raw.span);
    let place = Place { file: location.file, line: location.line };
    let texts = |list: &Option<Vec<Spanned<String>>>| {
        list.iter().flatten().map(|t| t.value.clone()).collect()
    };
    let exceptions: Vec<(Targets, Expect)> =
        raw.expect_for.iter().flatten().map(|e| (targets(&e.for_), expect(&e.expect))).collect();
    let case = |cell: Cell| TestCase {
        name: format!("{}{}", raw.name.value, cell.label),
        expect: expect_of(&cell, &exceptions).unwrap_or_else(|| expect(&raw.expect)),
        team: cell.team,
        key: cell.key,
        model: cell.model,
        tags: cell.tags,
        policies: texts(&raw.policies),
        outcomes: raw
            .outcomes
            .iter()
            .flat_map(|o| &o.0)
            .map(|(name, o)| (name.value.clone(), o.value))
            .collect(),
        place: place.clone(),
    };
    cells(raw).into_iter().map(case).collect()
}

fn cells(raw: &RawCase) -> Vec<Cell> {
    let shared = raw.context.as_ref().map(base).unwrap_or_default();
    let Some(matrix) = &raw.matrix else { return vec![shared] };
    let mut cells = vec![shared];
    let spread =
        |cells: &mut Vec<Cell>, list: &Option<Vec<Spanned<String>>>, set: fn(&mut Cell, &str)| {
            if let Some(values) = list {
                let with = |cell: &Cell| {
                    values.iter().map(|value| applied(cell, value, set)).collect::<Vec<_>>()
                };
                *cells = cells.iter().flat_map(with).collect();
            }
        };
    spread(&mut cells, &matrix.teams, |cell, team| cell.team = Some(team.to_owned()));
    spread(&mut cells, &matrix.keys, |cell, key| cell.key = Some(key.to_owned()));
    spread(&mut cells, &matrix.models, |cell, model| cell.model = Some(model.to_owned()));
    if let Some(lists) = &matrix.tags {
        let with = |cell: &Cell| {
            let tagged = |list: &crate::document::OneOrMany<Spanned<String>>| {
                let tags: Vec<String> = list.0.iter().map(|tag| tag.value.clone()).collect();
                let mut cell = labelled(cell, &format!("[{}]", tags.join(" ")));
                cell.tags.extend(tags);
                cell
            };
            lists.iter().map(tagged).collect::<Vec<_>>()
        };
        cells = cells.iter().flat_map(with).collect();
    }
    cells.iter_mut().filter(|cell| !cell.label.is_empty()).for_each(|cell| cell.label.push(')'));
    cells
}

fn base(context: &RawContext) -> Cell {
    let text = |value: Option<&Spanned<String>>| value.map(|v| v.value.clone());
    Cell {
        team: text(context.team()),
        key: text(context.key()),
        model: text(context.model.as_ref()),
        tags: context.tags.iter().flatten().map(|tag| tag.value.clone()).collect(),
        label: String::new(),
    }
}

fn applied(cell: &Cell, value: &str, set: fn(&mut Cell, &str)) -> Cell {
    let mut cell = labelled(cell, value);
    set(&mut cell, value);
    cell
}

fn labelled(cell: &Cell, part: &str) -> Cell {
    let mut cell = cell.clone();
    cell.label.push_str(if cell.label.is_empty() { " (" } else { ", " });
    cell.label.push_str(part);
    cell
}

fn expect_of(cell: &Cell, exceptions: &[(Targets, Expect)]) -> Option<Expect> {
    let fits = |targets: &Targets| {
        targets.matches(
            cell.team.as_deref(),
            cell.key.as_deref(),
            cell.model.as_deref(),
            &cell.tags,
        )
    };
    exceptions.iter().find(|(targets, _)| fits(targets)).map(|(_, expect)| expect.clone())
}

fn expect(raw: &RawExpect) -> Expect {
    let texts = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
        list.as_ref().map(|list| list.iter().map(|text| text.value.clone()).collect())
    };
    Expect {
        guardrails: texts(&raw.guardrails),
        includes: texts(&raw.includes),
        excludes: texts(&raw.excludes),
        policies: texts(&raw.policies),
        action: raw.action.map(|a| a.value),
    }
}
