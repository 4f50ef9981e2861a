//! What a change takes and gives in names of the catalog: which teams, for which models, lose and
//! gain what.
//!
//! The exact answer of [`crate::prove`] speaks of patterns, and of each guardrail names some
//! requests that lose it, not all. A person wants to know who: so every team and model of the
//! catalogs is asked of both sets. What else requests have (keys, tags, …) is taken from the
//! regions' witnesses. What no name of the catalog shows is described by the region.
//!
//! What expires cuts the time from now on into spans, and every name is asked in each:
//!
//! ```text
//!               now                  2026-12-06            2027-01-01
//! asked         | team × model       | team × model        | team × model
//! team eu       | same               | loses phi           | loses phi
//! row                                | eu loses phi, at 2026-12-06 (for good)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use crate::document::Dimension;
use crate::policy::Context;
use crate::prove::Budget;
use crate::prove::{Impact, Region, span_starts, told_start};
use crate::resolve::{Engine, Request};

/// Who loses and gains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shift {
    /// Losses first, then those that concern most.
    pub rows: Vec<ShiftRow>,
    /// How many teams the catalogs name.
    pub teams: usize,
    /// How many models the catalogs name.
    pub models: usize,
    /// Why not all was asked; `None`: it was.
    pub left_out: Option<String>,
}

/// Requests that lose and gain the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftRow {
    /// From when on they do; `None`: from the instant that was asked about.
    pub at: Option<Timestamp>,
    /// From when on they no longer do, or others with them do; `None`: for good.
    pub until: Option<Timestamp>,
    /// Their teams: names of the catalog; empty: as the region says.
    pub teams: Vec<String>,
    /// Their models: names of the catalog; empty: as the region says.
    pub models: Vec<String>,
    /// The region that says their teams or models, where the catalog does not, by its index.
    pub region: Option<usize>,
    /// The region that says what they have besides; `None`: nothing.
    pub rest: Option<usize>,
    /// What they lose.
    pub lost: Vec<String>,
    /// What they gain.
    pub gained: Vec<String>,
}

impl Shift {
    /// The teams that lose something, each with the instant from which on it does (`None`: from the
    /// one that was asked about); `None` where a row is of teams that no catalog names.
    pub fn losing_teams(&self) -> Option<BTreeMap<&str, Option<Timestamp>>> {
        let mut teams: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| !row.lost.is_empty()) {
            if row.teams.is_empty() {
                return None;
            }

            for team in &row.teams {
                let first = teams.entry(team).or_insert(row.at);
                *first = (*first).min(row.at);
            }
        }

        Some(teams)
    }

    /// When the first loss begins; `None`: nothing is lost. `Some(None)`: at the instant that was
    /// asked about.
    pub fn first_loss(&self) -> Option<Option<Timestamp>> {
        self.rows
            .iter()
            .filter(|row| !row.lost.is_empty())
            .map(|row| row.at)
            .min()
    }
}

/// The most requests that are asked of both sets, in all spans of time together.
const MOST: usize = 200_000;
/// The most spans of time that are asked about.
const MOST_SPANS: usize = 256;
/// What asking both sets once takes of a budget.
const COST: u64 = 200;

/// One value of an axis: a name of the catalog, a region's witness, or none where there is neither.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AxisValue<'a> {
    value: Option<&'a str>,
    /// `None`: no region says it.
    region: Option<usize>,
}

/// What requests have other than a team and a model.
struct Rest {
    region: Option<usize>,
    context: Context,
}

/// What one request loses and gains.
type Delta<'a> = (Vec<&'a str>, Vec<&'a str>);

