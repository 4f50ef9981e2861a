//! Points of the space of requests that stand for all that lies below them.
//!
//! A pattern is an exact string or a prefix, so two patterns are nested or apart, and a value that matches
//! a pattern and no deeper one matches the fewest others. Such values are the *generic* values of the
//! pattern; a [`Point`] has one a dimension. Whatever matches a point matches every request of its cone:
//! this is why a question "is there a request here that nothing there covers?" needs one look a point.

use crate::document::Dimension;
use crate::policy::{Pattern, Targets};

/// The generic request of a cone: a generic value of each pattern, and of each pattern of `tags` one tag.
/// The generic value of `*` is absent or a value that no other pattern matches; nothing tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Point {
    pub team: Pattern,
    pub key: Pattern,
    /// Sorted; none covers another.
    pub tags: Vec<Pattern>,
}

/// A box of requests without its models. Lists are sorted, and no pattern of one covers another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Zone {
    /// `None`: every team, also an absent one.
    pub teams: Option<Vec<Pattern>>,
    pub keys: Option<Vec<Pattern>>,
    /// `None`: tags are not looked at.
    pub tags: Option<Vec<Pattern>>,
}

/// The pattern `*`.
pub(super) fn any() -> Pattern {
    Pattern::Prefix("".into())
}

/// What both match: one of the two, or nothing.
pub(super) fn meet(a: &Pattern, b: &Pattern) -> Option<Pattern> {
    if a.covers(b) {
        Some(b.clone())
    } else if b.covers(a) {
        Some(a.clone())
    } else {
        None
    }
}

/// A list without what another pattern of it covers, sorted.
pub(super) fn reduce(patterns: &[Pattern]) -> Vec<Pattern> {
    let mut sorted: Vec<&Pattern> = patterns.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() > 64 {
        return reduce_long(&sorted);
    }
    let covered = |p: &Pattern| sorted.iter().any(|other| *other != p && other.covers(p));
    sorted.iter().filter(|p| !covered(p)).map(|p| (*p).clone()).collect()
}

/// The same in the order of the texts, where all that a prefix covers stands right behind it.
fn reduce_long(sorted: &[&Pattern]) -> Vec<Pattern> {
    let text = |p: &Pattern| match p {
        Pattern::Exact(text) | Pattern::Prefix(text) => text.clone(),
    };
    let mut by_text: Vec<&Pattern> = sorted.to_vec();
    by_text.sort_by_key(|p| (text(p), matches!(p, Pattern::Exact(_))));
    let mut kept: Vec<Pattern> = Vec::new();
    let mut last_prefix: Option<&Pattern> = None;
    for pattern in by_text {
        if last_prefix.is_some_and(|prefix| prefix.covers(pattern)) {
            continue;
        }
        if matches!(pattern, Pattern::Prefix(_)) {
            last_prefix = Some(pattern);
        }
        kept.push(pattern.clone());
    }
    kept.sort_unstable();
    kept
}

/// A list in normal form; one that has `*` says nothing.
pub(super) fn reduce_values(patterns: Option<&[Pattern]>) -> Option<Vec<Pattern>> {
    patterns.filter(|list| !list.iter().any(Pattern::is_any)).map(reduce)
}

impl Zone {
    /// The zone of patterns; models are looked at apart.
    pub(super) fn of(targets: &Targets) -> Self {
        Self {
            teams: reduce_values(targets[Dimension::Team].as_deref()),
            keys: reduce_values(targets[Dimension::Key].as_deref()),
            tags: targets[Dimension::Tag].as_deref().map(reduce),
        }
    }

