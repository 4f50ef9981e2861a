//! Which environments there are, and whose settings judge what moves them.
//!
//! Content is judged; it never chooses its judge. So the environments are those that production's
//! own past and the publish branch declare, and an environment's gates are those that the trees of
//! its own past promotions set. Pure: the trees are read by whoever asks.

use std::sync::Arc;

use refguard_core::policy::{Environment, Settings};

/// The environment that there always is.
pub const PRODUCTION: &str = "production";

/// A promotion, as far as it says whose settings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Past<P> {
    /// The promotion, for [`judging_settings`] to read its tree's settings.
    pub promotion: P,
    /// Whether it is a rollback or a hold: it brings no set of its own.
    pub stays_or_goes_back: bool,
}

/// The names of the environments, in order: production first, unless its settings list it
/// elsewhere.
///
/// `promoted` are the settings of production's last promotion, and after a rollback also those of
/// its last promotion that is none. `published` are those of the publish branch's tip, where it is
/// a sound file.
pub(in crate::ops) fn list_environments(
    anchor: &str,
    promoted: &[Arc<Settings>],
    published: Option<&Settings>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let all = promoted.iter().map(|settings| &**settings).chain(published);
    for environment in all.flat_map(|settings| &settings.environments) {
        if !names.contains(&environment.name) {
            names.push(environment.name.clone());
        }
    }
    if !names.iter().any(|name| name == anchor) {
        names.insert(0, anchor.to_owned());
    }
    // A root with an anchor of its own has no `production`: that one belongs to another root.
    names.retain(|name| name == anchor || name != PRODUCTION);
    names
}

/// The settings of an environment by which its next promotion is judged: every one of them may
/// refuse.
///
/// `chains` are its promotions, the newest first: one chain, or the branch's and the ledger's where
/// something else moved the branch. Of each chain the newest tree that declares the environment
/// counts, and after a rollback or a hold also the newest one up to the last promotion that is
/// neither. Without any promotion those of `first` count: what production's last promotion, else
/// the publish branch says of it.
pub(in crate::ops) fn judging_settings<P: Copy, E>(
    name: &str,
    chains: &[Vec<Past<P>>],
    first: impl FnOnce() -> Option<Environment>,
    mut settings_of: impl FnMut(P) -> Result<Arc<Settings>, E>,
) -> Result<Vec<Environment>, E> {
    let mut judges: Vec<Environment> = Vec::new();
    for chain in chains {
        let forward = chain
            .iter()
            .position(|past| !past.stays_or_goes_back)
            .unwrap_or(0);
        for start in [0, forward] {
            let past = chain.iter().skip(start);
            let declared = newest_declaring(name, past, &mut settings_of)?;
            judges.extend(declared.filter(|declared| !judges.contains(declared)));
        }
    }
    if judges.is_empty() {
        judges.push(first().unwrap_or_else(|| Environment::named(name)));
    }
    Ok(judges)
}

/// The strictest reading of all judges: what any of them refuses is refused, and only who is
/// allowed by all of them is allowed. The source is that of the newest.
pub(in crate::ops) fn strictest(name: &str, judges: &[Environment]) -> Environment {
    let mut merged = judges
        .first()
        .cloned()
        .unwrap_or_else(|| Environment::named(name));
    for judge in judges {
        merged.weaken = merged.weaken.max(judge.weaken);
        merged.safeguards = merged.safeguards.max(judge.safeguards);
        merged.allow.retain(|who| judge.allow.contains(who));
        merged.soak = merged.soak.max(judge.soak);
        for freeze in &judge.freeze {
            if !merged.freeze.contains(freeze) {
                merged.freeze.push(freeze.clone());
            }
        }
    }
    merged
}

fn newest_declaring<'p, P: Copy + 'p, E>(
    name: &str,
    chain: impl Iterator<Item = &'p Past<P>>,
    settings_of: &mut impl FnMut(P) -> Result<Arc<Settings>, E>,
) -> Result<Option<Environment>, E> {
    for past in chain {
        let settings = settings_of(past.promotion)?;
        let declared = find_environment(name, &settings);
        if declared.is_some() {
            return Ok(declared);
        }
    }
    Ok(None)
}

/// What some settings say of an environment.
pub(in crate::ops) fn find_environment(name: &str, settings: &Settings) -> Option<Environment> {
    settings
        .environments
        .iter()
        .find(|environment| environment.name == name)
        .cloned()
}

