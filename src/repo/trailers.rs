//! The trailers at the end of a commit message, read strictly: a promotion is recognised by them,
//! so what git itself would guess at is refused here.

/// Why a message that has trailers of ours is not well-formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

/// What the keys of ours begin with.
const OURS: &str = "Refguard-";

/// The `Refguard-*` trailers of a message, without that beginning, in order; empty if it has none.
///
/// They stand in the last paragraph, which is not the first and holds nothing but trailers. Keys
/// are spelt exactly, values are one line, not empty and without control characters.
pub(super) fn parse_trailers(message: &str) -> Result<Vec<(&str, &str)>, Malformed> {
    let message = message.trim_end_matches('\n');
    let Some((_, last)) = message.rsplit_once("\n\n") else {
        return Ok(Vec::new());
    };
    if !last.lines().any(starts_like_ours) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for line in last.split('\n') {
        let (key, value) = split_message(line)
            .ok_or_else(|| Malformed(format!("`{}` is no trailer", line.escape_debug())))?;
        match key.strip_prefix(OURS) {
            Some(key) => found.push((key, value)),
            None if starts_like_ours(line) => {
                return Err(Malformed(format!("`{key}` is not spelt `{OURS}…`")));
            }
            None => {}
        }
    }
    Ok(found)
}

/// A trailer line as it is written.
pub(super) fn parse_line(key: &str, value: &str) -> String {
    format!("{OURS}{key}: {value}\n")
}

/// Whether a text can be the value of a trailer.
pub(super) fn is_value(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

fn starts_like_ours(line: &str) -> bool {
    line.as_bytes()
        .get(..OURS.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OURS.as_bytes()))
}

fn split_message(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ")?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_key && is_value(value)).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_paragraph_counts_and_it_must_not_be_the_first() {
        assert_eq!(
            parse_trailers("subject\n\nRefguard-Promotion: 1\n").unwrap(),
            [("Promotion", "1")]
        );
        assert_eq!(
            parse_trailers("subject\n\nRefguard-Promotion: 1\n\nmore\n").unwrap(),
            []
        );
        assert_eq!(parse_trailers("Refguard-Promotion: 1\n").unwrap(), []);
        assert_eq!(parse_trailers("").unwrap(), []);
        let signed = "subject\n\nRefguard-Promotion: 1\nSigned-off-by: A <a@b>\n";
        assert_eq!(parse_trailers(signed).unwrap(), [("Promotion", "1")]);
    }

    #[test]
    fn what_is_not_exact_is_malformed() {
        for bad in [
            "s\n\nRefguard-Promotion: 1\nand some prose",
            "s\n\nrefguard-promotion: 1",
            "s\n\nRefguard-Promotion:1",
            "s\n\nRefguard-Promotion: ",
            "s\n\nRefguard-Promotion:  1",
            "s\n\nRefguard-Promotion: 1 ",
            "s\n\nRefguard-Promotion: 1\r",
            "s\n\nRefguard-Promotion: 1\n continued",
            "s\n\nRefguard Promotion: 1\nRefguard-Promotion: 1",
        ] {
            assert!(parse_trailers(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(message in "(?s).{0,80}\n\n\
            (Refguard-|refguard-|)[A-Za-z: \r\n\té-]{0,40}") {
            let _ = parse_trailers(&message);
        }

        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::vec(("[A-Za-z]{1,9}", "[!-~é]{1,5}( [!-~]{1,5})?"), 1..5)) {
            let lines: String = pairs.iter().map(|(key, value)| parse_line(key, value)).collect();
            let message = format!("subject\n\n{lines}");
            let found = parse_trailers(&message).unwrap();
            let due: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            proptest::prop_assert_eq!(found, due);
        }
    }
}
