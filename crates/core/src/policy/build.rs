//! From documents to a valid set: judge, then build.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::condition::ModelPattern;
use super::draft::{DraftSet, Item};
use super::rules::{Scope, SetRule};
use super::{
    Attachment, Catalog, ConditionId, Environment, Freeze, GuardrailId, Invariant, Levels, Pattern,
    Pipeline, Place, Policy, PolicyId, PolicySet, Settings, Step, Targets, canonical, cases,
    freeze, rules,
};
use crate::document::{
    Body, Dimension, Finding, GateLevel, Loaded, Name, PatternList, PerDimension, RawAttachment,
    RawBox, RawEnvironment, RawInvariant, RawPipeline, RawPolicy, RawRepository, RawStep, Release,
    Severity, SourceFile, Spanned,
};

/// The result of judging a tree.
#[derive(Debug)]
pub struct Checked {
    /// The set; `None` where a finding is an error.
    pub set: Option<PolicySet>,
    /// Every finding, levels applied, in the order of reports.
    pub findings: Vec<Finding>,
    /// The files read, for renderers.
    pub sources: Vec<SourceFile>,
    /// What was read.
    pub counts: Counts,
}

impl Checked {
    /// The findings for which there is no set.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_error())
    }

    /// The findings for which the rules of now would make no set, where those of an older release
    /// do.
    pub fn lowered_findings(&self) -> Vec<Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.is_lowered())
            .cloned()
            .collect()
    }
}

/// How many documents were read, sound or not in their meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files with documents of ours.
    pub files: usize,
    /// Policies.
    pub policies: usize,
    /// Attachments.
    pub attachments: usize,
    /// Test cases.
    pub cases: usize,
    /// Invariants.
    pub invariants: usize,
}

/// Judges the documents of a tree by every rule and, if no finding is an error, builds the set.
///
/// `flags` are levels from the command line; they go over those of refguard.yaml.
pub fn check_documents(loaded: Loaded, flags: &Levels) -> Checked {
    judge_documents(loaded, &[], flags, |_, _| true, true)
}

/// As [`check_documents`], beside a set that may have much in common with the documents: the
/// conditions that it has are not read again.
pub fn check_beside(loaded: Loaded, flags: &Levels, known: Option<&PolicySet>) -> Checked {
    judge_documents(loaded, conditions_of(known), flags, |_, _| true, true)
}

/// As [`check_beside`], for those who have the set from elsewhere: only judges.
pub fn check_findings(loaded: Loaded, flags: &Levels, known: Option<&PolicySet>) -> Checked {
    judge_documents(loaded, conditions_of(known), flags, |_, _| true, false)
}

/// As [`check_documents`], for those who only want to know whether there is a set: no warning is
/// looked for, unless refguard.yaml makes it an error. What is only an error since a later release
/// than `as_of` is a warning, and found.
pub fn check_errors(loaded: Loaded, as_of: Release) -> Checked {
    check_errors_beside(loaded, as_of, None)
}

/// As [`check_errors`], beside a set as [`check_beside`] has it.
pub fn check_errors_beside(loaded: Loaded, as_of: Release, known: Option<&PolicySet>) -> Checked {
    judge_documents(
        loaded,
        conditions_of(known),
        &Levels::as_of(as_of),
        is_error,
        true,
    )
}

fn conditions_of(known: Option<&PolicySet>) -> &[ModelPattern] {
    known.map_or(&[], |known| &known.conditions)
}

/// The set of some documents of a set whose other documents are known to be sound: judged by the
/// rules that look at one document. `None` where one is broken, or where the settings make an error
/// of a rule that needs the whole set.
pub(super) fn check_part(loaded: Loaded, known: &PolicySet) -> Option<PolicySet> {
    let settings = loaded
        .documents
        .iter()
        .find_map(|document| match &document.body {
            Body::Repository(raw) => Some(rules::levels_of(raw)),
            _ => None,
        });
    if settings.is_some_and(|levels| rules::raises_whole_rule(&levels)) {
        return None;
    }

    let shows_here =
        |rule: &SetRule, levels: &Levels| rule.scope != Scope::Whole && is_error(rule, levels);
    judge_documents(
        loaded,
        &known.conditions,
        &Levels::default(),
        shows_here,
        true,
    )
    .set
}