#[cfg(test)]
mod tests {
    use refguard_core::document::GateLevel;

    use super::*;

    fn declaring(environments: &[(&str, GateLevel, &[&str])]) -> Arc<Settings> {
        let environments = environments
            .iter()
            .map(|(name, weaken, allow)| Environment {
                weaken: *weaken,
                allow: allow.iter().map(|who| (*who).to_owned()).collect(),
                ..Environment::named(name)
            });
        Arc::new(Settings {
            environments: environments.collect(),
            ..Settings::default()
        })
    }

    fn strict() -> Arc<Settings> {
        declaring(&[("production", GateLevel::Refuse, &["ada@example.org"])])
    }

    fn lax() -> Arc<Settings> {
        declaring(&[(
            "production",
            GateLevel::Off,
            &["ada@example.org", "eve@example.org"],
        )])
    }

    fn silent() -> Arc<Settings> {
        declaring(&[("live", GateLevel::Off, &[])])
    }

    /// Promotions, the newest first: their settings and whether they are rollbacks or holds.
    type Chain<'c> = &'c [(Arc<Settings>, bool)];

    fn merged(chains: &[Chain<'_>], first: Option<Environment>) -> Environment {
        let numbered: Vec<Vec<Past<(usize, usize)>>> = chains
            .iter()
            .enumerate()
            .map(|(row, chain)| {
                let past = chain.iter().enumerate();
                past.map(|(at, (_, stays_or_goes_back))| Past {
                    promotion: (row, at),
                    stays_or_goes_back: *stays_or_goes_back,
                })
                .collect()
            })
            .collect();
        let settings_of = |(row, at): (usize, usize)| Ok::<_, ()>(chains[row][at].0.clone());
        let judges = judging_settings("production", &numbered, || first, settings_of).unwrap();
        strictest("production", &judges)
    }

    #[test]
    fn the_last_promotion_judges_and_where_it_is_silent_the_one_before() {
        let forward: Chain<'_> = &[(lax(), false), (strict(), false)];
        assert_eq!(merged(&[forward], None).weaken, GateLevel::Off);
        let silenced: Chain<'_> = &[(silent(), false), (strict(), false)];
        assert_eq!(merged(&[silenced], None).weaken, GateLevel::Refuse);
    }

    #[test]
    fn after_a_rollback_both_judge() {
        let back: Chain<'_> = &[(lax(), true), (strict(), false), (lax(), false)];
        let judged = merged(&[back], None);
        assert_eq!(judged.weaken, GateLevel::Refuse);
        assert_eq!(judged.allow, ["ada@example.org"], "who both allow");
    }

    #[test]
    fn a_hold_after_a_rollback_puts_no_judge_away() {
        // 1 lax, 2 strict, 3 rollback to 1, 4 hold: what 4 holds is the lax tree once more.
        let held: Chain<'_> = &[
            (lax(), true),
            (lax(), true),
            (strict(), false),
            (lax(), false),
        ];
        let judged = merged(&[held], None);
        assert_eq!((judged.weaken, judged.allow.len()), (GateLevel::Refuse, 1));
    }

    #[test]
    fn after_an_external_move_both_chains_judge() {
        let branch: Chain<'_> = &[(lax(), false)];
        let ledger: Chain<'_> = &[(strict(), false)];
        for chains in [[branch, ledger], [ledger, branch]] {
            let judged = merged(&chains, None);
            assert_eq!((judged.weaken, judged.allow.len()), (GateLevel::Refuse, 1));
        }
    }

    #[test]
    fn at_the_first_promotion_what_others_say_of_it_counts_else_the_defaults() {
        let declared = find_environment("production", &strict());
        assert_eq!(merged(&[], declared).weaken, GateLevel::Refuse);
        assert_eq!(merged(&[], None), Environment::named("production"));
    }

    #[test]
    fn environments_are_what_production_and_the_publish_branch_declare() {
        let both = declaring(&[
            ("staging", GateLevel::Warn, &[]),
            ("production", GateLevel::Warn, &[]),
        ]);
        let names = list_environments(PRODUCTION, &[both], Some(&silent()));
        assert_eq!(names, ["staging", "production", "live"]);
        assert_eq!(list_environments(PRODUCTION, &[], None), ["production"]);
        assert_eq!(
            list_environments(PRODUCTION, &[], Some(&silent())),
            ["production", "live"]
        );
        assert_eq!(
            list_environments("eu/production", &[], Some(&strict())),
            ["eu/production"]
        );
    }
}
