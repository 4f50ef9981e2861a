//! What the daemon's pages look like: data in, HTML out.
//!
//! Owns the words, the markup, the style sheet and the script of the pages for people. Templates
//! are compiled in; every text goes through [`visible_text`], so that what is hidden in a name shows, and
//! through the templates' own escaping. Must not know sockets, git, files or who may ask.

mod ask;
mod change;
mod difference;
mod frame;
mod history;
mod matrix;
mod now;
mod parts;
mod policies;
mod policy;
mod shadow;
mod sign_in;
mod yaml;

pub use ask::{Against, AskAnswer, AskForm, ask_page};
pub use change::change_page;
pub use difference::{Side, difference_page};
pub use frame::{ForgeLinks, Frame, Moved, Section, SetLink, error_page};
pub use history::history_page;
pub use matrix::{MatrixForm, arrange_rows, matrix_page};
pub use now::{Ending, NowSet, next_endings, now_page};
pub use parts::{query_of, visible_text};
pub use policies::policies_page;
pub use policy::{CompareView, PolicyView, compare_page, policy_page};
pub use shadow::shadow_page;
pub use sign_in::{SignInTrouble, sign_in_page};

/// A file that pages need beside themselves.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its address.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What it holds.
    pub content: &'static str,
}

/// Everything that a page loads.
pub const ASSETS: [Asset; 3] = [
    Asset {
        path: "/ui/refguard.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("assets/refguard.css"),
    },
    Asset {
        path: "/ui/refguard.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/refguard.js"),
    },
    Asset {
        path: "/ui/refguard.svg",
        kind: "image/svg+xml",
        content: include_str!("assets/refguard.svg"),
    },
];
