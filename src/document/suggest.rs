//! "Did you mean": the nearest of the known words.

/// The known word nearest to `word`, if it is near enough to be a slip of the hand.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let room = match word.chars().count() {
        0..=2 => 1,
        3..=7 => 2,
        _ => 3,
    };
    // Lengths rule most words out before the quadratic distance is worked out.
    let length = word.chars().count();
    known
        .into_iter()
        .filter(|candidate| *candidate != word && candidate.chars().count().abs_diff(length) <= room)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= room)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; a change of case costs nothing, so `Team` finds `team`.
fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["inherit", "guardrails", "name"];
        assert_eq!(did_you_mean("inherits", known), Some("inherit"));
        assert_eq!(did_you_mean("gaurdrails", known), Some("guardrails"));
        assert_eq!(did_you_mean("Name", known), Some("name"));
        assert_eq!(did_you_mean("priority", known), None);
    }
}
