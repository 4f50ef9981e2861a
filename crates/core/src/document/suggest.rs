//! "Did you mean": the nearest of the known words.

/// The known word nearest to `word`, if it is near enough to be a slip of the hand.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let room = match length {
        0..=2 => 1,
        3..=7 => 2,
        _ => 3,
    };
    // A change of case costs nothing, so `Team` finds `team`.
    let lower: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let mut other: Vec<char> = Vec::new();
    known
        .into_iter()
        // Lengths rule most words out before the quadratic distance is worked out.
        .filter(|candidate| {
            *candidate != word && candidate.chars().count().abs_diff(length) <= room
        })
        .filter_map(|candidate| {
            other.clear();
            other.extend(candidate.chars().flat_map(char::to_lowercase));
            let distance = distance(&lower, &other);
            (distance <= room).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words. What they begin and end with alike costs nothing, and is most of a name.
fn distance(a: &[char], b: &[char]) -> usize {
    let alike = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(alike..).unwrap_or_default(), b.get(alike..).unwrap_or_default());
    let alike = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let middle = |word: &[char]| word.get(..word.len() - alike).unwrap_or_default().to_vec();
    strsim::generic_damerau_levenshtein(&middle(a), &middle(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["inherit", "guardrails", "name"];
        assert_eq!(did_you_mean("inherits", known), Some("inherit"));
        assert_eq!(did_you_mean("gaurdrails", known), Some("guardrails"));
        assert_eq!(did_you_mean("Name", known), Some("name"));
        assert_eq!(did_you_mean("priority", known), None);
    }

    proptest! {
        #[test]
        fn what_is_alike_at_the_ends_changes_no_distance(a in "[ab]{0,6}", b in "[ab]{0,6}") {
            let chars = |word: &str| word.chars().collect::<Vec<_>>();
            prop_assert_eq!(distance(&chars(&a), &chars(&b)), strsim::damerau_levenshtein(&a, &b));
        }
    }
}
