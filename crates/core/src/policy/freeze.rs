//! Freezes and soaks: when an environment takes no promotion, and how long a set stays before it
//! moves on.
//!
//! Pure functions of an instant; must not know the clock. Time zones are those that are built in,
//! so that every machine comes to the same verdict.
//!
//! A weekly window is a piece of a day by the clocks of its zone: it begins when they first show
//! `from` or later, and ends when they last pass `to`. Where they are set back over an end, the
//! window is the longer one:
//!
//! ```text
//! Europe/Berlin, 2026-10-25: 02:00 … 02:59 CEST, then once more 02:00 … 02:59 CET
//! from "02:30" to "02:45":       [02:30 CEST ---------------- 02:45 CET)
//! ```

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span as TimeSpan, SpanRelativeTo, Timestamp};
use serde::{Deserialize, Serialize};

use crate::document::{
    Day, DayEdge, INSTANT_HELP, RawFreeze, Span, Spanned, did_you_mean, parse_instant,
};

/// The longest soak: whoever writes more has slipped.
const LONGEST_SOAK: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The most windows that are joined, where each begins as the one before ends.
const MOST_JOINED: usize = 50;

const MINUTES_A_DAY: u16 = 24 * 60;

/// A time in which an environment takes no promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// When.
    pub window: FreezeWindow,
    /// Why.
    pub reason: Option<String>,
}

/// When a freeze is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreezeWindow {
    /// Once.
    Once {
        /// The first instant.
        from: Timestamp,
        /// The first instant after it.
        to: Timestamp,
    },
    /// Every week.
    Weekly {
        /// The days on which it begins.
        days: Vec<Day>,
        /// When it begins, in minutes of the day.
        from: u16,
        /// When it ends; where that is not after `from`, on the day after.
        to: u16,
        /// The time zone, by its name.
        timezone: String,
    },
}

/// A freeze that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen<'f> {
    /// The one that lasts longest.
    pub freeze: &'f Freeze,
    /// The first instant at which none is in force.
    pub until: Timestamp,
}

/// What is wrong with a freeze or a soak, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeFault {
    pub span: Span,
    pub message: String,
    pub help: String,
}

impl Freeze {
    /// A freeze that is always in force: used where one cannot be read.
    fn unreadable() -> Self {
        let window = FreezeWindow::Once {
            from: Timestamp::MIN,
            to: Timestamp::MAX,
        };

        Self {
            window,
            reason: Some("refguard.yaml has a freeze that cannot be read".to_owned()),
        }
    }

    /// A freeze as it is written; one that is at fault is always in force.
    pub(super) fn from_raw(raw: &RawFreeze) -> Self {
        read_freeze(raw).unwrap_or_else(|_| Self::unreadable())
    }

    /// Whether it is in force wherever another one is, as far as their fields tell.
    pub(crate) fn covers_freeze(&self, other: &Self) -> bool {
        match (&self.window, &other.window) {
            (
                FreezeWindow::Once { from, to },
                FreezeWindow::Once {
                    from: other_from,
                    to: other_to,
                },
            ) => from <= other_from && to >= other_to,
            (
                FreezeWindow::Weekly { days, timezone, .. },
                FreezeWindow::Weekly {
                    days: other_days,
                    timezone: other_timezone,
                    ..
                },
            ) => {
                let (from, to) = self.window.day_minutes();
                let (other_from, other_to) = other.window.day_minutes();
                timezone == other_timezone
                    && other_days.iter().all(|day| days.contains(day))
                    && from <= other_from
                    && to >= other_to
            }
            _ => false,
        }
    }

    /// When it is in force, in words.
    pub fn describe_time(&self) -> String {
        match &self.window {
            FreezeWindow::Once { from, to } => format!("from {from} to {to}"),
            FreezeWindow::Weekly {
                days,
                from,
                to,
                timezone,
            } => {
                let days: Vec<&str> = days.iter().map(|day| day.as_str()).collect();
                let clock = |minutes: &u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
                format!(
                    "{} {} to {} {timezone}",
                    days.join(", "),
                    clock(from),
                    clock(to)
                )
            }
        }
    }
}

