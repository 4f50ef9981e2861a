//! How long ago something was, in words. Must not know what it was.

use std::time::Duration;

use jiff::Timestamp;

use super::Style;

/// A time for a person: how far it is from now where the style says so, else as it is.
pub fn tell_time(time: &str, style: Style) -> String {
    let (Some(now), Ok(then)) = (style.now, time.parse::<Timestamp>()) else {
        return time.to_owned();
    };
    let words = age_words(now.duration_since(then).unsigned_abs());
    if then > now {
        format!("in {words}")
    } else {
        format!("{words} ago")
    }
}

/// The largest unit that a duration has at least one of, as a person says it: `3 hours`.
pub fn age_words(age: Duration) -> String {
    const DAY: u64 = 86_400;
    // From which length on a unit is used, and how long it is: `45 days` says more than `1 month`.
    const UNITS: [(u64, u64, &str); 5] = [
        (2 * 365 * DAY, 365 * DAY, "year"),
        (60 * DAY, 30 * DAY, "month"),
        (DAY, DAY, "day"),
        (3_600, 3_600, "hour"),
        (60, 60, "minute"),
    ];
    let seconds = age.as_secs();
    let unit = UNITS.iter().find(|(from, ..)| seconds >= *from);
    unit.map_or_else(
        || "less than a minute".to_owned(),
        |(_, length, name)| {
            let count = seconds / length;
            format!("{count} {name}{}", if count == 1 { "" } else { "s" })
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_age_is_told_by_its_largest_unit() {
        let words = |seconds| age_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "less than a minute");
        assert_eq!(words(59), "less than a minute");
        assert_eq!(words(60), "1 minute");
        assert_eq!(words(7_199), "1 hour");
        assert_eq!(words(7_200), "2 hours");
        assert_eq!(words(86_400 * 45), "45 days");
        assert_eq!(words(86_400 * 400), "13 months");
        assert_eq!(words(86_400 * 1_000), "2 years");
    }

    #[test]
    fn a_time_is_told_from_now_only_where_that_is_wanted() {
        let now = "2026-11-28T12:00:00Z".parse().ok();
        let near = Style {
            now,
            ..Style::default()
        };
        assert_eq!(tell_time("2026-11-28T09:00:00Z", near), "3 hours ago");
        assert_eq!(tell_time("2026-11-28T14:00:00+01:00", near), "in 1 hour");
        assert_eq!(tell_time("yesterday", near), "yesterday");
        assert_eq!(
            tell_time("2026-11-28T09:00:00Z", Style::default()),
            "2026-11-28T09:00:00Z"
        );
    }
}
