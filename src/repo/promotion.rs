//! A promotion as data: what its commit's trailers say, written and read by the same rules.

use super::trailers::{self, Malformed};
use super::{Commit, CommitId};

/// Longest reason, in characters.
const REASON_LIMIT: usize = 500;

/// A promotion: a commit on an environment's branch, and what it records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// What its trailers say.
    pub record: Record,
    /// The commit.
    pub commit: Commit,
}

/// What the trailers of a promotion say. The default says nothing yet and cannot be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps.
    pub number: u64,
    /// The environment's name.
    pub environment: String,
    /// The commit that was promoted.
    pub source: CommitId,
    /// SHA-256 of the policy set, 64 hex digits.
    pub digest: String,
    /// Why.
    pub reason: Option<String>,
    /// The policies that were promoted or removed, if not all.
    pub policies: Vec<String>,
    /// Of a rollback: what it goes back to.
    pub rollback: Option<Target>,
    /// Why no promotion may follow for now.
    pub hold: Option<String>,
    /// Gates that were lowered, each with a reason or an empty one.
    pub allow: Vec<Allow>,
    /// The promotion before this one. Older ones do not say: theirs is found among their parents.
    pub previous: Option<CommitId>,
    /// The folder of the set in commits, `.` at their top. Older ones do not say.
    pub root: Option<String>,
    /// The release of refguard that made it. Absent: 0.1.0.
    pub version: Option<String>,
}

/// What a rollback goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A promotion, by its number.
    Promotion(u64),
    /// What something else than a promotion had put there, by its commit.
    Commit(CommitId),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Promotion(number) => write!(f, "{number}"),
            Self::Commit(commit) => write!(f, "{commit}"),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = Malformed;

    /// A number in its one spelling, or a commit's whole id.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let by_commit = || text.parse().ok().map(Self::Commit);
        parse_number(text)
            .map(Self::Promotion)
            .or_else(by_commit)
            .ok_or_else(|| {
                Malformed(format!(
                    "`{}` is no promotion and no commit",
                    text.escape_debug()
                ))
            })
    }
}

/// A gate that was lowered for one promotion.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allow {
    /// The gate's word.
    pub gate: String,
    /// Why; may be empty.
    pub reason: String,
}

impl Record {
    /// The whole message of the promotion's commit. What could not be read back is refused.
    pub fn message(&self, subject: &str) -> Result<String, Malformed> {
        if !trailers::is_value(subject) {
            return Err(Malformed(
                "a subject is one line, not empty and without control characters".into(),
            ));
        }
        let mut message = format!("{subject}\n\n");
        for (key, value) in self.write_trailers() {
            message.push_str(&trailers::parse_line(key, &value));
        }
        match Self::parse(&message, &self.environment)? {
            Some(read) if read == *self => Ok(message),
            _ => Err(Malformed("the record cannot be written as trailers".into())),
        }
    }

    /// What a message records for an environment; `None` if it is another commit than a promotion
    /// of that environment, an error if it means to be one and is not well-formed.
    pub fn parse(message: &str, environment: &str) -> Result<Option<Self>, Malformed> {
        let found = trailers::parse_trailers(message)?;
        if found.is_empty() {
            return Ok(None);
        }
        let fields = Fields::of(found)?;
        if fields.need_field("Environment")? != environment {
            return Ok(None);
        }
        let bad =
            |key: &str| Malformed(format!("the value of `Refguard-{key}` is not well-formed"));
        let record = Self {
            number: parse_number(fields.need_field("Promotion")?)
                .ok_or_else(|| bad("Promotion"))?,
            environment: environment.to_owned(),
            source: fields
                .need_field("Commit")?
                .parse()
                .map_err(|_| bad("Commit"))?,
            digest: Some(fields.need_field("Digest")?)
                .filter(|text| is_digest(text))
                .ok_or_else(|| bad("Digest"))?
                .to_owned(),
            reason: fields.read_reason("Reason")?,
            policies: match fields.get("Policies") {
                Some(text) => split_names(text).ok_or_else(|| bad("Policies"))?,
                None => Vec::new(),
            },
            rollback: fields
                .get("Rollback")
                .map(|text| text.parse().map_err(|_| bad("Rollback")))
                .transpose()?,
            hold: fields.read_reason("Hold")?,
            previous: fields
                .get("Previous")
                .map(|text| text.parse().map_err(|_| bad("Previous")))
                .transpose()?,
            root: fields.get("Root").map(str::to_owned),
            version: fields.get("Version").map(str::to_owned),
            allow: fields.allow,
        };
        if let Some(Target::Promotion(to)) = record.rollback
            && to >= record.number
        {
            return Err(bad("Rollback"));
        }
        Ok(Some(record))
    }

