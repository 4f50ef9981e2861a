//! Values of a request that no catalog lists: a slip of the hand gets an answer all the same, so it
//! is said.

use crate::document::{Dimension, did_you_mean_name};
use crate::policy::{Catalog, Context, Pattern};

/// A value that the catalog does not have, where it lists the names of that dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The dimension.
    pub dimension: Dimension,
    /// The value.
    pub value: String,
    /// A name of the catalog that is near.
    pub near: Option<String>,
}

impl std::fmt::Display for Unlisted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no catalog lists the {} `{}`",
            self.dimension.singular(),
            self.value
        )?;
        match &self.near {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

/// The values of a request that its catalog does not list.
pub fn unlisted_values(catalog: &Catalog, context: &Context) -> Vec<Unlisted> {
    let mut found = Vec::new();
    for dimension in Dimension::WRITTEN {
        let Some(listed) = &catalog.values[dimension] else {
            continue;
        };

        for value in context.values(dimension) {
            let is_listed =
                |listed: &str| listed == value || Pattern::parse(listed).matches(Some(value));
            if !listed.iter().any(|listed| is_listed(listed)) {
                let near = did_you_mean_name(value, listed.iter().map(|name| &**name));
                let (value, near) = (value.clone(), near.map(str::to_owned));
                found.push(Unlisted {
                    dimension,
                    value,
                    near,
                });
            }
        }
    }

    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_said_with_the_name_that_is_near_and_a_pattern_lists_its_names() {
        let mut catalog = Catalog::default();
        catalog.values[Dimension::Team] = Some(vec!["health-eu".into(), "ci-*".into()]);
        let said = |team: &str| {
            let context = Context::from_values([(Dimension::Team, team), (Dimension::Key, "any")]);
            let said = unlisted_values(&catalog, &context);
            said.iter().map(ToString::to_string).collect::<Vec<_>>()
        };

        assert_eq!(
            said("helth-eu"),
            ["no catalog lists the team `helth-eu`; did you mean `health-eu`?"]
        );
        assert_eq!(said("xyz"), ["no catalog lists the team `xyz`"]);
        assert!(said("health-eu").is_empty() && said("ci-7").is_empty());
    }
}
