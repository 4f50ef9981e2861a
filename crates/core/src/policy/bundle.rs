//! A set read back from the bundle in which a daemon serves it (docs/bundle.md).
//!
//! The documents of a bundle are judged by the rules that make errors, as files are, and the set
//! must have the digest that the bundle names: what this program reads otherwise than the daemon
//! wrote it is refused, never guessed. Must not know how a bundle came here.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{PolicySet, check_errors};
use crate::document::{
    ApiVersion, Body, Document, Loaded, Name, PolicyAttachmentTag, PolicyTag, RawAttachment,
    RawCondition, RawGuardrails, RawPipeline, RawPolicy, Release, SourceFile, Span, Spanned,
};

/// The version of the format that is read.
const VERSION: u64 = 1;
/// The most policies, and attachments, of a bundle: the limit `bundle-documents`.
pub const BUNDLE_DOCUMENTS: usize = 1_000_000;

/// A set as a daemon serves it.
#[derive(Debug)]
pub struct Bundle {
    /// The set, including expired attachments: each question says as of which instant.
    pub set: PolicySet,
    /// The commit; `None` of a work tree.
    pub commit: Option<String>,
    /// The version number of each policy, in the order of [`PolicySet::policies`]; `None` while it
    /// is unknown.
    pub versions: Vec<Option<u64>>,
}

/// Why a text is no bundle, or not one to be enforced here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFault(String);

impl fmt::Display for BundleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BundleFault {}

fn bundle_fault(message: impl Into<String>) -> BundleFault {
    BundleFault(message.into())
}

/// A bundle as it is written. Fields that are not known here are passed over: the digest tells
/// whether one matters.
#[derive(Deserialize)]
struct RawBundle<'a> {
    version: u64,
    commit: Option<String>,
    digest: String,
    #[serde(borrow)]
    policies: Items<'a>,
    #[serde(borrow)]
    attachments: Items<'a>,
}

/// The texts of a list's items: several processors read them.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for ItemsVisitor<'a> {
            type Value = Items<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of documents")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == BUNDLE_DOCUMENTS {
                        return Err(A::Error::custom(format!(
                            "more documents than the limit `bundle-documents`, {BUNDLE_DOCUMENTS}"
                        )));
                    }

                    items.push(item);
                }

                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

impl Items<'_> {
    /// Reads every item. What is wrong with the first that is none of its kind is told by the name
    /// that it has.
    fn read_all<T: DeserializeOwned + Send>(self, kind: &str) -> Result<Vec<T>, BundleFault> {
        let read: Vec<Result<T, BundleFault>> = self
            .0
            .into_par_iter()
            .map(|item| {
                serde_json::from_str(item.get()).map_err(|error| {
                    let name = item_name(item);
                    bundle_fault(format!("it cannot be parsed: {kind} `{name}`: {error}"))
                })
            })
            .collect();

        read.into_iter().collect()
    }
}

/// What an item that cannot be read is called.
fn item_name(item: &RawValue) -> String {
    let fields: Value = serde_json::from_str(item.get()).unwrap_or_default();
    let name = fields.get("name").or_else(|| fields.get("policy"));
    let name = name.and_then(Value::as_str).unwrap_or_default();

    name.escape_debug().to_string()
}

/// A policy as it is written. Its other fields are about it: they are no part of its document.
#[derive(Deserialize)]
struct WrittenPolicy {
    name: Spanned<Name>,
    description: Option<Spanned<String>>,
    owner: Option<Spanned<String>>,
    inherit: Option<Spanned<String>>,
    guardrails: Option<RawGuardrails>,
    condition: Option<Spanned<RawCondition>>,
    pipeline: Option<Spanned<RawPipeline>>,
    requestable: Option<Spanned<bool>>,
    /// Its version number, where that is known.
    version: Option<Value>,
}

impl WrittenPolicy {
    fn into_raw(self) -> RawPolicy {
        RawPolicy {
            api_version: ApiVersion::V1,
            kind: PolicyTag::Tag,
            name: self.name,
            description: self.description,
            owner: self.owner,
            inherit: self.inherit,
            guardrails: self.guardrails,
            condition: self.condition,
            pipeline: self.pipeline,
            requestable: self.requestable,
        }
    }
}

/// The same of an attachment.
#[derive(Deserialize)]
struct WrittenAttachment {
    policy: Spanned<String>,
    scope: Option<Spanned<String>>,
    teams: Option<Spanned<Vec<Spanned<String>>>>,
    keys: Option<Spanned<Vec<Spanned<String>>>>,
    models: Option<Spanned<Vec<Spanned<String>>>>,
    tags: Option<Spanned<Vec<Spanned<String>>>>,
    users: Option<Spanned<Vec<Spanned<String>>>>,
    tools: Option<Spanned<Vec<Spanned<String>>>>,
    priority: Option<Spanned<i32>>,
    default: Option<Spanned<bool>>,
    expires: Option<Spanned<String>>,
    reason: Option<Spanned<String>>,
}

