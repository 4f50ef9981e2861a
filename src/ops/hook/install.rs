//! `hook install`: puts refguard's hooks where git looks for them, and keeps what was there.
//!
//! The scripts are renewed by reading back what an earlier one was told: the folders it judges, and
//! the hook of a shared folder that it calls. Must not know what a hook judges.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::ops::Workspace;
use crate::repo::{Repo, SharedHooks};

/// What a hook of ours has as its second line.
const MARK: &str = "# Written by `refguard hook install`; run that again to renew it.";

/// What is added to the name of a hook that was there before.
const KEPT: &str = ".before-refguard";

/// What the pre-commit framework adds to the name of a hook that it found, and goes on to call.
const LEGACY: &str = ".legacy";

/// The hooks of an author. Git runs `pre-merge-commit` instead of `pre-commit` where a merge has no
/// conflict. Without refguard on the machine the first two stop git; the last has nothing to warn
/// of.
const HOOKS: [&str; 3] = ["pre-commit", "pre-merge-commit", "pre-push"];

/// One hook, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledHook {
    /// Its file.
    pub path: PathBuf,
    /// Whether the file is another than before.
    pub changed: bool,
    /// The hooks that were there before, and are called first.
    pub first: Vec<PathBuf>,
}

/// What an installation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookInstallation {
    /// Our hooks.
    pub hooks: Vec<InstalledHook>,
    /// Other hooks of a shared folder, which no longer run in this repository.
    pub unreached: Vec<PathBuf>,
}

impl Workspace {
    /// Installs the hooks for this folder of policies, beside other folders of the same repository.
    /// `program` is used where `refguard` is not on the PATH. `here`: where the configuration of
    /// the user or the machine names a folder of hooks for all repositories, this repository gets
    /// its own.
    ///
    /// # Errors
    /// Where there is no work tree, the folder of hooks cannot be written or is one for all
    /// repositories, or two hooks would have to be kept.
    pub fn install_hooks(&self, program: &Path, here: bool) -> Result<HookInstallation> {
        self.root().dir()?;
        let (dir, shared) = choose_folder(self.repo()?, here)?;
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create the folder `{}`", dir.display()))?;

        let place = HookPlace {
            dir,
            shared,
            folder: self.root().prefix(),
            program,
        };
        let hooks = HOOKS
            .iter()
            .map(|name| place.install(name))
            .collect::<Result<_>>()?;
        Ok(HookInstallation {
            hooks,
            unreached: place.unreached_hooks(),
        })
    }
}

/// The folder to write to, and the shared one that git took hooks from until now.
fn choose_folder(repo: &Repo, here: bool) -> Result<(PathBuf, Option<PathBuf>)> {
    let Some(SharedHooks { dir, scope, origin }) = repo.shared_hooks()? else {
        return Ok((repo.hooks_dir()?, None));
    };
    if !here {
        bail!(
            "`core.hooksPath` names `{}` for every repository ({scope} configuration, {origin}): \
             hooks \
             written there would run everywhere; `refguard hook install --here` gives this \
             repository \
             hooks of its own, which call those of that folder first",
            dir.display()
        );
    }
    Ok((repo.use_own_hooks()?, Some(dir)))
}

/// Where hooks are written, and for what.
struct HookPlace<'p> {
    dir: PathBuf,
    /// A folder of hooks for all repositories that this one left.
    shared: Option<PathBuf>,
    /// The folder of policies, from the top of the work tree; empty at the top.
    folder: &'p str,
    program: &'p Path,
}

impl HookPlace<'_> {
    fn install(&self, name: &str) -> Result<InstalledHook> {
        let path = self.find_ours(name)?;
        let kept = self.dir.join(format!("{name}{KEPT}"));
        let before = read_text(&path)?;
        let ours = before.as_deref().filter(|text| is_ours(text));
        if before.is_some() && ours.is_none() {
            keep_hook(&path, &kept)?;
        }

        let mut told = ours.map(Told::parse).unwrap_or_default();
        told.folders.insert(quote_word(if self.folder.is_empty() {
            "."
        } else {
            self.folder
        }));
        let shared = self
            .shared
            .as_ref()
            .map(|dir| dir.join(name))
            .filter(|path| path.exists());
        told.shared
            .extend(shared.map(|path| quote_word(&path.to_string_lossy())));

        let text = write_script(name, &told, self.program);
        let changed = before.as_deref() != Some(text.as_str());
        if changed {
            write_hook(&path, &text)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let shared = told
            .shared
            .iter()
            .map(|word| PathBuf::from(unquote_word(word)));
        let first = shared.chain(kept.exists().then_some(kept)).collect();
        Ok(InstalledHook {
            path,
            changed,
            first,
        })
    }

    /// The file that holds our hook, or is to hold it: the one that git runs, or the one that the
    /// pre-commit framework has renamed and calls.
    fn find_ours(&self, name: &str) -> Result<PathBuf> {
        let (path, legacy) = (
            self.dir.join(name),
            self.dir.join(format!("{name}{LEGACY}")),
        );
        let holds_ours = |path: &Path| {
            Ok::<_, anyhow::Error>(read_text(path)?.is_some_and(|text| is_ours(&text)))
        };
        if !holds_ours(&path)? && path.exists() && holds_ours(&legacy)? {
            return Ok(legacy);
        }
        Ok(path)
    }

    /// The hooks of the shared folder that none of ours calls.
    fn unreached_hooks(&self) -> Vec<PathBuf> {
        let entries = self
            .shared
            .iter()
            .filter_map(|dir| fs::read_dir(dir).ok())
            .flatten();
        let is_unreached = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            is_program(path) && !name.contains('.') && !HOOKS.contains(&&*name)
        };
        let mut hooks: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(is_unreached)
            .collect();
        hooks.sort();
        hooks
    }
}

