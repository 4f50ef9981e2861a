//! The last good sets as files: what a restart serves where the repository has nothing good.
//!
//! `served-ENVIRONMENT.json` holds the texts of the set's files, so that it is rebuilt and judged by the
//! same loader as a commit. It is written by a thread of its own: temporary file, fsync, rename.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use refguard_core::document::SourceFile;
use refguard_core::policy::PolicySet;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};

use super::Hub;
use super::background::{self, Way};
use super::load::{Outcome, judge};
use crate::ops::read_files;

/// What is kept of a served set.
pub(super) struct Kept {
    pub environment: Arc<str>,
    pub reference: String,
    pub commit: Arc<str>,
    pub promotion: Option<u64>,
    pub digest: Arc<str>,
    pub files: Vec<SourceFile>,
}

/// A kept set, judged again.
pub(super) struct Restored {
    pub commit: String,
    pub promotion: Option<u64>,
    pub set: PolicySet,
}

#[derive(Deserialize)]
struct StateFile {
    version: u32,
    set: String,
    #[serde(rename = "ref")]
    reference: String,
    commit: String,
    promotion: Option<u64>,
    digest: String,
    files: Vec<(String, String)>,
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut state = serializer.serialize_struct("StateFile", 7)?;
        state.serialize_field("version", &1)?;
        state.serialize_field("set", &*self.environment)?;
        state.serialize_field("ref", &self.reference)?;
        state.serialize_field("commit", &*self.commit)?;
        state.serialize_field("promotion", &self.promotion)?;
        state.serialize_field("digest", &*self.digest)?;
        state.serialize_field("files", &Files(&self.files))?;
        state.end()
    }
}

struct Files<'a>(&'a [SourceFile]);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut files = serializer.serialize_seq(Some(self.0.len()))?;
        for file in self.0 {
            files.serialize_element(&(&**file.path(), file.text()))?;
        }
        files.end()
    }
}

fn path(dir: &Path, environment: &str) -> PathBuf {
    dir.join(format!("served-{}.json", utf8_percent_encode(environment, NON_ALPHANUMERIC)))
}

/// What was served last, judged again; `None` where nothing was kept.
pub(super) fn restore(dir: &Path, environment: &str, reference: &str) -> Result<Option<Restored>> {
    let path = path(dir, environment);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
    };
    let refused = || format!("`{}` is not what was written there", path.display());
    let state: StateFile = serde_json::from_slice(&bytes).with_context(refused)?;
    if state.version != 1 || state.set != environment || state.reference != reference {
        bail!("`{}` is of another set, ref or version", path.display());
    }
    let files = state.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    match judge(Ok(read_files(files))) {
        Outcome::Good(set) if *set.digest != *state.digest => {
            bail!("{}: its digest differs", refused())
        }
        Outcome::Good(set) => {
            Ok(Some(Restored { commit: state.commit, promotion: state.promotion, set: *set }))
        }
        Outcome::Rejected(message, _) | Outcome::Failed(message) => {
            bail!("{}: {message}", refused())
        }
    }
}

/// Writes what is served, one file after another; of several that wait for one set only the last.
pub(super) struct Writer {
    orders: Option<Sender<(PathBuf, Kept)>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(hub: Arc<Hub>) -> Self {
        let (orders, inbox) = channel();
        let thread = background::spawn("refguard-state", Way::Far, move || write_all(&inbox, &hub));
        Self { orders: Some(orders), thread: thread.ok() }
    }

    pub fn keep(&self, dir: PathBuf, kept: Kept) {
        if let Some(orders) = &self.orders {
            // Without its thread nothing is kept, and the note says so.
            let _ = orders.send((dir, kept));
        }
    }
}

impl Drop for Writer {
    /// What waits is still written.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(inbox: &Receiver<(PathBuf, Kept)>, hub: &Hub) {
    while let Ok(first) = inbox.recv() {
        let mut waiting = vec![first];
        for (dir, kept) in inbox.try_iter() {
            waiting.retain(|(_, older)| older.environment != kept.environment);
            waiting.push((dir, kept));
        }
        for (dir, kept) in waiting {
            let failure = write(&dir, &kept).err().map(|error| {
                format!("cannot keep the set `{}` for a restart: {error:#}", kept.environment)
            });
            if let Some(word) = &failure {
                tracing::warn!(set = &*kept.environment, "{word}");
            }
            hub.note("state", failure);
        }
    }
}

fn write(dir: &Path, kept: &Kept) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let path = path(dir, &kept.environment);
    let refused = || format!("cannot write `{}`", path.display());
    let temporary =
        tempfile::Builder::new().prefix(".served-").tempfile_in(dir).with_context(refused)?;
    let mut out = BufWriter::with_capacity(1 << 18, temporary.as_file());
    serde_json::to_writer(&mut out, kept)?;
    out.flush().with_context(refused)?;
    drop(out);
    temporary.as_file().sync_all().with_context(refused)?;
    temporary.persist(&path).with_context(refused)?;
    // The name must survive a power cut too; where a folder cannot be synced, the file still can be read.
    if let Ok(folder) = File::open(dir) {
        let _ = folder.sync_all();
    }
    Ok(())
}