/// Asks both sets for every name of their catalogs, from an instant on. The engines have every
/// attachment, expired or not; `impact` is what HEAD does to every request from that instant on.
pub fn shift_from(
    before: &Arc<Engine>,
    after: &Arc<Engine>,
    now: Timestamp,
    impact: &Impact,
    budget: &Budget,
) -> Shift {
    let is_whole = impact.is_whole();
    let regions: Vec<(usize, &Region)> = impact
        .regions
        .iter()
        .enumerate()
        .filter(|(_, it)| it.requested.is_none() && !(it.lost.is_empty() && it.gained.is_empty()))
        .collect();

    if regions.is_empty() && is_whole {
        return Shift::default();
    }

    let (teams, named_teams) = build_axis(before, after, Dimension::Team, &regions);
    let (models, named_models) = build_axis(before, after, Dimension::Model, &regions);
    let mut rests = build_rests(&regions);
    let spans = differing_spans(span_starts(&[before, after], now), &regions, is_whole);
    let asked_spans = spans.iter().filter(|span| span.may_differ).count();
    let pairs = teams.len().saturating_mul(models.len()).max(1);
    let mut left_out = Vec::new();
    let most_spans = (MOST / pairs).clamp(1, MOST_SPANS);
    let fits = MOST / pairs / asked_spans.clamp(1, most_spans);
    if fits < rests.len() {
        left_out.push(format!(
            "{pairs} teams and models, {} times: only what fits is asked",
            rests.len().saturating_mul(asked_spans)
        ));
    }

    // In later spans, at least what has nothing besides is asked, where that fits once.
    let is_kept = asked_spans > 1 && pairs <= MOST;
    rests.truncate(if is_kept { fits.max(1) } else { fits });

    let mut rows: Vec<ShiftRow> = Vec::new();
    let mut asked = 0;
    for span in &spans {
        let may_ask = asked < most_spans && (asked == 0 || !budget.is_spent());
        let found = match (span.may_differ, may_ask) {
            (false, _) => Vec::new(),
            (true, true) => {
                asked += 1;
                let (before, after) = (before.as_of(span.start), after.as_of(span.start));
                let axes = ShiftQuestion {
                    before: &before,
                    after: &after,
                    teams: &teams,
                    models: &models,
                };

                let (found, unasked) = axes.ask_all(&rests, budget);
                if unasked > 0 {
                    let when = span.told_start.map(|at| format!(" from {at} on"));
                    left_out.push(format!(
                        "of {} kinds of requests the names were asked of {}{}: there was too \
                         little time",
                        rests.len(),
                        rests.len() - unasked,
                        when.unwrap_or_default()
                    ));
                }
                found
            }
            (true, false) => {
                let why = "there are too many instants, or there was too little time";
                left_out.push(format!("from {} on: {why}", span.start));
                break;
            }
        };

        join_rows(&mut rows, found, span.told_start);
    }

    rows.extend(unshown_rows(&rows, &regions));
    rows.sort_by_key(|row| {
        let concerned = row.teams.len().max(1) * row.models.len().max(1);
        (
            row.lost.is_empty(),
            row.at,
            row.rest.is_some(),
            std::cmp::Reverse(concerned),
        )
    });
    let left_out = (!left_out.is_empty()).then(|| left_out.join("; "));

    Shift {
        rows,
        teams: named_teams,
        models: named_models,
        left_out,
    }
}

/// A span of time within which nothing expires.
struct Span {
    start: Timestamp,
    /// As rows have it: `None` of the first.
    told_start: Option<Timestamp>,
    /// Whether some request may lose or gain something within it.
    may_differ: bool,
}

/// The spans from an instant on; where all regions are known, one without any is one without a
/// difference.
fn differing_spans(
    starts: Vec<Timestamp>,
    regions: &[(usize, &Region)],
    is_whole: bool,
) -> Vec<Span> {
    let span = |(number, start): (usize, Timestamp)| Span {
        start,
        told_start: told_start(number, start),
        may_differ: !is_whole || regions.iter().any(|(_, region)| region.holds_at(start)),
    };

    starts.into_iter().enumerate().map(span).collect()
}

/// Merges the rows of a span into those of earlier spans: a row that was there continues.
fn join_rows(rows: &mut Vec<ShiftRow>, mut found: Vec<ShiftRow>, start: Option<Timestamp>) {
    for row in rows.iter_mut().filter(|row| row.until.is_none()) {
        // The rows found here have no start yet.
        let told_start = row.at.take();
        let place = found.iter().position(|other| other == row);
        row.at = told_start;
        match place {
            Some(place) => {
                found.remove(place);
            }
            None => row.until = start,
        }
    }

    rows.extend(found.into_iter().map(|row| ShiftRow { at: start, ..row }));
}

