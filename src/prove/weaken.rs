//! Whether some request is blocked or modified by BASE and let through by HEAD.

use super::names::Names;
use super::report::Weakening;
use super::search::Search;
use crate::resolve::Engine;

pub(super) fn weakening(_search: &mut Search<'_, '_>, _names: &Names, _engines: [&Engine; 2]) -> Option<Weakening> {
    None
}
