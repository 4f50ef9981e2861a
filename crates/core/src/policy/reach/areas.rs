//! The requests that each attachment is for, as sets of pattern numbers.

use super::super::draft::{DraftSet, PatternList};
use super::order::{PatternNo, PatternOrder};
use crate::document::{RawAttachment, Spanned};
use crate::policy::{Dimension, Item};

/// The dimensions that can keep two attachments apart. Tags cannot: a request may have several.
pub(super) const APART: [Dimension; 3] = [Dimension::Keys, Dimension::Teams, Dimension::Models];

/// The requests that one attachment is for.
#[derive(Debug)]
pub struct Area {
    /// The policy, as an index into the draft's.
    pub policy: usize,
    /// Only where no attachment without `default` matches.
    pub default: bool,
    /// By [`APART`]; `None`: any value, an absent one too.
    dimensions: [Option<Box<[PatternNo]>>; 3],
    tags: Option<Box<[PatternNo]>>,
}

impl Area {
    /// Whether it is every request.
    pub fn is_everything(&self) -> bool {
        self.signature() == 0 && self.tags.is_none()
    }

    /// A bit for each of [`APART`] that is asked for.
    pub(super) fn signature(&self) -> u8 {
        (0u8..)
            .zip(&self.dimensions)
            .fold(0, |bits, (at, asked)| bits | u8::from(asked.is_some()) << at)
    }

    pub(super) fn patterns(&self, dimension: usize) -> &[PatternNo] {
        self.dimensions.get(dimension).and_then(Option::as_deref).unwrap_or_default()
    }
}

/// The areas of a set's attachments.
#[derive(Debug)]
pub struct Areas<'a> {
    orders: [PatternOrder<'a>; 3],
    tags: PatternOrder<'a>,
    areas: Vec<Option<Area>>,
}

impl<'a> Areas<'a> {
    /// Draws the area of every attachment that has one.
    pub(crate) fn new(draft: &DraftSet<'a>) -> Self {
        let order = |dimension| {
            let lists = draft.attachments.iter().filter_map(|item| item.patterns(dimension));
            PatternOrder::new(lists.flat_map(|list| list.iter()).map(|text| text.as_str()))
        };
        let mut areas =
            Self { orders: APART.map(order), tags: order(Dimension::Tags), areas: Vec::new() };
        let owned = draft.attachments.iter().zip(&draft.owners);
        areas.areas = owned.map(|(item, owner)| areas.draw(item, (*owner)?)).collect();
        areas
    }

    /// `None` where the attachment is at fault, so that it is for no requests that can be told.
    fn draw(&self, item: &Item<'a, RawAttachment>, policy: usize) -> Option<Area> {
        let lists = Dimension::ALL.map(|dimension| item.patterns(dimension));
        let sound = match &item.raw.scope {
            Some(scope) => scope.value == "*" && lists.iter().all(Option::is_none),
            None => {
                lists.iter().any(Option::is_some)
                    && lists.iter().flatten().all(|list| !list.is_empty())
            }
        };
        let numbers = |order: &PatternOrder<'a>, list: &[Spanned<String>]| {
            let mut numbers: Vec<PatternNo> =
                list.iter().filter_map(|text| order.number(text)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers.into_boxed_slice()
        };
        let dimension = |at: usize, list: PatternList<'a>| {
            let list = list.filter(|list| list.iter().all(|text| text.value != "*"))?;
            self.orders.get(at).map(|order| numbers(order, list))
        };
        let dimensions =
            [0, 1, 2].map(|at: usize| dimension(at, APART.get(at).and_then(|d| item.patterns(*d))));
        let tags = item.raw.tags.as_ref().map(|list| numbers(&self.tags, list));
        let default = item.raw.default.is_some_and(|default| default.value);
        sound.then_some(Area { policy, default, dimensions, tags })
    }

    /// The area of an attachment, by its index in the draft.
    pub fn get(&self, attachment: usize) -> Option<&Area> {
        self.areas.get(attachment)?.as_ref()
    }

    /// Every area, with its attachment's index.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Area)> {
        self.areas.iter().enumerate().filter_map(|(index, area)| Some((index, area.as_ref()?)))
    }

    /// The distinct patterns of a dimension: the text before a final star, and whether there is none.
    /// Those of attachments at fault are among them.
    pub fn distinct(&self, dimension: Dimension) -> impl Iterator<Item = (&'a str, bool)> + '_ {
        let at = APART.iter().position(|apart| *apart == dimension);
        at.and_then(|at| self.orders.get(at)).unwrap_or(&self.tags).keys()
    }

    pub(super) fn order(&self, dimension: usize) -> Option<&PatternOrder<'a>> {
        self.orders.get(dimension)
    }

    /// Whether `inner` adds no request to those of `outer`, an attachment of the same policy.
    pub fn covers(&self, outer: &Area, inner: &Area) -> bool {
        // A default attachment counts only where no other one matches: beside one that does, it is nothing.
        let counts = inner.default || !outer.default;
        let tags = match (&outer.tags, &inner.tags) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => self.tags.covers(outer, inner),
        };
        let mut dimensions = self.orders.iter().zip(outer.dimensions.iter().zip(&inner.dimensions));
        counts
            && tags
            && dimensions.all(|(order, pair)| match pair {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(outer), Some(inner)) => order.covers(outer, inner),
            })
    }

    /// Whether some request counts for both.
    pub fn overlap(&self, a: &Area, b: &Area) -> bool {
        let mut dimensions = self.orders.iter().zip(a.dimensions.iter().zip(&b.dimensions));
        a.default == b.default
            && dimensions.all(|(order, pair)| match pair {
                (Some(a), Some(b)) => order.overlap(a, b),
                _ => true,
            })
    }

    /// The models that an attachment names; `None`: any.
    pub(super) fn models<'s>(
        &'s self,
        area: &'s Area,
    ) -> Option<impl ExactSizeIterator<Item = (&'a str, bool)> + 's> {
        let [_, _, models] = &area.dimensions;
        let [_, _, order] = &self.orders;
        let models = models.as_deref()?;
        Some(models.iter().map(|number| order.key(*number).unwrap_or(("", false))))
    }
}
