//! The dimensions of a request: what attachments, catalogs, tests and invariants choose requests
//! by.
//!
//! [`Dimension`] names one, with its words; [`PerDimension`] holds one value for each. All code
//! that treats the dimensions alike iterates over these two, so that a new dimension is a variant
//! here and its fields in the documents. Must not know what a pattern or a request is.

use std::ops::{Index, IndexMut};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// One dimension of a request. The order of the variants is the order of rising specificity: of two
/// attachments without other differences, the one whose highest dimension is higher comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The team that asks.
    Team,
    /// The key that it asks with.
    Key,
    /// The user whose key it is. Of refguard's own: LiteLLM has none.
    User,
    /// The tags of the request.
    Tag,
    /// The model that it asks for.
    Model,
    /// The tool that it calls, `server/tool` of an MCP call. Of refguard's own: LiteLLM has none.
    Tool,
}

impl Dimension {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every dimension, in the order of rising specificity: `ALL[n]` has the discriminant `n`.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Team,
        Self::Key,
        Self::User,
        Self::Tag,
        Self::Model,
        Self::Tool,
    ];

    /// Every dimension, in the order in which documents, reports and messages list them.
    pub const WRITTEN: [Self; Self::COUNT] = [
        Self::Team,
        Self::Key,
        Self::Model,
        Self::Tag,
        Self::User,
        Self::Tool,
    ];

    /// The dimensions that LiteLLM has too, in the order in which its configurations list them.
    pub const LITELLM: [Self; 4] = [Self::Team, Self::Key, Self::Model, Self::Tag];

    /// Every dimension, in the order in which the reason of a match names them: LiteLLM's as it
    /// does, then refguard's own.
    pub const REASONED: [Self; Self::COUNT] = [
        Self::Tag,
        Self::Team,
        Self::Key,
        Self::Model,
        Self::User,
        Self::Tool,
    ];

    /// One value of it, as contexts and messages call it: `team`.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Key => "key",
            Self::User => "user",
            Self::Tag => "tag",
            Self::Model => "model",
            Self::Tool => "tool",
        }
    }

    /// A list of its values or patterns, as documents call the field: `teams`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Team => "teams",
            Self::Key => "keys",
            Self::User => "users",
            Self::Tag => "tags",
            Self::Model => "models",
            Self::Tool => "tools",
        }
    }

    /// Its field in a context: the plural where a request may have several values.
    pub const fn context_field(self) -> &'static str {
        if self.is_set() {
            self.plural()
        } else {
            self.singular()
        }
    }

    /// LiteLLM's name for its field in a context, where that is another one: `team_alias`.
    pub const fn alias(self) -> Option<&'static str> {
        match self {
            Self::Team => Some("team_alias"),
            Self::Key => Some("key_alias"),
            Self::User | Self::Tag | Self::Model | Self::Tool => None,
        }
    }

    /// Whether a request may have several values of it. Of the others it has one or none.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::Tag)
    }
}

/// One value for each dimension.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PerDimension<T> {
    team: T,
    key: T,
    user: T,
    tag: T,
    model: T,
    tool: T,
}

impl<T> PerDimension<T> {
    /// Makes the value of each dimension, in the order of [`Dimension::ALL`].
    pub fn from_fn(mut make: impl FnMut(Dimension) -> T) -> Self {
        PerDimension::<()>::default().map(|dimension, ()| make(dimension))
    }

    /// Makes another value of each, in the order of [`Dimension::ALL`].
    pub fn map<U>(self, mut make: impl FnMut(Dimension, T) -> U) -> PerDimension<U> {
        PerDimension {
            team: make(Dimension::Team, self.team),
            key: make(Dimension::Key, self.key),
            user: make(Dimension::User, self.user),
            tag: make(Dimension::Tag, self.tag),
            model: make(Dimension::Model, self.model),
            tool: make(Dimension::Tool, self.tool),
        }
    }

    /// Puts the values of two side by side.
    pub fn zip<U>(self, other: PerDimension<U>) -> PerDimension<(T, U)> {
        PerDimension {
            team: (self.team, other.team),
            key: (self.key, other.key),
            user: (self.user, other.user),
            tag: (self.tag, other.tag),
            model: (self.model, other.model),
            tool: (self.tool, other.tool),
        }
    }

    /// The same with references, to map or zip without giving the values away.
    pub const fn as_ref(&self) -> PerDimension<&T> {
        PerDimension {
            team: &self.team,
            key: &self.key,
            user: &self.user,
            tag: &self.tag,
            model: &self.model,
            tool: &self.tool,
        }
    }

    /// As [`Self::as_ref`], to change the values.
    pub const fn as_mut(&mut self) -> PerDimension<&mut T> {
        PerDimension {
            team: &mut self.team,
            key: &mut self.key,
            user: &mut self.user,
            tag: &mut self.tag,
            model: &mut self.model,
            tool: &mut self.tool,
        }
    }

    /// Each dimension with its value, in the order of [`Dimension::ALL`].
    pub fn iter(&self) -> std::array::IntoIter<(Dimension, &T), { Dimension::COUNT }> {
        self.as_ref().into_iter()
    }

    /// As [`Self::iter`], to change the values.
    pub fn iter_mut(&mut self) -> std::array::IntoIter<(Dimension, &mut T), { Dimension::COUNT }> {
        self.as_mut().into_iter()
    }

