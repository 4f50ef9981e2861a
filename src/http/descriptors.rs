//! How many connections the process can hold open beside the files that it needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and gives what it is then; `None` where
/// there is none.
pub(super) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!("cannot raise the limit of open files: {error}");
            current
        }
    }
}

/// The connections that may be open at once: those that are wanted, but at most half of the files
/// that may be open less the connections that are kept for probes.
pub(super) fn bound_connections(wanted: usize, files: Option<u64>, for_probes: usize) -> usize {
    let files = files
        .and_then(|files| usize::try_from(files).ok())
        .unwrap_or(usize::MAX);
    let most = (files / 2).saturating_sub(for_probes).max(1);
    if most < wanted {
        tracing::warn!("{most} connections at once, not {wanted}: {files} files may be open");
    }
    wanted.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_not_connections() {
        for (wanted, files, connections) in [
            (1_024, None, 1_024),
            (1_024, Some(1_048_576), 1_024),
            (1_024, Some(1_024), 480),
            (100, Some(1_024), 100),
            (1_024, Some(20), 1),
        ] {
            assert_eq!(
                bound_connections(wanted, files, 32),
                connections,
                "{files:?}"
            );
        }
    }
}
