//! The six kinds of document as they are written: raw, with places, not yet judged by the rules.
//!
//! The JSON Schemas under `schema/` are generated from these types, so doc comments here are what
//! an editor shows. `policy` turns them into the types that the engine answers from.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::rules::bad_name;
use super::work::note_steps;
use super::{
    DayEdge, Dimension, Level, OneOrMany, RawGuardrail, Spanned, SpannedMap, parse_instant,
};

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "refguard/v1")]
    V1,
}

macro_rules! kind_tag {
    ($($name:ident = $word:literal),*) => {$(
        #[doc = concat!("The word `", $word, "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
        pub enum $name {
            #[doc = concat!("`kind: ", $word, "`")]
            #[serde(rename = $word)]
            Tag,
        }
    )*};
}
kind_tag!(
    RepositoryTag = "Repository",
    CatalogTag = "Catalog",
    PolicyTag = "Policy",
    PolicyAttachmentTag = "PolicyAttachment",
    PolicyTestTag = "PolicyTest",
    InvariantTag = "Invariant"
);

/// A name: 1 to 128 characters, no control characters, no `@`, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(String);

impl Name {
    /// A text as a name.
    ///
    /// # Errors
    /// What keeps it from being one, in words.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        match bad_name::grave_fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(format!("the name `{}` {fault}", text.escape_debug())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        note_steps(1);
        &self.0
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        note_steps(1);
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                Name::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No look-around: the pattern must work in linear engines too. Characters past U+FFFF have
        // no spelling in a class that every engine takes: of those, invisible ones are left to
        // `bad_name`.
        let invisible: String = bad_name::INVISIBLE
            .iter()
            .map(|(first, last)| (u32::from(*first), u32::from(*last)))
            .filter(|(_, last)| *last <= 0xffff)
            .map(|(first, last)| format!("\\u{first:04x}-\\u{last:04x}"))
            .collect();
        let never = format!("@\\u0000-\\u001f\\u007f-\\u009f{invisible}");

        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 128,
            "pattern": format!("^[^\\s{never}]([^{never}]*[^\\s{never}])?$")
        })
    }
}

/// Settings of a policy repository: `refguard.yaml` at its root.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRepository {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: RepositoryTag,
    /// Files to read: globs relative to the root (default: every `*.yaml` and `*.yml`).
    pub include: Option<Vec<Spanned<String>>>,
    /// Files to leave out: globs relative to the root.
    pub exclude: Option<Vec<Spanned<String>>>,
    /// The branch whose first-parent history makes versions (default: `main`).
    pub publish_branch: Option<Spanned<Name>>,
    /// Named refs that promotions move (default: `production` at `refs/heads/production`).
    pub environments: Option<Vec<Spanned<RawEnvironment>>>,
    /// Levels of warnings by rule name, such as `unused-policy: error`.
    pub rules: Option<SpannedMap<Spanned<Level>>>,
}

/// A named ref that promotions move.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEnvironment {
    /// Its name, as in `promote --to NAME`.
    pub name: Spanned<Name>,
    /// Its ref, a full name (default: `refs/heads/NAME`).
    #[serde(rename = "ref")]
    pub reference: Option<Spanned<String>>,
    /// Where its sets come from: a branch or another environment's name (default: the publish
    /// branch).
    pub from: Option<Spanned<String>>,
    /// What its gates do.
    pub gates: Option<RawGates>,
    /// Who may pass a gate with an `--allow-…` flag: e-mail addresses, checked by the server's
    /// hook.
    pub allow: Option<Vec<Spanned<String>>>,
    /// When it takes no promotion, unless `--allow-freeze` says why. A rollback is never frozen.
    pub freeze: Option<Vec<Spanned<RawFreeze>>>,
    /// How long a set must have been in the environment that `from` names, such as `24h`, unless
    /// `--allow-soak` says why not.
    pub soak: Option<Spanned<String>>,
}

