//! Points of the space of requests that stand for all that lies below them.
//!
//! A pattern is an exact string or a prefix, so two patterns are nested or apart, and a value that
//! matches a pattern and no deeper one matches the fewest others. Such values are the *generic*
//! values of the pattern; a [`Point`] has one a dimension. The requests that its patterns match are
//! its *cone*:
//!
//! ```text
//! patterns of teams           *                    generic values: none, "x"
//!                            / \
//!                     health*   finance            "health", "healthx"     "finance"
//!                        |
//!                    health-eu                     "health-eu"
//!
//! the cone of the point (team health*) holds requests of `healthx` and of `health-eu`
//! ```
//!
//! Whatever matches a point matches every request of its cone: this is why a question "is there a
//! request here that nothing there covers?" needs one look a point.

use crate::document::{Dimension, PerDimension};
use crate::policy::{Pattern, Targets};

/// The generic request of a cone: a generic value of each pattern, and of each pattern of `tags`
/// one tag. The generic value of `*` is absent or a value that no other pattern matches; nothing
/// tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Point {
    /// Of dimensions with one value; `*` for models, which are looked at apart, and for tags.
    pub values: PerDimension<Pattern>,
    /// Sorted; none covers another.
    pub tags: Vec<Pattern>,
}

/// A box of requests without its models.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Zone {
    /// `None`: the dimension is not looked at; so for models always.
    pub lists: PerDimension<Option<PatternList>>,
}

/// Patterns of which none covers another, in the order of their texts. So all patterns that a
/// prefix covers stand together, and what covers a pattern stands right before its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct PatternList(Vec<Pattern>);

/// The pattern `*`.
pub(super) fn any_value() -> Pattern {
    Pattern::Prefix("".into())
}

/// By text; of one text the prefix first, as it covers the exact one.
pub(super) fn text_order(pattern: &Pattern) -> (&str, bool) {
    match pattern {
        Pattern::Prefix(text) => (text, false),
        Pattern::Exact(text) => (text, true),
    }
}

impl PatternList {
    /// The patterns without those that another one covers.
    pub(super) fn from_patterns(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let mut list: Vec<Pattern> = patterns.into_iter().collect();
        list.sort_unstable_by(|a, b| text_order(a).cmp(&text_order(b)));

        // Behind a prefix stands all that it covers.
        list.dedup_by(|pattern, kept| kept.covers(pattern));
        Self(list)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Pattern> {
        self.0.iter()
    }

    pub(super) fn as_slice(&self) -> &[Pattern] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<&Pattern> {
        self.0.first()
    }

    /// Whether one of the patterns covers another one.
    pub(super) fn covers_pattern(&self, pattern: &Pattern) -> bool {
        let behind = self
            .0
            .partition_point(|own| text_order(own) <= text_order(pattern));
        behind
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|own| own.covers(pattern))
    }

    /// Whether one of the patterns matches a value, perhaps an absent one.
    pub(super) fn matches_value(&self, value: Option<&str>) -> bool {
        let Some(text) = value else {
            return self.iter().any(Pattern::is_any);
        };
        let behind = self
            .0
            .partition_point(|own| text_order(own) <= (text, true));
        behind
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|own| own.matches(value))
    }

    /// The patterns that another one covers.
    pub(super) fn covered_by(&self, pattern: &Pattern) -> &[Pattern] {
        let from = self
            .0
            .partition_point(|own| text_order(own) < text_order(pattern));
        let rest = self.0.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|own| pattern.covers(own)))
            .unwrap_or_default()
    }

    /// Whether some value is matched by one of the patterns and by another one.
    pub(super) fn overlaps_pattern(&self, pattern: &Pattern) -> bool {
        self.covers_pattern(pattern) || !self.covered_by(pattern).is_empty()
    }

    /// Whether some value is matched by both lists.
    pub(super) fn meets_list(&self, other: &Self) -> bool {
        let (short, long) = if self.len() < other.len() {
            (self, other)
        } else {
            (other, self)
        };

        short.iter().any(|pattern| long.overlaps_pattern(pattern))
    }

    /// Adds patterns that neither cover nor are covered by those that are here.
    pub(super) fn extend_apart(&mut self, more: &Self) {
        let ends_before = self.ends_before(more);
        self.0.extend(more.0.iter().cloned());
        if !ends_before {
            self.0
                .sort_unstable_by(|a, b| text_order(a).cmp(&text_order(b)));
        }
    }

    /// Whether the patterns of another list all come after those of this one.
    pub(super) fn ends_before(&self, more: &Self) -> bool {
        self.0
            .last()
            .zip(more.first())
            .is_none_or(|(last, first)| text_order(last) < text_order(first))
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Pattern) -> bool) {
        self.0.retain(keep);
    }
}

