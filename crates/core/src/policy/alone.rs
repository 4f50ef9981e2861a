//! One document judged and built by itself: a version of a policy that is held beside a set.

use std::sync::Arc;

use crate::document::{Body, Document, Loaded, RawPolicy};

use super::{Levels, PolicySet, check_documents, raw_policy_digest};

/// The set of one policy's document; `None` where the document by itself breaks a rule.
///
/// Its parent stands elsewhere, so the policy in the set has none; its digest is that of the whole
/// document. Names are checked against no catalog.
pub fn check_alone(document: &Document, policy: &RawPolicy) -> Option<PolicySet> {
    let orphan = RawPolicy {
        inherit: None,
        ..policy.clone()
    };

    let document = Document {
        body: Body::Policy(Arc::new(orphan)),
        ..document.clone()
    };

    let loaded = Loaded {
        sources: vec![document.file.clone()],
        documents: vec![document],
        ..Loaded::default()
    };

    let mut set = check_documents(loaded, &Levels::default()).set?;
    Arc::make_mut(set.policies.first_mut()?).digest = raw_policy_digest(policy);
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, load_file};

    fn alone(fields: &str) -> Option<PolicySet> {
        let text = format!("apiVersion: refguard/v1\nkind: Policy\nname: p\n{fields}");
        let loaded = load_file("p.yaml", text.into_bytes(), &Limits::DEFAULT);
        let document = loaded.documents.first()?;

        match &document.body {
            Body::Policy(raw) => check_alone(document, raw),
            _ => None,
        }
    }

    #[test]
    fn a_document_needs_neither_its_parent_nor_a_catalog() {
        let set = alone("inherit: elsewhere\nguardrails: {add: [a], remove: [b]}\n").unwrap();
        let orphan = alone("guardrails: {add: [a], remove: [b]}\n").unwrap();
        let ([with], [without]) = (&set.policies[..], &orphan.policies[..]) else {
            panic!("one policy each")
        };

        assert!(with.parent.is_none());
        assert_ne!(with.digest, without.digest);
    }
}
