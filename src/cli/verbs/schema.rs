//! `refguard schema`

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::document::{KINDS, Kind, schema};

use crate::cli::exit::Exit;
use crate::cli::print;

/// Print the JSON Schema of a kind of document, or one for all kinds
///
/// Example: refguard schema policy > .schema/policy.json
#[derive(Debug, Args)]
pub(in crate::cli) struct SchemaArgs {
    /// Repository, Catalog, Policy, PolicyAttachment, PolicyTest or Invariant
    kind: Option<String>,
}

pub(in crate::cli) fn run(args: &SchemaArgs) -> Result<Exit> {
    let schema = match &args.kind {
        None => schema::any(),
        Some(word) => match Kind::from_loose(word) {
            Some(kind) => schema::of(kind),
            None => bail!("there is no kind `{word}`; the kinds are {}", KINDS.join(", ")),
        },
    };
    print::write_json(&schema)?;
    Ok(Exit::Fine)
}
