//! `refguard_litellm._core`: a policy set inside a Python process, asked in some microseconds.
//!
//! Owns the way between Python's values and the core's. Must not know LiteLLM's objects, nor how a
//! set came here: bytes and names come in, names and JSON texts go out.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use refguard_core::document::{Dimension, PipelineMode};
use refguard_core::interop::{attachment_for_litellm, policy_for_litellm};
use refguard_core::policy::{Bundle, BundleFault, Policy};
use refguard_core::resolve::{Context, Engine, Request, Requested};

/// The version of what Python may call here. The package refuses a module of another.
const INTERFACE: u32 = 1;

/// A policy with why it was matched; `None`: only the request named it.
type Matched = (String, Option<String>);

/// A whole set. Its documents never change; what is expired no longer matches.
#[pyclass(frozen, module = "refguard_litellm._core")]
struct PolicySet {
    /// With every attachment.
    whole: Arc<Engine>,
    /// Without those that are expired.
    current: Mutex<Arc<Engine>>,
    versions: Vec<Option<u64>>,
}

impl Drop for PolicySet {
    /// Letting a large set go takes tens of milliseconds: not on the thread that serves calls.
    fn drop(&mut self) {
        let nothing = Arc::new(Engine::new(Arc::default()));
        let whole = std::mem::replace(&mut self.whole, nothing.clone());
        let current = std::mem::replace(&mut self.current, Mutex::new(nothing));
        // Without a thread it is let go here.
        let _ = std::thread::Builder::new().spawn(move || drop((whole, current)));
    }
}

/// Who asks for what: team, key, model, tags, user.
#[derive(FromPyObject)]
struct Asked(
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<String>>,
    Option<String>,
);

impl Asked {
    fn into_context(self) -> PyResult<Context> {
        let Self(team, key, model, tags, user) = self;
        let single = [
            (Dimension::Team, team),
            (Dimension::Key, key),
            (Dimension::Model, model),
            (Dimension::User, user),
        ];
        let mut context = Context::default();
        context.extend(
            single
                .into_iter()
                .filter_map(|(of, value)| Some((of, value?))),
        );
        context.set_values(Dimension::Tag, tags.unwrap_or_default());
        context
            .within_limits()
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

impl PolicySet {
    /// The set as it is now.
    fn engine(&self) -> Arc<Engine> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = current.valid_until() {
            let now = Timestamp::now();
            if end <= now {
                *current = self.whole.as_of(now);
            }
        }
        current.clone()
    }
}

#[pymethods]
impl PolicySet {
    /// Reads the bundle of a daemon, without the interpreter's lock.
    #[staticmethod]
    fn parse(py: Python<'_>, body: &[u8]) -> PyResult<Self> {
        py.detach(|| {
            let Bundle { set, versions, .. } = Bundle::from_json(body)?;
            let whole = Arc::new(Engine::new(Arc::new(set.into_answers())));
            let current = Mutex::new(whole.as_of(Timestamp::now()));
            Ok::<_, BundleFault>(Self {
                whole,
                current,
                versions,
            })
        })
        .map_err(|fault| PyValueError::new_err(fault.to_string()))
    }

    /// The last instant at which an attachment expired, as an RFC 3339 time.
    #[getter]
    fn instant(&self) -> Option<String> {
        self.engine().instant().map(|instant| instant.to_string())
    }

    /// When the next attachment expires, as an RFC 3339 time.
    #[getter]
    fn valid_until(&self) -> Option<String> {
        self.engine().valid_until().map(|end| end.to_string())
    }

    /// How many policies it has.
    #[getter]
    fn policy_count(&self) -> usize {
        self.whole.set().policies.len()
    }

    /// How many attachments it has.
    #[getter]
    fn attachment_count(&self) -> usize {
        self.engine().set().attachments.len()
    }

    /// The names of its policies, sorted.
    fn policy_names(&self) -> Vec<String> {
        self.whole
            .set()
            .policies
            .iter()
            .map(|policy| policy.name.to_string())
            .collect()
    }

    /// Whether it has a policy of that name.
    fn has_policy(&self, name: &str) -> bool {
        self.whole.set().find_policy(name).is_some()
    }

    /// Whether a request may name the policy; `None` where there is none of that name.
    fn is_requestable(&self, name: &str) -> Option<bool> {
        self.whole
            .set()
            .find_policy(name)
            .map(|(_, policy)| policy.requestable)
    }

    /// The policy's version number; `None` where there is none of that name, or the number is not
    /// known.
    fn version(&self, name: &str) -> Option<u64> {
        let (id, _) = self.whole.set().find_policy(name)?;
        *self.versions.get(id.0 as usize)?
    }