impl WrittenAttachment {
    fn into_raw(self) -> RawAttachment {
        RawAttachment {
            api_version: ApiVersion::V1,
            kind: PolicyAttachmentTag::Tag,
            policy: self.policy,
            scope: self.scope,
            teams: self.teams,
            keys: self.keys,
            models: self.models,
            tags: self.tags,
            users: self.users,
            tools: self.tools,
            priority: self.priority,
            default: self.default,
            expires: self.expires,
            reason: self.reason,
        }
    }
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// What is no JSON, is of another version, breaks a rule, is empty, or is not the set whose
    /// digest it names.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleFault> {
        let raw: RawBundle = serde_json::from_slice(bytes)
            .map_err(|error| bundle_fault(format!("it cannot be parsed: {error}")))?;
        if raw.version != VERSION {
            let found = raw.version;
            return Err(bundle_fault(format!(
                "it is a bundle of version {found}; {VERSION} is read here"
            )));
        }

        let policies: Vec<WrittenPolicy> = raw.policies.read_all("policy")?;
        let attachments: Vec<WrittenAttachment> = raw.attachments.read_all("attachment")?;
        let versions: Vec<(String, u64)> = policies.iter().filter_map(numbered_name).collect();
        let set = read_set(policies, attachments)?;
        if set.is_empty() {
            return Err(bundle_fault("it has no policy, or attaches none"));
        }

        if *set.digest != *raw.digest {
            return Err(bundle_fault(format!(
                "its digest is `{}`, and what is read here has `{}`: this release is older than \
                    the daemon",
                raw.digest, set.digest
            )));
        }

        let mut numbers = vec![None; set.policies.len()];
        for (name, version) in versions {
            let place = set.find_policy(&name).map(|(id, _)| id.0 as usize);
            if let Some(slot) = place.and_then(|place| numbers.get_mut(place)) {
                *slot = Some(version);
            }
        }

        Ok(Self {
            set,
            commit: raw.commit,
            versions: numbers,
        })
    }
}

/// A policy's name with its version number, where that is known.
fn numbered_name(policy: &WrittenPolicy) -> Option<(String, u64)> {
    let version = policy.version.as_ref()?.as_u64()?;
    Some((policy.name.as_str().to_owned(), version))
}

fn read_set(
    policies: Vec<WrittenPolicy>,
    attachments: Vec<WrittenAttachment>,
) -> Result<PolicySet, BundleFault> {
    let file = SourceFile::new("bundle", String::new());
    let policies = policies
        .into_iter()
        .map(|policy| Body::Policy(Arc::new(policy.into_raw())));
    let attachments = attachments
        .into_iter()
        .map(|attachment| Body::Attachment(Arc::new(attachment.into_raw())));
    let bodies = (0..).zip(policies.chain(attachments));
    let documents = bodies
        .map(|(place, body)| make_document(&file, place, body))
        .collect();
    let loaded = Loaded {
        documents,
        sources: vec![file],
        ..Loaded::default()
    };

    // The daemon has judged the set as of the release that promoted it: no younger rule takes it
    // away here.
    let checked = check_errors(loaded, Release::FIRST);
    if let Some(error) = checked.errors().next() {
        return Err(bundle_fault(format!(
            "{}: {}",
            error.rule.code, error.message
        )));
    }

    checked.set.ok_or_else(|| bundle_fault("it makes no set"))
}

