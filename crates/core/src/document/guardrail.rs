//! A guardrail as a catalog lists it: a name, or a name with how the gateway runs it, in LiteLLM's
//! words.
//!
//! Must not know what policies and pipelines make of it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Name, OneOrMany, Spanned, SpannedMap};

/// A point in the life of a call at which the gateway runs a guardrail.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailMode {
    /// Before the model is called.
    PreCall,
    /// While the model is called.
    DuringCall,
    /// After the model has answered.
    PostCall,
    /// When the call is logged: it stops nothing.
    LoggingOnly,
    /// Before a tool is called.
    PreMcpCall,
    /// While a tool is called.
    DuringMcpCall,
    /// After a tool has answered.
    PostMcpCall,
    /// On what was said in a realtime session.
    RealtimeInputTranscription,
}

impl GuardrailMode {
    /// Every mode, in the order of a call.
    pub const ALL: [Self; 8] = [
        Self::PreCall,
        Self::DuringCall,
        Self::PostCall,
        Self::LoggingOnly,
        Self::PreMcpCall,
        Self::DuringMcpCall,
        Self::PostMcpCall,
        Self::RealtimeInputTranscription,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreCall => "pre_call",
            Self::DuringCall => "during_call",
            Self::PostCall => "post_call",
            Self::LoggingOnly => "logging_only",
            Self::PreMcpCall => "pre_mcp_call",
            Self::DuringMcpCall => "during_mcp_call",
            Self::PostMcpCall => "post_mcp_call",
            Self::RealtimeInputTranscription => "realtime_input_transcription",
        }
    }

    /// The mode of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Which calls a guardrail looks at: streamed ones, others, or both.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StreamScope {
    /// All.
    Both,
    /// Those whose answer is streamed.
    Streaming,
    /// Those whose answer is not streamed.
    NonStreaming,
}

impl StreamScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Both, Self::Streaming, Self::NonStreaming];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Streaming => "streaming",
            Self::NonStreaming => "non_streaming",
        }
    }

    /// The scope of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A guardrail of a catalog: its name, or a mapping of name, modes, `default_on` and
/// `stream_scope`.
#[derive(Debug, Clone, PartialEq)]
pub struct RawGuardrail {
    /// Its name.
    pub name: Spanned<Name>,
    /// When the gateway runs it; absent: not known.
    pub modes: Option<Spanned<OneOrMany<Spanned<GuardrailMode>>>>,
    /// Whether the gateway runs it for every call; absent: not known.
    pub default_on: Option<Spanned<bool>>,
    /// Which calls it looks at; absent: not known.
    pub stream_scope: Option<Spanned<RawStreamScope>>,
}

/// One scope for all modes, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub enum RawStreamScope {
    /// In every mode.
    All(StreamScope),
    /// By the word of a mode; a mode that is not named has `both`.
    ByMode(SpannedMap<StreamScope>),
}

/// The mapping, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    name: Spanned<Name>,
    modes: Option<Spanned<OneOrMany<Spanned<GuardrailMode>>>>,
    default_on: Option<Spanned<bool>>,
    stream_scope: Option<Spanned<RawStreamScope>>,
}

impl<'de> Deserialize<'de> for RawGuardrail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The place of a plain name is that of the entry.
        let entry: Spanned<Entry> = Spanned::deserialize(deserializer)?;
        Ok(match entry.value {
            Entry::Plain(name) => Self {
                name: Spanned {
                    value: name,
                    span: entry.span,
                },
                modes: None,
                default_on: None,
                stream_scope: None,
            },
            Entry::Mapping(mapping) => {
                let Mapping {
                    name,
                    modes,
                    default_on,
                    stream_scope,
                } = *mapping;

                Self {
                    name,
                    modes,
                    default_on,
                    stream_scope,
                }
            }
        })
    }
}

enum Entry {
    Plain(Name),
    Mapping(Box<Mapping>),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a mapping")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Entry, E> {
                Name::new(text).map(Entry::Plain).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let mapping = Mapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Entry::Mapping(Box::new(mapping)))
            }
        }
        deserializer.deserialize_any(EntryVisitor)
    }
}

impl JsonSchema for RawGuardrail {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Guardrail".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = Name::json_schema(generator);
        let mut modes = OneOrMany::<GuardrailMode>::json_schema(generator);
        let said = "When the gateway runs it (default: not known).";
        modes.insert("description".to_owned(), said.into());
        let mut schema = json_schema!({
            "type": ["string", "object"],
            "properties": {
                "name": name.clone().to_value(),
                "modes": modes.to_value(),
                "default_on": {
                    "description": "Whether the gateway runs it for every call, whatever policies \
                     say.",
                    "type": "boolean",
                },
                "stream_scope": scope_schema(),
            },
            "required": ["name"],
            "additionalProperties": false,
        });

        for limit in ["minLength", "maxLength", "pattern"] {
            if let Some(value) = name.get(limit) {
                schema.insert(limit.to_owned(), value.clone());
            }
        }

        schema
    }
}

impl<'de> Deserialize<'de> for RawStreamScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScopeVisitor;
        impl<'de> Visitor<'de> for ScopeVisitor {
            type Value = RawStreamScope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "`both`, `streaming`, `non_streaming`, or a mapping from modes to one of them",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawStreamScope, E> {
                let scope = StreamScope::parse(text);
                scope
                    .map(RawStreamScope::All)
                    .ok_or_else(|| E::custom("expected a stream scope"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawStreamScope, A::Error> {
                let by_mode = SpannedMap::deserialize(MapAccessDeserializer::new(map))?;
                let SpannedMap(entries) = &by_mode;
                match entries
                    .iter()
                    .find(|(mode, _)| GuardrailMode::parse(mode).is_none())
                {
                    None => Ok(RawStreamScope::ByMode(by_mode)),
                    Some(_) => Err(serde::de::Error::custom("expected the word of a mode")),
                }
            }
        }
        deserializer.deserialize_any(ScopeVisitor)
    }
}

fn scope_schema() -> serde_json::Value {
    let scope =
        serde_json::json!({ "enum": sorted_words(StreamScope::ALL.map(StreamScope::as_str)) });
    let properties: serde_json::Map<String, serde_json::Value> = GuardrailMode::ALL
        .map(|mode| (mode.as_str().to_owned(), scope.clone()))
        .into_iter()
        .collect();
    serde_json::json!({
        "description": "Which calls it looks at: streamed ones, others, or both; one word, or one \
         a mode.",
        "type": ["string", "object"],
        "if": { "type": "string" },
        "then": scope,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn sorted_words<const N: usize>(words: [&'static str; N]) -> Vec<&'static str> {
    words.to_vec()
}