fn is_error(rule: &SetRule, levels: &Levels) -> bool {
    levels.severity_of(rule.rule) == Severity::Error
}

fn judge_documents(
    mut loaded: Loaded,
    known: &[ModelPattern],
    flags: &Levels,
    wanted: fn(&SetRule, &Levels) -> bool,
    build: bool,
) -> Checked {
    loaded.lost.retain(|lost| lost.since <= flags.release());
    let mut findings = std::mem::take(&mut loaded.findings);
    loaded.findings = findings.clone();
    let draft = DraftSet::beside(&loaded, known);
    let mut levels = rules::settings_levels(&draft);
    levels.overlay_levels(flags);
    rules::judge_draft(&draft, &|rule| wanted(rule, &levels), &mut findings);
    levels.apply_levels(&mut findings);
    let counts = Counts {
        files: loaded.sources.len(),
        policies: draft.policies.len(),
        attachments: draft.attachments.len(),
        cases: draft
            .tests
            .iter()
            .map(|test| {
                test.raw
                    .cases
                    .iter()
                    .map(|case| cases::count_cases(&case.value))
                    .sum::<usize>()
            })
            .sum(),
        invariants: draft.invariants.len(),
    };

    let sound = !findings.iter().any(Finding::is_error);
    let set = if sound && build {
        Builder::new(&draft).build_set()
    } else {
        None
    };

    drop(draft);
    Checked {
        set,
        findings,
        sources: loaded.sources,
        counts,
    }
}

/// Builds what the rules have found sound. Every step that the rules should have made impossible
/// ends the build instead of leaving something out.
struct Builder<'d, 'a> {
    draft: &'d DraftSet<'a>,
    /// Draft indexes of the policies in the order of their names.
    order: Vec<usize>,
    /// The set's id of each draft index.
    ids: Vec<PolicyId>,
    guardrails: FxHashMap<&'a str, GuardrailId>,
    conditions: FxHashMap<&'a str, ConditionId>,
    condition_list: Vec<ModelPattern>,
}

impl<'d, 'a> Builder<'d, 'a> {
    fn new(draft: &'d DraftSet<'a>) -> Self {
        let mut order: Vec<usize> = (0..draft.policies.len()).collect();
        let name = |index: &usize| {
            draft
                .policies
                .get(*index)
                .map_or("", |p| p.raw.name.as_str())
        };

        order.sort_by(|a, b| name(a).cmp(name(b)));
        let mut ids = vec![PolicyId(0); order.len()];
        for (id, index) in (0u32..).zip(&order) {
            if let Some(slot) = ids.get_mut(*index) {
                *slot = PolicyId(id);
            }
        }

        Self {
            draft,
            order,
            ids,
            guardrails: number_names(guardrail_names(draft))
                .map(|(i, name)| (name, GuardrailId(i)))
                .collect(),
            conditions: FxHashMap::default(),
            condition_list: Vec::new(),
        }
    }

    fn build_set(mut self) -> Option<PolicySet> {
        let draft = self.draft;
        self.intern_conditions()?;
        let order = self.order.clone();
        let policies: Vec<Arc<Policy>> = order
            .iter()
            .map(|index| self.build_policy(*index).map(Arc::new))
            .collect::<Option<_>>()?;
        let by_name = (0u32..)
            .zip(&policies)
            .map(|(id, p)| (p.name.clone(), PolicyId(id)))
            .collect();
        let mut attachments: Vec<Arc<Attachment>> = draft
            .attachments
            .iter()
            .map(|item| self.build_attachment(item).map(Arc::new))
            .collect::<Option<_>>()?;

        attachments.sort_by_key(|attachment| attachment.evaluation_order());
        let mut guardrails: Vec<(&str, GuardrailId)> =
            self.guardrails.iter().map(|(n, id)| (*n, *id)).collect();
        guardrails.sort_by_key(|(_, id)| *id);
        let mut set = PolicySet {
            settings: draft
                .repository
                .first()
                .map(repository_settings)
                .unwrap_or_default(),
            catalog: build_catalog(draft),
            policies,
            attachments,
            tests: draft.tests.iter().map(cases::build_suite).collect(),
            invariants: draft.invariants.iter().map(build_invariant).collect(),
            guardrails: guardrails
                .into_iter()
                .map(|(name, _)| name.into())
                .collect(),
            conditions: std::mem::take(&mut self.condition_list),
            by_name,
            digest: "".into(),
        };

        // A digest is of names, so it needs the whole set around it.
        canonical::seal_digests(&mut set);
        Some(set)
    }