    /// The values alone, in the order of [`Dimension::ALL`].
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }

    /// Each dimension with its value, in the order of [`Dimension::WRITTEN`].
    pub fn written(&self) -> impl DoubleEndedIterator<Item = (Dimension, &T)> + ExactSizeIterator {
        Dimension::WRITTEN
            .into_iter()
            .map(|dimension| (dimension, &self[dimension]))
    }
}

impl<T: Serialize> PerDimension<T> {
    /// Writes a map by [`Dimension::plural`], in the order of [`Dimension::WRITTEN`]. For a field
    /// of a report: `#[serde(flatten, serialize_with = "PerDimension::serialize_plural")]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize_plural<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_by(Dimension::plural, serializer)
    }

    /// As [`Self::serialize_plural`], by [`Dimension::context_field`].
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize_as_context<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_by(Dimension::context_field, serializer)
    }

    fn serialize_by<S: Serializer>(
        &self,
        word: fn(Dimension) -> &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Dimension::COUNT))?;
        for (dimension, value) in self.written() {
            map.serialize_entry(word(dimension), value)?;
        }

        map.end()
    }
}

impl<T> IntoIterator for PerDimension<T> {
    type Item = (Dimension, T);
    type IntoIter = std::array::IntoIter<(Dimension, T), { Dimension::COUNT }>;

    /// Each dimension with its value, in the order of [`Dimension::ALL`].
    fn into_iter(self) -> Self::IntoIter {
        [
            (Dimension::Team, self.team),
            (Dimension::Key, self.key),
            (Dimension::User, self.user),
            (Dimension::Tag, self.tag),
            (Dimension::Model, self.model),
            (Dimension::Tool, self.tool),
        ]
        .into_iter()
    }
}

impl<T> Index<Dimension> for PerDimension<T> {
    type Output = T;

    fn index(&self, dimension: Dimension) -> &T {
        match dimension {
            Dimension::Team => &self.team,
            Dimension::Key => &self.key,
            Dimension::User => &self.user,
            Dimension::Tag => &self.tag,
            Dimension::Model => &self.model,
            Dimension::Tool => &self.tool,
        }
    }
}

impl<T> IndexMut<Dimension> for PerDimension<T> {
    fn index_mut(&mut self, dimension: Dimension) -> &mut T {
        match dimension {
            Dimension::Team => &mut self.team,
            Dimension::Key => &mut self.key,
            Dimension::User => &mut self.user,
            Dimension::Tag => &mut self.tag,
            Dimension::Model => &mut self.model,
            Dimension::Tool => &mut self.tool,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_lists_hold_every_dimension_once_and_all_is_in_the_order_of_specificity() {
        assert!(Dimension::ALL.is_sorted());
        assert_eq!(
            Dimension::ALL.map(|dimension| dimension as usize),
            [0, 1, 2, 3, 4, 5]
        );
        for list in [Dimension::ALL, Dimension::WRITTEN, Dimension::REASONED] {
            assert_eq!(BTreeSet::from(list).len(), Dimension::COUNT);
        }
    }

    #[test]
    fn words_tell_the_dimensions_apart() {
        let words = |word: fn(Dimension) -> &'static str| BTreeSet::from(Dimension::ALL.map(word));
        assert_eq!(words(Dimension::singular).len(), Dimension::COUNT);
        assert_eq!(words(Dimension::plural).len(), Dimension::COUNT);

        for dimension in Dimension::ALL {
            assert_eq!(dimension.plural(), format!("{}s", dimension.singular()));
            assert_eq!(
                dimension.is_set(),
                dimension.context_field() == dimension.plural()
            );
        }
    }

    #[test]
    fn each_value_stays_with_its_dimension_whichever_way_it_is_reached() {
        let mut words = PerDimension::from_fn(Dimension::singular);
        for dimension in Dimension::ALL {
            assert_eq!(words[dimension], dimension.singular());
        }

        assert!(
            words
                .iter()
                .map(|(dimension, _)| dimension)
                .eq(Dimension::ALL)
        );
        assert!(
            words
                .written()
                .map(|(dimension, _)| dimension)
                .eq(Dimension::WRITTEN)
        );
        assert!(
            words
                .into_iter()
                .all(|(dimension, word)| word == dimension.singular())
        );
        let both = words.zip(words.map(|dimension, _| dimension.plural()));
        assert!(
            both.iter()
                .all(|(of, pair)| *pair == (of.singular(), of.plural()))
        );

        words[Dimension::Key] = "changed";
        words
            .iter_mut()
            .filter(|(of, _)| *of == Dimension::Tag)
            .for_each(|(_, word)| *word = "");
        assert!(
            words
                .values()
                .eq(&["team", "changed", "user", "", "model", "tool"])
        );
    }

    #[test]
    fn reports_name_the_dimensions_in_the_order_of_documents() {
        #[derive(Serialize)]
        struct Report {
            #[serde(flatten, serialize_with = "PerDimension::serialize_plural")]
            counts: PerDimension<usize>,
            #[serde(flatten, serialize_with = "PerDimension::serialize_as_context")]
            values: PerDimension<Option<&'static str>>,
        }
        let report = Report {
            counts: PerDimension::from_fn(|dimension| dimension.singular().len()),
            values: PerDimension::default(),
        };

        let text = serde_json::to_string(&report).unwrap();
        let counts = "\"teams\":4,\"keys\":3,\"models\":5,\"tags\":3,\"users\":4,\"tools\":4";
        let values =
            "\"team\":null,\"key\":null,\"model\":null,\"tags\":null,\"user\":null,\"tool\":null";

        assert_eq!(text, format!("{{{counts},{values}}}"));
    }
}
