//! From a point to the attachments whose zone it lies in, without looking at the others.
//!
//! Attachments are filed as the engine files them (see [`Filing`]). The engine asks what matches a
//! value; here the question is what covers a pattern. An example:
//!
//! ```text
//! a  teams: [eu*]                 filed under the team `eu*`
//! b  teams: [eu-1], keys: [ci]    filed under the team `eu-1` or the key `ci`
//!
//! the point (team: eu-1*)           lies in the zone of a
//! the point (team: eu-1, key: ci)   lies in the zones of a and b
//! ```

use super::cone::Point;
use super::world::Given;
use crate::document::Dimension;
use crate::effect::Budget;
use crate::policy::Pattern;
use crate::policy::filing::{Crowd, Filing};

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct ZoneIndex {
    filing: Filing<Rank>,
}

impl ZoneIndex {
    /// Files every attachment; they come in the order of evaluation.
    pub(super) fn new(givens: &[Given]) -> Self {
        let mut crowd = Crowd::default();
        givens
            .iter()
            .for_each(|given| crowd.count_patterns(narrowing_patterns(given)));

        let mut filing = Filing::default();
        for (rank, given) in (0..).zip(givens) {
            let under = crowd.narrowest_dimension(narrowing_patterns(given));
            filing.file_under(under, rank);
        }

        Self { filing }
    }

    /// The attachments whose zone the point lies in, in the order of evaluation, each once.
    /// Those that it has to be looked for among are counted.
    pub(super) fn matching_attachments(
        &self,
        givens: &[Given],
        point: &Point,
        budget: &Budget,
    ) -> Vec<Rank> {
        let mut found = self.filing.always_found().to_vec();
        for dimension in Dimension::ALL {
            let shelf = self.filing.shelf_of(dimension);
            for pattern in point.patterns_of(dimension) {
                shelf.find_covering(pattern, |ranks| found.extend_from_slice(ranks));
            }
        }

        budget.spend(2 * found.len() as u64);
        found.sort_unstable();
        found.dedup();

        // The filing guarantees one dimension; the others are checked here.
        let covers = |rank: u32| {
            let given = givens.get(rank as usize);
            given.is_some_and(|given| given.zone.covers_point(point))
        };
        found.retain(|rank| covers(*rank));

        found
    }
}

fn narrowing_patterns(given: &Given) -> impl Iterator<Item = (Dimension, &[Pattern])> {
    let lists = given.zone.narrowed_lists();
    lists.map(|(dimension, list)| (dimension, list.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::engine_of;
    use super::super::tests::generate::{self, Random};
    use super::super::world::World;
    use super::*;

    #[test]
    fn the_index_finds_what_a_scan_of_all_zones_finds() {
        let mut found_some = 0;
        for seed in 0..200 {
            let Some(engine) = engine_of(&generate::set(&mut Random::new(seed)).yaml()) else {
                continue;
            };
            let world = World::new(&[engine.set()]);
            let side = world.side_at(0).unwrap();
            // Also points where two attachments meet: only these have several tags.
            let meetings = side.givens.iter().flat_map(|given| {
                let own = given.zone.points_within(&Point::every_request());
                own.flat_map(|at| {
                    let others = side.givens.iter();
                    others.flat_map(move |other| other.zone.points_within(&at))
                })
            });
            let points = meetings.chain([Point::every_request()]);

            for point in points {
                let budget = Budget::default();
                let found = side
                    .index
                    .matching_attachments(&side.givens, &point, &budget);
                let scan: Vec<Rank> = (0..)
                    .zip(&side.givens)
                    .filter(|(_, given)| given.zone.covers_point(&point))
                    .map(|(rank, _)| rank)
                    .collect();

                assert_eq!(found, scan, "seed {seed}: {point:?}");
                found_some += usize::from(found.len() > 1);
            }
        }

        assert!(found_some > 100, "{found_some}");
    }
}
