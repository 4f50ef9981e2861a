//! Whether a request lies in a region, by what the region says.

use super::cone::PatternList;
use super::report::{Region, is_plain};
use crate::document::{Dimension, PerDimension};
use crate::policy::condition::ModelPattern;
use crate::policy::{Context, Pattern, PolicySet};

/// The requests of a region.
#[derive(Debug)]
pub struct RegionBox {
    /// Of dimensions that are neither models nor tags.
    values: PerDimension<Extent>,
    models: Extent,
    /// Conditions, and whether they have to hold.
    conditions: Vec<(ModelPattern, bool)>,
    /// One tag of each list.
    tags: Vec<PatternList>,
    /// Values, or tags, that no request of it has.
    no_tags: PatternList,
    /// Whether a request without tags is one of them.
    untagged: bool,
}

/// The values of one dimension.
#[derive(Debug, Default)]
struct Extent {
    any: PatternList,
    none: PatternList,
    absent: bool,
}

impl Extent {
    fn new(any: &[String], none: &[String], absent: bool) -> Self {
        Self {
            any: parse_patterns(any),
            none: parse_patterns(none),
            absent,
        }
    }

    fn has_value(&self, value: Option<&str>) -> bool {
        match value {
            None => self.absent,
            Some(_) => self.any.matches_value(value) && !self.none.matches_value(value),
        }
    }
}

fn parse_patterns(texts: &[String]) -> PatternList {
    PatternList::from_patterns(texts.iter().map(|text| Pattern::parse(text)))
}

impl RegionBox {
    /// The requests of a region that was found between these sets.
    pub fn new(region: &Region, sets: [&PolicySet; 2]) -> Self {
        let models = &region.models;
        let find = |text: &String| {
            let mut known = sets.into_iter().flat_map(|set| &set.conditions);
            known.find(|condition| condition.text() == text).cloned()
        };

        let holding = models
            .matches
            .iter()
            .filter_map(find)
            .map(|condition| (condition, true));
        let failing = models.not_matches.iter().filter_map(find);
        let failing = failing.map(|condition| (condition, false));
        let tags = &region.tags;
        let lists = [&tags.any]
            .into_iter()
            .chain(&tags.also)
            .filter(|list| !list.is_empty());

        Self {
            values: region
                .values
                .as_ref()
                .map(|dimension, values| match is_plain(dimension) {
                    true => Extent::new(&values.any, &values.none, values.absent),
                    false => Extent::default(),
                }),
            models: Extent::new(&models.any, &models.none, models.absent),
            conditions: holding.chain(failing).collect(),
            tags: lists.map(|list| parse_patterns(list)).collect(),
            no_tags: parse_patterns(&tags.none),
            untagged: tags.absent,
        }
    }

    /// Whether a request is one of them, whatever policies it names.
    pub fn has_request(&self, context: &Context) -> bool {
        let mut plain = Dimension::ALL
            .into_iter()
            .filter(|dimension| is_plain(*dimension));
        plain.all(|dimension| self.values[dimension].has_value(context.value(dimension)))
            && self.has_model(context.model())
            && self.has_tags(context.values(Dimension::Tag))
    }

    fn has_model(&self, model: Option<&str>) -> bool {
        let holds = |(condition, due): &(ModelPattern, bool)| {
            model.is_none_or(|model| condition.matches(model) == *due)
        };

        self.models.has_value(model) && self.conditions.iter().all(holds)
    }

    fn has_tags(&self, tags: &[String]) -> bool {
        let has_one = |list: &PatternList| tags.iter().any(|tag| list.matches_value(Some(tag)));
        (self.untagged || !tags.is_empty())
            && self.tags.iter().all(has_one)
            && !has_one(&self.no_tags)
    }
}
