//! The requests that each attachment is for, as sets of pattern numbers.
//!
//! With the numbers of `order` (teams: 0 `*`, 2 `health*`, 3 `health-eu`; keys: 1 `ci`):
//!
//! ```text
//! a  teams: [health*], models: ["*"]     team [2]               a star asks for nothing
//! b  teams: [health-eu], keys: [ci]      team [3], key [1]
//! c  tags: ["*"]                         tag [0]                some tag must be there
//!
//! a covers b       2 covers 3, and a asks for no key
//! b overlaps c     the only dimension of c is a set: a request may have both
//! ```

use jiff::Timestamp;

use super::super::draft::DraftSet;
use super::order::{PatternNo, PatternOrder};
use crate::document::{Dimension, PerDimension, RawAttachment};
use crate::policy::{Item, ends_earlier};

/// The dimensions with one value in a request: only these can keep two attachments apart. Of a
/// set, such as tags, one request may have a value for each attachment.
pub(super) fn exclusive_dimensions() -> impl Iterator<Item = Dimension> {
    Dimension::ALL
        .into_iter()
        .filter(|dimension| !dimension.is_set())
}

/// The requests that one attachment is for.
#[derive(Debug)]
pub struct Area {
    /// The policy, as an index into the draft's.
    pub policy: usize,
    /// Only where no attachment without `default` matches.
    pub default: bool,
    /// The instant from which on it is for none of them.
    pub expires: Option<Timestamp>,
    /// The patterns of each dimension, sorted; `None`: any value, an absent one too.
    patterns: PerDimension<Option<Box<[PatternNo]>>>,
}

impl Area {
    /// Whether it holds every request.
    pub fn is_everything(&self) -> bool {
        self.patterns.values().all(Option::is_none)
    }

    /// Whether it does not expire before another one.
    pub fn outlasts(&self, other: &Self) -> bool {
        !ends_earlier(self.expires, other.expires)
    }

    /// The dimensions with one value that it asks for.
    pub(super) fn signature_of(&self) -> Signature {
        let asked = exclusive_dimensions().filter(|dimension| self.patterns[*dimension].is_some());
        Signature(asked.fold(0, |bits, dimension| {
            bits | Signature::dimension_bit(dimension)
        }))
    }

    pub(super) fn patterns_of(&self, dimension: Dimension) -> &[PatternNo] {
        self.patterns[dimension].as_deref().unwrap_or_default()
    }
}

/// Some dimensions, as one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signature(u8);

impl Signature {
    fn dimension_bit(dimension: Dimension) -> u8 {
        1 << dimension as u8
    }

    /// The bits, for a place in an order.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// The dimensions that both have.
    pub(super) fn shared_with(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first of its dimensions.
    pub(super) fn first_dimension(self) -> Option<Dimension> {
        exclusive_dimensions().find(|dimension| self.0 & Self::dimension_bit(*dimension) != 0)
    }
}

/// The areas of a set's attachments.
#[derive(Debug)]
pub struct Areas<'a> {
    orders: PerDimension<PatternOrder<'a>>,
    areas: Vec<Option<Area>>,
}

impl<'a> Areas<'a> {
    /// Draws the area of every attachment that has one.
    pub(crate) fn new(draft: &DraftSet<'a>) -> Self {
        let order = |dimension| {
            let lists = draft
                .attachments
                .iter()
                .filter_map(|item| item.raw.patterns(dimension));
            PatternOrder::new(lists.flat_map(|list| list.iter()).map(|text| text.as_str()))
        };

        let mut areas = Self {
            orders: PerDimension::from_fn(order),
            areas: Vec::new(),
        };

        let owned = draft.attachments.iter().zip(&draft.owners);
        areas.areas = owned
            .map(|(item, owner)| areas.draw_area(item, (*owner)?))
            .collect();
        areas
    }

    /// `None` where the attachment itself is faulty, so that it has no certain area.
    fn draw_area(&self, item: &Item<'a, RawAttachment>, policy: usize) -> Option<Area> {
        let lists = PerDimension::from_fn(|dimension| item.raw.patterns(dimension));
        let is_sound = match &item.raw.scope {
            Some(scope) => scope.value == "*" && lists.values().all(Option::is_none),
            None => {
                lists.values().any(Option::is_some)
                    && lists.values().flatten().all(|list| !list.is_empty())
            }
        };

        if !is_sound {
            return None;
        }

        let patterns = PerDimension::from_fn(|dimension| self.pattern_numbers(item.raw, dimension));
        let default = item.raw.default.is_some_and(|default| default.value);
        Some(Area {
            policy,
            default,
            expires: item.raw.expiry_instant(),
            patterns,
        })
    }

    /// The patterns of a dimension; `None` where it is not named or any value will do. Of a set `*`
    /// asks for some value.
    fn pattern_numbers(
        &self,
        raw: &'a RawAttachment,
        dimension: Dimension,
    ) -> Option<Box<[PatternNo]>> {
        let list = raw.patterns(dimension)?;
        if !dimension.is_set() && list.iter().any(|text| text.value == "*") {
            return None;
        }

        let order = &self.orders[dimension];
        let mut numbers: Vec<PatternNo> = list
            .iter()
            .filter_map(|text| order.number_of(text))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();

        Some(numbers.into_boxed_slice())
    }

    /// The area of an attachment, by its index in the draft.
    pub fn area_of(&self, attachment: usize) -> Option<&Area> {
        self.areas.get(attachment)?.as_ref()
    }

    /// Every area, with its attachment's index.
    pub fn all_areas(&self) -> impl Iterator<Item = (usize, &Area)> {
        self.areas
            .iter()
            .enumerate()
            .filter_map(|(index, area)| Some((index, area.as_ref()?)))
    }

    /// The distinct patterns of a dimension: the text before a final star, and whether there is
    /// none. Those of attachments at fault are among them.
    pub fn distinct_patterns(
        &self,
        dimension: Dimension,
    ) -> impl Iterator<Item = (&'a str, bool)> + '_ {
        self.orders[dimension].keys()
    }

    pub(super) fn order_of(&self, dimension: Dimension) -> &PatternOrder<'a> {
        &self.orders[dimension]
    }

    /// Whether `inner` adds no request to those of `outer`, an attachment of the same policy.
    pub fn area_covers(&self, outer: &Area, inner: &Area) -> bool {
        // A default attachment counts only where no other one matches: beside one that does, it is
        // nothing.
        let counts = inner.default || !outer.default;

        counts
            && outer.outlasts(inner)
            && self.orders.iter().all(|(dimension, order)| {
                match (&outer.patterns[dimension], &inner.patterns[dimension]) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(outer), Some(inner)) => order.list_covers(outer, inner),
                }
            })
    }

    /// Whether some request counts for both.
    pub fn areas_overlap(&self, a: &Area, b: &Area) -> bool {
        a.default == b.default
            && exclusive_dimensions().all(|dimension| {
                match (&a.patterns[dimension], &b.patterns[dimension]) {
                    (Some(a), Some(b)) => self.orders[dimension].lists_overlap(a, b),
                    _ => true,
                }
            })
    }

    /// The models that an attachment names; `None`: any.
    pub(super) fn model_patterns<'s>(
        &'s self,
        area: &'s Area,
    ) -> Option<impl ExactSizeIterator<Item = (&'a str, bool)> + 's> {
        let models = area.patterns[Dimension::Model].as_deref()?;
        let order = &self.orders[Dimension::Model];
        Some(
            models
                .iter()
                .map(|number| order.pattern_of(*number).unwrap_or(("", false))),
        )
    }
}