    fn intern_conditions(&mut self) -> Option<()> {
        let mut texts: Vec<&'a str> = self.draft.conditions.keys().copied().collect();
        texts.sort_unstable();
        for (id, text) in (0u32..).zip(texts) {
            self.condition_list
                .push(self.draft.conditions.get(text)?.as_ref().ok()?.clone());
            self.conditions.insert(text, ConditionId(id));
        }

        Some(())
    }

    fn policy_id(&self, name: &str) -> Option<PolicyId> {
        self.ids.get(*self.draft.by_name.get(name)?).copied()
    }

    fn build_policy(&self, index: usize) -> Option<Policy> {
        let item = self.draft.policies.get(index)?;
        let raw: &RawPolicy = item.raw;
        let mut chain: Vec<PolicyId> = self
            .draft
            .chain_upwards(index)
            .map(|i| self.ids.get(i).copied())
            .collect::<Option<_>>()?;

        chain.reverse();
        let own = raw.guardrails.as_ref();
        Some(Policy {
            name: raw.name.as_str().into(),
            description: raw.description.as_ref().map(|d| d.as_str().into()),
            owner: raw.owner.as_ref().map(|o| o.as_str().into()),
            parent: raw
                .inherit
                .as_ref()
                .map(|parent| self.policy_id(parent).ok_or(()))
                .transpose()
                .ok()?,
            chain: chain.into(),
            add: self.guardrail_ids(own.and_then(|g| g.add.as_deref()))?,
            remove: self.guardrail_ids(own.and_then(|g| g.remove.as_deref()))?,
            condition: raw
                .condition
                .as_ref()
                .map(|c| self.condition_ids(&c.model.0).ok_or(()))
                .transpose()
                .ok()?,
            pipeline: raw
                .pipeline
                .as_ref()
                .map(|p| self.build_pipeline(p).ok_or(()))
                .transpose()
                .ok()?,
            requestable: raw.requestable.is_some_and(|flag| flag.value),
            place: place_of(item),
            digest: "".into(),
            canonical: "".into(),
        })
    }

    fn guardrail_ids(&self, names: Option<&[Spanned<Name>]>) -> Option<Vec<GuardrailId>> {
        names
            .unwrap_or_default()
            .iter()
            .map(|name| self.guardrails.get(name.as_str()).copied())
            .collect()
    }

    fn condition_ids(&self, texts: &[Spanned<String>]) -> Option<Vec<ConditionId>> {
        texts
            .iter()
            .map(|text| self.conditions.get(text.as_str()).copied())
            .collect()
    }

    fn build_pipeline(&self, raw: &RawPipeline) -> Option<Pipeline> {
        let step = |raw: &Spanned<RawStep>| {
            Some(Step::from_raw(
                raw,
                *self.guardrails.get(raw.guardrail.as_str())?,
            ))
        };

        Some(Pipeline {
            mode: raw.mode.value,
            steps: raw.steps.iter().map(step).collect::<Option<_>>()?,
        })
    }

    fn build_attachment(&self, item: &Item<'_, RawAttachment>) -> Option<Attachment> {
        let raw = item.raw;
        Some(Attachment {
            policy: self.policy_id(&raw.policy)?,
            everywhere: raw.scope.is_some(),
            targets: build_targets(|dimension| raw.patterns(dimension)),
            priority: raw.priority.map(|p| p.value),
            default: raw.default.is_some_and(|d| d.value),
            expires: raw.expiry_instant(),
            reason: raw.reason.as_ref().map(|reason| reason.as_str().into()),
            place: place_of(item),
            canonical: "".into(),
        })
    }
}

fn guardrail_names<'a>(draft: &DraftSet<'a>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for policy in &draft.policies {
        let raw = policy.raw;
        if let Some(own) = &raw.guardrails {
            names.extend(
                own.add
                    .iter()
                    .chain(&own.remove)
                    .flatten()
                    .map(|name| name.as_str()),
            );
        }

        if let Some(pipeline) = &raw.pipeline {
            names.extend(pipeline.steps.iter().map(|step| step.guardrail.as_str()));
        }
    }

    names
}