    /// The environment that a message records a promotion of, if it does so of any.
    pub fn environment_of(message: &str) -> Option<String> {
        let found = trailers::parse_trailers(message).ok()?;
        let environment = found.into_iter().find(|(key, _)| *key == "Environment")?.1;
        let record = Self::parse(message, environment).ok().flatten()?;
        Some(record.environment)
    }

    fn write_trailers(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("Promotion", self.number.to_string()),
            ("Environment", self.environment.clone()),
            ("Commit", self.source.to_string()),
            ("Digest", self.digest.clone()),
        ];
        all.extend(self.previous.map(|commit| ("Previous", commit.to_string())));
        all.extend(self.root.clone().map(|root| ("Root", root)));
        all.extend(self.version.clone().map(|version| ("Version", version)));
        all.extend(self.reason.clone().map(|reason| ("Reason", reason)));
        all.extend((!self.policies.is_empty()).then(|| ("Policies", join_names(&self.policies))));
        all.extend(self.rollback.map(|to| ("Rollback", to.to_string())));
        all.extend(self.hold.clone().map(|reason| ("Hold", reason)));
        all.extend(self.allow.iter().map(|allow| {
            (
                "Allow",
                format!("{} {}", allow.gate, allow.reason).trim_end().into(),
            )
        }));
        all
    }
}

/// Whether a text can be the reason of a promotion, a hold or a lowered gate.
pub fn is_reason(text: &str) -> bool {
    trailers::is_value(text) && text.chars().count() <= REASON_LIMIT
}

/// Trailers by key, each there once; `Allow` once a gate.
struct Fields<'m> {
    single: Vec<(&'m str, &'m str)>,
    allow: Vec<Allow>,
}

impl<'m> Fields<'m> {
    fn of(found: Vec<(&'m str, &'m str)>) -> Result<Self, Malformed> {
        let mut fields = Self {
            single: Vec::new(),
            allow: Vec::new(),
        };
        for (key, value) in found {
            let twice = if key == "Allow" {
                let (gate, reason) = value.split_once(' ').unwrap_or((value, ""));
                if !(reason.is_empty() || is_reason(reason)) {
                    return Err(Malformed(
                        "the reason of `Refguard-Allow` is not well-formed".into(),
                    ));
                }
                let twice = fields.allow.iter().any(|allow| allow.gate == gate);
                fields.allow.push(Allow {
                    gate: gate.to_owned(),
                    reason: reason.to_owned(),
                });
                twice
            } else {
                let twice = fields.get(key).is_some();
                fields.single.push((key, value));
                twice
            };
            if twice {
                return Err(Malformed(format!("`Refguard-{key}` stands there twice")));
            }
        }
        Ok(fields)
    }

    fn get(&self, key: &str) -> Option<&'m str> {
        self.single
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| *value)
    }

    fn need_field(&self, key: &str) -> Result<&'m str, Malformed> {
        self.get(key)
            .ok_or_else(|| Malformed(format!("`Refguard-{key}` is missing")))
    }

    fn read_reason(&self, key: &str) -> Result<Option<String>, Malformed> {
        match self.get(key) {
            Some(text) if !is_reason(text) => Err(Malformed(format!(
                "the text of `Refguard-{key}` is too long"
            ))),
            other => Ok(other.map(str::to_owned)),
        }
    }
}

