//! One line of a log → the request that it records.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::asked::Asked;
use crate::document::Dimension;
use crate::policy::Context;
use crate::resolve::Request;

/// What LiteLLM adds to the tags of a request by itself; policies do not match by it.
const USER_AGENT_TAG: &str = "User-Agent: ";

/// A request that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seen {
    /// Its values; tags sorted, each once.
    pub context: Context,
    /// The policies that it is known to have named.
    pub named: Vec<String>,
    /// The policies that it got, where BASE decided it: those that BASE does not give it unasked,
    /// it named.
    pub got: Vec<String>,
    /// The last instant before the decision at which something of BASE expired, where BASE decided
    /// it: what BASE gives unasked is asked as of then. `None`: nothing had.
    pub decided: Option<Timestamp>,
}

/// Why a line does not tell what its request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unclear {
    /// It is longer than a line may be.
    TooLong,
    /// It is no JSON object of a form that is known.
    Unreadable,
    /// It does not say when it was decided, and that is asked for, or what was in force depends on
    /// it.
    NoTime,
    /// It does not have a field that a set asks for.
    Missing(Dimension),
    /// Its key is hidden, and a set asks how keys begin.
    HiddenKey,
    /// A value passes the limit of requests.
    PastLimit,
    /// It names a version of a policy, which stands in neither set.
    Version,
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("a line is too long"),
            Self::Unreadable => f.write_str("a line is no row of a log that is known"),
            Self::NoTime => f.write_str("no time"),
            Self::Missing(dimension) => write!(f, "no field `{}`", dimension.context_field()),
            Self::HiddenKey => f.write_str("the key is a hash, and a policy asks how keys begin"),
            Self::PastLimit => f.write_str("a value passes the limit of requests"),
            Self::Version => f.write_str("a version of a policy is named"),
        }
    }
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, taken apart at once"
)]
pub enum Row {
    /// It records a request.
    Seen(Seen),
    /// It does not tell enough.
    Unclear(Unclear),
    /// It is older than what is asked for, or of another set, or empty.
    Passed,
}

/// Reads lines.
#[derive(Debug, Clone)]
pub struct RowReader {
    /// What the sets ask for.
    pub asked: Asked,
    /// BASE, where it is a commit: of what it decided, the policies that a request named can be
    /// told.
    pub base: Option<Decider>,
    /// Rows from before this time are passed over.
    pub since: Option<Timestamp>,
    /// Rows of other sets are passed over.
    pub set: Option<String>,
}

/// The set that decided rows of a log.
#[derive(Debug, Clone)]
pub struct Decider {
    /// Its commit.
    pub commit: String,
    /// What it asks for, also by attachments that have expired since.
    pub asked: Asked,
    /// Every instant at which something of it expires, in order.
    pub expiries: Vec<Timestamp>,
}

impl Decider {
    /// The last expiry until a time; without one that can be read, it is not known what was in
    /// force.
    fn last_expiry(&self, time: Option<&str>) -> Result<Option<Timestamp>, Unclear> {
        if self.expiries.is_empty() {
            return Ok(None);
        }

        let time = time.and_then(parse_time).ok_or(Unclear::NoTime)?;
        let ended = self.expiries.partition_point(|expiry| *expiry <= time);
        Ok(ended
            .checked_sub(1)
            .and_then(|last| self.expiries.get(last))
            .copied())
    }
}

impl RowReader {
    /// Reads one line.
    pub fn read_row(&self, line: &[u8]) -> Row {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Row::Passed;
        }

        let Ok(raw) = serde_json::from_slice::<RawRow>(line) else {
            return Row::Unclear(Unclear::Unreadable);
        };

        if !raw.is_known() {
            return Row::Unclear(Unclear::Unreadable);
        }

        if let Some(passed) = self.passed_over(&raw) {
            return passed;
        }

        let read = match raw {
            RawRow {
                context: Some(_), ..
            } => self.request_of(line),
            raw if raw.is_spend() => self.read_spend(raw),
            raw => self.read_decision(raw),
        };

