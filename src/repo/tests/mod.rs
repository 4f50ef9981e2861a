//! Stories on real repositories.

mod history;
mod opening;
mod sources;
