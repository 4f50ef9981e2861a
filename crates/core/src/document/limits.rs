//! The limits of what is read: each an error with its name and value.

/// Bytes that one value of a request may have: the limit `request-value`.
pub const MAX_VALUE: usize = 1_024;

/// Environments that settings may declare: the limit `environments`.
pub(super) const MAX_ENVIRONMENTS: usize = 200;

/// Tags that a request may have: the limit `request-tags`.
pub const MAX_TAGS: usize = 256;

/// How much of each thing a set may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Depth of nested YAML collections.
    pub yaml_depth: usize,
    /// Nodes that aliases may add to one file.
    pub alias_nodes: usize,
    /// Bytes of scalars that aliases may add to one file.
    pub alias_bytes: usize,
    /// Findings that are reported of the form of one file.
    pub findings_per_file: usize,
    /// Documents in one file.
    pub documents_per_file: usize,
    /// Files of one set.
    pub files: usize,
    /// Bytes of all files of one set.
    pub total_bytes: u64,
}

impl Limits {
    /// The limits that refguard runs with.
    pub const DEFAULT: Self = Self {
        file_bytes: 1 << 20,
        yaml_depth: 64,
        alias_nodes: 10_000,
        alias_bytes: 1 << 20,
        findings_per_file: 1_000,
        documents_per_file: 1_000,
        files: 500_000,
        total_bytes: 1 << 30,
    };
}