        read.and_then(finish_row)
            .map_or_else(Row::Unclear, Row::Seen)
    }

    /// Whether a row is not asked for.
    fn passed_over(&self, raw: &RawRow) -> Option<Row> {
        if let (Some(wanted), Some(Some(set))) = (&self.set, &raw.set)
            && wanted != set
        {
            return Some(Row::Passed);
        }

        let since = self.since?;
        let time = raw
            .time
            .as_ref()
            .or(raw.start_time.as_ref())
            .and_then(Option::as_deref);

        match time.and_then(parse_time) {
            Some(time) => (time < since).then_some(Row::Passed),
            None => Some(Row::Unclear(Unclear::NoTime)),
        }
    }

    /// A line of a batch.
    fn request_of(&self, line: &[u8]) -> Result<Seen, Unclear> {
        let mut value: Value = serde_json::from_slice(line).map_err(|_| Unclear::Unreadable)?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| name == "context" || name == "policies");
        }

        let (context, named) = Request::parts_from_json(&value).map_err(|_| Unclear::Unreadable)?;
        Ok(Seen {
            context,
            named,
            ..Seen::default()
        })
    }

    /// A line of the decision log.
    fn read_decision(&self, mut raw: RawRow) -> Result<Seen, Unclear> {
        let decider = self.base.as_ref().filter(|base| {
            let commit = raw.commit.as_ref().and_then(Option::as_deref);
            commit == Some(base.commit.as_str())
        });
        let got = raw
            .policies
            .flatten()
            .filter(|_| decider.is_some())
            .unwrap_or_default();
        let decider = decider.filter(|_| !got.is_empty());
        let time = raw.time.as_ref().and_then(Option::as_deref);
        let decided = decider
            .map(|base| base.last_expiry(time))
            .transpose()?
            .flatten();
        let asked = decider.map_or(&self.asked, |base| &base.asked);

        let mut context = Context::default();
        for dimension in Dimension::WRITTEN {
            let values = match dimension {
                Dimension::Team => list_one(raw.team.take()),
                Dimension::Key => list_one(raw.key.take()),
                Dimension::Model => list_one(raw.model.take()),
                Dimension::Tag => raw.tags.take().map(Option::unwrap_or_default),
                Dimension::User => list_one(raw.user.take()),
                Dimension::Tool => list_one(raw.tool.take()),
            };
            take_values(asked, &mut context, dimension, values)?;
        }

        Ok(Seen {
            context,
            named: raw.unknown.flatten().unwrap_or_default(),
            got,
            decided,
        })
    }

    /// A row of LiteLLM's spend log. A proxy matches by the aliases of team and key, and by the
    /// model that was asked for, which is the row's group.
    fn read_spend(&self, raw: RawRow) -> Result<Seen, Unclear> {
        let metadata = raw
            .metadata
            .map(|Embedded(fields)| fields)
            .unwrap_or_default();
        let is_set = |text: &String| !text.is_empty();
        let given = |text: Option<Option<String>>| text.map(|text| text.filter(is_set));

        let no_team = given(raw.team_id) == Some(None);
        let mut team = given(metadata.user_api_key_team_alias).or(no_team.then_some(None));
        let mut key = given(metadata.user_api_key_alias);
        let group = given(metadata.original_model_group).flatten();
        let mut model = match group.or(given(raw.model_group).flatten()) {
            Some(group) => Some(Some(group)),
            None => given(raw.model),
        };
        let mut user = given(metadata.user_api_key_user_id).or(given(raw.user));
        // Only calls of MCP have one.
        let mut tool = given(raw.mcp_namespaced_tool_name).or(Some(None));
        let mut tags = raw.request_tags.map(|Embedded(tags)| own_tags(tags));

        let mut context = Context::default();
        for dimension in Dimension::WRITTEN {
            let values = match dimension {
                Dimension::Team => list_one(team.take()),
                Dimension::Key => list_one(key.take()),
                Dimension::Model => list_one(model.take()),
                Dimension::Tag => tags.take(),
                Dimension::User => list_one(user.take()),
                Dimension::Tool => list_one(tool.take()),
            };
            take_values(&self.asked, &mut context, dimension, values)?;
        }

        Ok(Seen {
            context,
            ..Seen::default()
        })
    }
}

/// The values of a dimension of which a request has one or none. `None`: the row does not say.
fn list_one(value: Option<Option<String>>) -> Option<Vec<String>> {
    value.map(|value| value.into_iter().collect())
}

