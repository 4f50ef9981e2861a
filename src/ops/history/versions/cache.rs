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
use crate::ops::source::filter::Filter;
use crate::ops::source::packed::{Reader, Writer};
use crate::repo::{BlobId, CommitId, Repo};

/// Raised where the same history would give another index: by the format of this file, by the rules of a
/// change, or by what a document's digest is made of. A new release begins anew by itself.
const FORMAT: &str = concat!("refguard versions 1 ", env!("CARGO_PKG_VERSION"));

/// What was kept for a folder.
pub(super) fn read(repo: &Repo, prefix: &str) -> Option<VersionIndex> {
    let bytes = repo.read_aside(&name(prefix))?;
    decode_for(repo, prefix, &bytes)
}

/// The index that [`encode`] has written for a folder.
pub(super) fn decode_for(repo: &Repo, prefix: &str, bytes: &[u8]) -> Option<VersionIndex> {
    let index = decode(bytes, &|settings| documents::settings(repo, settings))?;
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

/// An index as bytes.
pub(super) fn encode(index: &VersionIndex) -> Vec<u8> {
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
    let [names, paths] = [texts(&mut input)?, texts(&mut input)?];
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
    let holding =
        Holding::kept(names, paths, files.into_iter().collect::<FxHashMap<_, _>>(), settings);
    input.0.is_empty().then_some(VersionIndex { tip, prefix, holding, changes })
}

fn texts(input: &mut Reader<'_>) -> Option<Texts> {
    let mut texts = Texts::default();
    for text in input.list(|input| input.text().map(Arc::<str>::from))? {
        texts.number(&text);
    }
    Some(texts)
}