impl FreezeWindow {
    /// Whether it is over for good.
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self, Self::Once { to, .. } if *to <= now)
    }

    /// Its end, where it is in force.
    fn end_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, to } => (*from <= now && now < *to).then_some(*to),
            Self::Weekly { days, timezone, .. } => {
                // A zone that is not known was refused; should one come here, the window never
                // ends.
                let Some(zone) = find_zone(timezone) else {
                    return Some(Timestamp::MAX);
                };
                let today = zone.to_datetime(now).date();
                // One that began yesterday may reach into today; clocks are never set by more than
                // a day.
                let dates = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
                let begins =
                    |date: &Date| days.iter().any(|day| to_weekday(*day) == date.weekday());
                let dates = dates.into_iter().flatten().filter(begins);
                let ends = dates.filter_map(|date| {
                    let (from, to) = self.day_minutes();
                    let from = instant_of(date, from, &zone, Edge::First)?;
                    let to = instant_of(date, to, &zone, Edge::Last)?;
                    (from <= now && now < to).then_some(to)
                });

                ends.max()
            }
        }
    }

    /// Both ends of a weekly window in minutes from the start of its day.
    fn day_minutes(&self) -> (u16, u16) {
        match self {
            Self::Once { .. } => (0, 0),
            Self::Weekly { from, to, .. } if to <= from => (*from, to + MINUTES_A_DAY),
            Self::Weekly { from, to, .. } => (*from, *to),
        }
    }
}

/// Whether any of some freezes is in force, and until when.
pub fn frozen_at(freezes: &[Freeze], now: Timestamp) -> Option<Frozen<'_>> {
    let ending_last = |at: Timestamp| {
        let ends = freezes
            .iter()
            .filter_map(|freeze| Some((freeze.window.end_after(at)?, freeze)));
        ends.max_by_key(|(end, _)| *end)
    };

    let (mut until, freeze) = ending_last(now)?;
    for _ in 0..MOST_JOINED {
        match ending_last(until) {
            Some((later, _)) if later > until => until = later,
            _ => break,
        }
    }

    Some(Frozen { freeze, until })
}

/// Which of two instants a clock time means that its day has twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    First,
    Last,
}