    /// Whether the point lies in it; then its whole cone does.
    pub(super) fn covers(&self, point: &Point) -> bool {
        let value = |list: &Option<Vec<Pattern>>, at: &Pattern| {
            list.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.covers(at)))
        };
        value(&self.teams, &point.team)
            && value(&self.keys, &point.key)
            && self.covers_tags(&point.tags)
    }

    /// Whether one of the tags is asked for.
    pub(super) fn covers_tags(&self, tags: &[Pattern]) -> bool {
        self.tags.as_ref().is_none_or(|list| {
            tags.iter().any(|tag| list.iter().any(|pattern| pattern.covers(tag)))
        })
    }

    /// Whether some request of the point's cone lies in it: a request can always have a tag more.
    pub(super) fn overlaps(&self, point: &Point) -> bool {
        let value = |list: &Option<Vec<Pattern>>, at: &Pattern| {
            list.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.overlaps(at)))
        };
        value(&self.teams, &point.team) && value(&self.keys, &point.key)
    }

    /// Whether some request lies in both zones.
    pub(super) fn meets(&self, other: &Zone) -> bool {
        let value = |a: &Option<Vec<Pattern>>, b: &Option<Vec<Pattern>>| match (a, b) {
            (Some(a), Some(b)) => a.iter().any(|one| b.iter().any(|two| one.overlaps(two))),
            _ => true,
        };
        value(&self.teams, &other.teams) && value(&self.keys, &other.keys)
    }

    /// How many points [`Zone::points`] can give at most.
    pub(super) fn size(&self) -> u64 {
        [&self.teams, &self.keys, &self.tags]
            .iter()
            .map(|list| list.as_ref().map_or(1, |l| l.len() as u64))
            .product()
    }

    /// The generic points of what the zone has in common with a cone. Every request of both lies in the
    /// cone of one of them.
    pub(super) fn points(&self, at: &Point) -> Vec<Point> {
        let mut points = Vec::new();
        for team in meets(self.teams.as_deref(), &at.team) {
            for key in meets(self.keys.as_deref(), &at.key) {
                for tags in self.tag_sets(&at.tags) {
                    points.push(Point { team: team.clone(), key: key.clone(), tags });
                }
            }
        }
        points
    }

    /// The smallest sets of tags that have the given ones and one of the zone's.
    fn tag_sets(&self, tags: &[Pattern]) -> Vec<Vec<Pattern>> {
        match &self.tags {
            Some(list) if !self.covers_tags(tags) => {
                list.iter().map(|tag| with_tag(tags, tag)).collect()
            }
            _ => vec![tags.to_vec()],
        }
    }
}

/// A set of tags with one more; a tag that the new one makes needless goes.
fn with_tag(tags: &[Pattern], tag: &Pattern) -> Vec<Pattern> {
    let mut set: Vec<Pattern> = tags.iter().filter(|old| !old.covers(tag)).cloned().collect();
    set.push(tag.clone());
    set.sort_unstable();
    set
}

fn meets(list: Option<&[Pattern]>, at: &Pattern) -> Vec<Pattern> {
    match list {
        None => vec![at.clone()],
        Some(list) => list.iter().filter_map(|pattern| meet(pattern, at)).collect(),
    }
}

impl Point {
    /// No team, no key, no tags: what matches it matches every request.
    pub(super) fn top() -> Self {
        Self { team: any(), key: any(), tags: Vec::new() }
    }

    /// Whether it stands only for requests with an empty string, which are left out of every analysis.
    pub(super) fn is_empty_string(&self) -> bool {
        let empty = |pattern: &Pattern| matches!(pattern, Pattern::Exact(text) if text.is_empty());
        empty(&self.team) || empty(&self.key) || self.tags.iter().any(empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Pattern {
        Pattern::parse(text)
    }

    fn list(texts: &[&str]) -> Option<Vec<Pattern>> {
        Some(reduce(&texts.iter().map(|t| p(t)).collect::<Vec<_>>()))
    }

    #[test]
    fn a_long_list_is_reduced_as_a_short_one() {
        let mut patterns: Vec<Pattern> = (0..100).map(|i| p(&format!("a{i}"))).collect();
        patterns.extend([p("a1*"), p("a2"), p("b*"), p("b*"), p("bc*"), p("a5*")]);
        let covered = |x: &Pattern| patterns.iter().any(|y| y != x && y.covers(x));
        let mut slow: Vec<Pattern> = patterns.iter().filter(|x| !covered(x)).cloned().collect();
        slow.sort_unstable();
        slow.dedup();
        assert_eq!(reduce(&patterns), slow);
    }

    #[test]
    fn the_narrower_of_two_nested_tags_stands_for_both() {
        let zone = Zone { tags: list(&["phi-eu", "tier"]), ..Zone::default() };
        let at = Point { tags: vec![p("phi*")], ..Point::top() };
        let sets: Vec<Vec<Pattern>> =
            zone.points(&at).into_iter().map(|point| point.tags).collect();
        let mut both = vec![p("phi*"), p("tier")];
        both.sort_unstable();
        assert_eq!(sets, [vec![p("phi-eu")], both]);
        let wide = Zone { tags: list(&["ph*"]), ..Zone::default() };
        assert_eq!(wide.points(&at), [at]);
    }

    #[test]
    fn a_star_among_values_is_no_demand_but_among_tags_it_is() {
        let mut targets = Targets::default();
        targets.0[Dimension::Team] = Some(vec![p("*"), p("a")]);
        targets.0[Dimension::Tag] = Some(vec![p("*")]);
        let zone = Zone::of(&targets);
        assert_eq!(zone.teams, None);
        assert!(!zone.covers(&Point::top()) && zone.overlaps(&Point::top()));
        assert!(zone.covers(&Point { tags: vec![p("x")], ..Point::top() }));
    }
}
