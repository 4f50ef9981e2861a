//! The decision log: one JSON line for each answer, or a sample of them.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use refguard_core::document::Dimension;
use refguard_core::resolve::{Context, Resolution};
use refguard_core::traffic::hidden_key;
use serde_json::json;

use super::app::App;
use super::resolve::policy_names;
use crate::daemon::{LineLog, Snapshot};

/// Where decisions are written, and which.
pub struct DecisionLog {
    lines: LineLog,
    /// One of so many is written.
    one_of: u64,
    hash_keys: bool,
    seen: AtomicU64,
}

impl DecisionLog {
    /// Writes one of `one_of` decisions; keys as hashes if asked.
    pub fn new(lines: LineLog, one_of: u64, hash_keys: bool) -> Self {
        Self {
            lines,
            one_of: one_of.max(1),
            hash_keys,
            seen: AtomicU64::new(0),
        }
    }

    /// Closes the file and opens it anew: a program has moved it away.
    pub fn reopen(&self) {
        self.lines.reopen();
    }

    /// Waits until what was decided so far is written, unless that takes long.
    pub fn flush(&self) {
        self.lines.flush();
    }

    fn takes_decisions(&self) -> bool {
        self.seen
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(self.one_of)
    }

    fn key<'a>(&self, key: &'a str) -> std::borrow::Cow<'a, str> {
        if !self.hash_keys {
            return key.into();
        }
        hidden_key(key).into()
    }
}

impl App {
    /// The line that says what a request got, where it is one of those that are logged.
    pub(super) fn log_decision(
        &self,
        by: &str,
        snapshot: &Snapshot,
        context: &Context,
        resolution: &Resolution<'_>,
    ) -> Option<String> {
        let log = self
            .options
            .decisions
            .as_ref()
            .filter(|log| log.takes_decisions())?;
        let mut line = json!({
            "time": Timestamp::now(), "by": by, "set": &*snapshot.name,
            "commit": snapshot.commit.as_deref(), "policies": policy_names(resolution),
            "guardrails": resolution.guardrails, "unknown": resolution.unknown,
        });
        let fields = line.as_object_mut()?;
        for dimension in Dimension::ALL {
            let value = match dimension {
                Dimension::Key => json!(context.value(dimension).map(|key| log.key(key))),
                set if set.is_set() => json!(context.values(set)),
                single => json!(context.value(single)),
            };
            fields.insert(dimension.context_field().to_owned(), value);
        }
        Some(format!("{line}\n"))
    }

    /// Hands a line to the thread that writes the log.
    pub(super) fn write_decision(&self, line: String) {
        if let Some(log) = &self.options.decisions {
            log.lines.write_line(line);
        }
    }
}
