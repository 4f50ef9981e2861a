//! The files of a work tree by the ids that git would give their contents, so that a set that is
//! known already can be followed to them. Reads every content, but parses none. Must not know what
//! a set is judged for.

use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;

use crate::ops::source::filter::Filter;
use crate::ops::source::load;
use crate::repo::{BlobId, Entry, EntryKind, Listing, Side};

/// The files of a work tree that count, each with what stands there.
pub(in crate::ops) struct DiskFiles<'a> {
    listing: &'a Listing<'a>,
    /// Sorted by path. A file that is too large to be read has no id.
    pub sides: Vec<(Arc<str>, Side)>,
}

impl<'a> DiskFiles<'a> {
    /// Identifies the content of every file that the filter admits.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn identify(listing: &'a Listing<'a>, filter: &Filter) -> Result<Self> {
        let admitted = listing
            .entries
            .par_iter()
            .filter(|entry| filter.admits(&entry.path));
        let sides = admitted.map(|entry| Ok((entry.path.clone(), identify_entry(listing, entry)?)));
        Ok(Self {
            listing,
            sides: sides.collect::<Result<_>>()?,
        })
    }

    /// An entry as it is on disk now, with its content; `None` where the listing has no such path.
    ///
    /// # Errors
    /// Where its content cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<(Entry, Vec<u8>)>> {
        let entries = &self.listing.entries;
        let found = entries
            .binary_search_by(|entry| (*entry.path).cmp(path))
            .ok();
        let Some(entry) = found.and_then(|index| entries.get(index)) else {
            return Ok(None);
        };
        if load::skipped(entry).is_some() {
            return Ok(Some((entry.clone(), Vec::new())));
        }

        // The file may have changed since it was identified: its id is that of what is parsed.
        let content = load::content(self.listing, entry)?;
        let (size, blob) = (content.len() as u64, Some(BlobId::of(&content)));
        Ok(Some((
            Entry {
                size,
                blob,
                ..entry.clone()
            },
            content,
        )))
    }
}

fn identify_entry(listing: &Listing<'_>, entry: &Entry) -> Result<Side> {
    let is_readable = entry.kind == EntryKind::File && !load::is_oversized(entry);
    let blob = match entry.blob {
        None if is_readable => Some(BlobId::of(&load::content(listing, entry)?)),
        known => known,
    };
    Ok(Side {
        kind: entry.kind,
        blob,
    })
}
