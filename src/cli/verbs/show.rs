//! `refguard show`

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::document::suggest_name;

use crate::cli::args::{BasicFormat, NowArgs, SourceArgs, TimeArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{completion, print, progress};
use crate::ops::{Address, VersionHistory, Workspace};
use crate::{ops, output};

/// Show one policy: its document, what it inherits, where it is attached
///
/// NAME@N shows that version of its document, as history has it; so do NAME@latest, NAME@production
/// (or another environment) and NAME@REV.
///
/// Example: refguard show healthcare-compliance@production
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The policy's name, or NAME@N
    #[arg(add = completion::complete_policies())]
    name: String,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    now: NowArgs,

    #[command(flatten)]
    times: TimeArgs,

    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ShowArgs) -> Result<Exit> {
    let address = Address::parse(&args.name);
    if address.which.is_some() {
        return show_version(shell, args, address);
    }
    let valid = shell.load_valid_set(&args.source)?;
    let set = valid.engine.set();
    let Some((_, policy)) = set.find_policy(&args.name) else {
        let near = suggest_name(&args.name, set.policies.iter().map(|policy| &*policy.name));
        bail!("there is no policy `{}`{near}", args.name);
    };
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let shown = ops::show_policy(set, policy, now);
    match args.format {
        BasicFormat::Json => print::write_json(&shown)?,
        BasicFormat::Human => shell.write_page(&output::format_policy(&shown))?,
    }
    Ok(Exit::Fine)
}

fn show_version(shell: &Shell, args: &ShowArgs, address: Address<'_>) -> Result<Exit> {
    if args.source.is_given() || args.now.is_given() {
        bail!(
            "`{}` is one version, wherever the set is read from and whenever: leave out \
             --worktree, --staged, --at and --now",
            args.name
        );
    }
    let workspace = Workspace::open(&shell.dir)?;
    let shown =
        VersionHistory::new(&workspace).show_version(address, &progress::Bar::of_commits())?;
    match args.format {
        BasicFormat::Json => print::write_json(&shown)?,
        BasicFormat::Human => {
            let style = args.times.dress_time(print::choose_style(shell.color));
            shell.write_page(&output::format_version(&shown, style))?;
        }
    }
    Ok(Exit::Fine)
}
