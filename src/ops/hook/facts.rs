//! What is known of a set that was judged whole and found sound: enough of each document to tell what
//! else a change of it concerns. Kept in the git directory for the next commit.
//!
//! Never trusted blindly: it names each file by the id of its content, says which release wrote it, and
//! holds nothing that could make a fault look sound, only which documents a look must take in.

use std::collections::{BTreeMap, BTreeSet};

use refguard_core::document::{
    Body, Dimension, Level, Loaded, PerDimension, RawAttachment, RawPolicyTest,
};
use refguard_core::policy::product;

use crate::ops::source::packed::{Reader, Writer};
use crate::repo::{BlobId, Entry, Repo};

/// Raised where the same set would have other facts, or a sound set would no longer be one. A new release
/// begins anew by itself.
const FORMAT: &str = concat!("refguard sound 2 ", env!("CARGO_PKG_VERSION"));

/// A set that is sound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    /// The folder of the set in commits.
    pub prefix: &'a str,
    /// Every file that may belong to the set, sorted by path.
    pub files: Vec<FileFacts<'a>>,
    /// What the tests ask.
    pub tested: Tested<'a>,
    /// Bytes of all files that belong to the set.
    pub bytes: u64,
    /// Bytes of all its compiled conditions.
    pub regex: u64,
}

/// One file of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileFacts<'a> {
    pub path: &'a str,
    pub blob: BlobId,
    pub documents: Vec<DocumentFacts<'a>>,
}

/// One document: what refers to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentFacts<'a> {
    Settings,
    Catalog,
    Policy {
        name: &'a str,
        parent: Option<&'a str>,
    },
    /// `tested`: some case's request may match it.
    Attachment {
        policy: &'a str,
        tested: bool,
    },
    Test,
    Invariant,
}

/// The values that the requests of all cases have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tested<'a> {
    pub cases: usize,
    values: PerDimension<BTreeSet<&'a str>>,
    /// Policies asked for by name.
    pub requested: BTreeSet<&'a str>,
}

impl<'a> Tested<'a> {
    /// Of the tests among some documents.
    pub fn of(loaded: &'a Loaded) -> Self {
        let mut tested = Self::default();
        for document in &loaded.documents {
            if let Body::Test(raw) = &document.body {
                tested.add(raw);
            }
        }
        tested
    }

    fn add(&mut self, raw: &'a RawPolicyTest) {
        for case in &raw.cases {
            self.cases = self.cases.saturating_add(product(case));
            self.requested.extend(case.policies.iter().flatten().map(|name| name.as_str()));
            for (dimension, values) in self.values.iter_mut() {
                let of_context = case.context.iter().flat_map(|context| context.values(dimension));
                values.extend(of_context.map(|text| text.as_str()));
                let matrix = case.matrix.as_ref().and_then(|matrix| matrix.choices(dimension));
                let of_matrix = matrix.into_iter().flatten().flatten();
                values.extend(of_matrix.map(|text| text.as_str()));
            }
        }
    }

    /// Whether every value of `other` is known here too.
    pub fn covers(&self, other: &Tested<'_>) -> bool {
        // Without cases no attachment was looked at with a request in mind.
        if self.cases == 0 {
            return other.cases == 0;
        }
        let pairs = self.values.as_ref().zip(other.values.as_ref());
        pairs.into_iter().all(|(_, (known, asked))| asked.is_subset(known))
    }

    /// Whether some case's request may match an attachment. A "no" is certain.
    pub fn may_match(&self, raw: &RawAttachment) -> bool {
        let may_match = |(dimension, values): (Dimension, &BTreeSet<&str>)| {
            let Some(patterns) = raw.patterns(dimension) else { return true };
            // An empty list is a fault, and no reason to leave it out.
            patterns.is_empty() || patterns.iter().any(|pattern| touches(pattern, values))
        };
        self.cases > 0 && (raw.scope.is_some() || self.values.iter().all(may_match))
    }
}

/// Whether a pattern matches one of some values, or an absent one.
fn touches(pattern: &str, values: &BTreeSet<&str>) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => {
            values.range(prefix..).next().is_some_and(|value| value.starts_with(prefix))
        }
        None => values.contains(pattern),
    }
}

/// What was read of a set, as bytes to keep should it turn out to be sound; `None` where the next commit
/// has to be judged whole anyway: warnings count as errors, or tests ask for versions, which change with
/// history.
pub(super) fn gather(
    prefix: &str,
    entries: &[Entry],
    admitted: &dyn Fn(&str) -> bool,
    loaded: &Loaded,
) -> Option<Vec<u8>> {
    let tested = Tested::of(loaded);
    let raises = |document: &refguard_core::document::Document| match &document.body {
        Body::Repository(raw) => raw
            .rules
            .iter()
            .flat_map(|rules| &rules.0)
            .any(|(_, level)| level.value == Level::Error),
        _ => false,
    };
    if loaded.documents.iter().any(raises) || tested.requested.iter().any(|name| name.contains('@'))
    {
        return None;
    }
    let mut documents: BTreeMap<&str, Vec<DocumentFacts<'_>>> = BTreeMap::new();
    for document in &loaded.documents {
        documents.entry(document.file.path()).or_default().push(facts(&document.body, &tested));
    }
    let mut files = Vec::with_capacity(entries.len());
    let mut bytes = 0;
    for entry in entries {
        let documents = documents.remove(&*entry.path).unwrap_or_default();
        bytes += if admitted(&entry.path) { entry.size } else { 0 };
        files.push(FileFacts { path: &entry.path, blob: entry.blob?, documents });
    }
    Some(Facts { prefix, files, tested, bytes, regex: 0 }.encode())
}

