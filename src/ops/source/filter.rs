//! `include` and `exclude` of refguard.yaml: which files belong to the set.

use anyhow::{Context as _, Result};
use globset::{Glob, GlobSet, GlobSetBuilder};
use refguard_core::document::{Body, Document, Spanned};
use refguard_core::policy::Settings;

/// Where the settings stand.
pub(in crate::ops) const SETTINGS: &str = "refguard.yaml";

/// Which files count; by default every one.
#[derive(Debug, Default, PartialEq)]
pub(in crate::ops) struct Filter {
    include: Option<Globs>,
    exclude: Option<Globs>,
}

#[derive(Debug)]
struct Globs {
    texts: Vec<String>,
    set: GlobSet,
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Filter {
    /// As the settings among some documents have it.
    pub fn of_documents(documents: &[Document]) -> Result<Self> {
        let mut filter = Self::default();
        for document in documents {
            if let Body::Repository(raw) = &document.body {
                filter.include = raw.include.as_deref().map(globs).transpose()?.or(filter.include);
                filter.exclude = raw.exclude.as_deref().map(globs).transpose()?.or(filter.exclude);
            }
        }
        Ok(filter)
    }

    /// As the settings of a set have it.
    ///
    /// # Errors
    /// Where a glob cannot be read.
    pub fn of_settings(settings: &Settings) -> Result<Self> {
        let include = settings.include.as_deref().map(compile_globs).transpose()?;
        let exclude = match settings.exclude.as_slice() {
            [] => None,
            globs => Some(compile_globs(globs)?),
        };
        Ok(Self { include, exclude })
    }

    /// Whether a file counts; the settings always do.
    pub fn admits(&self, path: &str) -> bool {
        path == SETTINGS
            || (self.include.as_ref().is_none_or(|include| include.set.is_match(path))
                && !self.exclude.as_ref().is_some_and(|exclude| exclude.set.is_match(path)))
    }
}

fn globs(texts: &[Spanned<String>]) -> Result<Globs> {
    let texts: Vec<String> = texts.iter().map(|text| text.value.clone()).collect();
    compile_globs(&texts)
}

fn compile_globs(texts: &[String]) -> Result<Globs> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(Glob::new(text).with_context(|| format!("refguard.yaml: `{text}` is not a glob"))?);
    }
    Ok(Globs { texts: texts.to_vec(), set: set.build()? })
}
