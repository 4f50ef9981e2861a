//! Sets from LiteLLM configs, answers as LiteLLM gives them, and random sets and requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use refguard_core::document::Finding;
use refguard_core::interop::import_config;
use refguard_core::resolve::{Context, Engine, Request, Requested, Resolution};
use serde_json::{Value, json};

/// A file under `tests/data`.
pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// An engine for a LiteLLM config, which must be free of errors.
pub fn engine(config: &str) -> Engine {
    let imported = import_config("config.yaml", config.to_owned());
    let errors: Vec<String> = imported
        .findings
        .iter()
        .filter(|f| f.is_error())
        .map(Finding::to_string)
        .collect();
    let set = imported
        .set
        .unwrap_or_else(|| panic!("refused: {errors:#?}\n{config}"));
    Engine::new(Arc::new(set))
}

/// A request from a context and the names it asks for.
pub fn request(context: &Value, requested: &[&str]) -> Request {
    Request {
        context: Context::from_json(context).expect("a context"),
        policies: requested
            .iter()
            .map(|name| Requested::Named((*name).to_owned()))
            .collect(),
    }
}

/// An answer in the words of the conformance file.
pub fn answer(resolution: &Resolution<'_>) -> Value {
    let policies: Vec<Value> = resolution
        .policies
        .iter()
        .map(|policy| {
            json!({
                "policy": policy.name(),
                "matched_via": policy.matched_via().map(|reason| reason.to_string()),
                "guardrails": policy.guardrail_names().collect::<Vec<_>>(),
                "inheritance_chain": policy.chain_names().collect::<Vec<_>>(),
            })
        })
        .collect();
    let pipelines: Vec<Value> = resolution
        .pipelines
        .iter()
        .map(|resolved| {
            let steps: Vec<&str> = resolved
                .pipeline
                .steps
                .iter()
                .map(|step| resolved.set.guardrail(step.guardrail))
                .collect();
            json!({ "policy": resolved.policy, "mode": resolved.pipeline.mode, "steps": steps })
        })
        .collect();
    json!({
        "policies": policies,
        "guardrails": resolution.guardrails,
        "pipelines": pipelines,
        "pipeline_guardrails": resolution.pipeline_guardrails,
    })
}

/// Names that a careless writer of YAML would spoil, among plain ones.
const NAMES: [&str; 8] = [
    "baseline",
    "no",
    "012",
    "a: b",
    "日本 policy",
    "Über-policy",
    "# hash",
    "1e3",
];
const GUARDRAILS: [&str; 6] = ["pii", "log", "yes", "0755", "hipaa audit", "phi*"];
const TEAMS: [&str; 8] = [
    "*",
    "health*",
    "health-eu",
    "finance",
    "a*b",
    "",
    "Health*",
    "**",
];
const KEYS: [&str; 6] = ["*", "prod-*", "prod-key-1", "ci/*", "dev-", "null"];
const MODELS: [&str; 6] = [
    "gpt-4",
    "gpt-*",
    "bedrock/*",
    "*",
    "o1+",
    "claude-3.5-sonnet",
];
const TAGS: [&str; 6] = ["phi*", "phi-eu", "tier-1", "*", "true", "a,b"];
const CONDITIONS: [&str; 9] = [
    "gpt-4",
    "gpt-4.*",
    "(gpt|claude)-.*",
    "o1+",
    ".*",
    r"claude-3\.5-.*",
    "bedrock/.*",
    "[a-g].*",
    r"gpt-\d(o|-mini)?",
];
const ACTIONS: [&str; 4] = ["allow", "block", "next", "modify_response"];

fn some_of(pool: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::subsequence(pool, 1..=2)
        .prop_shuffle()
        .prop_map(|list| json!(list))
}

fn put(fields: &mut serde_json::Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value);
    }
}

