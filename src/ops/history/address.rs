//! `NAME`, `NAME@N`, `NAME@latest`, `NAME@production`, `NAME@REV`: a policy, and perhaps which
//! version of it.

/// A policy as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// Its name.
    pub policy: &'a str,
    /// Which version; `None`: the one of the set at hand.
    pub which: Option<Which<'a>>,
}

/// What stands after the `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The N-th version.
    Number(u64),
    /// The newest version.
    Latest,
    /// The version that an environment or a revision holds.
    At(&'a str),
}

impl<'a> Address<'a> {
    /// No policy's name holds an `@`: what is before the first one is the name. A revision may hold
    /// more.
    pub fn parse(text: &'a str) -> Self {
        match text.split_once('@') {
            None => Self {
                policy: text,
                which: None,
            },
            Some((policy, which)) => Self {
                policy,
                which: Some(Which::parse(which)),
            },
        }
    }
}

impl<'a> Which<'a> {
    /// A number is a number and `latest` is the newest, whatever else has such a name.
    pub fn parse(text: &'a str) -> Self {
        match text.parse::<u64>() {
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::Number(number),
            _ if text == "latest" => Self::Latest,
            _ => Self::At(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_first_at_says_which() {
        let which = |text| Address::parse(text).which;
        assert_eq!(which("a b"), None);
        assert_eq!(which("p@12"), Some(Which::Number(12)));
        assert_eq!(which("p@latest"), Some(Which::Latest));
        assert_eq!(which("p@+1"), Some(Which::At("+1")));
        assert_eq!(which("p@"), Some(Which::At("")));
        assert_eq!(
            Address::parse("p@HEAD@{1}"),
            Address {
                policy: "p",
                which: Some(Which::At("HEAD@{1}"))
            }
        );
    }
}