/// A time in which an environment takes no promotion: once, from one instant to another, or on days
/// of every week.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFreeze {
    /// Its start: an RFC 3339 time, or a date, whose first moment in UTC it is. With `days`: a time
    /// of the day, such as `"16:00"`.
    pub from: Spanned<String>,
    /// Its end: an RFC 3339 time, or a date, whose end in UTC it is. With `days`: a time of the
    /// day, up to `"24:00"`; where that is not after `from`, it is on the day after.
    pub to: Spanned<String>,
    /// The days of the week on which it begins.
    pub days: Option<Spanned<Vec<Spanned<Day>>>>,
    /// The time zone of a freeze of `days`, a name of the IANA database such as `Europe/Berlin`
    /// (default: `UTC`).
    pub timezone: Option<Spanned<String>>,
    /// Why, as a refused promotion says it.
    pub reason: Option<Spanned<String>>,
}

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The word that stands for it in refguard.yaml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

/// Gates of an environment that can be set.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGates {
    /// What to do where a promotion would block fewer requests than before (default: `warn`).
    pub weaken: Option<Spanned<GateLevel>>,
    /// What to do where a promotion would take away an invariant, a test or a setting that keeps
    /// the set honest (default: `warn`).
    pub safeguards: Option<Spanned<GateLevel>>,
}

// The stricter is the greater.
/// What a gate that can be set does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum GateLevel {
    /// Not looked at.
    Off,
    /// Said, and let through.
    Warn,
    /// Refused.
    Refuse,
}

impl GateLevel {
    /// The word that stands for it in refguard.yaml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// What exists: names that policies and attachments may use. Several catalogs are merged.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCatalog {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: CatalogTag,
    /// Guardrails that the gateway has: names, or names with how the gateway runs them.
    pub guardrails: Option<Vec<RawGuardrail>>,
    /// Teams; an entry may end in `*`.
    pub teams: Option<Vec<Spanned<String>>>,
    /// Key aliases; an entry may end in `*`.
    pub keys: Option<Vec<Spanned<String>>>,
    /// Models; an entry may end in `*`.
    pub models: Option<Vec<Spanned<String>>>,
    /// Tags; an entry may end in `*`.
    pub tags: Option<Vec<Spanned<String>>>,
    /// Users; an entry may end in `*`.
    pub users: Option<Vec<Spanned<String>>>,
    /// Tools, each `server/tool` of an MCP call; an entry may end in `*`.
    pub tools: Option<Vec<Spanned<String>>>,
}

impl RawCatalog {
    /// The values that it lists of a dimension.
    pub fn values(&self, dimension: Dimension) -> Option<&[Spanned<String>]> {
        match dimension {
            Dimension::Team => self.teams.as_deref(),
            Dimension::Key => self.keys.as_deref(),
            Dimension::User => self.users.as_deref(),
            Dimension::Tag => self.tags.as_deref(),
            Dimension::Model => self.models.as_deref(),
            Dimension::Tool => self.tools.as_deref(),
        }
    }
}

/// Which guardrails a request gets.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPolicy {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: PolicyTag,
    /// Its identity, unique in the set.
    pub name: Spanned<Name>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
    /// Who answers for it; free text.
    pub owner: Option<Spanned<String>>,
    /// The one policy that this one builds on.
    pub inherit: Option<Spanned<String>>,
    /// Guardrails added to and removed from what is inherited.
    pub guardrails: Option<RawGuardrails>,
    /// When it holds (default: always).
    pub condition: Option<Spanned<RawCondition>>,
    /// Ordered execution of its guardrails.
    pub pipeline: Option<Spanned<RawPipeline>>,
    /// Whether keys, teams and requests may name it (default: false).
    pub requestable: Option<Spanned<bool>>,
}

/// Guardrails added and removed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGuardrails {
    /// Added to what is inherited.
    pub add: Option<Vec<Spanned<Name>>>,
    /// Removed from what is inherited or added.
    pub remove: Option<Vec<Spanned<Name>>>,
}

