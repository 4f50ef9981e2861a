//! Plain scalars as PyYAML reads them (YAML 1.1), and values as pydantic takes them: what LiteLLM
//! sees.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::document::{Node, NodeValue};

/// A scalar as Python has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// `None`: an integer that 64 bits do not hold.
    Int(Option<i64>),
    /// `None`: a float that this crate has no need to read, such as `1:30.5`.
    Float(Option<f64>),
    /// A date or time, or a lone `=`.
    Other,
    Text(&'a str),
}

impl Scalar<'_> {
    /// What it is, for a message.
    pub(super) fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Other => "a date",
            Self::Text(_) => "text",
        }
    }
}

/// PyYAML's implicit resolvers, in its order.
#[expect(clippy::expect_used, reason = "constant patterns, compiled by a test")]
static RESOLVERS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
        r"^(?:~|null|Null|NULL|)$",
        r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?)$",
        r"^=$",
    ])
    .expect("constant patterns")
});

/// A scalar node as PyYAML reads it; `None` of a collection.
pub(super) fn read_scalar(node: &Node) -> Option<Scalar<'_>> {
    match &node.value {
        NodeValue::Scalar { text, plain: true } => Some(resolve_scalar(text)),
        NodeValue::Scalar { text, plain: false } => Some(Scalar::Text(text)),
        NodeValue::Seq(_) | NodeValue::Map(_) => None,
    }
}

/// A plain scalar by PyYAML's rules.
pub(super) fn resolve_scalar(text: &str) -> Scalar<'_> {
    match RESOLVERS.matches(text).iter().next() {
        Some(0) => Scalar::Bool(matches!(
            text.to_ascii_lowercase().as_str(),
            "yes" | "true" | "on"
        )),
        Some(1) => Scalar::Float(text.replace('_', "").parse().ok()),
        Some(2) => Scalar::Int(parse_integer(text)),
        Some(3) => Scalar::Null,
        Some(_) => Scalar::Other,
        None => Scalar::Text(text),
    }
}

/// `012` is eight-based, `1:30` sixty-based.
fn parse_integer(text: &str) -> Option<i64> {
    let bare = text.replace('_', "");
    let (negative, digits) = match bare.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, bare.strip_prefix('+').unwrap_or(&bare)),
    };

    let value = if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.contains(':') {
        let mut value = 0i64;
        for part in digits.split(':') {
            value = value.checked_mul(60)?.checked_add(part.parse().ok()?)?;
        }

        value
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };

    if negative {
        value.checked_neg()
    } else {
        Some(value)
    }
}

/// A whole number as pydantic takes it: also from text, from `true`, and from a float without a
/// fraction.
pub(super) fn lax_int(scalar: &Scalar<'_>) -> Option<i64> {
    match scalar {
        Scalar::Int(value) => *value,
        Scalar::Bool(value) => Some(i64::from(*value)),
        Scalar::Float(Some(value)) if value.fract() == 0.0 && value.abs() < 9e15 => {
            // A float this small without a fraction is written as digits alone.
            format!("{value:.0}").parse().ok()
        }
        Scalar::Text(text) => {
            let text = text.trim();
            let well_set = !text.contains("__") && !text.starts_with('_') && !text.ends_with('_');
            text.replace('_', "").parse().ok().filter(|_| well_set)
        }
        _ => None,
    }
}

/// A boolean as pydantic takes it: also from 0, 1 and its words.
pub(super) fn lax_bool(scalar: &Scalar<'_>) -> Option<bool> {
    match scalar {
        Scalar::Bool(value) => Some(*value),
        Scalar::Int(Some(0)) => Some(false),
        Scalar::Int(Some(1)) => Some(true),
        Scalar::Float(Some(value)) if *value == 0.0 => Some(false),
        Scalar::Float(Some(value)) if *value == 1.0 => Some(true),
        Scalar::Text(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_as_pyyaml_reads_them() {
        assert_eq!(resolve_scalar("no"), Scalar::Bool(false));
        assert_eq!(resolve_scalar("On"), Scalar::Bool(true));
        assert_eq!(resolve_scalar("y"), Scalar::Text("y"));
        assert_eq!(resolve_scalar("012"), Scalar::Int(Some(10)));
        assert_eq!(resolve_scalar("089"), Scalar::Text("089"));
        assert_eq!(resolve_scalar("0o7"), Scalar::Text("0o7"));
        assert_eq!(resolve_scalar("1e3"), Scalar::Text("1e3"));
        assert_eq!(resolve_scalar("1.0e+3"), Scalar::Float(Some(1000.0)));
        assert_eq!(resolve_scalar("12:30:45"), Scalar::Int(Some(45045)));
        assert_eq!(resolve_scalar("-0x_1f"), Scalar::Int(Some(-31)));
        assert_eq!(resolve_scalar(""), Scalar::Null);
        assert_eq!(resolve_scalar("2026-11-22"), Scalar::Other);
        assert_eq!(resolve_scalar("="), Scalar::Other);

        assert_eq!(resolve_scalar("gpt-4.1"), Scalar::Text("gpt-4.1"));
    }

    #[test]
    fn values_as_pydantic_takes_them() {
        assert_eq!(lax_int(&Scalar::Text(" 1_0 ")), Some(10));
        assert_eq!(lax_int(&resolve_scalar("10.0")), Some(10));
        assert_eq!(lax_int(&resolve_scalar("1.5")), None);
        assert_eq!(lax_int(&resolve_scalar("true")), Some(1));
        assert_eq!(lax_bool(&Scalar::Text("T")), Some(true));

        assert_eq!(lax_bool(&resolve_scalar("2")), None);
    }
}
