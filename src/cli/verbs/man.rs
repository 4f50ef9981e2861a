//! `refguard man`

use std::io;

use anyhow::Result;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use refguard_core::document::suggest_name;

use crate::cli::exit::Exit;
use crate::cli::print;

/// Print the manual page, of refguard or of one verb
///
/// Example: refguard man hook install | man -l -
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The verb, and the verb below it where there is one: `hook install`
    verbs: Vec<String>,
}

/// What each exit code means: the same of every verb.
const EXITS: [(&str, &str); 4] = [
    ("0", "fine; warnings too"),
    (
        "1",
        "the policies are at fault: an error, a failed test, a refused gate, a false invariant",
    ),
    ("2", "usage, I/O or git trouble"),
    ("3", "somebody else was first"),
];

/// What a page of this crate begins with: an apostrophe that every roff knows.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// `related`: the verbs of the same purpose as a verb; `meant`: the verb that a word of other
/// programs means.
pub(in crate::cli) fn run(
    args: &ManArgs,
    command: Command,
    related: fn(&str) -> Vec<&'static str>,
    meant: fn(&str) -> Option<&'static str>,
) -> Result<Exit> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let (mut found, mut path) = (&command, vec![command.get_name()]);
    let mut pages: Vec<String> = Vec::new();
    for verb in &args.verbs {
        let known: Vec<&str> = found.get_subcommands().map(Command::get_name).collect();
        let Some(below) = found.find_subcommand(verb) else {
            let near = match meant(verb).filter(|_| path.len() == 1) {
                Some(meant) => format!("; did you mean `{meant}`?"),
                None => suggest_name(verb, known),
            };
            anyhow::bail!("`{}` has no verb `{verb}`{near}", path.join(" "))
        };
        pages.push(path.join("-"));
        let beside: Vec<&str> = match path.len() {
            1 => related(below.get_name()),
            _ => known,
        };
        let others = beside.into_iter().filter(|name| *name != below.get_name());
        pages.extend(others.map(|name| format!("{}-{name}", path.join("-"))));
        path.push(below.get_name());
        found = below;
    }
    pages.extend(
        found
            .get_subcommands()
            .map(|it| format!("{}-{}", path.join("-"), it.get_name())),
    );
    let mut text = Vec::new();
    write_page(found.clone(), &path, &pages, &mut text)?;
    // Each section begins with it; a page needs it once.
    let text = String::from_utf8_lossy(&text);
    print::write_results(&format!("{PREAMBLE}{}", text.replace(PREAMBLE, "")))?;
    Ok(Exit::Fine)
}

/// The page of a command; `pages`: those to see besides.
fn write_page(
    command: Command,
    path: &[&str],
    pages: &[String],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let command = command
        .override_usage(usage.trim_start_matches("Usage:").trim().to_owned())
        .display_name(path.join("-"))
        .mut_args(|arg| match arg.is_global_set() {
            true => arg.help_heading("Options of every verb"),
            false => arg,
        });
    let has_notes = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .is_some();
    let has_verbs = command.has_subcommands();
    let page = Man::new(command)
        .title(path.join("-").to_uppercase())
        // An empty date would be written as none, and what follows would be taken for it.
        .date(" ")
        .source(concat!("refguard ", env!("CARGO_PKG_VERSION")))
        .manual("refguard manual");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if has_verbs {
        page.render_subcommands_section(out)?;
    }
    if has_notes {
        let mut notes = Vec::new();
        page.render_extra_section(&mut notes)?;
        let notes = String::from_utf8_lossy(&notes).replacen(".SH EXTRA", ".SH NOTES\n.nf", 1);
        out.extend_from_slice(notes.as_bytes());
        out.extend_from_slice(b".fi\n");
    }
    write_ends(pages, out)
}

/// The sections that every page ends with.
fn write_ends(pages: &[String], out: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXITS {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
    if !pages.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        let mut line = Vec::new();
        for page in pages {
            line.extend((!line.is_empty()).then(|| roman(", ")));
            line.extend([bold(page.as_str()), roman("(1)")]);
        }
        roff.text(line);
    }
    roff.to_writer(out)
}
