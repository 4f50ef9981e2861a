//! Files that the daemon wrote for itself, read back with suspicion: other users and programs may
//! have put something else in their place.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The content of a regular file of the daemon's own user; `None` where there is no such file.
///
/// Never blocks: a FIFO without a writer is refused, not waited for.
///
/// # Errors
/// Where it is no regular file, belongs to another user, is longer than `limit` bytes, or cannot be
/// read.
pub(super) fn read_private_file(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    // Before it is opened: opening a device may already do something.
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    check_kind_and_owner(&found)?;

    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    // Again: something else may have taken its place in between.
    check_kind_and_owner(&file.metadata()?)?;

    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::other(format!("it is longer than {limit} bytes")));
    }
    Ok(Some(bytes))
}

fn check_kind_and_owner(found: &fs::Metadata) -> io::Result<()> {
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        let message = format!(
            "it belongs to user {}, the daemon runs as user {own}",
            found.uid()
        );
        return Err(io::Error::other(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_short_regular_file_of_the_own_user_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        assert_eq!(
            read_private_file(&path("file"), 5).unwrap().as_deref(),
            Some(&b"12345"[..])
        );
        assert_eq!(read_private_file(&path("none"), 5).unwrap(), None);

        let refused = |name: &str, limit| {
            read_private_file(&path(name), limit)
                .map(drop)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused("file", 4), "it is longer than 4 bytes");
        symlink(path("file"), path("link")).unwrap();
        assert_eq!(refused("link", 5), "it is not a regular file");
        assert!(
            Command::new("mkfifo")
                .arg(path("fifo"))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(refused("fifo", 5), "it is not a regular file");
        assert_eq!(refused(".", 5), "it is not a regular file");
        // `/` and what a system installs belong to root: another user, unless root runs the tests.
        if rustix::process::geteuid().as_raw() != 0 {
            let foreign = read_private_file(Path::new("/etc/passwd"), 1 << 20).unwrap_err();
            assert!(
                foreign.to_string().starts_with("it belongs to user 0"),
                "{foreign}"
            );
        }
    }
}
