//! Plain scalars: what YAML 1.2's core schema makes of them, and where YAML 1.1 would differ.
//!
//! refguard reads YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>). Many tools around it
//! (PyYAML, older Go and Ruby libraries) read YAML 1.1 (<https://yaml.org/type/>). A scalar that
//! the two read differently is one text with two meanings, so it is refused where it matters.

use serde_json::Value;

/// The value of a plain scalar by the core schema.
pub(super) fn resolve_scalar(text: &str) -> Value {
    match text {
        _ if is_null(text) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => resolve_number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

/// Whether the core schema reads a plain scalar as null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn resolve_number(text: &str) -> Option<Value> {
    if !starts_like_number(text) {
        return None;
    }

    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().map(Value::from);
    }

    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().map(Value::from);
    }

    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        // An integer too large for 64 bits is still a number: as a float it fails every integer
        // test.
        return text
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| text.parse::<f64>().map(Value::from))
            .ok();
    }

    if is_core_float(digits) {
        return text.parse::<f64>().ok().map(Value::from);
    }

    // `.inf` and `.nan` have no JSON form; a string that no number field accepts will do.
    None
}

fn starts_like_number(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_core_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };

    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };

    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_ok && exponent_ok
}

/// Whether YAML 1.1 and YAML 1.2 read this plain scalar differently.
pub fn is_ambiguous(text: &str) -> bool {
    const BOOLS_OF_1_1: &[&str] = &["y", "n", "yes", "no", "on", "off"];
    let first = text.bytes().next();
    match first {
        Some(b'y' | b'Y' | b'n' | b'N' | b'o' | b'O') => {
            let lower = text.to_ascii_lowercase();
            // 1.1 knows three spellings of each: `no`, `No`, `NO`.
            let usual_case =
                text == lower || text == text.to_ascii_uppercase() || is_capitalised(text);
            usual_case && BOOLS_OF_1_1.contains(&lower.as_str())
        }
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => is_ambiguous_number(text),
        Some(b'=') => text == "=",
        _ => false,
    }
}

fn is_capitalised(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.all(char::is_lowercase)
}

fn is_ambiguous_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |s: &str, ok: fn(u8) -> bool| !s.is_empty() && s.bytes().all(ok);
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && all(digits, |b| b.is_ascii_digit());
    let new_octal = digits
        .strip_prefix("0o")
        .is_some_and(|d| all(d, |b| (b'0'..=b'7').contains(&b)));
    let binary = digits
        .strip_prefix("0b")
        .is_some_and(|d| all(d, |b| matches!(b, b'0' | b'1' | b'_')));
    let signed_hex = digits.len() < text.len() && digits.starts_with("0x");

    leading_zero
        || new_octal
        || binary
        || signed_hex
        || has_number_underscore(digits)
        || is_sexagesimal(digits)
        || is_exponent_only_in_1_2(digits)
        || is_timestamp(text)
}

/// `1_000`, `1_0.5`, `0x_ff`: numbers in 1.1, strings in 1.2.
fn has_number_underscore(digits: &str) -> bool {
    let bare: String = digits.chars().filter(|c| *c != '_').collect();
    let hex = bare
        .strip_prefix("0x")
        .is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()));
    digits.contains('_')
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (hex || is_core_float(&bare))
}

/// `12:30:45` is 45045 in 1.1.
fn is_sexagesimal(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or("");
    let rest: Vec<&str> = parts.collect();
    let sixty = |part: &&str| {
        let whole = part.split('.').next().unwrap_or("");
        matches!(whole.len(), 1 | 2)
            && whole.parse::<u8>().is_ok_and(|n| n < 60)
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b'_')
    };

    !first.is_empty()
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && !rest.is_empty()
        && rest.iter().all(sixty)
}

/// `1e3` is a float in 1.2; 1.1 wants a point and a signed exponent, so reads a string.
fn is_exponent_only_in_1_2(digits: &str) -> bool {
    let Some((mantissa, exponent)) = digits.split_once(['e', 'E']) else {
        return false;
    };

    is_core_float(digits) && !(mantissa.contains('.') && exponent.starts_with(['+', '-']))
}

/// `2026-11-22` is a date in 1.1, a string in 1.2.
fn is_timestamp(text: &str) -> bool {
    let date = text.split(['T', 't', ' ']).next().unwrap_or("");
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let number = |s: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
    };
    let time_or_end = text.get(date.len()..).unwrap_or("");
    let plausible_rest = time_or_end.is_empty()
        || time_or_end
            .get(1..)
            .unwrap_or("")
            .trim_start()
            .starts_with(|c: char| c.is_ascii_digit());

    number(year, 4..=4) && number(month, 1..=2) && number(day, 1..=2) && plausible_rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema() {
        assert_eq!(resolve_scalar("~"), Value::Null);
        assert_eq!(resolve_scalar("True"), Value::Bool(true));
        assert_eq!(resolve_scalar("yes"), Value::from("yes"));
        assert_eq!(resolve_scalar("0755"), Value::from(755));
        assert_eq!(resolve_scalar("0o17"), Value::from(15));
        assert_eq!(resolve_scalar("-3"), Value::from(-3));
        assert_eq!(resolve_scalar("1e3"), Value::from(1000.0));
        assert_eq!(resolve_scalar("gpt-4"), Value::from("gpt-4"));

        assert_eq!(resolve_scalar("1.2.3"), Value::from("1.2.3"));
    }

    #[test]
    fn what_two_yamls_read_differently() {
        for text in [
            "no",
            "No",
            "NO",
            "yes",
            "on",
            "Off",
            "y",
            "N",
            "0755",
            "012",
            "+07",
            "0o7",
            "0b1",
            "1e3",
            "1.5e3",
            "1_000",
            "12:30:45",
            "1:30",
            "2026-11-22",
            "2026-11-22 10:00:00",
            "=",
            "0x_f",
        ] {
            assert!(is_ambiguous(text), "{text}");
        }
    }

    #[test]
    fn what_both_read_alike() {
        for text in [
            "nO", "none", "gpt-4", "1", "-1", "0", "1.5", "1.0e+3", "0x1f", "true", "null", "~",
            "finance", "a:b", "gpt_4", "1.2.3", "v1", "4o", "-", "2026-11", "yesno", "only",
            "10:99",
        ] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
