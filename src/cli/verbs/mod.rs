//! The verbs, one a file: a doc comment (the help), the arguments, and `run`.

mod change;
pub(super) mod compare;
pub(super) mod completions;
pub(super) mod diff;
pub(super) mod draft;
pub(super) mod explain;
pub(super) mod export;
pub(super) mod hold;
pub(super) mod hook;
pub(super) mod impact;
pub(super) mod import;
pub(super) mod init;
pub(super) mod list;
pub(super) mod log;
pub(super) mod man;
pub(super) mod promote;
pub(super) mod prove;
pub(super) mod resolve;
pub(super) mod review;
pub(super) mod rollback;
pub(super) mod schema;
#[cfg(feature = "daemon")]
pub(super) mod serve;
pub(super) mod show;
pub(super) mod status;
pub(super) mod test;
pub(super) mod validate;
pub(super) mod versions;
#[cfg(feature = "daemon")]
pub(super) mod wait;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::Finding;
use refguard_core::policy::{Checked, Levels};
use refguard_core::resolve::Engine;

use super::args::{Cli, Color, Verb};
use super::exit::Exit;
use super::{print, progress};
use crate::ops::{Judged, LoadedSet, SetOrigin, Source, Workspace};
use crate::output::{self, Format, Report};

/// What every verb is run with.
pub(super) struct Shell {
    /// `-C DIR`
    pub dir: PathBuf,
    /// `--color WHEN`
    pub color: Color,
}

/// Runs a verb.
pub(super) fn run(cli: Cli) -> Result<Exit> {
    let shell = Shell { dir: cli.dir, color: cli.color };
    match cli.verb {
        Verb::Init(args) => init::run(&shell, &args),
        Verb::Validate(args) => validate::run(&shell, &args),
        Verb::Test(args) => test::run(&shell, &args),
        Verb::Resolve(args) => resolve::run(&shell, &args),
        Verb::List(args) => list::run(&shell, &args),
        Verb::Show(args) => show::run(&shell, &args),
        Verb::Diff(args) => diff::run(&shell, &args),
        Verb::Impact(args) => impact::run(&shell, &args),
        Verb::Prove(args) => prove::run(&shell, &args),
        Verb::Review(args) => review::run(&shell, &args),
        Verb::Versions(args) => versions::run(&shell, &args),
        Verb::Compare(args) => compare::run(&shell, &args),
        Verb::Draft(args) => draft::run(&shell, &args),
        Verb::Status(args) => status::run(&shell, &args),
        Verb::Promote(args) => promote::run(&shell, &args),
        Verb::Rollback(args) => rollback::run(&shell, &args),
        Verb::Hold(args) => hold::run(&shell, &args),
        Verb::Log(args) => log::run(&shell, &args),
        Verb::Hook(args) => hook::run(&shell, &args),
        Verb::Import(args) => import::run(&shell, &args),
        Verb::Export(args) => export::run(&shell, &args),
        #[cfg(feature = "daemon")]
        Verb::Serve(args) => serve::run(&shell, &args),
        #[cfg(feature = "daemon")]
        Verb::Wait(args) => wait::run(&shell, &args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
    }
}

/// A valid set to answer from, and where it comes from.
pub(super) struct Ready {
    pub engine: Arc<Engine>,
    pub origin: SetOrigin,
    pub workspace: Workspace,
}

impl Shell {
    /// Reads and judges a set.
    pub(super) fn load(&self, source: &Source, levels: &Levels) -> Result<(Workspace, LoadedSet)> {
        let workspace = Workspace::open(&self.dir)?;
        let loaded = workspace.load(source, levels, &progress::Bar::new())?;
        Ok((workspace, loaded))
    }

    /// Reads a set that must be valid: its errors go to stderr, and the verb ends with [`Exit::Fault`].
    pub(super) fn ready(&self, source: &Source) -> Result<std::result::Result<Ready, Exit>> {
        let workspace = Workspace::open(&self.dir)?;
        let judged = self.judge(&workspace, source)?;
        Ok(judged.map(|(engine, origin)| Ready { engine, origin, workspace }))
    }

    /// As [`Shell::ready`], in a workspace that may have read another set before.
    pub(super) fn judge(
        &self,
        workspace: &Workspace,
        source: &Source,
    ) -> Result<std::result::Result<(Arc<Engine>, SetOrigin), Exit>> {
        let (judged, origin) = workspace.judge(source, &progress::Bar::new())?;
        let checked = match judged {
            Judged::Sound(engine) => return Ok(Ok((engine, origin))),
            Judged::Faulty(checked) => checked,
        };
        let errors: Vec<Finding> =
            checked.findings.iter().filter(|finding| finding.is_error()).cloned().collect();
        let report = Report { findings: &errors, ..report(&checked) };
        let mut text = Vec::new();
        output::render(&report, Format::Human, print::error_style(self.color), &mut text)?;
        print::message(String::from_utf8_lossy(&text).trim_end());
        Ok(Err(Exit::Fault))
    }
}

/// What a renderer needs of a judged tree.
pub(super) fn report(checked: &Checked) -> Report<'_> {
    Report {
        findings: &checked.findings,
        sources: &checked.sources,
        checked: output::Checked {
            files: checked.counts.files,
            policies: checked.counts.policies,
            attachments: checked.counts.attachments,
            tests: checked.counts.cases,
        },
        prefix: "",
    }
}