/// Renames a hook that is not ours, so that ours can call it.
fn keep_hook(path: &Path, kept: &Path) -> Result<()> {
    if kept.exists() {
        bail!(
            "there is a hook `{}` and one kept before, `{}`: merge the two",
            path.display(),
            kept.display()
        );
    }
    fs::rename(path, kept).with_context(|| format!("cannot keep `{}`", path.display()))
}

fn read_text(path: &Path) -> Result<Option<String>> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        bail!("`{}` is no regular file: remove it", path.display());
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

fn is_ours(text: &str) -> bool {
    text.lines().nth(1) == Some(MARK)
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What a script of ours was told, as words of the shell.
#[derive(Default)]
struct Told {
    /// The folders of policies that it judges.
    folders: BTreeSet<String>,
    /// The hook of a shared folder that it calls first.
    shared: BTreeSet<String>,
}

impl Told {
    fn parse(script: &str) -> Self {
        let after = |word: &'static str| {
            script
                .lines()
                .filter_map(move |line| line.strip_prefix(word))
                .map(str::trim)
        };
        let is_path = |word: &&str| word.starts_with('\'');
        Self {
            folders: after("judge ").map(str::to_owned).collect(),
            shared: after("first ")
                .filter(is_path)
                .filter_map(|line| line.strip_suffix(" \"$@\""))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// A word for the shell.
fn quote_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The text of a word of [`quote_word`].
fn unquote_word(word: &str) -> String {
    word.trim_matches('\'').replace(r"'\''", "'")
}

fn write_script(name: &str, told: &Told, program: &Path) -> String {
    let program = quote_word(&program.to_string_lossy());
    let judge: String = told
        .folders
        .iter()
        .map(|folder| format!("judge {folder}\n"))
        .collect();
    let first: String = told
        .shared
        .iter()
        .map(|shared| format!("first {shared} \"$@\"\n"))
        .collect();
    // What git writes to the standard input of a pre-push hook is for every hook.
    let (verb, input, feed, missing) = match name {
        "pre-push" => (
            "pre-push",
            "remote=${1-} url=${2-}\ninput=$(cat)\n",
            "printf '%s\\n' \"$input\" | ",
            "exit 0",
        ),
        _ => ("pre-commit", "", "", "exit 1"),
    };
    let words = if input.is_empty() {
        ""
    } else {
        r#" "$remote" "$url""#
    };
    format!(
        r#"#!/bin/sh
{MARK}
{input}first() {{
    hook=$1
    shift
    [ -x "$hook" ] || return 0
    # Renamed and called by the pre-commit framework: that is not called once more.
    case $0 in
        *{LEGACY}) grep -qs 'generated by pre-commit' "$hook" && return 0 ;;
    esac
    {feed}"$hook" "$@" || exit $?
}}
{first}first "$(dirname "$0")/{name}{KEPT}" "$@"
refguard=$(command -v refguard) || refguard={program}
if ! [ -x "$refguard" ]; then
    echo 'refguard: not found, so the policies are not judged' >&2
    {missing}
fi
judge() {{
    [ -d "$1" ] || return 0
    {feed}"$refguard" -C "$1" hook {verb}{words} || exit $?
}}
{judge}"#
    )
}

fn write_hook(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_back_what_it_was_told() {
        let words = |list: &[&str]| list.iter().map(|word| quote_word(word)).collect();
        let told = Told {
            folders: words(&[".", "us 'and' more"]),
            shared: words(&["/h/it's"]),
        };
        for name in HOOKS {
            let script = write_script(name, &told, Path::new("/bin/refguard"));
            let read = Told::parse(&script);
            assert!(is_ours(&script));
            assert_eq!(
                (read.folders, read.shared),
                (told.folders.clone(), told.shared.clone())
            );
        }
        assert_eq!(unquote_word(&quote_word("/h/it's")), "/h/it's");
    }
}
