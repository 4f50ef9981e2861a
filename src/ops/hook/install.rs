//! `hook install`: puts refguard's hooks where git looks for them, and keeps what was there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::ops::Workspace;

/// What a hook of ours has as its second line.
const MARK: &str = "# Written by `refguard hook install`; run that again to renew it.";

/// What a hook that was there before is called now.
const KEPT: &str = ".before-refguard";

/// The hooks of an author. Without refguard the first stops git, the second only has nothing to warn of.
const HOOKS: [&str; 2] = ["pre-commit", "pre-push"];

/// One hook, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledHook {
    /// Its file.
    pub path: PathBuf,
    /// Whether the file is another than before.
    pub changed: bool,
    /// The hook that was there before, and is called first.
    pub kept: Option<PathBuf>,
}

impl Workspace {
    /// Installs the hooks for this folder of policies, beside other folders of the same repository.
    /// `program` is used where `refguard` is not on the PATH.
    ///
    /// # Errors
    /// Where there is no work tree, the folder of hooks cannot be written, or two hooks would have to be kept.
    pub fn install_hooks(&self, program: &Path) -> Result<Vec<InstalledHook>> {
        self.root().dir()?;
        let dir = self.repo()?.hooks_dir()?;
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create the folder `{}`", dir.display()))?;
        HOOKS.iter().map(|name| install(&dir, name, self.root().prefix(), program)).collect()
    }
}

fn install(dir: &Path, name: &str, prefix: &str, program: &Path) -> Result<InstalledHook> {
    let path = dir.join(name);
    let kept = dir.join(format!("{name}{KEPT}"));
    let before = match fs::read(&path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
    };
    let ours = before.as_ref().is_some_and(|text| text.lines().nth(1) == Some(MARK));
    if before.is_some() && !ours {
        if kept.exists() {
            bail!(
                "there is a hook `{}` and one kept before, `{}`: merge the two",
                path.display(),
                kept.display()
            );
        }
        fs::rename(&path, &kept).with_context(|| format!("cannot keep `{}`", path.display()))?;
    }
    let mut folders: BTreeSet<String> =
        before.filter(|_| ours).iter().flat_map(|text| folders(text)).collect();
    folders.insert(quoted(if prefix.is_empty() { "." } else { prefix }));
    let text = script(name, &folders, program);
    let changed = fs::read(&path).ok().as_deref() != Some(text.as_bytes());
    if changed {
        write(&path, &text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(InstalledHook { path, changed, kept: Some(kept).filter(|kept| kept.exists()) })
}

/// The folders that a hook of ours judges, quoted.
fn folders(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("judge ")).map(str::to_owned).collect()
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn script(name: &str, folders: &BTreeSet<String>, program: &Path) -> String {
    let program = quoted(&program.to_string_lossy());
    let judge: String = folders.iter().map(|folder| format!("judge {folder}\n")).collect();
    // What git writes to the standard input of a pre-push hook is for both hooks.
    let (input, feed, missing) = match name {
        "pre-push" => {
            ("remote=${1-} url=${2-}\ninput=$(cat)\n", "printf '%s\\n' \"$input\" | ", "exit 0")
        }
        _ => ("", "", "exit 1"),
    };
    let words = if input.is_empty() { "" } else { r#" "$remote" "$url""# };
    format!(
        r#"#!/bin/sh
{MARK}
{input}before=$0{KEPT}
if [ -x "$before" ]; then
    {feed}"$before" "$@" || exit $?
fi
refguard=$(command -v refguard) || refguard={program}
if ! [ -x "$refguard" ]; then
    echo 'refguard: not found, so the policies are not judged' >&2
    {missing}
fi
judge() {{
    [ -d "$1" ] || return 0
    {feed}"$refguard" -C "$1" hook {name}{words} || exit $?
}}
{judge}"#
    )
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(&new, path)
}