/// The values of a dimension: the catalogs' names, else the witnesses'; and how many of them are
/// names.
fn build_axis<'a>(
    before: &'a Engine,
    after: &'a Engine,
    dimension: Dimension,
    regions: &[(usize, &'a Region)],
) -> (Vec<AxisValue<'a>>, usize) {
    let listed = [before, after].into_iter().flat_map(|engine| {
        engine.set().catalog.values[dimension]
            .iter()
            .flatten()
            .map(|name| &**name)
    });
    let names: BTreeSet<&str> = listed.filter(|name| !name.ends_with('*')).collect();
    if !names.is_empty() {
        let count = names.len();
        let values = names.into_iter().map(|name| AxisValue {
            value: Some(name),
            region: None,
        });
        return (values.collect(), count);
    }

    let mut values: Vec<AxisValue<'a>> = Vec::new();
    for (at, region) in regions {
        let value = region.witness.value(dimension);
        if !values.iter().any(|known| known.value == value) {
            values.push(AxisValue {
                value,
                region: Some(*at),
            });
        }
    }

    if values.is_empty() {
        // Nothing is known of the dimension: what has no value of it is asked.
        values.push(AxisValue {
            value: None,
            region: None,
        });
    }

    (values, 0)
}

/// What requests have besides: nothing first, then what the regions' witnesses have, each once.
fn build_rests(regions: &[(usize, &Region)]) -> Vec<Rest> {
    let mut rests = vec![Rest {
        region: None,
        context: Context::default(),
    }];
    for (at, region) in regions {
        let mut context = Context::default();
        for dimension in Dimension::ALL {
            if !matches!(dimension, Dimension::Team | Dimension::Model) {
                context.set_values(dimension, region.witness.values(dimension).iter().cloned());
            }
        }

        if !rests.iter().any(|rest| rest.context == context) {
            rests.push(Rest {
                region: Some(*at),
                context,
            });
        }
    }

    rests
}

struct ShiftQuestion<'a> {
    before: &'a Engine,
    after: &'a Engine,
    teams: &'a [AxisValue<'a>],
    models: &'a [AxisValue<'a>],
}

impl<'a> ShiftQuestion<'a> {
    /// The rows of all requests, first of those that have nothing besides, which are asked even
    /// without any budget; and for how many rests it did not suffice.
    fn ask_all(&self, rests: &[Rest], budget: &Budget) -> (Vec<ShiftRow>, usize) {
        let requests = self.teams.len().saturating_mul(self.models.len()) as u64;
        let plain = rests
            .first()
            .map(|rest| self.ask_rest(rest, &[]))
            .unwrap_or_default();
        let mut rows = Vec::new();
        for (at, rest) in rests.iter().enumerate() {
            let has_time = budget.spend(COST.saturating_mul(requests));
            if at > 0 && !has_time {
                return (rows, rests.len() - at);
            }

            let deltas = if at == 0 {
                plain.clone()
            } else {
                self.ask_rest(rest, &plain)
            };
            rows.extend(self.build_rows(rest, deltas));
        }

        (rows, 0)
    }

    /// What each team loses and gains by model, without what `said` has already.
    fn ask_rest(&self, rest: &Rest, said: &[Vec<Delta<'a>>]) -> Vec<Vec<Delta<'a>>> {
        self.teams
            .par_iter()
            .enumerate()
            .map(|(at, team)| {
                let said = said.get(at).map(Vec::as_slice).unwrap_or_default();
                self.ask_team(rest, team, said)
            })
            .collect()
    }

    /// What one team loses and gains by model.
    fn ask_team(&self, rest: &Rest, team: &AxisValue<'_>, said: &[Delta<'a>]) -> Vec<Delta<'a>> {
        let ask_model = |(at, model): (usize, &AxisValue<'_>)| {
            let request = request_of(rest, team, model);
            self.compare_answers(&request, said.get(at))
        };

        self.models.iter().enumerate().map(ask_model).collect()
    }