    /// The policy as LiteLLM's configuration has it, as JSON.
    fn policy_json(&self, name: &str) -> Option<String> {
        let set = self.whole.set();
        let (_, policy) = set.find_policy(name)?;
        Some(policy_for_litellm(set, policy).to_string())
    }

    /// The attachment of that number as LiteLLM's configuration has it, as JSON; `None` where there
    /// is none, or LiteLLM has no words for it.
    fn attachment_json(&self, number: usize) -> Option<String> {
        let engine = self.engine();
        let set = engine.set();
        let attachment = set.attachments.get(number)?;
        attachment_for_litellm(set, attachment)
            .ok()
            .map(|json| json.to_string())
    }

    /// Every guardrail that some policy adds or steps through.
    fn guardrails(&self) -> Vec<String> {
        let set = self.whole.set();
        let mut ids: Vec<_> = set
            .policies
            .iter()
            .flat_map(|policy| {
                let steps = policy.pipeline.iter().flat_map(|pipeline| &pipeline.steps);
                policy
                    .add
                    .iter()
                    .copied()
                    .chain(steps.map(|step| step.guardrail))
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| set.guardrail(id).to_owned())
            .collect()
    }

    /// Each guardrail that is a step, with the modes of its pipelines.
    fn step_modes(&self) -> Vec<(String, &'static str)> {
        let set = self.whole.set();
        let mut modes: Vec<_> = set
            .policies
            .iter()
            .filter_map(|policy| policy.pipeline.as_ref())
            .flat_map(|pipeline| {
                let mode = mode_word(pipeline.mode);
                pipeline
                    .steps
                    .iter()
                    .map(move |step| (set.guardrail(step.guardrail).to_owned(), mode))
            })
            .collect();
        modes.sort_unstable();
        modes.dedup();
        modes
    }

    /// Why the set cannot be enforced by a LiteLLM proxy; `None` where it can.
    ///
    /// A proxy knows no tools when it matches policies; and where it fetches an answer later it
    /// does not know the user.
    fn unenforceable(&self) -> Option<String> {
        let set = self.whole.set();
        (1usize..).zip(&set.attachments).find_map(|(number, attachment)| {
            let policy = set.policy(attachment.policy)?;
            let name = &policy.name;
            if attachment.targets[Dimension::Tool].is_some() {
                return Some(format!(
                    "attachment {number}, of `{name}`, names `tools`, which a LiteLLM proxy does not know"
                ));
            }
            let fetches = attachment.targets[Dimension::User].is_some() && answers_later(policy);
            fetches.then(|| {
                format!(
                    "attachment {number}, of `{name}`, names `users` and the policy has a post_call pipeline: a \
                     LiteLLM proxy does not know the user of an answer that is fetched later"
                )
            })
        })
    }

    /// The attachments that match a request, whether their policies apply or not, in the order of
    /// evaluation: policy, reason, and whether it is a default one.
    fn matching(&self, asked: Asked) -> PyResult<Vec<(String, String, bool)>> {
        let context = asked.into_context()?;
        let engine = self.engine();
        let set = engine.set();
        let matching = engine.matching_attachments(&context);
        let told = matching.into_iter().filter_map(|(attachment, reason)| {
            let policy = set.policy(attachment.policy)?;
            Some((
                policy.name.to_string(),
                reason.to_string(),
                attachment.default,
            ))
        });
        Ok(told.collect())
    }

    /// What a request gets that also names policies: policies, guardrails, and the policies whose
    /// pipelines run.
    fn resolve(
        &self,
        asked: Asked,
        policies: Vec<String>,
    ) -> PyResult<(Vec<Matched>, Vec<String>, Vec<String>)> {
        let policies = policies.into_iter().map(Requested::Named).collect();
        let request = Request {
            context: asked.into_context()?,
            policies,
        };
        let engine = self.engine();
        let resolution = engine.resolve(&request);
        let matched = resolution.policies.iter().map(|policy| {
            (
                policy.name().to_owned(),
                policy.matched_via().map(|reason| reason.to_string()),
            )
        });
        Ok((
            matched.collect(),
            resolution
                .guardrails
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            resolution
                .pipelines
                .iter()
                .map(|piped| piped.policy.to_owned())
                .collect(),
        ))
    }
}

fn answers_later(policy: &Policy) -> bool {
    policy
        .pipeline
        .as_ref()
        .is_some_and(|pipeline| pipeline.mode == PipelineMode::PostCall)
}

fn mode_word(mode: PipelineMode) -> &'static str {
    match mode {
        PipelineMode::PreCall => "pre_call",
        PipelineMode::PostCall => "post_call",
    }
}

/// refguard's engine for a LiteLLM proxy.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::PolicySet;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("INTERFACE", super::INTERFACE)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
