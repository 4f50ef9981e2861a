//! `refguard schema`

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::document::{KINDS, Kind, schema, suggest_name};

use crate::cli::exit::Exit;
use crate::cli::print;
use crate::output;

/// Print the JSON Schema of a kind of document, or of the JSON that a verb prints
///
/// `refguard schema output VERB` prints the schema of what the verb prints with --format json, and
/// `refguard schema output error` that of why it prints nothing.
///
/// Example: refguard schema policy > .schema/policy.json
#[derive(Debug, Args)]
pub(in crate::cli) struct SchemaArgs {
    /// Repository, Catalog, Policy, PolicyAttachment, PolicyTest or Invariant (default: one schema
    /// for all kinds); or `output`
    kind: Option<String>,

    /// With `output`: the verb, and the verb below it where there is one: `hook install`
    #[arg(requires = "kind")]
    verb: Vec<String>,
}

pub(in crate::cli) fn run(args: &SchemaArgs) -> Result<Exit> {
    let schema = match (&args.kind, args.verb.join(" ").as_str()) {
        (Some(kind), "") if kind == "output" => {
            bail!("name a verb: `refguard schema output validate`")
        }
        (Some(kind), verb) if kind == "output" => schema_of_output(verb)?,
        (None, _) => schema::any_schema(),
        (Some(word), "") => match Kind::from_loose(word) {
            Some(kind) => schema::schema_of(kind),
            None => bail!(
                "there is no kind `{word}`, but {}{}",
                KINDS.join(", "),
                suggest_name(word, KINDS.iter().copied())
            ),
        },
        (Some(kind), verb) => {
            bail!("`{verb}` stands beside `{kind}`: only `output` takes a verb")
        }
    };
    print::write_json(&schema)?;
    Ok(Exit::Fine)
}

fn schema_of_output(verb: &str) -> Result<serde_json::Value> {
    match output::output_schema(verb) {
        Ok(schema) => Ok(schema),
        Err(known) => {
            let below: Vec<String> = known
                .iter()
                .filter(|name| {
                    name.strip_prefix(verb)
                        .is_some_and(|rest| rest.starts_with(' '))
                })
                .map(|name| format!("`refguard schema output {name}`"))
                .collect();
            if !below.is_empty() {
                bail!(
                    "`{verb}` prints nothing itself, the verbs below it do: {}",
                    below.join(", ")
                )
            }
            let near = suggest_name(verb, known.iter().map(String::as_str));
            let known = known.join(", ");
            bail!("no output of `{verb}` has a schema, but those of {known}{near}")
        }
    }
}
