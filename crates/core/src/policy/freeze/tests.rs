//! Windows at the days on which clocks are set, and what is no window.

use super::*;

fn plain<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        span: Span::default(),
    }
}

fn raw(from: &str, to: &str, days: &[Day], timezone: Option<&str>) -> RawFreeze {
    RawFreeze {
        from: plain(from.to_owned()),
        to: plain(to.to_owned()),
        days: (!days.is_empty()).then(|| plain(days.iter().copied().map(plain).collect())),
        timezone: timezone.map(|zone| plain(zone.to_owned())),
        reason: Some(plain("the year's end".to_owned())),
    }
}

fn weekly(days: &[Day], from: &str, to: &str, timezone: &str) -> Freeze {
    read_freeze(&raw(from, to, days, Some(timezone))).unwrap()
}

/// Until when, or `-`.
fn until(freezes: &[Freeze], now: &str) -> String {
    let now = now.parse().unwrap();
    frozen_at(freezes, now).map_or_else(|| "-".to_owned(), |frozen| frozen.until.to_string())
}

const ALL: [Day; 7] = [
    Day::Mon,
    Day::Tue,
    Day::Wed,
    Day::Thu,
    Day::Fri,
    Day::Sat,
    Day::Sun,
];

#[test]
fn a_freeze_that_happens_once_begins_and_ends_at_its_instants() {
    let freezes =
        [read_freeze(&raw("2026-12-20", "2027-01-02T06:00:00+01:00", &[], None)).unwrap()];
    assert_eq!(until(&freezes, "2026-12-19T23:59:59Z"), "-");
    assert_eq!(
        until(&freezes, "2026-12-20T00:00:00Z"),
        "2027-01-02T05:00:00Z"
    );
    assert_eq!(
        until(&freezes, "2027-01-02T04:59:59Z"),
        "2027-01-02T05:00:00Z"
    );
    assert_eq!(until(&freezes, "2027-01-02T05:00:00Z"), "-");
    let whole_day = [read_freeze(&raw("2026-12-24", "2026-12-24", &[], None)).unwrap()];

    assert_eq!(
        until(&whole_day, "2026-12-24T12:00:00Z"),
        "2026-12-25T00:00:00Z"
    );
}

