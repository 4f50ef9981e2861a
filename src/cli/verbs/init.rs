//! `refguard init`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::cli::args::BasicFormat;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops;

/// Make a new policy repository from the embedded example, with a first commit, promoted
///
/// The example is a realistic set: a baseline, two regulated domains, a policy for some models, a
/// pipeline, an exemption done rightly, a catalog, tests and invariants.
///
/// Example: refguard init my-policies
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// A new or empty folder
    #[arg(value_name = "DIR", default_value = ".")]
    target: PathBuf,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &InitArgs) -> Result<Exit> {
    let dir = shell.dir.join(&args.target);
    let made = ops::init(&dir)?;
    if made.anonymous {
        print::message(
            "git does not know who you are: committed as `refguard`; set user.name and user.email there",
        );
    }
    match args.format {
        BasicFormat::Json => {
            print::json(
                &json!({ "version": 1, "files": made.files, "commit": made.commit.to_string(), "production": made.production.commit,
                }),
            )?;
        }
        BasicFormat::Human => {
            let policies = made.files.iter().filter(|file| !file.starts_with('.')).count();
            print::results(&format!(
                "made {}: {policies} files, commit {}, promoted to {}\n",
                args.target.display(),
                made.commit.short(),
                made.production.environment
            ))?;
        }
    }
    Ok(Exit::Fine)
}
