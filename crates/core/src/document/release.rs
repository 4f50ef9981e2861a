//! Releases of refguard, as far as it matters since which one a breach is an error.
//!
//! A newer release takes no sound repository out of service: what it calls an error and an older
//! one did not is a warning for a set that the older one promoted. So each finding says since which
//! release it is an error, and whoever judges says whose rules count.

/// A release, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Release(u16, u16, u16);

impl Default for Release {
    fn default() -> Self {
        Self::FIRST
    }
}

impl Release {
    /// The first one. It did not write its number into its promotions.
    pub const FIRST: Self = Self(0, 1, 0);
    /// The one that made errors of names that nobody can see, of files that were passed over, and
    /// of names in tests that mean nothing.
    pub const V0_2: Self = Self(0, 2, 0);
    /// This one.
    pub const CURRENT: Self = Self(
        parse_number(env!("CARGO_PKG_VERSION_MAJOR")),
        parse_number(env!("CARGO_PKG_VERSION_MINOR")),
        parse_number(env!("CARGO_PKG_VERSION_PATCH")),
    );

    /// The release that a promotion names, such as `0.2.0`. What is no number of a release is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<u16>().ok()).flatten()
        });
        let release = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(release)
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

const fn parse_number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        // A part that is no number would be a fault of the manifest: nothing is older then.
        Err(_) => u16::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn releases_are_in_the_order_of_time_and_this_one_is_the_last() {
        let parsed = |text| Release::parse(text);
        assert!(Release::FIRST < Release::V0_2 && Release::V0_2 <= Release::CURRENT);
        assert!(parsed("0.10.0") > parsed("0.9.9"));
        assert_eq!(parsed("0.1.0"), Some(Release::FIRST));

        assert_eq!(
            parsed(&Release::CURRENT.to_string()),
            Some(Release::CURRENT)
        );
    }

    #[test]
    fn what_is_no_release_is_none() {
        for text in [
            "",
            "0.1",
            "0.1.0.0",
            "v0.1.0",
            "0.1.x",
            "0.1.0-rc1",
            "+0.1.0",
            "0..1",
        ] {
            assert_eq!(Release::parse(text), None, "{text}");
        }
    }
}
