//! What the past says: versions of policies, promotions, drafts, and what differs from what is in
//! force.

pub(in crate::ops) mod address;
pub(in crate::ops) mod blame;
pub(in crate::ops) mod changed_policies;
pub(in crate::ops) mod compare;
pub(in crate::ops) mod doubts;
pub(in crate::ops) mod draft;
pub(in crate::ops) mod log;
pub(in crate::ops) mod pins;
pub(in crate::ops) mod status;
pub(in crate::ops) mod version_list;
pub(in crate::ops) mod versions;
pub(in crate::ops) mod workspace_versions;
