//! Environments: which there are, where each stands, and the revisions that speak of them.
//!
//! The decisions are pure and in `declared`; here the refs, ledgers and trees are read that they
//! need. Where an environment lives is told by `home`.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Body, Limits, Release, did_you_mean_name, load_file, suggest_name};
use refguard_core::policy::{Environment, Settings, build_settings};

use super::declared::{self, PRODUCTION, Past};
use super::home::{Home, Place};
use crate::ops::change::rollback::only_releases;
use crate::ops::source::judged::judge_tree_at;
use crate::ops::source::load::NoProgress;
use crate::ops::source::moment::{looks_like_time, parse_time, tell_typed_time};
use crate::ops::{Refused, Source, TrackedSet, Workspace};
use crate::repo::{
    CommitId, GitEnv, Ledger, Promotion, RefName, Repo, RepoError, Root, TreeId, first_name,
};

/// An environment and what one look at it found.
#[derive(Debug, Clone)]
pub struct EnvironmentState {
    /// Its settings: the strictest reading of all judges.
    pub settings: Environment,
    /// Every settings by which its next promotion is judged; of each one, what it refuses is
    /// refused.
    pub judges: Vec<Environment>,
    /// Its branch where it lives, by its full name.
    pub ref_name: RefName,
    /// Its promotions.
    pub ledger: Ledger,
    /// Where it lives.
    pub home: Home,
    /// What a person should know of where it is moved.
    pub(in crate::ops) notes: Vec<String>,
}

/// How a commit came into an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// Its branch was at it.
    Itself,
    /// A promotion brought what it holds.
    By {
        /// The promotion's number.
        number: u64,
        /// The tip that it made.
        tip: CommitId,
    },
    /// Promotions brought some of its policies, none all that it holds.
    InPart {
        /// The newest one's number.
        number: u64,
    },
}

/// Which environments there are, and what was read to tell.
#[derive(Debug)]
struct Declared {
    names: Vec<String>,
    /// Settings of production's last promotions, see [`declared::list_environments`].
    promoted: Vec<Arc<Settings>>,
    /// Settings of the publish branch's tip, where they are sound.
    published: Option<Arc<Settings>>,
}

/// How closely the publish branch's tip is looked at before what it declares counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scrutiny {
    /// Its whole set must be valid.
    WholeSet,
    /// Its refguard.yaml must have no fault of form: for who only follows environments that have a
    /// promotion, each of which was judged when it was made. A thread that follows refs must not
    /// read whole sets.
    SettingsOnly,
}

impl EnvironmentState {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }
}