/// When a policy holds.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCondition {
    /// A model name, or a regular expression that must match the whole name, or a list of them.
    pub model: Spanned<OneOrMany<Spanned<String>>>,
}

/// Ordered execution.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPipeline {
    /// Before or after the model is called.
    pub mode: Spanned<PipelineMode>,
    /// The steps, in order.
    pub steps: Spanned<Vec<Spanned<RawStep>>>,
}

/// When a pipeline runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PipelineMode {
    /// Before the model is called.
    PreCall,
    /// After the model has answered.
    PostCall,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawStep {
    /// The guardrail to run; one of the policy's own `add`.
    pub guardrail: Spanned<Name>,
    /// What to do when it passes (default: `allow`, which ends the pipeline).
    pub on_pass: Option<Spanned<Action>>,
    /// What to do when it fails (default: `block`).
    pub on_fail: Option<Spanned<Action>>,
    /// What to do when it cannot tell (default: as `on_fail`).
    pub on_error: Option<Spanned<Action>>,
    /// Hand what it changed to the next step (default: false).
    pub pass_data: Option<bool>,
    /// The answer that `modify_response` gives.
    pub modify_response_message: Option<Spanned<String>>,
}

/// What a pipeline does after a step.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End the pipeline; the request goes on.
    Allow,
    /// End the pipeline; the request is refused.
    Block,
    /// Go on with the next step.
    Next,
    /// End the pipeline; the answer is replaced.
    ModifyResponse,
}

/// Which requests a policy is for.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAttachment {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: PolicyAttachmentTag,
    /// The policy by name.
    pub policy: Spanned<String>,
    /// `"*"`: every request. Instead of the lists.
    pub scope: Option<Spanned<String>>,
    /// Teams; a final `*` matches any rest.
    pub teams: Option<Spanned<Vec<Spanned<String>>>>,
    /// Key aliases; a final `*` matches any rest.
    pub keys: Option<Spanned<Vec<Spanned<String>>>>,
    /// Models; a final `*` matches any rest.
    pub models: Option<Spanned<Vec<Spanned<String>>>>,
    /// Tags, any of which must match any of the request's; a final `*` matches any rest.
    pub tags: Option<Spanned<Vec<Spanned<String>>>>,
    /// Users; a final `*` matches any rest.
    pub users: Option<Spanned<Vec<Spanned<String>>>>,
    /// Tools, each `server/tool` of an MCP call; a final `*` matches any rest.
    pub tools: Option<Spanned<Vec<Spanned<String>>>>,
    /// Lower runs first; attachments with a priority run before those without.
    #[schemars(range(min = -2_147_483_648i64, max = 2_147_483_647i64))]
    pub priority: Option<Spanned<i32>>,
    /// Only where no other attachment matches (default: false).
    pub default: Option<Spanned<bool>>,
    /// From when on it matches no request: an RFC 3339 time, or a date, whose end in UTC it is.
    pub expires: Option<Spanned<String>>,
    /// Why it is there, such as what an exemption waits for.
    pub reason: Option<Spanned<String>>,
}

impl RawAttachment {
    /// The instant from which on it matches nothing, if it says one that can be read.
    pub fn expiry_instant(&self) -> Option<Timestamp> {
        parse_instant(self.expires.as_ref()?, DayEdge::End).ok()
    }

    /// The patterns of a dimension.
    pub fn patterns(&self, dimension: Dimension) -> PatternList<'_> {
        match dimension {
            Dimension::Team => self.teams.as_ref(),
            Dimension::Key => self.keys.as_ref(),
            Dimension::User => self.users.as_ref(),
            Dimension::Tag => self.tags.as_ref(),
            Dimension::Model => self.models.as_ref(),
            Dimension::Tool => self.tools.as_ref(),
        }
    }
}

/// A list of patterns as an attachment or an invariant gives it.
pub type PatternList<'a> = Option<&'a Spanned<Vec<Spanned<String>>>>;