/// The instant at which the clocks of a zone show a time of a day, in minutes. Of a time that they
/// skip: the instant at which they skip it.
fn instant_of(date: Date, minutes: u16, zone: &TimeZone, edge: Edge) -> Option<Timestamp> {
    let (days, minutes) = (minutes / MINUTES_A_DAY, minutes % MINUTES_A_DAY);
    let date = date
        .checked_add(TimeSpan::new().days(i64::from(days)))
        .ok()?;
    let hour = i8::try_from(minutes / 60).ok()?;
    let time = Time::new(hour, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;

    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    match (ambiguous.offset(), edge) {
        (AmbiguousOffset::Gap { .. }, _) => {
            let before = ambiguous.earlier().ok()?;
            Some(zone.following(before).next()?.timestamp())
        }
        (_, Edge::First) => ambiguous.earlier().ok(),
        (_, Edge::Last) => ambiguous.later().ok(),
    }
}

fn to_weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

fn find_zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// A freeze as it is written.
///
/// # Errors
/// Everything that keeps it from being one.
pub(super) fn read_freeze(raw: &RawFreeze) -> Result<Freeze, Vec<TimeFault>> {
    let window = match &raw.days {
        Some(days) => weekly_window(raw, days)?,
        None => single_window(raw)?,
    };

    Ok(Freeze {
        window,
        reason: raw.reason.as_ref().map(|reason| reason.value.clone()),
    })
}

fn single_window(raw: &RawFreeze) -> Result<FreezeWindow, Vec<TimeFault>> {
    let zone = raw.timezone.as_ref().map(|timezone| TimeFault {
        span: timezone.span,
        message: "`timezone` is only for a freeze of `days`".to_owned(),
        help: "name `days`, or write the offset into `from` and `to`".to_owned(),
    });

    let (from, to) = both_ends(
        read_instant(&raw.from, DayEdge::Start),
        read_instant(&raw.to, DayEdge::End),
        zone,
    )?;
    if to <= from {
        return Err(vec![TimeFault {
            span: raw.to.span,
            message: format!("the freeze ends at {to}, which is not after {from}"),
            help: "write a later `to`".to_owned(),
        }]);
    }

    Ok(FreezeWindow::Once { from, to })
}

/// Both ends of a freeze, or every fault of them and what else is at fault.
fn both_ends<T>(
    from: Result<T, TimeFault>,
    to: Result<T, TimeFault>,
    other: Option<TimeFault>,
) -> Result<(T, T), Vec<TimeFault>> {
    match (from, to, other) {
        (Ok(from), Ok(to), None) => Ok((from, to)),
        (from, to, other) => Err([from.err(), to.err(), other]
            .into_iter()
            .flatten()
            .collect()),
    }
}

fn read_instant(text: &Spanned<String>, edge: DayEdge) -> Result<Timestamp, TimeFault> {
    parse_instant(text, edge).map_err(|fault| TimeFault {
        span: text.span,
        message: format!("`{}` {fault}", text.escape_debug()),
        help: format!("{INSTANT_HELP}; a freeze of every week also names `days`"),
    })
}

fn weekly_window(
    raw: &RawFreeze,
    days: &Spanned<Vec<Spanned<Day>>>,
) -> Result<FreezeWindow, Vec<TimeFault>> {
    let no_day = days.is_empty().then(|| TimeFault {
        span: days.span,
        message: "`days` names no day".to_owned(),
        help: "write days such as `[fri, sat]`".to_owned(),
    });
    let zone = raw.timezone.as_ref().map(check_zone);
    let (timezone, no_zone) = match zone.transpose() {
        Ok(timezone) => (timezone.unwrap_or_else(|| "UTC".to_owned()), None),
        Err(fault) => (String::new(), Some(fault)),
    };

    let ends = both_ends(read_clock(&raw.from), read_clock(&raw.to), None);
    let is_over = |(from, to): &(u16, u16)| from == to || *from == MINUTES_A_DAY;
    let over = ends.as_ref().is_ok_and(is_over).then(|| TimeFault {
        span: raw.to.span,
        message: "the freeze is over when it begins".to_owned(),
        help: "a whole day is from \"00:00\" to \"24:00\"".to_owned(),
    });
    let others = [no_day, over, no_zone].into_iter().flatten();
    let (from, to) = match (ends, others.collect::<Vec<_>>()) {
        (Ok(ends), others) if others.is_empty() => ends,
        (ends, others) => {
            return Err(ends.err().into_iter().flatten().chain(others).collect());
        }
    };

    let mut days: Vec<Day> = days.iter().map(|day| day.value).collect();
    days.sort_unstable();
    days.dedup();

    Ok(FreezeWindow::Weekly {
        days,
        from,
        to,
        timezone,
    })
}

fn check_zone(name: &Spanned<String>) -> Result<String, TimeFault> {
    if find_zone(name).is_some() {
        return Ok(name.value.clone());
    }

    let known: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|known| known.to_string())
        .collect();
    let near = did_you_mean(name, known.iter().map(String::as_str));
    Err(TimeFault {
        span: name.span,
        message: format!("there is no time zone `{}`", name.escape_debug()),
        help: match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name of the IANA database, such as `Europe/Berlin`".to_owned(),
        },
    })
}

/// `16:00` in minutes; `24:00` is the end of the day.
fn read_clock(text: &Spanned<String>) -> Result<u16, TimeFault> {
    parse_clock(text).ok_or_else(|| TimeFault {
        span: text.span,
        message: format!("`{}` is no time of a day", text.escape_debug()),
        help: "write hours and minutes, from \"00:00\" to \"24:00\"; a freeze that happens once \
            has no `days`"
            .to_owned(),
    })
}

fn parse_clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| is_plain)
    };

    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_A_DAY).then_some(total)
}

/// A soak as it is written.
pub(super) fn read_soak(text: &Spanned<String>) -> Result<SignedDuration, TimeFault> {
    let fault = |message: String| TimeFault {
        span: text.span,
        message,
        help: "write a time such as `90m`, `24h` or `3d`".to_owned(),
    };

    let span: Result<TimeSpan, _> = text.parse();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    match duration {
        Ok(duration) if duration <= SignedDuration::ZERO => Err(fault(format!(
            "a soak of `{}` is none",
            text.escape_debug()
        ))),
        Ok(duration) if duration > LONGEST_SOAK => Err(fault(format!(
            "a soak of `{}` is longer than a year",
            text.escape_debug()
        ))),
        Ok(duration) => Ok(duration),
        Err(_) => Err(fault(format!(
            "`{}` is no length of time",
            text.escape_debug()
        ))),
    }
}

/// A soak as it is written; one that is at fault never ends.
pub(super) fn soak_of(text: &Spanned<String>) -> SignedDuration {
    read_soak(text).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
