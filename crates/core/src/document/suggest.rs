//! "Did you mean": the nearest of the known words.

use super::work::note_steps;

/// Words that are longer get no suggestion: no name of ours is.
const LONGEST: usize = 128;

/// The known word nearest to `word`, if it is near enough to be a slip of the hand.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A character has at most four bytes, so this needs no walk over a word of a megabyte.
    if word.len() > 4 * LONGEST {
        return None;
    }

    // A change of case costs nothing, so `Team` finds `team`.
    let lower: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let room = match lower.len() {
        0..=2 => 1,
        3..=7 => 2,
        8..=LONGEST => 3,
        _ => return None,
    };

    let mut nearest: Option<(usize, &str)> = None;
    let mut other: Vec<char> = Vec::new();
    for candidate in known {
        note_steps(1);
        // Lengths in bytes rule most candidates out before their characters are looked at.
        if candidate == word || candidate.len() > 4 * (lower.len() + room) {
            continue;
        }

        other.clear();
        other.extend(candidate.chars().flat_map(char::to_lowercase));
        if let Some(distance) = distance_within(&lower, &other, room) {
            let found = (distance, candidate);
            nearest = Some(nearest.map_or(found, |nearest| nearest.min(found)));
        }
    }

    nearest.map(|(_, candidate)| candidate)
}

/// As [`did_you_mean`]; where no whole name is near, one that begins so: `helthcare` means
/// `healthcare-compliance`.
pub fn did_you_mean_name<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = did_you_mean(word, known.iter().copied()) {
        return Some(near);
    }

    // The first part itself is no slip, and means what begins with it.
    let typed = known
        .iter()
        .map(|name| first_part(name))
        .find(|part| *part == word);
    let part = typed.or_else(|| did_you_mean(word, known.iter().map(|name| first_part(name))))?;
    let is_meant = |name: &&str| first_part(name) == part && *name != word && part.len() > 2;
    known.into_iter().find(is_meant)
}

/// A name up to the first sign that parts its words.
fn first_part(name: &str) -> &str {
    name.split(['-', '_', '/', '.']).next().unwrap_or(name)
}

/// What to say behind a name that there is not: the one that is near, or nothing.
pub fn suggest_name<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = did_you_mean_name(word, known);
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Edits between two words (insert, delete, replace, swap two neighbours), if there are at most
/// `room`.
///
/// The usual table has a row for each character of `a` and a column for each of `b`. Two prefixes
/// whose lengths differ by more than `room` are further apart than that, so only a band of 2 ·
/// `room` + 1 cells a row is worked out, and nothing after a row whose every cell passes `room`.
/// strsim works out the whole table, which names of 128 characters make slow.
fn distance_within(a: &[char], b: &[char], room: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > room {
        return None;
    }

    let far = room + 1;
    let mut before_last = vec![far; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).map(|cost| cost.min(far)).collect();
    for (i, &x) in (1usize..).zip(a) {
        let mut row = vec![far; b.len() + 1];
        let (from, to) = (i.saturating_sub(room), (i + room).min(b.len()));
        note_steps(to + 1 - from.min(to));
        for j in from..=to {
            let cost = |cells: &[usize], back: usize| {
                j.checked_sub(back)
                    .and_then(|at| cells.get(at))
                    .copied()
                    .unwrap_or(far)
            };

            let at = |back: usize| j.checked_sub(back).and_then(|at| b.get(at)).copied();
            let mut best = if j == 0 {
                i
            } else {
                cost(&last, 1) + usize::from(at(1) != Some(x))
            };

            best = best.min(cost(&last, 0) + 1).min(cost(&row, 1) + 1);
            if i > 1 && at(2) == Some(x) && at(1) == a.get(i - 2).copied() {
                best = best.min(cost(&before_last, 2) + 1);
            }

            if let Some(cell) = row.get_mut(j) {
                *cell = best.min(far);
            }
        }

        if row.iter().all(|cost| *cost > room) {
            return None;
        }

        before_last = std::mem::replace(&mut last, row);
    }

    last.last().copied().filter(|distance| *distance <= room)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_part_of_a_name_finds_it() {
        let known = ["baseline", "healthcare-compliance", "finance-compliance"];
        let near = |word| did_you_mean_name(word, known);
        assert_eq!(near("helthcare"), Some("healthcare-compliance"));
        assert_eq!(near("finance"), Some("finance-compliance"));
        assert_eq!(near("basline"), Some("baseline"));
        assert_eq!(near("compliance"), None);
    }

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["inherit", "guardrails", "name"];
        assert_eq!(did_you_mean("inherits", known), Some("inherit"));
        assert_eq!(did_you_mean("gaurdrails", known), Some("guardrails"));
        assert_eq!(did_you_mean("Name", known), Some("name"));

        assert_eq!(did_you_mean("priority", known), None);
    }

    #[test]
    fn a_word_longer_than_a_name_gets_no_suggestion() {
        let (most, long, longer) = ("x".repeat(128), "x".repeat(129), "x".repeat(130));
        assert_eq!(did_you_mean(&long, [longer.as_str()]), None);
        assert_eq!(did_you_mean(&most, [long.as_str()]), Some(long.as_str()));
    }

    proptest! {
        #[test]
        fn the_band_finds_what_the_whole_table_does(a in "[abc]{0,9}", b in "[abc]{0,9}", room in 0usize..4) {
            let chars = |word: &str| word.chars().collect::<Vec<_>>();
            let whole = strsim::osa_distance(&a, &b);
            let within = distance_within(&chars(&a), &chars(&b), room);

            prop_assert_eq!(within, (whole <= room).then_some(whole));
        }
    }
}
