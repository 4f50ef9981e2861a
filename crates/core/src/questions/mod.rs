//! Questions that people ask of sets: why a request gets a guardrail or does not, what each name of
//! the catalog gets, which change gave or took something.
//!
//! All of it is answered by the engine or held against it. Must not know git, files, the clock or
//! how an answer is shown.

mod matrix;
mod names;
mod part;
mod shift;
mod why;

pub use matrix::{BadMatrix, MAX_REQUESTS, Matrix, MatrixQuestion, Row, make_matrix};
pub use names::{Unlisted, unlisted_values};
pub use part::{CauseFinder, Part, TouchedDocument};
pub use shift::{Shift, ShiftRow, shift_from};
pub use why::{Giver, Obstacle, ObstacleKind, UnknownGuardrail, explain_guardrail, find_guardrail};
