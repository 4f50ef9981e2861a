//! What git ignores in a work tree: `.gitignore` of each folder, `info/exclude`,
//! `core.excludesFile`.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::Repo;

/// The rules in force in one folder; the last level that has a word decides.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    levels: Vec<Gitignore>,
}

impl Ignored {
    /// The rules at the root of a set, read from the top of the work tree down. A root that is
    /// itself ignored is read whole, as outside git: somebody named it.
    pub fn at_root(repo: &Repo, top: &Path, root: &Path) -> Option<Self> {
        let mut rules = Self::default();
        for file in [
            global_excludes(repo),
            Some(repo.common_dir().join("info/exclude")),
        ]
        .into_iter()
        .flatten()
        {
            rules.add_patterns(top, &file);
        }
        let mut folder = top.to_owned();
        for part in root.strip_prefix(top).ok()?.components() {
            rules.enter_folder(&folder);
            folder.push(part);
            if rules.is_ignored(&folder, true) {
                return None;
            }
        }
        Some(rules)
    }

    /// Takes in the rules of a folder; says whether there were any, which [`Self::leave_folder`] must
    /// undo.
    pub fn enter_folder(&mut self, folder: &Path) -> bool {
        self.add_patterns(folder, &folder.join(".gitignore"))
    }

    /// Forgets the rules of the folder entered last.
    pub fn leave_folder(&mut self) {
        self.levels.pop();
    }

    /// Whether a path is ignored, given that the folder it is in is not.
    pub fn is_ignored(&self, path: &Path, folder: bool) -> bool {
        for level in self.levels.iter().rev() {
            match level.matched(path, folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }

    fn add_patterns(&mut self, folder: &Path, file: &Path) -> bool {
        if !file.is_file() {
            return false;
        }
        let mut builder = GitignoreBuilder::new(folder);
        // A line that cannot be read ignores nothing: the file it meant is read, not lost.
        let _ = builder.add(file);
        let Ok(level) = builder.build() else {
            return false;
        };
        self.levels.push(level);
        true
    }
}

impl Repo {
    /// Whether git ignores a folder below the top of the work tree, or one that it lies in. The
    /// folder need not exist.
    pub fn ignores_folder(&self, folder: &Path) -> bool {
        let Some(top) = self.work_tree().and_then(|top| top.canonicalize().ok()) else {
            return false;
        };
        folder.starts_with(&top) && Ignored::at_root(self, &top, folder).is_none()
    }
}

fn global_excludes(repo: &Repo) -> Option<PathBuf> {
    let home = || repo.env.get("HOME").map(PathBuf::from);
    let expand = |path: &str| match path.strip_prefix("~/") {
        Some(rest) => home().map(|home| home.join(rest)),
        None => Some(repo.working_folder().join(path)),
    };
    // A configuration that git cannot read names no file; every other git command says so.
    let config = repo.read_config().ok();
    let configured = config.and_then(|config| expand(config.get("core.excludesfile")?));
    let default = || {
        let config = repo.env.get("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| home().map(|home| home.join(".config")));
        config.map(|config| config.join("git/ignore"))
    };
    configured.or_else(default)
}