#[test]
fn a_weekly_freeze_follows_the_clocks_of_its_zone() {
    let friday = [weekly(&[Day::Fri], "16:00", "24:00", "Europe/Berlin")];
    // In winter 16:00 is 15:00Z, in summer 14:00Z.
    assert_eq!(until(&friday, "2026-11-27T14:59:59Z"), "-");
    assert_eq!(
        until(&friday, "2026-11-27T15:00:00Z"),
        "2026-11-27T23:00:00Z"
    );
    assert_eq!(
        until(&friday, "2026-07-03T14:00:00Z"),
        "2026-07-03T22:00:00Z"
    );
    // It is Friday there, whatever day it is in UTC.
    let pacific = [weekly(&[Day::Fri], "00:00", "24:00", "Pacific/Auckland")];

    assert_eq!(
        until(&pacific, "2026-11-26T11:00:00Z"),
        "2026-11-27T11:00:00Z"
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = [weekly(&[Day::Fri], "22:00", "06:00", "UTC")];
    assert_eq!(
        until(&night, "2026-11-28T05:59:59Z"),
        "2026-11-28T06:00:00Z"
    );
    assert_eq!(until(&night, "2026-11-28T06:00:00Z"), "-");

    assert_eq!(until(&night, "2026-11-27T05:00:00Z"), "-");
}

#[test]
fn a_time_that_the_clocks_show_twice_makes_the_window_longer() {
    // 2026-10-25 in Berlin: 03:00 CEST (01:00Z) is set back to 02:00 CET.
    let fold = [weekly(&[Day::Sun], "02:30", "02:45", "Europe/Berlin")];
    assert_eq!(until(&fold, "2026-10-25T00:29:59Z"), "-");
    for inside in [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:10:00Z",
        "2026-10-25T01:44:59Z",
    ] {
        assert_eq!(until(&fold, inside), "2026-10-25T01:45:00Z");
    }

    assert_eq!(until(&fold, "2026-10-25T01:45:00Z"), "-");
}

#[test]
fn a_time_that_the_clocks_skip_is_the_moment_at_which_they_do() {
    // 2026-03-29 in Berlin: 02:00 CET (01:00Z) is set forward to 03:00 CEST.
    let begins = [weekly(&[Day::Sun], "02:30", "04:00", "Europe/Berlin")];
    assert_eq!(until(&begins, "2026-03-29T00:59:59Z"), "-");
    assert_eq!(
        until(&begins, "2026-03-29T01:00:00Z"),
        "2026-03-29T02:00:00Z"
    );
    let ends = [weekly(&[Day::Sun], "01:00", "02:30", "Europe/Berlin")];
    assert_eq!(until(&ends, "2026-03-29T00:59:59Z"), "2026-03-29T01:00:00Z");
    let skipped = [weekly(&[Day::Sun], "02:10", "02:50", "Europe/Berlin")];
    assert_eq!(until(&skipped, "2026-03-29T01:00:00Z"), "-");
    // A day whose midnight is skipped: Beirut, 2026-03-29.
    let midnight = [weekly(&[Day::Sat], "12:00", "24:00", "Asia/Beirut")];

    assert_eq!(
        until(&midnight, "2026-03-28T21:59:59Z"),
        "2026-03-28T22:00:00Z"
    );
}

#[test]
fn windows_that_follow_each_other_are_one_end() {
    let weekend = [
        weekly(&[Day::Fri], "16:00", "24:00", "UTC"),
        weekly(&[Day::Sat, Day::Sun], "00:00", "24:00", "UTC"),
    ];
    assert_eq!(
        until(&weekend, "2026-11-27T16:00:00Z"),
        "2026-11-30T00:00:00Z"
    );
    let always = [weekly(&ALL, "00:00", "24:00", "UTC")];

    assert_ne!(
        until(&always, "2026-11-27T16:00:00Z"),
        "-",
        "told, however far it is looked"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let fault = |from: &str, to: &str, days: &[Day], zone: Option<&str>| {
        let raw = raw(from, to, days, zone);
        assert!(frozen_at(&[Freeze::from_raw(&raw)], Timestamp::UNIX_EPOCH).is_some());
        read_freeze(&raw).unwrap_err().swap_remove(0).message
    };

    assert_eq!(
        fault("2026-12-20", "2026-12-19", &[], None),
        "the freeze ends at 2026-12-20T00:00:00Z, which is not after 2026-12-20T00:00:00Z"
    );
    assert_eq!(
        fault("16:00", "24:00", &[], None),
        "`16:00` is neither a date nor an RFC 3339 time"
    );
    assert_eq!(
        fault("2026-12-20", "2026-12-21", &[], Some("UTC")),
        "`timezone` is only for a freeze of `days`"
    );
    assert_eq!(
        fault("24:01", "06:00", &ALL, None),
        "`24:01` is no time of a day"
    );
    assert_eq!(
        fault("4:00", "06:00", &ALL, None),
        "`4:00` is no time of a day"
    );
    assert_eq!(
        fault("06:00", "06:00", &ALL, None),
        "the freeze is over when it begins"
    );
    let zone = raw("04:00", "06:00", &ALL, Some("Europe/Berlyn"));

    assert_eq!(
        read_freeze(&zone).unwrap_err()[0].help,
        "did you mean `Europe/Berlin`?"
    );
}

#[test]
fn a_soak_is_a_length_of_time() {
    let soak = |text: &str| read_soak(&plain(text.to_owned()));
    assert_eq!(soak("24h").unwrap(), SignedDuration::from_hours(24));
    assert_eq!(soak("1h30m").unwrap(), SignedDuration::from_mins(90));
    assert_eq!(soak("3d").unwrap(), SignedDuration::from_hours(72));

    for text in ["", "24", "0h", "-1h", "soon", "2y", "1mo"] {
        assert!(soak(text).is_err(), "{text}");
    }
}

#[test]
fn one_freeze_covers_another_only_where_its_fields_show_it() {
    let wide = weekly(&[Day::Fri, Day::Sat], "12:00", "24:00", "UTC");
    let narrow = weekly(&[Day::Fri], "16:00", "24:00", "UTC");
    assert!(wide.covers_freeze(&narrow) && !narrow.covers_freeze(&wide));
    assert!(!weekly(&[Day::Fri], "12:00", "24:00", "Europe/Berlin").covers_freeze(&narrow));

    assert!(!narrow.covers_freeze(&weekly(&[Day::Fri], "22:00", "06:00", "UTC")));
}
