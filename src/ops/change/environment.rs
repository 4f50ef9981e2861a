//! Environments: which there are, where each stands, and the revisions that speak of them.

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Body, Limits, did_you_mean, load_file};
use refguard_core::policy::{Environment, Settings, settings};

use crate::ops::Workspace;
use crate::repo::{CommitId, Ledger, Promotion, RefName, Repo, RepoError, Root, TreeId};

/// An environment and what one look at it found.
#[derive(Debug, Clone)]
pub struct EnvironmentState {
    /// Its settings: those of the tree at its tip, where that names it.
    pub settings: Environment,
    /// The branch whose first-parent history makes versions, by the same tree.
    pub publish_branch: String,
    /// Its ref.
    pub ref_name: RefName,
    /// Its promotions.
    pub ledger: Ledger,
}

impl Workspace {
    /// The environments with their refs, as the settings that people work on name them.
    ///
    /// # Errors
    /// Where a ref is no full name.
    pub fn environment_refs(&self) -> Result<Vec<(String, RefName)>> {
        let named =
            |env: &Environment| Ok((env.name.clone(), RefName::new(env.reference.as_str())?));
        self.settings()?.environments.iter().map(named).collect()
    }

    /// An environment by its name. Its own tip decides about its gates, so that a commit cannot switch
    /// off what is to judge it.
    ///
    /// # Errors
    /// Where there is no such environment, or its ref cannot be read.
    pub fn environment(&self, name: &str) -> Result<EnvironmentState> {
        let (settings, publish_branch, ref_name) = self.environment_settings(name)?;
        let ledger = self.repo()?.ledger(name, &ref_name)?;
        Ok(EnvironmentState { settings, publish_branch, ref_name, ledger })
    }

    pub(in crate::ops) fn environment_settings(
        &self,
        name: &str,
    ) -> Result<(Environment, String, RefName)> {
        let repo = self.repo()?;
        let worked_on = self.settings()?;
        let Some(found) = worked_on.environments.iter().find(|env| env.name == name) else {
            let known: Vec<&str> =
                worked_on.environments.iter().map(|env| env.name.as_str()).collect();
            let near = did_you_mean(name, known.iter().copied());
            let help = near.map_or(format!("there are {}", known.join(", ")), |near| {
                format!("did you mean `{near}`?")
            });
            bail!("there is no environment `{name}`: {help}");
        };
        let ref_name = RefName::new(found.reference.as_str())?;
        let tip = repo.read_ref(&ref_name)?;
        let (own, publish_branch) = self.own_settings(found, &worked_on.publish_branch, tip)?;
        Ok((own, publish_branch, ref_name))
    }

    /// An environment's settings and publish branch as the tree at its tip has them, where that names it;
    /// else as given.
    pub(in crate::ops) fn own_settings(
        &self,
        found: &Environment,
        publish_branch: &str,
        tip: Option<CommitId>,
    ) -> Result<(Environment, String)> {
        if let Some(tip) = tip {
            let repo = self.repo()?;
            let at_tip = settings_at(self.root(), repo, repo.tree_of(tip)?)?;
            let own = at_tip
                .environments
                .iter()
                .find(|e| e.name == found.name && e.reference == found.reference);
            if let Some(own) = own {
                return Ok((own.clone(), at_tip.publish_branch));
            }
        }
        Ok((found.clone(), publish_branch.to_owned()))
    }

    /// The commit that a revision names, and the promotion where it names one.
    ///
    /// An environment's name or full ref first; then `production#5` (`#5`); an RFC 3339 time (what was in
    /// production then); then anything git understands.
    ///
    /// # Errors
    /// Where there is no such commit, promotion or time.
    pub fn revision(&self, revision: &str) -> Result<(CommitId, Option<u64>)> {
        let repo = self.repo()?;
        let refs = self.environment_refs()?;
        if let Some((name, ref_name)) =
            refs.iter().find(|(name, full)| name == revision || full.as_str() == revision)
        {
            let tip = repo.require_ref(ref_name)?;
            let promotion = repo.promotion_at(name, tip)?.map(|promotion| promotion.record.number);
            return Ok((tip, promotion));
        }
        if let Some((name, number)) = revision.rsplit_once('#') {
            let name = if name.is_empty() { "production" } else { name };
            return self.promotion(name, number).map(|p| (p.commit.id, Some(p.record.number)));
        }
        if let Ok(time) = revision.parse::<jiff::Timestamp>() {
            let ledger = self.environment("production")?.ledger;
            let found = ledger.at_time(time.as_second());
            let found =
                found.with_context(|| format!("nothing was in production at {revision}"))?;
            return Ok((found.commit.id, Some(found.record.number)));
        }
        let known: Vec<(&str, &RefName)> =
            refs.iter().map(|(name, full)| (name.as_str(), full)).collect();
        Ok((repo.resolve(revision, &known)?, None))
    }

    fn promotion(&self, environment: &str, number: &str) -> Result<Promotion> {
        let number: u64 =
            number.parse().with_context(|| format!("`#{number}` is no number of a promotion"))?;
        let ledger = self.environment(environment)?.ledger;
        let newest = ledger.last().map_or(0, |last| last.record.number);
        let found = ledger.find(number).cloned();
        found.with_context(|| {
            format!("`{environment}` has no promotion {number}; the newest is {newest}")
        })
    }
}

/// See [`Workspace::settings`].
pub(in crate::ops) fn worked_on(root: &Root) -> Result<Settings, RepoError> {
    if let Some(repo) = root.maybe_repo() {
        for name in ["refs/heads/main", "HEAD"] {
            if let Ok(commit) = repo.resolve(name, &[]) {
                return settings_at(root, repo, repo.tree_of(commit)?);
            }
        }
    }
    let file = root.dir().ok().map(|dir| dir.join("refguard.yaml"));
    let bytes = file.and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
    Ok(settings_of(bytes).unwrap_or_default())
}

/// The settings that a tree holds; where it holds none: the defaults, which are then its settings.
pub(in crate::ops) fn settings_at(
    root: &Root,
    repo: &Repo,
    tree: TreeId,
) -> Result<Settings, RepoError> {
    let prefix = root.prefix();
    let path = if prefix.is_empty() {
        "refguard.yaml".to_owned()
    } else {
        format!("{prefix}/refguard.yaml")
    };
    let blob = repo.item_at(tree, &path)?.and_then(|item| item.blob());
    let own = blob.map(|blob| repo.read_blob(blob)).transpose()?.and_then(settings_of);
    Ok(own.unwrap_or_default())
}

/// The settings that a refguard.yaml holds, if it holds sound ones.
fn settings_of(bytes: Vec<u8>) -> Option<Settings> {
    let loaded = load_file("refguard.yaml", bytes, &Limits::DEFAULT);
    loaded.documents.into_iter().find_map(|document| match document.body {
        Body::Repository(raw) => Some(settings(Some(&raw))),
        _ => None,
    })
}
