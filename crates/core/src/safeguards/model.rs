//! The result of a comparison: which safeguards are lost and which are gained.

use serde::Serialize;

use crate::policy::Place;

/// What kind of safeguard changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SafeguardKind {
    /// An invariant: what must hold for every request.
    Invariant,
    /// A test case: what a request must get.
    Test,
    /// The level of a gate of an environment.
    Gate,
    /// Who may pass the gates of an environment.
    Allow,
    /// Where the sets of an environment come from.
    From,
    /// Whether an environment is declared at all.
    Environment,
    /// The level of a rule.
    Rule,
    /// Which files are read.
    Files,
    /// A list of the catalog, or how the gateway runs a guardrail of it.
    Catalog,
    /// Whether requests may name a policy.
    Policy,
}

impl SafeguardKind {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invariant => "invariant",
            Self::Test => "test",
            Self::Gate => "gate",
            Self::Allow => "allow",
            Self::From => "from",
            Self::Environment => "environment",
            Self::Rule => "rule",
            Self::Files => "files",
            Self::Catalog => "catalog",
            Self::Policy => "policy",
        }
    }
}

/// One safeguard that a change takes away or brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SafeguardChange {
    /// What kind of safeguard it is.
    pub kind: SafeguardKind,
    /// What it is called: the invariant's name, the environment's, the rule's.
    pub name: String,
    /// What happens to it, as the end of a sentence that begins with kind and name.
    pub message: String,
    /// The file that has it: of BASE for a loss, of HEAD for a gain.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<u32>,
    /// Whether the budget ended before it was found out: a larger one may show that it is kept.
    #[serde(skip)]
    pub is_open: bool,
}

impl SafeguardChange {
    /// A change of something that stands at `place`.
    pub(super) fn new(
        kind: SafeguardKind,
        name: impl Into<String>,
        message: impl Into<String>,
        place: Option<&Place>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            message: message.into(),
            file: place.map(|place| place.file.to_string()),
            line: place.map(|place| place.line),
            is_open: false,
        }
    }

    /// The whole sentence, without its place.
    pub fn sentence(&self) -> String {
        format!("{} `{}` {}", self.kind.word(), self.name, self.message)
    }
}

/// What a change does to the safeguards of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SafeguardDiff {
    /// Taken away or lowered; also what could not be shown to be kept.
    pub lost: Vec<SafeguardChange>,
    /// New or raised.
    pub gained: Vec<SafeguardChange>,
}

impl SafeguardDiff {
    /// Whether no safeguard changed.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.gained.is_empty()
    }

    /// Notes a loss or a gain.
    pub(super) fn note_change(&mut self, is_loss: bool, change: SafeguardChange) {
        match is_loss {
            true => self.lost.push(change),
            false => self.gained.push(change),
        }
    }
}