/// Requests with what they must get.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPolicyTest {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: PolicyTestTag,
    /// Its name, shown in reports.
    pub name: Spanned<Name>,
    /// The cases.
    pub cases: Vec<Spanned<RawCase>>,
}

/// One request, or a matrix of them, and what it must get.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCase {
    /// Its name, a sentence.
    pub name: Spanned<String>,
    /// The request; of a matrix: what all its requests share.
    pub context: Option<RawContext>,
    /// Many requests at once: every combination of the lists.
    pub matrix: Option<Spanned<RawMatrix>>,
    /// Policies that the request asks for by name or `NAME@N`.
    pub policies: Option<Vec<Spanned<String>>>,
    /// What each guardrail is taken to return (default: `pass`); of one that runs several times a
    /// list: what it returns each time, in order, the last one from then on.
    pub outcomes: Option<SpannedMap<Spanned<OneOrMany<Outcome>>>>,
    /// What it must get.
    pub expect: Spanned<RawExpect>,
    /// What some requests of a matrix must get instead; the first that fits counts.
    pub expect_for: Option<Vec<Spanned<RawExpectFor>>>,
}

/// Lists whose every combination is a request of its own.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMatrix {
    /// Teams.
    pub teams: Option<Vec<Spanned<String>>>,
    /// Key aliases.
    pub keys: Option<Vec<Spanned<String>>>,
    /// Models.
    pub models: Option<Vec<Spanned<String>>>,
    /// Tags; each entry is one tag, or the list of tags of one request (`[]`: none).
    pub tags: Option<Vec<OneOrMany<Spanned<String>>>>,
    /// Users.
    pub users: Option<Vec<Spanned<String>>>,
    /// Tools, each `server/tool` of an MCP call.
    pub tools: Option<Vec<Spanned<String>>>,
}

impl RawMatrix {
    /// What the requests have in turn of a dimension: one value each, of a set any number.
    pub fn choices_of(&self, dimension: Dimension) -> Option<Vec<&[Spanned<String>]>> {
        let values = match dimension {
            Dimension::Team => &self.teams,
            Dimension::Key => &self.keys,
            Dimension::Model => &self.models,
            Dimension::User => &self.users,
            Dimension::Tool => &self.tools,
            Dimension::Tag => {
                let lists = self.tags.as_ref()?;
                return Some(lists.iter().map(|list| list.0.as_slice()).collect());
            }
        };

        Some(values.as_ref()?.iter().map(std::slice::from_ref).collect())
    }
}

/// What the requests of a matrix that fit these patterns must get.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawExpectFor {
    /// The requests, by patterns as in an attachment.
    #[serde(rename = "for")]
    pub for_: RawBox,
    /// What they must get.
    pub expect: Spanned<RawExpect>,
}

/// A request: who asks, with which key, for which model, under which tags.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawContext {
    /// The team.
    pub team: Option<Spanned<String>>,
    /// The team, by LiteLLM's name for it.
    pub team_alias: Option<Spanned<String>>,
    /// The key's alias.
    pub key: Option<Spanned<String>>,
    /// The key's alias, by LiteLLM's name for it.
    pub key_alias: Option<Spanned<String>>,
    /// The model.
    pub model: Option<Spanned<String>>,
    /// The tags.
    pub tags: Option<Vec<Spanned<String>>>,
    /// The user whose key it is.
    pub user: Option<Spanned<String>>,
    /// The tool that it calls: `server/tool` of an MCP call.
    pub tool: Option<Spanned<String>>,
}

impl RawContext {
    /// The values of a dimension, under either of its names.
    pub fn values(&self, dimension: Dimension) -> &[Spanned<String>] {
        match dimension {
            Dimension::Team => one_of(&self.team, &self.team_alias),
            Dimension::Key => one_of(&self.key, &self.key_alias),
            Dimension::Tag => self.tags.as_deref().unwrap_or_default(),
            Dimension::User => self.user.as_slice(),
            Dimension::Model => self.model.as_slice(),
            Dimension::Tool => self.tool.as_slice(),
        }
    }