fn facts<'a>(body: &'a Body, tested: &Tested<'_>) -> DocumentFacts<'a> {
    match body {
        Body::Repository(_) => DocumentFacts::Settings,
        Body::Catalog(_) => DocumentFacts::Catalog,
        Body::Policy(raw) => DocumentFacts::Policy {
            name: raw.name.as_str(),
            parent: raw.inherit.as_ref().map(|parent| parent.as_str()),
        },
        Body::Attachment(raw) => {
            DocumentFacts::Attachment { policy: raw.policy.as_str(), tested: tested.may_match(raw) }
        }
        Body::Test(_) => DocumentFacts::Test,
        Body::Invariant(_) => DocumentFacts::Invariant,
    }
}

/// Keeps what was gathered of a set that is sound. That it cannot be written costs the next commit time.
pub(super) fn keep(repo: &Repo, prefix: &str, mut gathered: Vec<u8>, regex: u64) {
    let end = gathered.len().saturating_sub(8);
    gathered.truncate(end);
    gathered.extend(regex.to_le_bytes());
    let _ = repo.write_aside(&file_name(prefix), &gathered);
}

/// What was kept for a folder, to be read by [`Facts::decode`].
pub(super) fn kept(repo: &Repo, prefix: &str) -> Option<Vec<u8>> {
    repo.read_aside(&file_name(prefix))
}

fn file_name(prefix: &str) -> String {
    // FNV-1a: the name only keeps folders apart, what is in the file says which one it is of.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("sound-{:016x}", prefix.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

impl<'a> Facts<'a> {
    /// The bytes; those of `regex` are the last eight.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(FORMAT);
        out.text(self.prefix);
        out.list(&self.files, |out, file| {
            out.text(file.path);
            out.bytes(&file.blob.to_bytes());
            out.list(&file.documents, |out, document| document.encode(out));
        });
        let Tested { cases, values, requested } = &self.tested;
        out.number(u32::try_from(*cases).unwrap_or(u32::MAX));
        for values in values.values().chain([requested]) {
            out.list(&values.iter().collect::<Vec<_>>(), |out, value| out.text(value));
        }
        out.bytes(&self.bytes.to_le_bytes());
        out.bytes(&self.regex.to_le_bytes());
        out.0
    }

    /// What was kept; `None` where it is of another release or folder, or not as it was written.
    pub fn decode(bytes: &'a [u8], prefix: &str) -> Option<Self> {
        let mut input = Reader(bytes);
        if input.text()? != FORMAT {
            return None;
        }
        let prefix = Some(input.text()?).filter(|kept| *kept == prefix)?;
        let files = input.list(|input| {
            let (path, blob) = (input.text()?, BlobId::from_bytes(input.array()?));
            Some(FileFacts { path, blob, documents: input.list(DocumentFacts::decode)? })
        })?;
        let cases = input.number()? as usize;
        let mut texts = || Some(input.list(Reader::text)?.into_iter().collect::<BTreeSet<&str>>());
        let mut values = PerDimension::default();
        for (_, values) in values.iter_mut() {
            *values = texts()?;
        }
        let tested = Tested { cases, values, requested: texts()? };
        let bytes = u64::from_le_bytes(input.array()?);
        let regex = u64::from_le_bytes(input.array()?);
        let sorted = files.is_sorted_by(|a, b| a.path < b.path);
        (input.0.is_empty() && sorted).then_some(Self { prefix, files, tested, bytes, regex })
    }
}

impl<'a> DocumentFacts<'a> {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Settings => out.number(0),
            Self::Catalog => out.number(1),
            Self::Policy { name, parent } => {
                out.number(2);
                out.text(name);
                out.option(*parent, |out, parent| out.text(parent));
            }
            Self::Attachment { policy, tested } => {
                out.number(3);
                out.text(policy);
                out.number(u32::from(*tested));
            }
            Self::Test => out.number(4),
            Self::Invariant => out.number(5),
        }
    }

    fn decode(input: &mut Reader<'a>) -> Option<Self> {
        Some(match input.number()? {
            0 => Self::Settings,
            1 => Self::Catalog,
            2 => Self::Policy { name: input.text()?, parent: input.option(Reader::text)? },
            3 => Self::Attachment { policy: input.text()?, tested: input.number()? != 0 },
            4 => Self::Test,
            5 => Self::Invariant,
            _ => return None,
        })
    }
}
