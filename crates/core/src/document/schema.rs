//! The JSON Schemas (2020-12) of the six kinds, generated from the raw types.
//!
//! `schema/*.json` are these texts, committed; a test keeps them equal. `shape` judges with them,
//! and editors complete with them.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, Validator};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::{
    Kind, RawAttachment, RawCatalog, RawInvariant, RawPolicy, RawPolicyTest, RawRepository,
};

/// The schema of one kind.
pub fn schema_of(kind: Kind) -> Value {
    match kind {
        Kind::Repository => generate_schema::<RawRepository>(kind),
        Kind::Catalog => generate_schema::<RawCatalog>(kind),
        Kind::Policy => generate_schema::<RawPolicy>(kind),
        Kind::PolicyAttachment => generate_schema::<RawAttachment>(kind),
        Kind::PolicyTest => generate_schema::<RawPolicyTest>(kind),
        Kind::Invariant => generate_schema::<RawInvariant>(kind),
    }
}

/// One schema for a file that holds documents of any kind: `kind` decides.
pub fn any_schema() -> Value {
    let mut definitions = serde_json::Map::new();
    let mut choices = Vec::new();
    for kind in Kind::ALL {
        let mut schema = schema_of(kind);
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
        }

        // Its own `$id` makes the kind a resource of its own, so that `#/$defs/…` inside stays
        // inside.
        definitions.insert(kind.as_str().to_owned(), schema);
        choices.push(json!({
            "if": { "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] },
            "then": { "$ref": format!("urn:refguard:v1:{}", kind.slug()) }
        }));
    }

    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:refguard:v1:any",
        "title": "refguard document",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": { "apiVersion": { "const": "refguard/v1" }, "kind": { "enum": kinds } },
        "allOf": choices,
        "$defs": definitions
    })
}

fn generate_schema<T: JsonSchema>(kind: Kind) -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(NoNull)
        .with_transform(OneWord);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert(
        "$id".to_owned(),
        json!(format!("urn:refguard:v1:{}", kind.slug())),
    );
    schema.insert("title".to_owned(), json!(kind.as_str()));

    schema.to_value()
}

/// `Option<T>` means "may be left out", never "may be null".
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|t| t != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }

        if let Some(Value::Array(mut choices)) = schema.remove("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|t| t != "null"));
            match choices.as_slice() {
                [Value::Object(only)] => {
                    for (key, value) in only.clone() {
                        // The field's own description says more than the type's.
                        if schema.get(&key).is_none() {
                            schema.insert(key, value);
                        }
                    }
                }
                _ => {
                    schema.insert("anyOf".to_owned(), Value::Array(choices));
                }
            }
        }
    }
}

/// Enums with documented variants come as `oneOf` of constants; a plain `enum` reads better
/// everywhere.
#[derive(Clone)]
struct OneWord;

impl Transform for OneWord {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let words: Option<Vec<Value>> =
            schema
                .get("oneOf")
                .and_then(Value::as_array)
                .and_then(|choices| {
                    choices
                        .iter()
                        .map(|choice| choice.get("const").cloned())
                        .collect()
                });
        if let Some(words) = words {
            schema.remove("oneOf");
            schema.insert("type".to_owned(), json!("string"));
            schema.insert("enum".to_owned(), Value::Array(words));
        }
    }
}

/// The schema of a kind, generated once.
pub(super) fn cached_schema(kind: Kind) -> &'static Value {
    static SCHEMAS: [OnceLock<Value>; 6] = [const { OnceLock::new() }; 6];
    static NULL: Value = Value::Null;
    SCHEMAS
        .get(kind as usize)
        .map_or(&NULL, |cell| cell.get_or_init(|| schema_of(kind)))
}

/// The compiled schema of a kind, compiled once. `None` only if a schema of ours does not compile.
pub(super) fn validator_of(kind: Kind) -> Option<&'static Validator> {
    static COMPILED: [OnceLock<Option<Validator>>; 6] = [const { OnceLock::new() }; 6];
    COMPILED
        .get(kind as usize)?
        .get_or_init(|| compile_schema(cached_schema(kind)))
        .as_ref()
}

fn compile_schema(schema: &Value) -> Option<Validator> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .ok()
}
