//! `compare`: two versions of a policy, field by field.

use anyhow::{Result, bail};
use refguard_core::diff::{Comparison, FieldChange, VersionName, compare_documents};
use refguard_core::policy::raw_policy_json;
use serde_json::{Value, json};

use crate::ops::VersionHistory;
use crate::ops::history::address::Address;
use crate::ops::source::load::Progress;

/// Two versions and the fields in which they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    policy: String,
    a: ComparedSide,
    b: ComparedSide,
    fields: Vec<FieldChange>,
}

/// One of the two; a draft has neither number nor commit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ComparedSide {
    number: Option<u64>,
    commit: Option<String>,
    document: Value,
}

impl Compared {
    /// As it is shown.
    pub fn comparison(&self) -> Comparison<'_> {
        Comparison::new(
            &self.policy,
            self.a.name(),
            self.b.name(),
            self.fields.clone(),
        )
    }
}

impl ComparedSide {
    fn name(&self) -> VersionName<'_> {
        VersionName {
            number: self.number,
            commit: self.commit.as_deref(),
        }
    }
}

impl VersionHistory<'_> {
    /// Compares two versions of one policy. A bare name means the draft in the work tree.
    ///
    /// # Errors
    /// Where there is no such version, or the two are of different policies.
    pub fn compare(
        &mut self,
        a: Address<'_>,
        b: Address<'_>,
        progress: &dyn Progress,
    ) -> Result<Compared> {
        if a.policy != b.policy {
            bail!(
                "`{}` and `{}` are two policies, and versions of one are compared",
                a.policy,
                b.policy
            );
        }
        let (policy, a, b) = (
            a.policy.to_owned(),
            self.side(a, progress)?,
            self.side(b, progress)?,
        );
        let fields = compare_documents(&a.document, &b.document);
        Ok(Compared {
            policy,
            a,
            b,
            fields,
        })
    }

    fn side(&mut self, address: Address<'_>, progress: &dyn Progress) -> Result<ComparedSide> {
        let policy = address.policy;
        if address.which.is_none() {
            let Some(draft) = self.draft_of(policy)? else {
                bail!("the work tree has no policy `{policy}`")
            };
            return Ok(ComparedSide {
                number: None,
                commit: None,
                document: raw_policy_json(&draft.raw),
            });
        }
        let version = self.require_version(address, progress)?;
        let document = match &version.document {
            // What is gone has no fields.
            None => json!({}),
            Some(document) => raw_policy_json(&self.version_document(policy, document)?.raw),
        };
        Ok(ComparedSide {
            number: Some(version.number),
            commit: Some(version.commit.to_string()),
            document,
        })
    }
}
