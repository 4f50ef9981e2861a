//! `include` and `exclude` of refguard.yaml: which files belong to the set.

use anyhow::{Result, bail};
use globset::{Glob, GlobSet, GlobSetBuilder};
use refguard_core::document::rules::idle_glob;
use refguard_core::document::{Body, Document, Finding, Location, SourceFile, Spanned};
use refguard_core::policy::Settings;
use refguard_core::policy::rules::bad_settings;

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
                let globs = |texts: &[Spanned<String>]| build_globs(&document.file, texts);
                filter.include = raw
                    .include
                    .as_deref()
                    .map(globs)
                    .transpose()?
                    .or(filter.include);
                filter.exclude = raw
                    .exclude
                    .as_deref()
                    .map(globs)
                    .transpose()?
                    .or(filter.exclude);
            }
        }
        Ok(filter)
    }

    /// As the settings have it, but for the globs that cannot be read.
    pub fn of_readable(documents: &[Document]) -> Result<Self> {
        let mut filter = Self::default();
        let readable = |texts: &Vec<Spanned<String>>| -> Result<Option<Globs>> {
            let texts = texts.iter().filter(|text| glob_fault(text).is_none());
            let texts: Vec<String> = texts.map(|text| text.value.clone()).collect();
            (!texts.is_empty())
                .then(|| compile_globs(&texts))
                .transpose()
        };
        for document in documents {
            if let Body::Repository(raw) = &document.body {
                filter.include = raw.include.as_ref().map(readable).transpose()?.flatten();
                filter.exclude = raw.exclude.as_ref().map(readable).transpose()?.flatten();
            }
        }
        Ok(filter)
    }

    /// Every glob that cannot be read, where the settings among some documents have it.
    pub fn faults(documents: &[Document]) -> Vec<Finding> {
        let mut found = Vec::new();
        for document in documents {
            let Body::Repository(raw) = &document.body else {
                continue;
            };
            for text in raw.include.iter().chain(&raw.exclude).flatten() {
                let fault = glob_fault(text);
                let report =
                    |fault: String| bad_settings::report_glob(&document.file, text.span, &fault);
                found.extend(fault.map(report));
            }
        }
        found
    }

    /// The globs that match none of some paths.
    pub fn idle_globs<'p>(&self, paths: impl Iterator<Item = &'p str>) -> IdleGlobs {
        let of = |globs: &Option<Globs>| vec![true; globs.as_ref().map_or(0, |g| g.texts.len())];
        let mut idle = IdleGlobs {
            include: of(&self.include),
            exclude: of(&self.exclude),
        };
        let mut matched = Vec::new();
        for path in paths {
            for (globs, idle) in [
                (&self.include, &mut idle.include),
                (&self.exclude, &mut idle.exclude),
            ] {
                let Some(globs) = globs.as_ref().filter(|_| idle.contains(&true)) else {
                    continue;
                };
                globs.set.matches_into(path, &mut matched);
                for index in &matched {
                    if let Some(idle) = idle.get_mut(*index) {
                        *idle = false;
                    }
                }
            }
        }
        idle
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
            || (self
                .include
                .as_ref()
                .is_none_or(|include| include.set.is_match(path))
                && !self
                    .exclude
                    .as_ref()
                    .is_some_and(|exclude| exclude.set.is_match(path)))
    }
}

/// Which globs match no file: by field, in the order of the settings.
#[derive(Debug)]
pub(in crate::ops) struct IdleGlobs {
    include: Vec<bool>,
    exclude: Vec<bool>,
}

impl IdleGlobs {
    /// A warning for each, where the settings among some documents have it.
    pub fn findings(&self, documents: &[Document]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for document in documents {
            let Body::Repository(raw) = &document.body else {
                continue;
            };
            for (field, texts, idle) in [
                ("include", &raw.include, &self.include),
                ("exclude", &raw.exclude, &self.exclude),
            ] {
                let globs = texts.iter().flatten().zip(idle).filter(|(_, idle)| **idle);
                findings.extend(globs.map(|(text, _)| {
                    idle_glob::report_glob(&document.file, text.span, field, text)
                }));
            }
        }
        findings
    }
}

/// The globs of a field of the settings, each at its place.
fn build_globs(file: &SourceFile, texts: &[Spanned<String>]) -> Result<Globs> {
    for text in texts {
        if let Some(fault) = glob_fault(text) {
            let Location {
                file, line, column, ..
            } = file.locate_span(text.span);
            bail!("{file}:{line}:{column}: {fault}");
        }
    }
    let texts: Vec<String> = texts.iter().map(|text| text.value.clone()).collect();
    compile_globs(&texts)
}

/// Bytes that one glob may have. A path of git has at most 4,096, and what takes long to compile is
/// `{a,{a,…`: an expression whose nesting the length bounds.
const GLOB_BYTES: usize = 512;

fn glob_fault(text: &str) -> Option<String> {
    if text.len() > GLOB_BYTES {
        let length = text.len();
        return Some(format!(
            "this glob has {length} bytes: the limit `glob-bytes` is {GLOB_BYTES}; write several"
        ));
    }
    let error = Glob::new(text).err()?;
    Some(format!(
        "`{}` is not a glob: {}",
        text.escape_debug(),
        error.kind()
    ))
}

fn compile_globs(texts: &[String]) -> Result<Globs> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        if let Some(fault) = glob_fault(text) {
            bail!("{SETTINGS}: {fault}");
        }
        set.add(Glob::new(text)?);
    }
    Ok(Globs {
        texts: texts.to_vec(),
        set: set.build()?,
    })
}
