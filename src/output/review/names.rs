//! Who loses and gains what, as the rows of a table: in names of the catalog, or as the regions
//! say.

use refguard_core::prove::{Impact, Region};
use refguard_core::questions::{Shift, ShiftRow};
use serde::Serialize;

use crate::ops::Review;
use crate::output::impact::{Code, RegionCells, when_words};

/// Names of a cell that are shown.
const SHOWN: usize = 8;

/// One row, each cell in words.
#[derive(Debug, Clone, Serialize)]
pub struct NamedRow {
    /// From and until when; empty: from the instant that was asked about, for good.
    pub when: String,
    /// The teams.
    pub teams: String,
    /// The models.
    pub models: String,
    /// What the requests have besides; empty: nothing.
    pub with: String,
    /// What they lose.
    pub loses: String,
    /// What they gain.
    pub gains: String,
}

/// The rows of a review's table.
pub(super) fn rows_of(review: &Review, code: Code<'_>) -> Vec<NamedRow> {
    let both = review.shift.as_ref().zip(review.impact.as_ref());
    both.map(|(shift, impact)| named_rows(shift, impact, code))
        .unwrap_or_default()
}

/// The rows of a table; `code` writes a name.
pub fn named_rows(shift: &Shift, impact: &Impact, code: &dyn Fn(&str) -> String) -> Vec<NamedRow> {
    let row = |row: &ShiftRow| {
        let region = |at: Option<usize>| at.and_then(|at| impact.regions.get(at));
        let cells = |region: Option<&Region>| region.map(|it| RegionCells::of(it, code));
        let (own, rest) = (cells(region(row.region)), cells(region(row.rest)));
        let (teams, models) = own.map_or_else(asked_without, |own| (own.teams, own.models));
        NamedRow {
            when: when_words(row.at, row.until),
            teams: describe_requests(&row.teams, shift.teams, teams, code),
            models: describe_requests(&row.models, shift.models, models, code),
            with: rest.and_then(|rest| rest.rest).unwrap_or_default(),
            loses: list_names(&row.lost, code),
            gains: list_names(&row.gained, code),
        }
    };
    shift.rows.iter().map(row).collect()
}

/// The cells of teams and models that neither a catalog nor a region names: what was asked has
/// none.
fn asked_without() -> (String, String) {
    ("none".to_owned(), "none".to_owned())
}

/// Names, or what the region says where there are none.
fn describe_requests(names: &[String], of: usize, otherwise: String, code: Code<'_>) -> String {
    match names.len() {
        0 => otherwise,
        // One of one is better named.
        all if all == of && all > 1 => format!("all {all}"),
        _ => list_names(names, code),
    }
}

fn list_names(names: &[String], code: Code<'_>) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| code(name)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
