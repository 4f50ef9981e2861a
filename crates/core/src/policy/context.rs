//! A request as patterns look at it: its values, dimension by dimension.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::document::{Dimension, PerDimension};

/// The values of a request: who asks, with which key, for which model, under which tags. `""` is a
/// value.
///
/// INVARIANT (single): a dimension that is no set has at most one value. [`Context::add_value`]
/// keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(PerDimension<SmallVec<[String; 1]>>);

impl Context {
    /// A context with some values.
    pub fn from_values<'v>(values: impl IntoIterator<Item = (Dimension, &'v str)>) -> Self {
        let mut context = Self::default();
        for (dimension, value) in values {
            context.add_value(dimension, value.to_owned());
        }

        context
    }

    /// The request in words: ``a request with team `eu`, tag `phi` ``.
    pub fn describe_values(&self) -> String {
        let values = Dimension::WRITTEN.into_iter().flat_map(|dimension| {
            let values = self.values(dimension).iter();
            values.map(move |value| format!("{} `{value}`", dimension.singular()))
        });

        let parts: Vec<String> = values.collect();
        if parts.is_empty() {
            "a request without anything".to_owned()
        } else {
            format!("a request with {}", parts.join(", "))
        }
    }

    /// Gives it a value: of a set one more, else in place of the one that it had.
    pub fn add_value(&mut self, dimension: Dimension, value: String) {
        let values = &mut self.0[dimension];
        if !dimension.is_set() {
            values.clear();
        }

        values.push(value);
    }

    /// Gives it these values of a dimension in place of those that it had; of a dimension that is
    /// no set, the last of them.
    pub fn set_values(&mut self, dimension: Dimension, values: impl IntoIterator<Item = String>) {
        self.0[dimension].clear();
        for value in values {
            self.add_value(dimension, value);
        }
    }

    /// All values of a dimension, in the request's order.
    pub fn values(&self, dimension: Dimension) -> &[String] {
        &self.0[dimension]
    }

    /// The value of a dimension; of a set the first.
    pub fn value(&self, dimension: Dimension) -> Option<&str> {
        self.values(dimension).first().map(String::as_str)
    }

    /// The model, which conditions ask for.
    pub fn model(&self) -> Option<&str> {
        self.value(Dimension::Model)
    }
}

impl Extend<(Dimension, String)> for Context {
    fn extend<I: IntoIterator<Item = (Dimension, String)>>(&mut self, values: I) {
        for (dimension, value) in values {
            self.add_value(dimension, value);
        }
    }
}

impl Serialize for Context {
    /// As the API takes it, what is absent too:
    /// `{"team":"eu","key":null,"model":"gpt-4","tags":[]}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Dimension::COUNT))?;
        for dimension in Dimension::WRITTEN {
            let field = dimension.context_field();
            if dimension.is_set() {
                map.serialize_entry(field, self.values(dimension))?;
            } else {
                map.serialize_entry(field, &self.value(dimension))?;
            }
        }

        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_set_has_several_values() {
        let context = Context::from_values([
            (Dimension::Team, "a"),
            (Dimension::Tag, "x"),
            (Dimension::Team, ""),
            (Dimension::Tag, "y"),
        ]);

        assert_eq!(context.values(Dimension::Team), [""]);
        assert_eq!(context.value(Dimension::Team), Some(""));
        assert_eq!(context.values(Dimension::Tag), ["x", "y"]);

        assert_eq!(
            (context.value(Dimension::Key), context.model()),
            (None, None)
        );
    }
}
