//! What `prove` has to say at the gates.

use anyhow::Result;

use super::gates::{GateWord, Lowered, Verdict};
use super::{EnvironmentState, Workspace};
use crate::resolve::Engine;

/// The invariants of a set, at the gate *valid*.
pub(super) fn invariants(_engine: &Engine) -> Result<Vec<GateWord>> {
    Ok(Vec::new())
}

/// The gate *weaken*.
pub(super) fn gate(
    _workspace: &Workspace,
    _environment: &EnvironmentState,
    _lowered: &Lowered,
    _verdict: &mut Verdict,
) -> Result<()> {
    Ok(())
}