fn number_names(mut names: Vec<&str>) -> impl Iterator<Item = (u32, &str)> {
    names.sort_unstable();
    names.dedup();
    (0u32..).zip(names)
}

pub(super) fn place_of<T>(item: &Item<'_, T>) -> Place {
    let location = item.file.locate_span(item.span);
    Place {
        file: location.file,
        line: location.line,
    }
}

/// The box whose patterns `list` gives.
fn build_targets<'a>(list: impl Fn(Dimension) -> PatternList<'a>) -> Targets {
    let parsed = |dimension| {
        Some(
            list(dimension)?
                .iter()
                .map(|text| Pattern::parse(text))
                .collect::<Vec<_>>(),
        )
    };

    Targets(PerDimension::from_fn(parsed))
}

/// The box of an invariant or of an exception in a test.
pub(super) fn box_targets(raw: &RawBox) -> Targets {
    build_targets(|dimension| raw.patterns(dimension))
}

/// The settings of a Repository document, defaults filled in; of none: the defaults.
pub fn build_settings(raw: Option<&RawRepository>) -> Settings {
    let mut settings = Settings::default();
    let Some(raw) = raw else { return settings };
    if let Some(branch) = &raw.publish_branch {
        settings.publish_branch = branch.as_str().to_owned();
    }

    if let Some(environments) = &raw.environments {
        settings.environments = environments.iter().map(|e| build_environment(e)).collect();
    }

    let texts = |globs: &[Spanned<String>]| globs.iter().map(|glob| glob.value.clone()).collect();
    settings.include = raw.include.as_deref().map(texts);
    settings.exclude = raw.exclude.as_deref().map(texts).unwrap_or_default();
    settings.levels = rules::levels_of(raw);

    settings
}

/// The settings of a Repository document, with its place.
fn repository_settings(item: &Item<'_, RawRepository>) -> Settings {
    Settings {
        place: Some(place_of(item)),
        ..build_settings(Some(item.raw))
    }
}

fn gate_level(level: Option<Spanned<GateLevel>>) -> GateLevel {
    level.map_or(GateLevel::Warn, |level| level.value)
}

fn build_environment(raw: &RawEnvironment) -> Environment {
    let default = Environment::named(&raw.name);
    Environment {
        reference: raw
            .reference
            .as_ref()
            .map_or(default.reference, |r| r.value.clone()),
        from: raw.from.as_ref().map(|from| from.value.clone()),
        weaken: gate_level(raw.gates.as_ref().and_then(|gates| gates.weaken)),
        safeguards: gate_level(raw.gates.as_ref().and_then(|gates| gates.safeguards)),
        allow: raw
            .allow
            .iter()
            .flatten()
            .map(|who| who.value.clone())
            .collect(),
        freeze: raw
            .freeze
            .iter()
            .flatten()
            .map(|freeze| Freeze::from_raw(freeze))
            .collect(),
        soak: raw.soak.as_ref().map(freeze::soak_of),
        name: default.name,
    }
}

fn build_catalog(draft: &DraftSet<'_>) -> Catalog {
    let guardrails = draft.catalog.guardrails.as_ref();
    let mut catalog = Catalog {
        guardrails: guardrails.map(|known| known.values().cloned().collect()),
        values: PerDimension::default(),
    };

    for Item { raw, .. } in &draft.catalogs {
        for (dimension, merged) in catalog.values.iter_mut() {
            if let Some(texts) = raw.values(dimension) {
                let texts = texts.iter().map(|text| Arc::from(text.as_str()));
                merged.get_or_insert_default().extend(texts);
            }
        }
    }

    catalog
}

fn build_invariant(item: &Item<'_, RawInvariant>) -> Invariant {
    let raw = item.raw;
    let names = |list: &Option<Spanned<Vec<Spanned<Name>>>>| {
        list.iter()
            .flat_map(|list| list.iter())
            .map(|name| Arc::from(name.as_str()))
            .collect()
    };

    Invariant {
        name: raw.name.as_str().into(),
        applies: raw
            .for_
            .as_ref()
            .map(|b| box_targets(b))
            .unwrap_or_default(),
        except: raw.except.as_ref().map(|b| box_targets(b)),
        require: names(&raw.require),
        any_of: names(&raw.any_of),
        forbid: names(&raw.forbid),
        place: place_of(item),
    }
}