/// One document. Its place is its number: attachments of the same rank stay in the bundle's order.
fn make_document(file: &SourceFile, place: usize, body: Body) -> Document {
    Document {
        file: file.clone(),
        span: Span::new(place, place),
        body,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{Limits, load_file};
    use crate::policy::{Levels, attachment_json, check_documents, policy_json};

    /// The bundle of a set, as the daemon writes one.
    fn bundle_of(set: &PolicySet) -> Value {
        let policies: Vec<Value> = set
            .policies
            .iter()
            .map(|policy| {
                let mut fields = policy_json(set, policy);
                fields["digest"] = json!(*policy.digest);
                fields["version"] = json!(3);
                if fields.get("requestable").is_none() {
                    fields["requestable"] = Value::Null;
                }

                fields
            })
            .collect();
        let attachments: Vec<Value> = set
            .attachments
            .iter()
            .map(|attachment| {
                let mut fields = attachment_json(set, attachment);
                if fields.get("expires").is_none() {
                    fields["expires"] = Value::Null;
                }

                fields
            })
            .collect();

        json!({
            "version": 1, "set": "production", "commit": "c0ffee", "digest": *set.digest, "instant": null,
            "valid_until": null, "guardrails": null, "policies": policies, "attachments": attachments, "later": 1,
        })
    }

    fn set() -> PolicySet {
        let header = "---\napiVersion: refguard/v1\nkind:";
        let text = format!(
            "{header} Policy\nname: base\nguardrails: {{add: [b, a]}}\nrequestable: true\n\
             {header} Policy\nname: child\ninherit: base\ncondition: {{model: 'gpt-.*'}}\n\
             guardrails: {{add: [b, c], remove: [a]}}\n\
             pipeline: {{mode: pre_call, steps: [{{guardrail: b, on_fail: next}}, {{guardrail: c}}]}}\n\
             {header} PolicyAttachment\npolicy: child\nteams: [health-*]\nusers: [ada]\n\
             priority: 3\n\
             {header} PolicyAttachment\npolicy: child\nteams: [z]\nexpires: 2026-12-31\n\
             reason: a pilot\n\
             {header} PolicyAttachment\npolicy: base\nteams: [a]\n\
             {header} PolicyAttachment\npolicy: base\nscope: \"*\"\ndefault: true\n"
        );
        let loaded = load_file("f.yaml", text.into_bytes(), &Limits::DEFAULT);
        let checked = check_documents(loaded, &Levels::default());
        let errors: Vec<String> = checked.errors().map(ToString::to_string).collect();
        checked.set.unwrap_or_else(|| panic!("{errors:?}"))
    }

    fn refusal(bundle: &Value) -> String {
        let read = Bundle::from_json(bundle.to_string().as_bytes());
        read.map(|_| "read".to_owned())
            .unwrap_or_else(|fault| fault.to_string())
    }

    #[test]
    fn a_set_comes_back_as_it_was_served() {
        let served = set();
        let read = Bundle::from_json(bundle_of(&served).to_string().as_bytes()).expect("a bundle");
        assert_eq!(read.set.digest, served.digest);
        assert_eq!(bundle_of(&read.set), bundle_of(&served));
        assert_eq!(read.versions, [Some(3), Some(3)]);

        assert_eq!(read.commit.as_deref(), Some("c0ffee"));
    }

    #[test]
    fn what_is_read_otherwise_than_it_was_written_is_refused() {
        let with = |change: fn(&mut Value)| {
            let mut bundle = bundle_of(&set());
            change(&mut bundle);
            refusal(&bundle)
        };

        let digest = with(|b| b["attachments"][0]["teams"] = json!(["finance"]));
        assert!(
            digest.contains("this release is older than the daemon"),
            "{digest}"
        );
        assert!(with(|b| b["version"] = json!(2)).contains("version 2"));
        let later = with(|b| {
            let all = b["attachments"].as_array_mut().expect("a list");
            let ending = all
                .iter_mut()
                .find(|one| !one["expires"].is_null())
                .expect("one ends");
            ending["expires"] = json!("2027-12-31T00:00:00Z");
        });

        assert!(later.contains("its digest is"), "{later}");
        assert!(with(|b| b["attachments"][0]["policy"] = json!("nobody")).contains("`nobody`"));
        assert!(with(|b| b["policies"][0]["inherit"] = json!("child")).starts_with("RG"));
        assert!(
            with(|b| b["policies"][1]["condition"] = json!({"model": ["(?=x)"]})).starts_with("RG")
        );
        assert!(with(|b| b["policies"] = json!([])).len() > 4);
        assert!(with(|b| b["attachments"] = json!([])).contains("attaches none"));
        assert!(refusal(&json!([])).contains("parsed"));

        assert_eq!(with(|b| b["policies"][0]["colour"] = json!("red")), "read");
    }

    #[test]
    fn what_cannot_be_parsed_is_told_by_its_name() {
        let with = |change: fn(&mut Value)| {
            let mut bundle = bundle_of(&set());
            change(&mut bundle);
            refusal(&bundle)
        };

        for (change, said) in [
            (
                (|b| b["policies"][1]["guardrails"]["colour"] = json!([])) as fn(&mut Value),
                "policy `child`: unknown field `colour`",
            ),
            (
                |b| b["policies"][0]["name"] = json!("a@b"),
                "policy `a@b`: the name `a@b`",
            ),
            (
                |b| b["attachments"][0]["teams"] = json!("*"),
                "attachment `child`: invalid type: string",
            ),
            (
                |b| b["attachments"][1] = json!({"teams": ["\n"]}),
                "attachment ``: missing field `policy`",
            ),
            (
                |b| b["attachments"][2] = json!(7),
                "attachment ``: invalid type: integer `7`",
            ),
        ] {
            let told = with(change);
            assert!(
                told.starts_with(&format!("it cannot be parsed: {said}")),
                "{told}"
            );
        }

        // Of several the first, whichever processor is done first.
        for _ in 0..20 {
            let told = with(|b| {
                b["policies"][0]["owner"] = json!(1);
                b["policies"][1]["owner"] = json!(2);
            });
            assert!(
                told.contains("policy `base`: invalid type: integer `1`"),
                "{told}"
            );
        }

        // What is not known yet is not a reason to refuse the set.
        assert_eq!(with(|b| b["policies"][0]["version"] = json!(null)), "read");
        assert_eq!(
            with(|b| b["policies"][0]["version"] = json!({"later": 1})),
            "read"
        );
    }
}
