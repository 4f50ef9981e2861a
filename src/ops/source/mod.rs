//! Where a set comes from: a work tree, the index or a commit, read, filtered, judged, tested and
//! listed.

mod disk;
pub(in crate::ops) mod filter;
mod hold;
pub(in crate::ops) mod import;
pub(in crate::ops) mod import_database;
pub(in crate::ops) mod init;
pub(in crate::ops) mod judged;
mod kept;
pub(in crate::ops) mod kept_file;
pub(in crate::ops) mod listing;
pub(in crate::ops) mod load;
pub(in crate::ops) mod logs;
pub(in crate::ops) mod moment;
pub(in crate::ops) mod program;
pub(in crate::ops) mod testing;
pub(in crate::ops) mod tracked;
pub(in crate::ops) mod workspace;