impl Workspace {
    /// The environments that there are, by name, with the ref that each is read from.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn environment_refs(&self) -> Result<Vec<(String, RefName)>> {
        let names = self.declared_environments(Scrutiny::WholeSet)?.names;
        names
            .into_iter()
            .map(|name| Ok((name.clone(), self.place(&name)?.read_from)))
            .collect()
    }

    /// See [`followed_environments`].
    fn followed_here(&self) -> Result<FollowedEnvironments> {
        let mut served = Vec::new();
        let anchor = self.anchor()?;
        let names = self.declared_environments(Scrutiny::SettingsOnly)?.names;
        for name in &names {
            let is_served = *name == anchor
                || !self
                    .deciding_promotions(name, &self.place(name)?)?
                    .is_empty();
            if is_served {
                served.push(name.clone());
            }
        }
        Ok(FollowedEnvironments {
            declared: names,
            served,
        })
    }

    /// Settings of before that put an environment or the publish branch elsewhere, with what mends
    /// it. The publish branch is only heard where nothing was promoted: no commit on it may keep a
    /// daemon from starting.
    fn renaming_fault_of_past(&self) -> Result<Option<String>> {
        let Declared {
            promoted,
            published,
            ..
        } = self.declared_environments(Scrutiny::SettingsOnly)?;
        let publish_branch = self.repo()?.publish_branch().ok().flatten();
        let heard = if promoted.is_empty() {
            published.into_iter().collect()
        } else {
            promoted
        };
        let publish_branch = publish_branch.as_ref();
        Ok(heard
            .iter()
            .find_map(|settings| convention_fault(settings, publish_branch)))
    }

    /// An environment by its name, as reading verbs see it. Its own past decides about its gates,
    /// so that no commit can switch off what is to judge it.
    ///
    /// # Errors
    /// Where there is no such environment, it belongs to another root, or its ref cannot be read.
    pub fn environment(&self, name: &str) -> Result<EnvironmentState> {
        let place = self.place(name)?;
        self.environment_at(name, place)
    }

    /// As [`Self::environment`], at a place that was looked up.
    pub(in crate::ops) fn environment_at(
        &self,
        name: &str,
        place: Place,
    ) -> Result<EnvironmentState> {
        let declared = self.declared_environments(Scrutiny::WholeSet)?;
        let ledger = self.ledger_at(name, &place)?;
        if !declared.names.iter().any(|known| known == name) {
            // What the publish branch declares is only known where it is known which one that is.
            self.repo()?.publish_branch()?;
            bail!(unknown_environment(name, &declared.names));
        }
        self.refuse_other_root(name, &ledger)?;
        let judges = self.judges_of(name, &ledger, &declared)?;
        let settings = declared::strictest(name, &judges);
        let (ref_name, home, notes) = (RefName::of_branch(name)?, place.home, place.notes);
        Ok(EnvironmentState {
            settings,
            judges,
            ref_name,
            ledger,
            home,
            notes,
        })
    }

    /// The settings by which the next promotion after those of a ledger is judged.
    pub(in crate::ops) fn judges_for(
        &self,
        name: &str,
        ledger: &Ledger,
    ) -> Result<Vec<Environment>> {
        let declared = self.declared_environments(Scrutiny::WholeSet)?;
        self.judges_of(name, ledger, &declared)
    }

    fn judges_of(
        &self,
        name: &str,
        ledger: &Ledger,
        declared: &Declared,
    ) -> Result<Vec<Environment>> {
        let chains = [past_of(&ledger.promotions), past_of(&ledger.rival)];
        let first = || {
            let others = declared.promoted.iter().chain(&declared.published);
            others
                .into_iter()
                .find_map(|settings| declared::find_environment(name, settings))
        };
        declared::judging_settings(name, &chains, first, |tree| self.settings_in(tree))
    }

    /// The environment that stands for `production` in this root: `production` itself if it is this
    /// root's or nobody's, else one below the root's own name.
    pub(in crate::ops) fn anchor(&self) -> Result<String> {
        let prefix = self.root().prefix();
        if prefix.is_empty() {
            return Ok(PRODUCTION.to_owned());
        }
        let place = self.place(PRODUCTION)?;
        let owner = self.owner_of(&self.ledger_at(PRODUCTION, &place)?)?;
        Ok(match owner {
            Some(owner) if owner != own_root(prefix) => format!("{prefix}/{PRODUCTION}"),
            _ => PRODUCTION.to_owned(),
        })
    }

    /// Which environments there are: `production`, those that its last promotion declares, and
    /// those that the publish branch's tip declares if it is valid.
    fn declared_environments(&self, look: Scrutiny) -> Result<Declared> {
        let anchor = self.anchor()?;
        let place = self.place(&anchor)?;
        let mut promoted = Vec::new();
        for promotion in self.deciding_promotions(&anchor, &place)? {
            promoted.push(self.settings_in(promotion.commit.tree)?);
        }
        let published = self.published_settings(&place.home, &anchor, &promoted, look)?;
        let names = declared::list_environments(&anchor, &promoted, published.as_deref());
        Ok(Declared {
            names,
            promoted,
            published,
        })
    }

    /// The last promotion and, where that is a rollback, the last one that is none.
    fn deciding_promotions(&self, name: &str, place: &Place) -> Result<Vec<Promotion>> {
        let repo = self.repo()?;
        // Either ref may be ahead: the ledger after an external move, the branch after a plain
        // push.
        let newest = [place.tip, place.recorded].into_iter().flatten();
        let found: Vec<Promotion> = newest
            .filter_map(|commit| repo.newest_promotion(name, commit).transpose())
            .collect::<Result<_, RepoError>>()?;
        let mut deciding = Vec::new();
        let mut next = found
            .into_iter()
            .max_by_key(|promotion| promotion.record.number);
        while let Some(promotion) = next {
            let goes_back = stays_or_goes_back(&promotion);
            next = if goes_back {
                repo.promotion_before(&promotion)?
            } else {
                None
            };
            let is_first = deciding.is_empty();
            if is_first || !goes_back {
                deciding.push(promotion);
            }
        }
        Ok(deciding)
    }

    /// What the publish branch's tip says. A tip that names environments that production does not
    /// know must be a valid set as a whole, and is only then looked at that closely.
    fn published_settings(
        &self,
        home: &Home,
        anchor: &str,
        promoted: &[Arc<Settings>],
        look: Scrutiny,
    ) -> Result<Option<Arc<Settings>>> {
        let repo = self.repo()?;
        let Some(tip) = self.publish_tip(home)? else {
            return Ok(None);
        };
        let tree = repo.tree_of(tip)?;
        let Some(published) = sound_settings(self.root(), repo, tree)? else {
            return Ok(None);
        };
        let known = declared::list_environments(anchor, promoted, None);
        let names_more = published
            .environments
            .iter()
            .any(|it| !known.contains(&it.name));
        if names_more
            && look == Scrutiny::WholeSet
            && TrackedSet::default()
                .judge_tree(self, tree, Release::FIRST, &NoProgress)?
                .sound()
                .is_none()
        {
            return Ok(None);
        }
        Ok(Some(Arc::new(published)))
    }

    /// What the publish branch holds where an environment lives; `None` where nothing says which
    /// branch it is.
    pub(in crate::ops) fn publish_tip(&self, home: &Home) -> Result<Option<CommitId>> {
        let repo = self.repo()?;
        let Ok(Some(branch)) = repo.publish_branch() else {
            return Ok(None);
        };
        match home {
            Home::Here => Ok(read_followed(repo, &branch)?),
            Home::At(remote) => Ok(read_followed(repo, &branch.tracking_copy(remote)?)?),
        }
    }

    /// The settings of a tree that was promoted; a tree without the file has every default.
    fn settings_in(&self, tree: TreeId) -> Result<Arc<Settings>> {
        Ok(Arc::new(settings_at(self.root(), self.repo()?, tree)?))
    }

    /// An environment's promotions, where it lives.
    pub(in crate::ops) fn ledger_at(&self, name: &str, place: &Place) -> Result<Ledger> {
        let branch = RefName::of_branch(name)?;
        Ok(self
            .repo()?
            .ledger_from(name, &branch, place.tip, place.recorded)?)
    }

    /// A branch that is gone while its ledger stands is no first promotion.
    pub(in crate::ops) fn refuse_lost_branch(&self, state: &EnvironmentState) -> Result<()> {
        let (Some(last), None) = (state.ledger.last_promotion(), state.ledger.tip) else {
            return Ok(());
        };
        let (name, id) = (state.name(), last.commit.id);
        let restore = match &state.home {
            Home::Here => format!("git update-ref refs/heads/{name} {id}"),
            Home::At(remote) => format!("git push {remote} {id}:refs/heads/{name}"),
        };
        bail!(Refused(format!(
            "the branch of `{name}` is gone, but its ledger stands at promotion {}: restore it \
             with `{restore}`",
            last.record.number
        )))
    }

    /// An environment belongs to the root that made its first promotion.
    fn refuse_other_root(&self, name: &str, ledger: &Ledger) -> Result<()> {
        let own = own_root(self.root().prefix());
        match self.owner_of(ledger)? {
            Some(owner) if owner != own => bail!(Refused(format!(
                "`{name}` belongs to the root `{owner}`, not to `{own}`: other roots of the \
                 repository use other environments, such as `{}/{PRODUCTION}`",
                self.root().prefix()
            ))),
            _ => Ok(()),
        }
    }

    /// The root that an environment belongs to, by its newest promotion that names one. Older
    /// promotions do not: they belong to the root whose set has their digest, which is only looked
    /// up where the promoted tree has more roots than one.
    fn owner_of(&self, ledger: &Ledger) -> Result<Option<String>> {
        let Some(last) = ledger.last_promotion() else {
            return Ok(None);
        };
        let named = ledger
            .promotions
            .iter()
            .find_map(|promotion| promotion.record.root.clone());
        if named.is_some() {
            return Ok(named);
        }
        let roots = self.repo()?.roots_in(last.commit.tree)?;
        if roots.len() < 2 {
            return Ok(None);
        }
        for root in roots {
            let judged = judge_tree_at(self.repo()?, last.commit.tree, &root)?;
            let digest = judged.sound().map(|engine| engine.set().digest.clone());
            if digest.as_deref() == Some(last.record.digest.as_str()) {
                return Ok(Some(own_root(&root)));
            }
        }
        Ok(None)
    }

    /// The environments that there are, for who reads a revision. Where promotions are missing or
    /// damaged it cannot be told which there are; that stops no revision that speaks of none.
    pub(in crate::ops) fn environments_spoken_of(
        &self,
        revision: &str,
    ) -> Result<Vec<(String, RefName)>> {
        match self.environment_refs() {
            Err(_) if !self.may_speak_of_environment(revision)? => Ok(Vec::new()),
            refs => refs,
        }
    }

    /// Whether a revision may speak of an environment, as far as the refs alone tell.
    fn may_speak_of_environment(&self, revision: &str) -> Result<bool> {
        let repo = self.repo()?;
        let name = first_name(revision);
        let is_named = name.contains('#') || revision.parse::<jiff::Timestamp>().is_ok();
        let short = name.strip_prefix("refs/heads/").unwrap_or(name);
        if is_named || short == PRODUCTION || short.ends_with(&format!("/{PRODUCTION}")) {
            return Ok(true);
        }

        let has_ledger = |folder: &str| -> Result<bool> {
            let ledgers = repo.refs_below(folder)?;
            Ok(ledgers
                .iter()
                .any(|(ledger, _)| ledger.as_str().ends_with(&format!("/{short}"))))
        };
        Ok(has_ledger("refs/refguard/ledger/")?
            || has_ledger("refs/refguard/remotes/")?
            || self.is_declared_in_sight(short)
            || self.has_promotion_at_tip(short))
    }

    /// Whether any settings that can be read declare an environment: those of the work tree's
    /// commit, of the publish branch, and of what production holds. Whether they count does not
    /// matter here.
    fn is_declared_in_sight(&self, name: &str) -> bool {
        let Ok(repo) = self.repo() else { return false };
        let place = self.anchor().and_then(|anchor| self.place(&anchor)).ok();
        let published = place.as_ref().map(|place| self.publish_tip(&place.home));
        let commits = [
            repo.head_commit().ok().flatten(),
            published.and_then(Result::ok).flatten(),
            place.as_ref().and_then(|place| place.tip),
            place.as_ref().and_then(|place| place.recorded),
        ];
        commits.into_iter().flatten().any(|commit| {
            let tree = repo.tree_of(commit);
            let settings = tree.and_then(|tree| settings_at(self.root(), repo, tree));
            settings.is_ok_and(|it| it.environments.iter().any(|it| it.name == name))
        })
    }

    /// Whether a branch of that name stands at a promotion of it.
    fn has_promotion_at_tip(&self, name: &str) -> bool {
        let (Ok(repo), Ok(place)) = (self.repo(), self.place(name)) else {
            return false;
        };
        let tip = place.tip.or(place.recorded);
        tip.is_some_and(|tip| !matches!(repo.promotion_at(name, tip), Ok(None)))
    }

    /// Why the settings of the publish branch do not count; `None` where they do, or where there is
    /// no such branch.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub(in crate::ops) fn settings_problem(&self) -> Result<Option<String>> {
        let repo = self.repo()?;
        let anchor = self.anchor()?;
        let home = self.place(&anchor)?.home;
        let Some(tip) = self.publish_tip(&home)? else {
            return Ok(None);
        };
        let tree = repo.tree_of(tip)?;
        let branch = repo.publish_branch()?;
        let name = branch.as_ref().map_or("", RefName::short);
        let without = "environments that only it declares are not known, and no promotion of it \
                       is taken";
        if let Some(fault) = settings_fault_of_form(self.root(), repo, tree)? {
            return Ok(Some(format!(
                "the settings of {name} cannot be used: {fault}: {without}"
            )));
        }
        let settings = settings_at(self.root(), repo, tree)?;
        let fault = convention_fault(&settings, branch.as_ref())
            .or_else(|| source_fault(&settings, branch.as_ref()));
        if fault.is_some() {
            return Ok(fault);
        }

        let known = self.declared_environments(Scrutiny::WholeSet)?.names;
        let lost: Vec<String> = settings
            .environments
            .iter()
            .filter(|it| !known.contains(&it.name))
            .map(|it| format!("`{}`", it.name))
            .collect();
        Ok((!lost.is_empty()).then(|| {
            format!(
                "{name} declares {}, but its set is not valid, so that it does not count: see \
                 `refguard validate --at {name}`",
                lost.join(", ")
            )
        }))
    }

    /// The commit that a revision names, and the promotion where it names one.
    ///
    /// An environment's name or full ref first; then `production#5` (`#5`); a time (what was in
    /// production then); then anything git understands.
    ///
    /// # Errors
    /// Where there is no such commit, promotion or time.
    pub fn revision(&self, revision: &str) -> Result<(CommitId, Option<u64>)> {
        let repo = self.repo()?;
        let refs = self.environments_spoken_of(revision)?;
        if let Some((name, ref_name)) = refs
            .iter()
            .find(|(name, full)| name == revision || full.as_str() == revision)
        {
            let tip = self.require_environment(name, ref_name)?;
            let promotion = repo
                .promotion_at(name, tip)?
                .map(|promotion| promotion.record.number);
            return Ok((tip, promotion));
        }
        if let Some((name, number)) = revision.rsplit_once('#') {
            let name = if name.is_empty() {
                self.anchor()?
            } else {
                name.to_owned()
            };
            let name = name.as_str();
            return self
                .promotion(name, number)
                .map(|p| (p.commit.id, Some(p.record.number)));
        }
        if let Some(time) = self.time_of(revision) {
            let found = self.promotion_in_force(&self.anchor()?, time, revision)?;
            return Ok((found.commit.id, Some(found.record.number)));
        }
        let known: Vec<(&str, &RefName)> = refs
            .iter()
            .map(|(name, full)| (name.as_str(), full))
            .collect();
        match repo.resolve_revision(revision, &known) {
            Ok(commit) => Ok((commit, None)),
            Err(RepoError::NoSuchRevision { revision, .. }) if looks_like_time(&revision) => {
                let fault = parse_time(&revision, jiff::Timestamp::now()).err();
                let fault = fault.unwrap_or_else(|| format!("`{revision}` is a time"));
                bail!("no commit is named so, and {fault}")
            }
            Err(RepoError::NoSuchRevision { revision, .. }) => {
                let near = near_revision(repo, &revision, &refs);
                Err(RepoError::NoSuchRevision { revision, near }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The set of an environment, now or at a revision or time, as a source to read.
    ///
    /// # Errors
    /// Where there is no such environment, or nothing was promoted to it (by then).
    pub fn source_in(&self, environment: &str, at: Option<&str>) -> Result<Source> {
        let Some(at) = at else {
            return match self.environment(environment)?.ledger.tip {
                Some(_) => Ok(Source::At(environment.to_owned())),
                None => bail!(self.nothing_promoted(environment)?),
            };
        };

        let Some(time) = self.time_of(at) else {
            return Ok(Source::At(at.to_owned()));
        };
        let found = self.promotion_in_force(environment, time, at)?;
        Ok(Source::At(format!("{environment}#{}", found.record.number)))
    }

    /// How a commit came into an environment; `None`: it did not.
    ///
    /// # Errors
    /// Where there is no such environment, or git cannot be read.
    pub fn promotion_of(&self, environment: &str, commit: CommitId) -> Result<Option<Brought>> {
        let ledger = self.environment(environment)?.ledger;
        if ledger.list_entries().any(|entry| entry.commit() == commit) {
            return Ok(Some(Brought::Itself));
        }
        let promotions = ledger.promotions.iter();
        let of_it: Vec<&Promotion> = promotions.filter(|it| it.record.source == commit).collect();
        let whole = of_it.iter().find(|it| self.brings_whole_source(it));
        Ok(match (whole, of_it.first()) {
            (Some(it), _) => Some(Brought::By {
                number: it.record.number,
                tip: it.commit.id,
            }),
            (None, Some(it)) => Some(Brought::InPart {
                number: it.record.number,
            }),
            (None, None) => None,
        })
    }

    /// Whether a promotion holds all that its source does. A rollback to a promotion of some
    /// policies, or a hold after it, names none either, so the trees decide; in a shallow clone,
    /// which may lack the source, only a plain promotion without a selection is taken for whole.
    fn brings_whole_source(&self, promotion: &Promotion) -> bool {
        let Promotion { record, commit } = promotion;
        let source = self
            .repo()
            .and_then(|repo| Ok(repo.tree_of(record.source)?));
        match source {
            Ok(tree) => tree == commit.tree,
            Err(_) => record.policies.is_empty() && !stays_or_goes_back(promotion),
        }
    }

    /// That nothing was promoted to an environment, with what to do.
    pub(in crate::ops) fn nothing_promoted(&self, environment: &str) -> Result<String> {
        let never_fetched = self.never_fetched(environment)?;
        Ok(never_fetched.unwrap_or_else(|| {
            format!(
                "nothing was promoted to `{environment}` yet: ask the work tree with \
                 `--worktree`, or a revision with `--at`"
            )
        }))
    }

    /// That an environment lives elsewhere and was never fetched from there, with what to do;
    /// `None` where it was, or lives here.
    pub(in crate::ops) fn never_fetched(&self, environment: &str) -> Result<Option<String>> {
        let place = self.place(environment)?;
        let remote = place.not_fetched_from();
        Ok(remote.map(|remote| unknown_here(environment, remote)))
    }

    /// The same of a clone that fetches other branches only; where it fetches all, what is not here
    /// was not there at the last fetch.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn left_unfetched(&self, environment: &str) -> Result<Option<String>> {
        let place = self.place(environment)?;
        let branch = RefName::of_branch(environment)?;
        let Some(remote) = place.not_fetched_from() else {
            return Ok(None);
        };
        let is_fetched = self.repo()?.fetches_branch(remote, &branch)?;
        Ok((!is_fetched).then(|| unknown_here(environment, remote)))
    }

    /// The tip of an environment that must have one.
    fn require_environment(&self, name: &str, ref_name: &RefName) -> Result<CommitId> {
        let tip = self.repo()?.require_ref(ref_name);
        match self.never_fetched(name)? {
            Some(sentence) if tip.is_err() => tip.context(sentence),
            _ => Ok(tip?),
        }
    }

    /// The promotion that was in force at a time; `text` is the time as it was typed.
    fn promotion_in_force(
        &self,
        environment: &str,
        time: jiff::Timestamp,
        text: &str,
    ) -> Result<Promotion> {
        let ledger = self.environment(environment)?.ledger;
        let found = ledger.at_time(time.as_second()).cloned();
        found.with_context(|| nothing_at(&ledger, environment, text, time))
    }

    fn promotion(&self, environment: &str, number: &str) -> Result<Promotion> {
        let number: u64 = number
            .parse()
            .with_context(|| format!("`#{number}` is no number of a promotion"))?;
        let ledger = self.environment(environment)?.ledger;
        let newest = ledger.last_promotion().map_or(0, |last| last.record.number);
        let found = ledger.find_promotion(number).cloned();
        found.with_context(|| {
            format!("`{environment}` has no promotion {number}; the newest is {newest}")
        })
    }
}

fn unknown_here(environment: &str, remote: &str) -> String {
    format!("nothing is known of `{environment}` here: `refguard status --fetch` asks `{remote}`")
}

/// That an environment had nothing at a time, with the time of its first promotion.
pub(in crate::ops) fn nothing_at(
    ledger: &Ledger,
    environment: &str,
    text: &str,
    time: jiff::Timestamp,
) -> String {
    let when = tell_typed_time(text, time);
    let first = ledger.promotions.last();
    let first =
        first.and_then(|it| jiff::Timestamp::from_second(it.commit.committer.time.seconds).ok());
    match first {
        Some(first) => format!(
            "nothing was in `{environment}` {when}: its first promotion was made at {first}"
        ),
        None => format!("nothing was in `{environment}` {when}"),
    }
}

/// The environments that a daemon follows.
#[derive(Debug, Clone)]
pub struct FollowedEnvironments {
    /// All that are declared, by name: what a fetch asks for and `/v1/status` lists.
    pub declared: Vec<String>,
    /// Those to serve: `production` whatever moved its ref, each other one from its first promotion
    /// on.
    pub served: Vec<String>,
}

/// The environments that a daemon in a folder follows; `remote` is where they live, if that was
/// named.
///
/// # Errors
/// Where git cannot be read.
pub fn followed_environments(
    dir: &std::path::Path,
    env: &GitEnv,
    remote: Option<&str>,
) -> Result<FollowedEnvironments> {
    Workspace::open_in(dir, env, remote)?.followed_here()
}

/// Refuses to serve a repository whose settings put an environment or the publish branch where they
/// no longer are. A folder in no repository, or one that cannot be read, has nothing to refuse.
///
/// # Errors
/// What has to be renamed, with the commands.
pub fn refuse_renamed_environments(
    dir: &std::path::Path,
    env: &GitEnv,
    remote: Option<&str>,
) -> Result<()> {
    // What cannot be read names nothing: the daemon serves its last good set then.
    let fault = Workspace::open_in(dir, env, remote).and_then(|it| it.renaming_fault_of_past());
    match fault {
        Ok(Some(fault)) => bail!(Refused(fault)),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Why settings cannot be followed: they name a ref or a publish branch that is not the one that
/// counts.
pub(in crate::ops) fn convention_fault(
    settings: &Settings,
    publish_branch: Option<&RefName>,
) -> Option<String> {
    for Environment {
        name, reference, ..
    } in &settings.environments
    {
        if *reference != format!("refs/heads/{name}") {
            let old = reference.strip_prefix("refs/heads/").unwrap_or(reference);
            return Some(format!(
                "refguard.yaml puts `{name}` at `{reference}`, but an environment is always the \
                 branch of its name: \
                 run `git branch -m {old} {name}`, at a remote `git push REMOTE {name} :{old}` \
                 (its ledger `refs/refguard/ledger/{name}` keeps its name), and remove `ref`"
            ));
        }
    }
    let named = &settings.publish_branch;
    let is_default = *named == Settings::default().publish_branch;
    match publish_branch {
        Some(branch) if !is_default && branch.short() != named => Some(format!(
            "refguard.yaml names `{named}` as the publish branch, but the repository says `{}`: \
             run \
             `git config refguard.publishBranch {named}`, on a server `git symbolic-ref HEAD \
             refs/heads/{named}`, \
             and remove `publish_branch`",
            branch.short()
        )),
        _ => None,
    }
}

/// Why an environment could take its sets from nowhere: `from` names no environment, or leads in a
/// circle.
pub(in crate::ops) fn source_fault(
    settings: &Settings,
    publish_branch: Option<&RefName>,
) -> Option<String> {
    let named = |name: &str| settings.environments.iter().find(|it| it.name == name);
    for Environment { name, from, .. } in &settings.environments {
        let mut next = from.as_deref();
        let mut way = vec![name.as_str()];
        while let Some(from) = next {
            let Some(source) = named(from) else {
                if publish_branch.is_some_and(|branch| branch.short() == from) {
                    break;
                }
                let names = settings.environments.iter().map(|it| it.name.as_str());
                let near = suggest_name(from, names.filter(|other| other != name));
                return Some(format!(
                    "refguard.yaml says that `{}` takes its sets from `{from}`, which is no \
                     environment{near}",
                    way.last().unwrap_or(&name.as_str())
                ));
            };
            if way.contains(&from) {
                way.push(from);
                return Some(format!(
                    "refguard.yaml has environments that take their sets from each other: {}",
                    way.join(" from ")
                ));
            }
            way.push(from);
            next = source.from.as_deref();
        }
    }
    None
}

/// A chain of promotions as the decision about settings needs it.
fn past_of(promotions: &[Promotion]) -> Vec<Past<TreeId>> {
    let past = promotions.iter().map(|promotion| Past {
        promotion: promotion.commit.tree,
        stays_or_goes_back: stays_or_goes_back(promotion),
    });
    past.collect()
}

/// Whether a promotion brings no set of its own: a rollback goes back to an earlier one, a hold
/// keeps what is there. A hold after a rollback still stands on the set that was gone back to.
fn stays_or_goes_back(promotion: &Promotion) -> bool {
    let Promotion { record, commit } = promotion;
    record.rollback.is_some() || record.hold.is_some() || only_releases(record, &commit.parents)
}

/// A root as trailers name it.
pub(crate) fn own_root(prefix: &str) -> String {
    if prefix.is_empty() {
        ".".to_owned()
    } else {
        prefix.to_owned()
    }
}

fn unknown_environment(name: &str, known: &[String]) -> anyhow::Error {
    let near = did_you_mean_name(name, known.iter().map(String::as_str));
    let help = near.map_or_else(
        || format!("there are {}", known.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    anyhow::anyhow!("there is no environment `{name}`: {help}")
}

/// The environment, branch or tag whose name is nearest to that in a revision.
fn near_revision(
    repo: &Repo,
    revision: &str,
    environments: &[(String, RefName)],
) -> Option<String> {
    let typed = revision
        .split(['~', '^', '@', ':'])
        .next()
        .unwrap_or(revision);
    let branches = ["refs/heads/", "refs/tags/", "refs/remotes/"]
        .into_iter()
        .flat_map(|kind| {
            let found = repo.refs_below(kind).unwrap_or_default().into_iter();
            found.map(move |(name, _)| name.as_str().trim_start_matches(kind).to_owned())
        });
    let named = environments.iter().map(|(name, _)| name.clone());
    let known: Vec<String> = named.chain(branches).collect();
    did_you_mean_name(typed, known.iter().map(String::as_str)).map(str::to_owned)
}

/// What a branch holds that is only read: another name for a branch is fine then.
pub(in crate::ops) fn read_followed(repo: &Repo, name: &RefName) -> Result<Option<CommitId>> {
    let target = repo.symbolic_target(name.as_str());
    Ok(repo.read_ref(target.as_ref().unwrap_or(name))?)
}

/// The settings that a tree holds; where it holds none: the defaults, which are then its settings.
pub(in crate::ops) fn settings_at(
    root: &Root,
    repo: &Repo,
    tree: TreeId,
) -> Result<Settings, RepoError> {
    Ok(read_settings(root, repo, tree)?
        .map(|(settings, _)| settings)
        .unwrap_or_default())
}

/// The settings that a tree holds, if the file has no fault of form.
fn sound_settings(root: &Root, repo: &Repo, tree: TreeId) -> Result<Option<Settings>, RepoError> {
    Ok(match read_settings(root, repo, tree)? {
        None => Some(Settings::default()),
        Some((settings, is_sound)) => Some(settings).filter(|_| is_sound),
    })
}

/// The settings of a tree and whether their file has no fault of form; `None`: there is no such
/// file.
fn read_settings(
    root: &Root,
    repo: &Repo,
    tree: TreeId,
) -> Result<Option<(Settings, bool)>, RepoError> {
    Ok(settings_bytes(root, repo, tree)?.map(settings_of))
}

/// What a tree's refguard.yaml holds.
fn settings_bytes(root: &Root, repo: &Repo, tree: TreeId) -> Result<Option<Vec<u8>>, RepoError> {
    let prefix = root.prefix();
    let path = if prefix.is_empty() {
        "refguard.yaml".to_owned()
    } else {
        format!("{prefix}/refguard.yaml")
    };
    let blob = repo.item_at(tree, &path)?.and_then(|item| item.blob_id());
    blob.map(|blob| repo.read_blob(blob)).transpose()
}

/// The first fault of form of a tree's settings, with its place.
fn settings_fault_of_form(
    root: &Root,
    repo: &Repo,
    tree: TreeId,
) -> Result<Option<String>, RepoError> {
    let Some(bytes) = settings_bytes(root, repo, tree)? else {
        return Ok(None);
    };
    let loaded = load_file("refguard.yaml", bytes, &Limits::DEFAULT);
    let mut findings = loaded.findings.iter();
    let fault = findings.find(|it| it.is_error_as_of(Release::FIRST));
    Ok(fault.map(ToString::to_string))
}

/// The settings that a refguard.yaml holds, and whether it has no fault of form.
fn settings_of(bytes: Vec<u8>) -> (Settings, bool) {
    let loaded = load_file("refguard.yaml", bytes, &Limits::DEFAULT);
    // What only a later release calls an error takes no environment away.
    let is_sound = !loaded
        .findings
        .iter()
        .any(|it| it.is_error_as_of(Release::FIRST));
    let found = loaded
        .documents
        .into_iter()
        .find_map(|document| match document.body {
            Body::Repository(raw) => Some(build_settings(Some(&raw))),
            _ => None,
        });
    (found.unwrap_or_default(), is_sound)
}
