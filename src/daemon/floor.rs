//! What the instant of a set is never before, as data. Must not know the clock, nor who raises it.

use jiff::Timestamp;

/// What the instant of a set is never before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Floor(Option<Timestamp>);

impl Floor {
    /// The instant to serve as of, by a clock.
    pub fn instant(self, clock: Timestamp) -> Timestamp {
        self.0.map_or(clock, |floor| clock.max(floor))
    }

    /// From now on no instant is before this one.
    pub fn raise_to(&mut self, to: Option<Timestamp>) {
        self.0 = self.0.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_never_before_the_floor_and_the_floor_never_falls() {
        let at = |day: u8| -> Timestamp { format!("2026-12-{day:02}T00:00:00Z").parse().unwrap() };
        let mut floor = Floor::default();
        assert_eq!(floor.instant(at(2)), at(2));
        floor.raise_to(Some(at(10)));
        floor.raise_to(Some(at(5)));
        floor.raise_to(None);
        assert_eq!(floor.instant(at(2)), at(10));
        assert_eq!(floor.instant(at(12)), at(12));
    }
}
