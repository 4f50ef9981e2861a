//! `/openapi.json`: kept by hand; a test holds it against the routes.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("openapi.json");

/// The description of this API.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::app::ROUTES;
    use super::*;

    #[test]
    fn every_route_has_an_entry_and_every_entry_a_route() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut listed = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            let methods: Vec<&str> = methods.map(String::as_str).collect();
            match methods.len() {
                8.. => listed.insert(("any".to_owned(), path.clone())),
                _ => {
                    methods.iter().all(|method| listed.insert(((*method).to_owned(), path.clone())))
                }
            };
        }
        let served =
            ROUTES.iter().map(|(method, path)| ((*method).to_owned(), path.replace("{*", "{")));
        assert_eq!(served.collect::<BTreeSet<_>>(), listed);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut pending = vec![&document];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                    }
                    pending.extend(fields.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
    }
}