    /// A dimension that is given under both of its names.
    pub fn both_names(&self, dimension: Dimension) -> Option<[&Spanned<String>; 2]> {
        let (own, alias) = match dimension {
            Dimension::Team => (&self.team, &self.team_alias),
            Dimension::Key => (&self.key, &self.key_alias),
            _ => return None,
        };

        Some([own.as_ref()?, alias.as_ref()?])
    }
}

fn one_of<'v, T>(first: &'v Option<T>, second: &'v Option<T>) -> &'v [T] {
    if first.is_some() {
        first.as_slice()
    } else {
        second.as_slice()
    }
}

/// What a guardrail returns in a test.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing to object to.
    Pass,
    /// It objects.
    Fail,
    /// It could not tell.
    Error,
    /// It did not run.
    Skip,
    /// It passes with a rewrite that the gateway cannot apply: newer ones block then, whatever the
    /// step says.
    Unappliable,
}

impl Outcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skip => "skip",
            Self::Unappliable => "unappliable",
        }
    }
}

/// What a request must get. What is not named is not checked.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawExpect {
    /// Exactly these guardrails.
    pub guardrails: Option<Spanned<Vec<Spanned<String>>>>,
    /// At least these guardrails.
    pub includes: Option<Spanned<Vec<Spanned<String>>>>,
    /// None of these guardrails.
    pub excludes: Option<Spanned<Vec<Spanned<String>>>>,
    /// Exactly these policies, in order.
    pub policies: Option<Spanned<Vec<Spanned<String>>>>,
    /// What the pipelines and guardrails do with the outcomes.
    pub action: Option<Spanned<FinalAction>>,
}

/// What happens to a request in the end.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FinalAction {
    /// It goes on.
    Allow,
    /// It is refused.
    Block,
    /// Its answer is replaced.
    ModifyResponse,
}

/// What must hold for every possible request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawInvariant {
    /// Version of the format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: InvariantTag,
    /// Its name, shown in verdicts.
    pub name: Spanned<Name>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
    /// The requests it speaks of (default: all).
    #[serde(rename = "for")]
    pub for_: Option<Spanned<RawBox>>,
    /// Requests it does not speak of.
    pub except: Option<Spanned<RawBox>>,
    /// All of these guardrails.
    pub require: Option<Spanned<Vec<Spanned<Name>>>>,
    /// At least one of these guardrails.
    pub any_of: Option<Spanned<Vec<Spanned<Name>>>>,
    /// None of these guardrails.
    pub forbid: Option<Spanned<Vec<Spanned<Name>>>>,
}

/// Requests by patterns: every dimension that is named must match. A final `*` matches any rest.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBox {
    /// Teams.
    pub teams: Option<Spanned<Vec<Spanned<String>>>>,
    /// Key aliases.
    pub keys: Option<Spanned<Vec<Spanned<String>>>>,
    /// Models.
    pub models: Option<Spanned<Vec<Spanned<String>>>>,
    /// Tags.
    pub tags: Option<Spanned<Vec<Spanned<String>>>>,
    /// Users.
    pub users: Option<Spanned<Vec<Spanned<String>>>>,
    /// Tools, each `server/tool` of an MCP call.
    pub tools: Option<Spanned<Vec<Spanned<String>>>>,
}

impl RawBox {
    /// The patterns of a dimension.
    pub fn patterns(&self, dimension: Dimension) -> PatternList<'_> {
        match dimension {
            Dimension::Team => self.teams.as_ref(),
            Dimension::Key => self.keys.as_ref(),
            Dimension::User => self.users.as_ref(),
            Dimension::Tag => self.tags.as_ref(),
            Dimension::Model => self.models.as_ref(),
            Dimension::Tool => self.tools.as_ref(),
        }
    }
}