/// A positive number in its one spelling.
fn parse_number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| *number > 0 && number.to_string() == text)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names in one line; one that holds a comma or a quote is written as JSON.
fn join_names(names: &[String]) -> String {
    let plain = |name: &String| !name.contains([',', '"']);
    let one = |name: &String| {
        if plain(name) {
            name.clone()
        } else {
            serde_json::Value::from(name.as_str()).to_string()
        }
    };
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn split_names(mut text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let rest = if text.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
            names.push(values.next()?.ok()?);
            text.get(values.byte_offset()..)?
        } else {
            let end = text.find(", ").unwrap_or(text.len());
            let (name, rest) = text.split_at_checked(end)?;
            names.push(
                Some(name)
                    .filter(|name| !name.is_empty() && !name.contains([',', '"']))?
                    .to_owned(),
            );
            rest
        };
        if rest.is_empty() {
            return Some(names);
        }
        text = rest.strip_prefix(", ")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        Record {
            number: 7,
            environment: "production".into(),
            source: "0123456789012345678901234567890123456789".parse().unwrap(),
            digest: "ab".repeat(32),
            reason: Some("the audit asks for it".into()),
            policies: vec!["plain".into(), "with, comma".into(), "\"quoted\"".into()],
            rollback: Some(Target::Promotion(3)),
            previous: Some("89abcdef012345670123456789abcdef01234567".parse().unwrap()),
            root: Some("policies/eu".into()),
            version: Some("0.2.0".into()),
            hold: Some("wait for legal".into()),
            allow: vec![
                Allow {
                    gate: "older".into(),
                    reason: String::new(),
                },
                Allow {
                    gate: "hold".into(),
                    reason: "legal is done".into(),
                },
            ],
        }
    }

    #[test]
    fn a_record_reads_as_people_would_write_it() {
        let message = record().message("promote 7 to production").unwrap();
        let due = "promote 7 to production\n\nRefguard-Promotion: 7\n\
            Refguard-Environment: production\n\
            Refguard-Commit: 0123456789012345678901234567890123456789\nRefguard-Digest: abab";
        assert!(message.starts_with(due), "{message}");
        assert!(
            message.contains("Refguard-Policies: plain, \"with, comma\", \"\\\"quoted\\\"\"\n"),
            "{message}"
        );
        assert!(
            message.ends_with("Refguard-Allow: older\nRefguard-Allow: hold legal is done\n"),
            "{message}"
        );
    }

    #[test]
    fn another_environment_is_another_commit_and_a_torn_record_is_an_error() {
        let message = record().message("s").unwrap();
        assert_eq!(Record::parse(&message, "staging").unwrap(), None);
        assert_eq!(Record::parse("s\n\nbody\n", "production").unwrap(), None);
        let spoilt = |from: &str, to: &str| Record::parse(&message.replace(from, to), "production");
        for (from, to) in [
            ("Refguard-Promotion: 7\n", ""),
            ("Promotion: 7", "Promotion: 07"),
            ("Promotion: 7", "Promotion: 0"),
            ("Promotion: 7", "Promotion: +7"),
            ("Promotion: 7\n", "Promotion: 7\nRefguard-Promotion: 7\n"),
            ("Commit: 0123", "Commit: 123"),
            ("Digest: ab", "Digest: AB"),
            ("Rollback: 3", "Rollback: 7"),
            ("Rollback: 3", "Rollback: main"),
            ("Previous: 89ab", "Previous: 9ab"),
            ("Allow: hold", "Allow: older"),
            ("plain, ", "plain,, "),
        ] {
            assert!(spoilt(from, to).is_err(), "{from:?} {to:?}");
        }
        assert!(
            spoilt(
                "Refguard-Reason: the audit",
                "Refguard-New-Thing: the audit"
            )
            .is_ok()
        );
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        for reason in ["", " x", "two\nlines", "bell\u{7}", &"x".repeat(501)] {
            let record = Record {
                reason: Some(reason.into()),
                ..record()
            };
            assert!(record.message("s").is_err(), "{reason:?}");
        }
        assert!(record().message("two\nlines").is_err());
        assert!(
            Record {
                environment: "a\nRefguard-Hold: x".into(),
                ..record()
            }
            .message("s")
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            number in 2..u64::MAX,
            reason in proptest::option::of("[^\\p{Cc}\\s]([^\\p{Cc}]{0,30}[^\\p{Cc}\\s])?"),
            policies in proptest::collection::vec("[^\\p{Cc}\\s@]([^\\p{Cc}@]{0,9}[^\\p{Cc}\\s@])?", 0..4),
            rollback in proptest::option::of(prop_oneof![
                (1..2_u64).prop_map(Target::Promotion),
                Just(Target::Commit(record().source)),
            ]),
            allow in proptest::collection::btree_map("[a-z]{1,6}", "([a-z]{1,6}( [a-z]{1,6})?)?", 0..3),
        ) {
            let allow = allow.into_iter().map(|(gate, reason)| Allow { gate, reason }).collect();
            let record = Record { number, hold: reason.clone(), reason, policies, rollback, allow, ..record() };
            let message = record.message("subject").unwrap();
            prop_assert_eq!(Record::parse(&message, "production").unwrap(), Some(record));
        }
    }
}
