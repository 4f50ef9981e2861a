//! `refguard init`

use std::path::{Path, PathBuf};

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
/// A folder within a git repository that does not ignore it is refused: git does not look into a
/// repository within another. `--here` writes the example there, for you to commit and promote.
///
/// The example is a realistic set: a baseline, two regulated domains, a policy for some models, a
/// pipeline, an exemption done rightly, a catalog, tests and invariants.
///
/// Example: refguard init my-policies
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// A new or empty folder, or a git repository that holds nothing yet
    #[arg(value_name = "DIR", default_value = ".")]
    target: PathBuf,

    /// Add the example to the git repository that is there, and commit nothing
    #[arg(long)]
    here: bool,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &InitArgs) -> Result<Exit> {
    let dir = shell.dir.join(&args.target);
    // `./.` is how nobody writes the current folder.
    let dir = match args.target.as_os_str() == "." {
        true => shell.dir.clone(),
        false => dir,
    };
    if args.here {
        return init_here(&dir, args);
    }
    let made = ops::init_repository(&dir)?;
    if made.anonymous {
        print::write_message(
            "git does not know who you are: committed as `refguard`; set user.name and user.email \
             there",
        );
    }
    match args.format {
        BasicFormat::Json => print::write_json(&json!({
            "version": 1,
            "files": made.files,
            "commit": made.commit.to_string(),
            "production": made.production.as_ref().and_then(|it| it.commit.as_ref()),
        }))?,
        BasicFormat::Human => {
            let next = match &made.production {
                Some(production) => format!("promoted to {}", production.environment),
                None => format!(
                    "not promoted: `git push -u REMOTE {}`, then `refguard promote --push REMOTE`",
                    made.branch
                ),
            };
            let (target, files) = (args.target.display(), count_policies(&made.files));
            let commit = made.commit.short();
            print::write_line(&format!(
                "made {target}: {files} files, commit {commit}, {next}"
            ))?;
        }
    }
    Ok(Exit::Fine)
}

fn init_here(dir: &Path, args: &InitArgs) -> Result<Exit> {
    let files = ops::init_here(dir)?;
    match args.format {
        BasicFormat::Json => print::write_json(&json!({
            "version": 1,
            "files": files,
            "commit": null,
            "production": null,
        }))?,
        BasicFormat::Human => {
            let (count, target) = (count_policies(&files), args.target.display());
            let promote = match args.target.as_os_str() == "." {
                true => "refguard promote".to_owned(),
                false => format!("refguard -C {target} promote"),
            };
            print::write_line(&format!(
                "wrote {count} files to {target}: commit them to the publish branch, then \
                 `{promote}`"
            ))?;
        }
    }
    Ok(Exit::Fine)
}

/// How many of the files are for people; the others are for editors and git.
fn count_policies(files: &[String]) -> usize {
    files.iter().filter(|file| !file.starts_with('.')).count()
}
