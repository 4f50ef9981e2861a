//! Many commits at once, from another system's history: one `git fast-import` for all of them.

use std::fmt::Write as _;

use super::{CommitId, Person, RefName, Repo, RepoError};

/// A commit that is to follow the one before it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHistory {
    /// Who made the change, and when.
    pub author: Person,
    /// The whole message.
    pub message: String,
    /// Files to write, by path relative to the top; `None`: to remove.
    pub files: Vec<(String, Option<String>)>,
}

impl Repo {
    /// Makes commits, one on the other, on a branch that must not exist yet, and gives their ids in
    /// order. The work tree is brought up to date with the last one if the branch is checked out.
    pub fn import_history(
        &self,
        branch: &RefName,
        commits: &[NewHistory],
    ) -> Result<Vec<CommitId>, RepoError> {
        self.fast_import(branch, None, commits)?;
        if self.checked_out_in(branch)?.is_some() {
            self.git_command(["reset", "--hard", "--quiet"]).run()?;
        }
        let tip = self.require_ref(branch)?;
        let mut ids = self
            .first_parents(tip)
            .map(|c| c.map(|c| c.id))
            .collect::<Result<Vec<CommitId>, RepoError>>()?;
        ids.reverse();
        Ok(ids)
    }

    /// Makes one commit on another, as a branch that must not exist yet.
    ///
    /// # Errors
    /// Where git cannot make it.
    pub fn import_branch(
        &self,
        branch: &RefName,
        parent: CommitId,
        commit: &NewHistory,
    ) -> Result<(), RepoError> {
        self.fast_import(branch, Some(parent), std::slice::from_ref(commit))
    }

    fn fast_import(
        &self,
        branch: &RefName,
        parent: Option<CommitId>,
        commits: &[NewHistory],
    ) -> Result<(), RepoError> {
        let ident = self
            .git_command(["var", "GIT_COMMITTER_IDENT"])
            .run()?
            .text();
        let mut stream = String::from("feature done\n");
        for (n, commit) in commits.iter().enumerate() {
            let Person { name, email, time } = &commit.author;
            // What `<` and `>` would end is a person's name, never more than that.
            let plain = |text: &str| text.replace(['<', '>', '\n', '\r', '\0'], " ");
            let _ = writeln!(stream, "commit {branch}");
            let _ = writeln!(
                stream,
                "author {} <{}> {}",
                plain(name),
                plain(email),
                time.raw().trim_start_matches('@')
            );
            // The time is the version's, the person is who runs the import.
            let person = ident
                .rsplit_once('>')
                .map_or(ident.as_str(), |(person, _)| person);
            let _ = writeln!(
                stream,
                "committer {person}> {}",
                time.raw().trim_start_matches('@')
            );
            write_data(&mut stream, &commit.message);
            if let Some(parent) = parent.filter(|_| n == 0) {
                let _ = writeln!(stream, "from {parent}");
            }
            for (path, text) in &commit.files {
                match text {
                    Some(text) => {
                        let _ = writeln!(stream, "M 100644 inline {}", quote_path(path));
                        write_data(&mut stream, text);
                    }
                    None => {
                        let _ = writeln!(stream, "D {}", quote_path(path));
                    }
                }
            }
        }
        stream.push_str("done\n");
        let fast_import = ["fast-import", "--quiet", "--date-format=raw"];
        self.make_durable(fast_import)
            .with_input(stream)
            .run()
            .map(drop)
    }
}

fn write_data(stream: &mut String, text: &str) {
    let _ = writeln!(stream, "data {}\n{text}", text.len());
}

/// A path as fast-import reads it.
fn quote_path(path: &str) -> String {
    format!(
        "\"{}\"",
        path.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}
