//! Versions along a history: numbers, names, and what counts as a change.
