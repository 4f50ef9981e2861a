//! An index as a file in the git directory, so that the next run need not walk again.
//!
//! Never trusted over history: it says of which commit it is, and is only continued from there; a file
//! of another format, of another folder, or with any fault is as good as none.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::digest::Digest;
use super::documents;
use super::holding::{Content, Held, Holding, Texts};
use super::{Change, VersionIndex};
use crate::ops::filter::Filter;
use crate::repo::{BlobId, CommitId, Repo};

/// Raised where the same history would give another index: by the format of this file, by the rules of a
/// change, or by what a document's digest is made of. A new release begins anew by itself.
const FORMAT: &str = concat!("refguard versions 1 ", env!("CARGO_PKG_VERSION"));

/// What was kept for a folder.
pub(super) fn read(repo: &Repo, prefix: &str) -> Option<VersionIndex> {
    let bytes = repo.read_aside(&name(prefix))?;
    let index = decode(&bytes, &|settings| documents::settings(repo, settings))?;
    (index.prefix == prefix).then_some(index)
}

/// Keeps an index. That it cannot be written costs the next run time, and nothing else.
pub(super) fn write(repo: &Repo, index: &VersionIndex) {
    let _ = repo.write_aside(&name(&index.prefix), &encode(index));
}

/// One file a folder: two publish branches of one folder share it, and the one read last is kept.
fn name(prefix: &str) -> String {
    // FNV-1a: the name only keeps folders apart, what is in the file says which one it is of.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("versions-{:016x}", prefix.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

fn encode(index: &VersionIndex) -> Vec<u8> {
    let VersionIndex { tip, prefix, holding, changes } = index;
    let mut out = Writer::default();
    out.text(FORMAT);
    out.text(prefix);
    out.bytes(&tip.to_bytes());
    out.option(holding.settings, |out, settings| out.bytes(&settings.to_bytes()));
    for texts in [&holding.names, &holding.paths] {
        out.list(texts.all(), |out, text| out.text(text));
    }
    let files: Vec<(&u32, &Vec<Held>)> = holding.files.iter().collect();
    out.list(&files, |out, (path, held)| {
        out.number(**path);
        out.list(held, |out, held| {
            out.number(held.name);
            out.bytes(&held.digest.0);
            out.bytes(&held.blob.to_bytes());
        });
    });
    out.list(changes, |out, changes| {
        out.list(changes, |out, change| {
            out.bytes(&change.commit.to_bytes());
            out.option(change.content, |out, content| {
                out.bytes(&content.digest.0);
                out.bytes(&content.blob.to_bytes());
                out.number(content.path);
            });
        });
    });
    out.0
}

/// `filter_of` reads the settings that say which files count.
fn decode(bytes: &[u8], filter_of: &dyn Fn(BlobId) -> Option<Arc<Filter>>) -> Option<VersionIndex> {
    let mut input = Reader(bytes);
    if input.text()? != FORMAT {
        return None;
    }
    let prefix = input.text()?.to_owned();
    let tip = CommitId::from_bytes(input.array()?);
    let settings = match input.option(|input| input.array().map(BlobId::from_bytes))? {
        Some(settings) => Some((settings, filter_of(settings)?)),
        None => None,
    };
    let [names, paths] = [input.texts()?, input.texts()?];
    let files = input.list(|input| {
        let path = input.number()?;
        let held = input.list(|input| {
            let (name, digest) = (input.number()?, Digest(input.array()?));
            Some(Held { name, digest, blob: BlobId::from_bytes(input.array()?) })
        })?;
        Some((path, held))
    })?;
    let changes = input.list(|input| {
        input.list(|input| {
            let commit = CommitId::from_bytes(input.array()?);
            let content = input.option(|input| {
                let (digest, blob) = (Digest(input.array()?), BlobId::from_bytes(input.array()?));
                Some(Content { digest, blob, path: input.number()? })
            })?;
            Some(Change { commit, content })
        })
    })?;
    let holding = Holding::kept(names, paths, files.into_iter().collect::<FxHashMap<_, _>>(), settings);
    input.0.is_empty().then_some(VersionIndex { tip, prefix, holding, changes })
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    /// More than four thousand million of anything do not fit in memory either.
    fn length(&mut self, length: usize) {
        self.number(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.length(items.len());
        items.iter().for_each(|item| write(self, item));
    }

    fn option<T>(&mut self, value: Option<T>, write: impl Fn(&mut Self, T)) {
        self.number(u32::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// What is left to be read; `None` where it is not what was written.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.bytes(length as usize)?).ok()
    }

    fn texts(&mut self) -> Option<Texts> {
        let mut texts = Texts::default();
        for text in self.list(|input| input.text().map(Arc::<str>::from))? {
            texts.number(&text);
        }
        Some(texts)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| read(self)).collect()
    }

    /// The outer answer is whether it could be read.
    fn option<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.number()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }
}
