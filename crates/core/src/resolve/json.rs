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
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Every key is a plain word of this program.
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }

        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A key whose value comes from elsewhere; gives where it is to stand.
    pub(super) fn open(&mut self, key: &str) -> usize {
        self.key(key);
        self.out.len()
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        text(self.out, value);
    }

    pub(super) fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.array(key, |array| {
            for value in values {
                text(array.raw(), value);
            }
        });
    }

    pub(super) fn array(&mut self, key: &str, fill: impl FnOnce(&mut Array<'_>)) {
        self.key(key);
        self.out.push(b'[');
        fill(&mut Array {
            out: self.out,
            empty: true,
        });

        self.out.push(b']');
    }

    /// Any other value.
    pub(super) fn value(&mut self, key: &str, value: &impl Serialize) {
        self.key(key);
        any(self.out, value);
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

impl Array<'_> {
    /// Makes room for so many bytes more.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Where the next element is to be written.
    pub(super) fn raw(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }

        self.out
    }

    pub(super) fn object(&mut self) -> Object<'_> {
        Object::begin(self.raw())
    }
}

/// A text that comes in pieces.
pub(super) fn joined<'p>(out: &mut Vec<u8>, each: impl FnOnce(&mut dyn FnMut(&'p str))) {
    out.push(b'"');
    each(&mut |piece| inside(out, piece));
    out.push(b'"');
}

/// Any value.
pub(super) fn any(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    // Neither the bytes nor the values of an answer can refuse; half a value must not stay in any
    // case.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    inside(out, value);
    out.push(b'"');
}

/// A text without its quotes.
fn inside(out: &mut Vec<u8>, value: &str) {
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
            let mut object = Object::begin(&mut out);
            object.text("first", texts.first().map_or("", String::as_str));
            object.texts("all", texts.iter().map(String::as_str));
            object.open("joined");
            joined(object.out, |say| texts.iter().for_each(|text| say(text)));
            object.value("number", &number);
            object.array("objects", |array| texts.iter().for_each(|text| {
                let mut object = array.object();
                object.text("text", text);
                object.end();
            }));
            object.end();
            let objects: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
            let meant = json!({
                "first": texts.first().map_or("", String::as_str), "all": texts, "joined": texts.concat(),
                "number": number, "objects": objects,
            });

            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), meant);
        }
    }
}