impl<'l> IntoIterator for &'l PatternList {
    type Item = &'l Pattern;
    type IntoIter = std::slice::Iter<'l, Pattern>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A list in normal form; of a dimension with one value, one that has `*` says nothing.
pub(super) fn reduce_values(patterns: Option<&[Pattern]>) -> Option<PatternList> {
    let patterns = patterns.filter(|list| !list.iter().any(Pattern::is_any))?;
    Some(PatternList::from_patterns(patterns.iter().cloned()))
}

impl Zone {
    /// The zone of patterns; models are looked at apart.
    pub(super) fn from_targets(targets: &Targets) -> Self {
        let list = |dimension: Dimension| {
            let patterns = targets[dimension].as_deref()?;
            match dimension {
                Dimension::Model => None,
                _ if dimension.is_set() => {
                    Some(PatternList::from_patterns(patterns.iter().cloned()))
                }
                _ => reduce_values(Some(patterns)),
            }
        };

        Self {
            lists: PerDimension::from_fn(list),
        }
    }

    /// Whether the point lies in it; then its whole cone does.
    pub(super) fn covers_point(&self, point: &Point) -> bool {
        self.narrowed_lists()
            .all(|(dimension, list)| point.is_within(dimension, list))
    }

    /// Whether some request of the point's cone lies in it: a request can always have a tag more.
    pub(super) fn overlaps_point(&self, point: &Point) -> bool {
        self.narrowed_lists()
            .filter(|(dimension, _)| !dimension.is_set())
            .all(|(dimension, list)| list.overlaps_pattern(&point.values[dimension]))
    }

    /// Whether some request lies in both zones.
    pub(super) fn meets_zone(&self, other: &Zone) -> bool {
        self.narrowed_lists()
            .filter(|(dimension, _)| !dimension.is_set())
            .all(|(dimension, list)| {
                other.lists[dimension]
                    .as_ref()
                    .is_none_or(|other| list.meets_list(other))
            })
    }

    /// The dimensions that are looked at, with their patterns.
    pub(super) fn narrowed_lists(&self) -> impl Iterator<Item = (Dimension, &PatternList)> {
        self.lists
            .iter()
            .filter_map(|(dimension, list)| Some((dimension, list.as_ref()?)))
    }

    /// How many patterns it has: what making [`Zone::points_within`] costs.
    pub(super) fn count_points(&self) -> u64 {
        self.lists
            .values()
            .flatten()
            .map(|list| list.len() as u64)
            .sum()
    }

    /// The generic points of what the zone has in common with a cone. Every request of both lies in
    /// the cone of one of them.
    pub(super) fn points_within(&self, at: &Point) -> Points {
        let choices = self.narrowed_lists().map(|(dimension, list)| {
            let choices = match dimension.is_set() {
                true if at.is_within(dimension, list) => vec![at.tags.clone()],
                true => list.iter().map(|tag| with_tag(&at.tags, tag)).collect(),
                false => meeting_values(list, &at.values[dimension]),
            };

            (dimension, choices)
        });

        Points::new(at.clone(), choices.collect())
    }
}

/// A set of tags with one more; a tag that the new one makes needless goes.
fn with_tag(tags: &[Pattern], tag: &Pattern) -> Vec<Pattern> {
    let mut set: Vec<Pattern> = tags
        .iter()
        .filter(|old| !old.covers(tag))
        .cloned()
        .collect();

    set.push(tag.clone());
    set.sort_unstable();
    set
}

/// What a list has in common with a pattern; each as a choice of its own.
fn meeting_values(list: &PatternList, at: &Pattern) -> Vec<Vec<Pattern>> {
    if list.covers_pattern(at) {
        return vec![vec![at.clone()]];
    }

    list.covered_by(at)
        .iter()
        .map(|pattern| vec![pattern.clone()])
        .collect()
}

/// The points of a product of choices, made one after another: there can be many more than fit in
/// memory.
#[derive(Debug)]
pub(super) struct Points {
    at: Point,
    /// For some dimensions, what the point can be there: one pattern, or a set of tags.
    choices: Vec<(Dimension, Vec<Vec<Pattern>>)>,
    /// Which choice is next; the last dimension changes fastest. `None`: no more.
    next: Option<Vec<usize>>,
}

impl Points {
    fn new(at: Point, choices: Vec<(Dimension, Vec<Vec<Pattern>>)>) -> Self {
        let is_empty = choices.iter().any(|(_, choices)| choices.is_empty());
        let next = (!is_empty).then(|| vec![0; choices.len()]);
        Self { at, choices, next }
    }

    /// No points at all.
    pub(super) fn no_points() -> Self {
        Self {
            at: Point::every_request(),
            choices: Vec::new(),
            next: None,
        }
    }
}

impl Iterator for Points {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        let chosen = self.next.as_mut()?;
        let mut point = self.at.clone();
        for ((dimension, choices), at) in self.choices.iter().zip(&*chosen) {
            let choice = choices.get(*at)?;
            match choice.first() {
                _ if dimension.is_set() => point.tags.clone_from(choice),
                Some(pattern) => point.values[*dimension] = pattern.clone(),
                None => {}
            }
        }

        for ((_, choices), at) in self.choices.iter().zip(&mut *chosen).rev() {
            *at += 1;
            if *at < choices.len() {
                return Some(point);
            }

            *at = 0;
        }