/// The tags of a request, without those that the proxy adds itself.
fn own_tags(tags: Option<Vec<String>>) -> Vec<String> {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter(|tag| !tag.starts_with(USER_AGENT_TAG))
        .collect()
}

/// Puts a row's values of a dimension into a context. `None`: the row has none.
fn take_values(
    asked: &Asked,
    context: &mut Context,
    dimension: Dimension,
    values: Option<Vec<String>>,
) -> Result<(), Unclear> {
    let Some(values) = values else {
        return match asked.has_dimension(dimension) {
            true => Err(Unclear::Missing(dimension)),
            false => Ok(()),
        };
    };

    for value in values {
        let value = match dimension {
            Dimension::Key => asked.asked_key(value).ok_or(Unclear::HiddenKey)?,
            _ => value,
        };

        context.add_value(dimension, value);
    }

    Ok(())
}

/// A request in its one form, so that equal ones are equal.
fn finish_row(mut seen: Seen) -> Result<Seen, Unclear> {
    let mut context = seen
        .context
        .within_limits()
        .map_err(|_| Unclear::PastLimit)?;
    let mut tags = context.values(Dimension::Tag).to_vec();
    tags.sort_unstable();
    tags.dedup();
    context.set_values(Dimension::Tag, tags);
    seen.context = context;
    seen.named.sort_unstable();
    seen.named.dedup();
    if seen.named.iter().any(|name| name.contains('@')) {
        return Err(Unclear::Version);
    }

    Ok(seen)
}

/// A time as logs write it; without a zone it is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let zoneless = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse()
        .ok()
        .or_else(|| zoneless().map(|zoned| zoned.timestamp()))
}

/// The fields of every form. Of each: absent, null, or a value.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRow {
    #[serde(deserialize_with = "read_given")]
    time: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    set: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    commit: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    policies: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "read_given")]
    unknown: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "read_given")]
    team: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    key: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    user: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    model: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    tool: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    tags: Option<Option<Vec<String>>>,
    /// Of a line of a batch.
    context: Option<de::IgnoredAny>,
    /// Of the spend log, as all that follow.
    #[serde(rename = "startTime", deserialize_with = "read_given")]
    start_time: Option<Option<String>>,
    call_type: Option<de::IgnoredAny>,
    #[serde(deserialize_with = "read_given")]
    model_group: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    team_id: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    mcp_namespaced_tool_name: Option<Option<String>>,
    metadata: Option<Embedded<Metadata>>,
    request_tags: Option<Embedded<Option<Vec<String>>>>,
}

impl RawRow {
    fn is_spend(&self) -> bool {
        self.call_type.is_some() || self.start_time.is_some() || self.metadata.is_some()
    }

    /// Whether it is a row of a form that is known.
    fn is_known(&self) -> bool {
        self.context.is_some() || self.is_spend() || self.is_decision()
    }

    fn is_decision(&self) -> bool {
        self.team.is_some()
            || self.key.is_some()
            || self.model.is_some()
            || self.tags.is_some()
            || self.user.is_some()
            || self.tool.is_some()
    }
}

fn read_given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// What a proxy keeps of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "read_given")]
    user_api_key_alias: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    user_api_key_team_alias: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    user_api_key_user_id: Option<Option<String>>,
    #[serde(deserialize_with = "read_given")]
    original_model_group: Option<Option<String>>,
}

/// JSON that stands as it is, or as text within JSON.
#[derive(Debug, Default)]
struct Embedded<T>(T);

impl<'de, T: de::DeserializeOwned + Default> Deserialize<'de> for Embedded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);

        impl<'de, T: de::DeserializeOwned + Default> Visitor<'de> for Either<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON, or JSON as text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
                match text.trim() {
                    "" => Ok(T::default()),
                    text => serde_json::from_str(text).map_err(E::custom),
                }
            }

            fn visit_unit<E: de::Error>(self) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
                let items: Vec<Value> =
                    Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                serde_json::from_value(Value::Array(items)).map_err(de::Error::custom)
            }
        }

        deserializer
            .deserialize_any(Either(std::marker::PhantomData))
            .map(Self)
    }
}
