//! What the daemon's pages look like: data in, HTML out.
//!
//! Owns the words, the markup, the style sheet and the script of the pages for people. Templates are compiled in; every
//! text goes through [`text`], so that what is hidden in a name shows, and through the templates' own escaping. Must not
//! know sockets, git, files or who may ask.

mod frame;
mod now;
mod parts;
mod sign_in;

pub use frame::{Frame, Moved, Section, SetLink, error_page};
pub use now::{NowSet, now_page};
pub use parts::{query_of, text};
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
