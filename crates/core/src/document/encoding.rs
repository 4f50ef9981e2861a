//! Texts in UTF-16 and UTF-32: recognised, so that they are refused instead of overlooked.
//!
//! Both make every ASCII character a unit of two or four bytes, so that a search for our words
//! finds nothing in them. Some editors write them unasked.

/// A text of two or four bytes a unit, decoded as well as it can be.
pub(super) struct WideText {
    /// What a person calls the encoding.
    pub encoding: &'static str,
    /// The text; a unit that is no character is U+FFFD.
    pub text: String,
    /// Whether it begins with a byte order mark.
    pub has_mark: bool,
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl WideText {
    /// The text, if the bytes begin as only UTF-16 or UTF-32 does: with a mark, or with an ASCII
    /// character between zeros (the table of YAML 1.2, section 5.2).
    pub(super) fn read_wide(bytes: &[u8]) -> Option<Self> {
        let (width, order, has_mark) = match bytes {
            [0, 0, 0xfe, 0xff, ..] => (4, Order::Big, true),
            [0xff, 0xfe, 0, 0, ..] => (4, Order::Little, true),
            [0xfe, 0xff, ..] => (2, Order::Big, true),
            [0xff, 0xfe, ..] => (2, Order::Little, true),
            [0, 0, 0, 1..0x80, ..] => (4, Order::Big, false),
            [1..0x80, 0, 0, 0, ..] => (4, Order::Little, false),
            [0, 1..0x80, ..] => (2, Order::Big, false),
            [1..0x80, 0, ..] => (2, Order::Little, false),
            _ => return None,
        };

        let units = bytes.chunks(width).map(|unit| value_of(unit, order));
        let (encoding, text) = match width {
            4 => (
                "UTF-32",
                units
                    .map(|unit| char::from_u32(unit).unwrap_or('\u{fffd}'))
                    .collect(),
            ),
            _ => ("UTF-16", {
                let units = units.map(|unit| u16::try_from(unit).unwrap_or(0xfffd));
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or('\u{fffd}'))
                    .collect()
            }),
        };

        Some(Self {
            encoding,
            text,
            has_mark,
        })
    }
}

fn value_of(unit: &[u8], order: Order) -> u32 {
    let add = |value: u32, byte: &u8| (value << 8) | u32::from(*byte);
    match order {
        Order::Big => unit.iter().fold(0, add),
        Order::Little => unit.iter().rev().fold(0, add),
    }
}

/// Whether a byte order mark of UTF-16 or UTF-32 stands anywhere: files of several encodings were
/// joined. No UTF-8 text holds either pair of bytes.
pub(super) fn has_wide_mark(bytes: &[u8]) -> bool {
    bytes
        .windows(2)
        .any(|pair| matches!(pair, [0xfe, 0xff] | [0xff, 0xfe]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_text_is_read() {
        let text = "kind: é🦀";
        let of_16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        let of_32 = |bytes: fn(u32) -> [u8; 4]| {
            text.chars()
                .flat_map(|c| bytes(u32::from(c)))
                .collect::<Vec<u8>>()
        };

        let spellings: [(Vec<u8>, &str); 4] = [
            (of_16(u16::to_be_bytes), "UTF-16"),
            (of_16(u16::to_le_bytes), "UTF-16"),
            (of_32(u32::to_be_bytes), "UTF-32"),
            (of_32(u32::to_le_bytes), "UTF-32"),
        ];

        for (bytes, encoding) in spellings {
            let wide = WideText::read_wide(&bytes).expect("a wide text");
            assert_eq!(
                (wide.encoding, wide.text.as_str(), wide.has_mark),
                (encoding, text, false)
            );
        }

        for bytes in ["", "k", "kind: x", "é"] {
            assert!(WideText::read_wide(bytes.as_bytes()).is_none(), "{bytes}");
        }
    }

    #[test]
    fn a_mark_is_enough_and_may_stand_anywhere() {
        for mark in [
            &[0xff, 0xfe][..],
            &[0xfe, 0xff],
            &[0, 0, 0xfe, 0xff],
            &[0xff, 0xfe, 0, 0],
        ] {
            assert!(
                WideText::read_wide(mark).is_some_and(|wide| wide.has_mark),
                "{mark:?}"
            );
            assert!(has_wide_mark(&[b"a: b\n", mark].concat()), "{mark:?}");
        }

        assert!(!has_wide_mark("\u{feff}a: ÿþ".as_bytes()));
    }
}