/// A policy whose parent, if it has one, stands before it.
fn policy(index: usize) -> impl Strategy<Value = Value> {
    let condition = prop::sample::subsequence(&CONDITIONS, 1..=2).prop_map(
        |list| json!({ "model": if list.len() == 1 { json!(list[0]) } else { json!(list) } }),
    );
    let add = prop::sample::subsequence(&GUARDRAILS, 0..=3).prop_shuffle();
    let remove = prop::option::of(some_of(&GUARDRAILS));
    let text = prop::option::of(prop::sample::select(
        &["HIPAA: all of it", "no", "two\nlines", " x", "é"][..],
    ));
    let parent = prop::option::of(0..index.max(1));
    let steps = (
        prop::bool::weighted(0.4),
        prop::sample::select(&ACTIONS[..]),
        prop::option::of(prop::sample::select(&ACTIONS[..])),
    );
    (
        add,
        remove,
        prop::option::of(condition),
        text,
        parent,
        steps,
        any::<bool>(),
    )
        .prop_map(
            move |(add, remove, condition, text, parent, (piped, on_fail, on_error), pre)| {
                let mut fields = serde_json::Map::new();
                let mut guardrails = serde_json::Map::new();
                guardrails.insert("add".to_owned(), json!(add));
                put(&mut guardrails, "remove", remove);
                fields.insert("guardrails".to_owned(), Value::Object(guardrails));
                put(&mut fields, "condition", condition);
                put(&mut fields, "description", text.map(|text| json!(text)));
                put(
                    &mut fields,
                    "inherit",
                    parent
                        .filter(|_| index > 0)
                        .map(|parent| json!(NAMES[parent])),
                );
                if piped && !add.is_empty() {
                    let step = |name: &&str| {
                        let mut step = serde_json::Map::new();
                        step.insert("guardrail".to_owned(), json!(name));
                        step.insert("on_pass".to_owned(), json!("next"));
                        step.insert("on_fail".to_owned(), json!(on_fail));
                        put(&mut step, "on_error", on_error.map(|action| json!(action)));
                        step.insert(
                            "modify_response_message".to_owned(),
                            text.map_or(Value::Null, |text| json!(text)),
                        );
                        Value::Object(step)
                    };
                    let steps: Vec<Value> = add.iter().map(step).collect();
                    let mut pipeline = serde_json::Map::new();
                    pipeline.insert("steps".to_owned(), json!(steps));
                    put(&mut pipeline, "mode", (!pre).then(|| json!("post_call")));
                    fields.insert("pipeline".to_owned(), Value::Object(pipeline));
                }
                Value::Object(fields)
            },
        )
}

fn attachment(policies: usize) -> impl Strategy<Value = Value> {
    let lists = (
        prop::option::of(some_of(&TEAMS)),
        prop::option::of(some_of(&KEYS)),
        prop::option::of(some_of(&MODELS)),
        prop::option::of(some_of(&TAGS)),
    );
    let priority = prop::option::weighted(0.3, -2..3i32);
    (0..policies, lists, priority, prop::bool::weighted(0.2)).prop_map(
        |(policy, (teams, keys, models, tags), priority, default)| {
            let mut fields = serde_json::Map::new();
            fields.insert("policy".to_owned(), json!(NAMES[policy]));
            let nothing = teams.is_none() && keys.is_none() && models.is_none() && tags.is_none();
            for (key, list) in [
                ("teams", teams),
                ("keys", keys),
                ("models", models),
                ("tags", tags),
            ] {
                put(&mut fields, key, list);
            }
            put(&mut fields, "scope", nothing.then(|| json!("*")));
            put(
                &mut fields,
                "priority",
                priority.map(|priority| json!(priority)),
            );
            put(&mut fields, "default", default.then_some(json!(true)));
            Value::Object(fields)
        },
    )
}

/// A LiteLLM config without errors, as JSON, which is YAML.
pub fn config() -> impl Strategy<Value = String> {
    (1..=NAMES.len()).prop_flat_map(|count| {
        let policies: Vec<_> = (0..count).map(|index| policy(index).boxed()).collect();
        let attachments = prop::collection::vec(attachment(count), 0..10);
        (policies, attachments).prop_map(|(policies, attachments)| {
            let policies: serde_json::Map<String, Value> = NAMES
                .iter()
                .map(|name| (*name).to_owned())
                .zip(policies)
                .collect();
            json!({ "policies": policies, "policy_attachments": attachments }).to_string()
        })
    })
}

/// A context, near enough to the patterns for most requests to match something.
pub fn context() -> impl Strategy<Value = Value> {
    let team = prop::option::of(prop::sample::select(
        &[
            "health",
            "health-eu",
            "finance",
            "a*b",
            "",
            "Health",
            "x",
            "*x",
        ][..],
    ));
    let key = prop::option::of(prop::sample::select(
        &["prod-", "prod-key-1", "ci/a", "dev-", "", "null"][..],
    ));
    let model = prop::option::of(prop::sample::select(
        &[
            "gpt-4",
            "gpt-4o",
            "gpt-3",
            "o1+",
            "o11",
            "claude-3.5-sonnet",
            "claude-3x5-y",
            "bedrock/x",
            "",
            "GPT-4",
            "gpt-4\n",
        ][..],
    ));
    let tags = prop::collection::vec(
        prop::sample::select(&["phi", "phi-eu", "tier-1", "", "true", "a,b", "z"][..]),
        0..4,
    );
    (team, key, model, tags).prop_map(
        |(team, key, model, tags)| json!({ "team_alias": team, "key_alias": key, "model": model, "tags": tags }),
    )
}

/// Names that a request asks for, some of them unknown.
pub fn requested() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(
        prop::sample::select(&["baseline", "no", "a: b", "1e3", "nobody"][..]),
        0..3,
    )
}
