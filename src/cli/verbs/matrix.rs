//! `refguard matrix`

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use refguard_core::document::Dimension;
use refguard_core::questions::{MatrixQuestion, make_matrix};

use crate::cli::args::{AskedSetArgs, ContextArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::{Shell, warn_of_unlisted};
use crate::cli::{print, progress};
use crate::ops::{Rules, TrackedSet};
use crate::output;

/// Tell what each name of the catalog gets
///
/// A request for every combination of names; those that get the same make one row. What else the
/// requests have is given as for `resolve`: --by team --model gpt-4o. Asks what is in production;
/// see --env, --at and --worktree.
///
/// Example: refguard matrix --by team,model --guardrail hipaa_audit
#[derive(Debug, Args)]
pub(in crate::cli) struct MatrixArgs {
    /// The dimensions whose names make the rows: team, key, model, tag, user, tool
    #[arg(
        long,
        value_name = "DIMENSIONS",
        value_delimiter = ',',
        default_value = "team",
        value_parser = parse_dimension()
    )]
    by: Vec<Dimension>,

    /// Only this guardrail (repeatable, or several at commas)
    #[arg(
        long = "guardrail",
        value_name = "GUARDRAIL",
        value_delimiter = ',',
        add = completion::complete_guardrails(),
    )]
    guardrails: Vec<String>,

    #[command(flatten)]
    context: ContextArgs,

    #[command(flatten)]
    asked: AskedSetArgs,

    /// How the matrix is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: MatrixFormat,
}

/// Formats of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MatrixFormat {
    /// For people
    Human,
    /// For programs: versioned and stable
    Json,
    /// For spreadsheets: a line a row, names that get the same in one cell
    Csv,
    /// For a comment or a wiki
    Markdown,
    /// A page by itself
    Html,
}

fn parse_dimension() -> impl TypedValueParser<Value = Dimension> {
    let words = PossibleValuesParser::new(Dimension::WRITTEN.map(Dimension::singular));
    words.map(|word| {
        let named = Dimension::WRITTEN
            .into_iter()
            .find(|of| of.singular() == word);
        named.unwrap_or(Dimension::Team)
    })
}

pub(in crate::cli) fn run(shell: &Shell, args: &MatrixArgs) -> Result<Exit> {
    let question = MatrixQuestion {
        by: args.by.clone(),
        guardrails: args.guardrails.clone(),
        context: args.context.context()?,
    };
    let workspace = args.asked.open(shell)?;
    let source = args.asked.source(&workspace)?;
    let (engine, origin) = shell.judge_set(
        &workspace,
        &mut TrackedSet::default(),
        &source,
        Rules::OfThen,
    )?;
    let engine = engine.as_of(args.asked.instant(&workspace));
    warn_of_unlisted(&engine, &question.context);

    let matrix = progress::while_working("asking every name", || make_matrix(&engine, &question))?;
    for (dimension, patterns) in &matrix.patterns {
        let patterns = patterns.join("`, `");
        print::write_message(&format!(
            "note: the catalog also has {dimension}s by pattern, whose names cannot be listed: \
             `{patterns}`"
        ));
    }
    match args.format {
        MatrixFormat::Json => print::write_json(&matrix)?,
        MatrixFormat::Human => {
            let style = print::choose_style(shell.color);
            shell.write_page(&output::matrix_human(&matrix, style))?;
        }
        MatrixFormat::Csv => print::write_results(&output::matrix_csv(&matrix))?,
        MatrixFormat::Markdown => print::write_results(&output::matrix_markdown(&matrix))?,
        MatrixFormat::Html => print::write_results(&output::matrix_html(&matrix, &origin.name))?,
    }
    Ok(Exit::Fine)
}