        self.next = None;
        Some(point)
    }
}

impl Point {
    /// No value and no tags: what matches it matches every request.
    pub(super) fn every_request() -> Self {
        Self {
            values: PerDimension::from_fn(|_| any_value()),
            tags: Vec::new(),
        }
    }

    /// The point's patterns in one dimension: exactly one, except for sets.
    pub(super) fn patterns_of(&self, dimension: Dimension) -> &[Pattern] {
        if dimension.is_set() {
            &self.tags
        } else {
            std::slice::from_ref(&self.values[dimension])
        }
    }

    /// Whether every request of the cone is matched by the list in one dimension.
    pub(super) fn is_within(&self, dimension: Dimension, list: &PatternList) -> bool {
        if dimension.is_set() {
            self.tags.iter().any(|tag| list.covers_pattern(tag))
        } else {
            list.covers_pattern(&self.values[dimension])
        }
    }

    /// Whether it stands only for requests with an empty string, which are left out of every
    /// analysis.
    pub(super) fn is_empty_string(&self) -> bool {
        let empty = |pattern: &Pattern| matches!(pattern, Pattern::Exact(text) if text.is_empty());
        self.values.values().any(empty) || self.tags.iter().any(empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Pattern {
        Pattern::parse(text)
    }

    fn list(texts: &[&str]) -> PatternList {
        PatternList::from_patterns(texts.iter().map(|text| p(text)))
    }

    fn tags(texts: &[&str]) -> Zone {
        let mut zone = Zone::default();
        zone.lists[Dimension::Tag] = Some(list(texts));
        zone
    }

    #[test]
    fn a_list_answers_as_looking_at_each_of_its_patterns_does() {
        let texts = [
            "", "*", "a", "a*", "ab", "ab*", "abc", "b", "b*", "ba", "a b*", "a!", "é*",
        ];
        for chosen in 0..1usize << texts.len() {
            // Every pair and some larger lists.
            if chosen.count_ones() > 2 && chosen % 37 != 0 {
                continue;
            }

            let all: Vec<Pattern> = texts
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen & (1 << at) != 0)
                .map(|(_, text)| p(text))
                .collect();
            let list = PatternList::from_patterns(all.iter().cloned());
            for text in texts {
                let (one, told) = (p(text), || format!("{text} and {all:?}"));
                assert_eq!(
                    list.covers_pattern(&one),
                    all.iter().any(|o| o.covers(&one)),
                    "{}",
                    told()
                );
                assert_eq!(
                    list.overlaps_pattern(&one),
                    all.iter().any(|o| o.overlaps(&one)),
                    "{}",
                    told()
                );
                let found = all.iter().any(|own| own.matches(Some(text)));
                assert_eq!(list.matches_value(Some(text)), found, "{}", told());
                let below = list.iter().filter(|own| one.covers(own)).cloned();
                assert_eq!(
                    list.covered_by(&one),
                    below.collect::<Vec<_>>(),
                    "{}",
                    told()
                );
            }

            let covered = |one: &Pattern| list.iter().filter(|own| own.covers(one)).count();
            assert!(all.iter().all(|one| covered(one) == 1), "{all:?}");
        }
    }

    #[test]
    fn the_narrower_of_two_nested_tags_stands_for_both() {
        let at = Point {
            tags: vec![p("phi*")],
            ..Point::every_request()
        };

        let sets: Vec<Vec<Pattern>> = tags(&["phi-eu", "tier"])
            .points_within(&at)
            .map(|point| point.tags)
            .collect();
        let mut both = vec![p("phi*"), p("tier")];
        both.sort_unstable();
        assert_eq!(sets, [vec![p("phi-eu")], both]);

        assert_eq!(tags(&["ph*"]).points_within(&at).collect::<Vec<_>>(), [at]);
    }

    #[test]
    fn points_are_every_choice_of_one_pattern_a_dimension() {
        let mut zone = tags(&["s", "t"]);
        zone.lists[Dimension::Team] = Some(list(&["a", "b", "c"]));
        let points: Vec<Point> = zone.points_within(&Point::every_request()).collect();
        let distinct: std::collections::BTreeSet<&Point> = points.iter().collect();
        assert_eq!((points.len(), distinct.len()), (6, 6));
        let mut at = Point::every_request();
        at.values[Dimension::Team] = p("d");

        assert_eq!(
            zone.points_within(&at).count() + Points::no_points().count(),
            0
        );
    }

    #[test]
    fn a_star_among_values_is_no_demand_but_among_tags_it_is() {
        let mut targets = Targets::default();
        targets.0[Dimension::Team] = Some(vec![p("*"), p("a")]);
        targets.0[Dimension::Tag] = Some(vec![p("*")]);
        let zone = Zone::from_targets(&targets);
        assert_eq!(zone.lists[Dimension::Team], None);
        assert!(
            !zone.covers_point(&Point::every_request())
                && zone.overlaps_point(&Point::every_request())
        );

        assert!(zone.covers_point(&Point {
            tags: vec![p("x")],
            ..Point::every_request()
        }));
    }
}