    fn compare_answers(&self, request: &Request, said: Option<&Delta<'a>>) -> Delta<'a> {
        let (before, after) = (self.before.resolve(request), self.after.resolve(request));
        let (before, after) = (&before.guardrails, &after.guardrails);
        if before == after {
            return Delta::default();
        }

        let none = Delta::default();
        let (said_lost, said_gained) = said.unwrap_or(&none);
        (
            names_without(self.before, before, [after, said_lost]),
            names_without(self.after, after, [before, said_gained]),
        )
    }

    /// Teams and models that lose and gain the same, put together.
    fn build_rows(&self, rest: &Rest, deltas: Vec<Vec<Delta<'a>>>) -> Vec<ShiftRow> {
        // By what is lost and gained and for which models: the teams.
        let mut groups: BTreeMap<(Delta<'a>, Vec<usize>), Vec<usize>> = BTreeMap::new();
        for (team, models) in deltas.into_iter().enumerate() {
            let mut by_delta: BTreeMap<Delta<'a>, Vec<usize>> = BTreeMap::new();
            for (model, delta) in models.into_iter().enumerate() {
                if !(delta.0.is_empty() && delta.1.is_empty()) {
                    by_delta.entry(delta).or_default().push(model);
                }
            }

            for group in by_delta {
                groups.entry(group).or_default().push(team);
            }
        }

        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let row = |(((lost, gained), models), teams): ((Delta<'a>, Vec<usize>), Vec<usize>)| {
            let (teams, by_team) = axis_names(self.teams, &teams);
            let (models, by_model) = axis_names(self.models, &models);
            ShiftRow {
                at: None,
                until: None,
                teams,
                models,
                region: by_team.or(by_model),
                rest: rest.region,
                lost: owned(&lost),
                gained: owned(&gained),
            }
        };

        groups.into_iter().map(row).collect()
    }
}

/// The guardrails of an answer that neither of two lists has. The names are those of the set: they
/// outlive the answer.
fn names_without<'a>(engine: &'a Engine, of: &[&str], others: [&[&str]; 2]) -> Vec<&'a str> {
    let guardrails = &engine.set().guardrails;
    let name_in_set = |name: &&str| {
        let at = guardrails.binary_search_by(|known| (**known).cmp(name));
        guardrails.get(at.ok()?).map(|name| &**name)
    };

    of.iter()
        .filter(|name| others.iter().all(|other| !other.contains(name)))
        .filter_map(name_in_set)
        .collect()
}

/// The names among some values of an axis; where they are witnesses, the region of the first.
fn axis_names(axis: &[AxisValue<'_>], at: &[usize]) -> (Vec<String>, Option<usize>) {
    let values: Vec<&AxisValue<'_>> = at.iter().filter_map(|at| axis.get(*at)).collect();
    let region = values.first().and_then(|value| value.region);
    let named = values.iter().filter(|value| value.region.is_none());

    (
        named
            .filter_map(|value| value.value.map(str::to_owned))
            .collect(),
        region,
    )
}

/// Of the guardrails that no row shows, the first region that loses or gains each.
fn unshown_rows(rows: &[ShiftRow], regions: &[(usize, &Region)]) -> Vec<ShiftRow> {
    let shown = |list: fn(&ShiftRow) -> &Vec<String>| -> BTreeSet<String> {
        rows.iter()
            .flat_map(|row| list(row).iter().cloned())
            .collect()
    };

    let (mut lost, mut gained) = (shown(|row| &row.lost), shown(|row| &row.gained));
    let mut more = Vec::new();
    for (at, region) in regions {
        let new = |list: &[String], known: &mut BTreeSet<String>| -> Vec<String> {
            list.iter()
                .filter(|name| known.insert((*name).clone()))
                .cloned()
                .collect()
        };

        let (lost, gained) = (
            new(&region.lost, &mut lost),
            new(&region.gained, &mut gained),
        );
        if !(lost.is_empty() && gained.is_empty()) {
            let (teams, models) = (Vec::new(), Vec::new());
            let (place, rest) = (Some(*at), Some(*at));
            let (at, until) = (region.at, region.until);
            more.push(ShiftRow {
                at,
                until,
                teams,
                models,
                region: place,
                rest,
                lost,
                gained,
            });
        }
    }

    more
}

/// The request of a team for a model, with what else a part of the table asks for.
fn request_of(rest: &Rest, team: &AxisValue<'_>, model: &AxisValue<'_>) -> Request {
    let mut context = rest.context.clone();
    let values = [
        (Dimension::Team, team.value),
        (Dimension::Model, model.value),
    ];
    for (dimension, value) in values {
        if let Some(value) = value {
            context.add_value(dimension, value.to_owned());
        }
    }

    Request {
        context,
        policies: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, load_file};
    use crate::policy::{Levels, check_documents};
    use crate::prove::{Detail, impact_from};

    fn engine(attachments: &[String]) -> Arc<Engine> {
        let mut yaml =
            "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n---\n\
            apiVersion: refguard/v1\nkind: Catalog\nteams: [eu, us]\nguardrails: [g]\n"
                .to_owned();
        for fields in attachments {
            yaml.push_str(&format!(
                "---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n{fields}\n"
            ));
        }

        let loaded = load_file("set.yaml", yaml.into_bytes(), &Limits::DEFAULT);
        Arc::new(Engine::new(Arc::new(
            check_documents(loaded, &Levels::default()).set.unwrap(),
        )))
    }

    /// BASE gives `g` to `eu`, HEAD until the first of some instants; the rest expires on both
    /// sides.
    fn ending(instants: usize) -> [Arc<Engine>; 2] {
        let expires = |second: usize| {
            format!(
                "expires: 2090-12-06T00:{:02}:{:02}Z",
                second / 60,
                second % 60
            )
        };

        let other = |number| format!("teams: [us]\nusers: [u{number}]\n{}", expires(number));
        let others: Vec<String> = (1..instants).map(other).collect();
        let both = |eu: String| engine(&[&[eu], others.as_slice()].concat());

        [
            both("teams: [eu]".to_owned()),
            both(format!("teams: [eu]\n{}", expires(0))),
        ]
    }

    #[test]
    fn every_name_is_asked_in_every_span_also_where_no_region_is_known() {
        let now: Timestamp = "2090-12-01T00:00:00Z".parse().unwrap();
        let first: Timestamp = "2090-12-06T00:00:00Z".parse().unwrap();
        let [base, head] = ending(3);
        // An analysis that had no time knows no region.
        let none = impact_from(&base, &head, now, &Budget::with_units(0), Detail::ALL);
        let whole = impact_from(&base, &head, now, &Budget::default(), Detail::ALL);
        assert!(none.regions.is_empty() && whole.exact);

        for impact in [none, whole] {
            let shift = shift_from(&base, &head, now, &impact, &Budget::default());
            let [row] = shift.rows.as_slice() else {
                panic!("{shift:#?}")
            };

            assert_eq!(
                (row.at, row.until, &row.lost),
                (Some(first), None, &vec!["g".to_owned()])
            );
            assert_eq!(
                (row.teams.as_slice(), &shift.left_out),
                (&["eu".to_owned()][..], &None)
            );
            assert_eq!(
                shift.losing_teams(),
                Some(BTreeMap::from([("eu", Some(first))]))
            );
        }
    }

    #[test]
    fn where_asking_ends_is_said() {
        let now: Timestamp = "2090-12-01T00:00:00Z".parse().unwrap();
        let asked = |[base, head]: &[Arc<Engine>; 2], budget: &Budget| {
            let impact = impact_from(base, head, now, &Budget::with_units(0), Detail::ALL);
            shift_from(base, head, now, &impact, budget)
        };

        // Without any time, what is in force now is asked all the same.
        let shift = asked(&ending(2), &Budget::with_units(0));
        assert!(shift.rows.is_empty());
        assert!(
            shift
                .left_out
                .unwrap()
                .starts_with("from 2090-12-06T00:00:00Z on: ")
        );
        let shift = asked(&ending(MOST_SPANS + 10), &Budget::default());
        let last = MOST_SPANS - 1;
        let from = format!("from 2090-12-06T00:{:02}:{:02}Z on: ", last / 60, last % 60);
        assert!(
            shift.left_out.as_ref().unwrap().starts_with(&from),
            "{:?}",
            shift.left_out
        );

        assert_eq!(shift.rows.len(), 1);
    }
}
