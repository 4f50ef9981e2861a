//! How long ago something was, in words. Must not know what it was.

use std::time::Duration;

/// The largest unit that a duration has at least one of, as a person says it: `3 hours`.
pub fn age_words(age: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let seconds = age.as_secs();
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(
        || "less than a minute".to_owned(),
        |(length, name)| {
            let count = seconds / length;
            format!("{count} {name}{}", if count == 1 { "" } else { "s" })
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::age_words;

    #[test]
    fn an_age_is_told_by_its_largest_unit() {
        let words = |seconds| age_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "less than a minute");
        assert_eq!(words(59), "less than a minute");
        assert_eq!(words(60), "1 minute");
        assert_eq!(words(7_199), "1 hour");
        assert_eq!(words(7_200), "2 hours");
        assert_eq!(words(86_400 * 400), "400 days");
    }
}
