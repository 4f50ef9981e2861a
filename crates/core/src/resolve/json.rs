//! JSON written straight into bytes: for answers, where names make up most of it. Other values are
//! serde's.

use serde::Serialize;

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// An array that is being written.
pub(super) struct Array<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin_object(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Every key is a plain word of this program.
    fn write_key(&mut self, key: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }

        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A key whose value comes from elsewhere; gives where it is to stand.
    pub(super) fn open_text(&mut self, key: &str) -> usize {
        self.write_key(key);
        self.out.len()
    }

    pub(super) fn add_text(&mut self, key: &str, value: &str) {
        self.write_key(key);
        write_text(self.out, value);
    }

    pub(super) fn add_texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.add_array(key, |array| {
            for value in values {
                write_text(array.raw_item(), value);
            }
        });
    }

    pub(super) fn add_array(&mut self, key: &str, fill: impl FnOnce(&mut Array<'_>)) {
        self.write_key(key);
        self.out.push(b'[');
        fill(&mut Array {
            out: self.out,
            empty: true,
        });

        self.out.push(b']');
    }

    /// Any other value.
    pub(super) fn add_value(&mut self, key: &str, value: &impl Serialize) {
        self.write_key(key);
        write_value(self.out, value);
    }

    pub(super) fn end_object(self) {
        self.out.push(b'}');
    }
}

impl Array<'_> {
    /// Makes room for so many bytes more.
    pub(super) fn reserve_bytes(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Where the next element is to be written.
    pub(super) fn raw_item(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }

        self.out
    }

    pub(super) fn add_object(&mut self) -> Object<'_> {
        Object::begin_object(self.raw_item())
    }
}

/// A text that comes in pieces.
pub(super) fn write_joined<'p>(out: &mut Vec<u8>, each: impl FnOnce(&mut dyn FnMut(&'p str))) {
    out.push(b'"');
    each(&mut |piece| write_escaped(out, piece));
    out.push(b'"');
}

/// Any value.
pub(super) fn write_value(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    // Neither the bytes nor the values of an answer can refuse; half a value must not stay in any
    // case.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

fn write_text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    write_escaped(out, value);
    out.push(b'"');
}

/// A text without its quotes.
fn write_escaped(out: &mut Vec<u8>, value: &str) {
    // Every byte is looked at, without leaving early: that is what makes it fast.
    let special = value.bytes().fold(false, |found, byte| {
        found | (byte < b' ') | (byte == b'"') | (byte == b'\\')
    });
    if !special {
        out.extend_from_slice(value.as_bytes());
        return;
    }

    let quoted = serde_json::Value::from(value).to_string();
    let escaped = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    out.extend_from_slice(escaped.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec("[\u{0}-\u{20}\"\\\\a-c\u{7f}é日\u{2028}😀]{0,12}", 0..5), number: Option<u64>) {
            let mut out = Vec::new();
            let mut object = Object::begin_object(&mut out);
            object.add_text("first", texts.first().map_or("", String::as_str));
            object.add_texts("all", texts.iter().map(String::as_str));
            object.open_text("joined");
            write_joined(object.out, |say| texts.iter().for_each(|text| say(text)));
            object.add_value("number", &number);
            object.add_array("objects", |array| texts.iter().for_each(|text| {
                let mut object = array.add_object();
                object.add_text("text", text);
                object.end_object();
            }));
            object.end_object();
            let objects: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
            let meant = json!({
                "first": texts.first().map_or("", String::as_str), "all": texts, "joined": texts.concat(),
                "number": number, "objects": objects,
            });

            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), meant);
        }
    }
}
