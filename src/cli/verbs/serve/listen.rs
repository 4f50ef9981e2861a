//! The sockets that a daemon listens on.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use crate::http::Listener;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let text = text.replace("localhost:", "127.0.0.1:");
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| "write it as ADDRESS:PORT or unix:PATH".to_owned())
    }
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether a browser on this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.ip().is_loopback())
    }
}

/// A socket that listens already.
pub(super) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Listens on an address. A socket file that a dead daemon left behind is replaced; any other
    /// file is left alone.
    ///
    /// # Errors
    /// Where the address is in use, or the path holds something else than a socket.
    pub fn bind(address: &Address, mode: u32) -> Result<Self> {
        match address {
            Address::Tcp(wanted) => {
                let failed = || format!("cannot listen on `{wanted}`");
                let listener = TcpListener::bind(wanted).with_context(failed)?;
                let address = listener.local_addr().with_context(failed)?;
                Ok(Self::Tcp(listener, address))
            }
            Address::Unix(path) => {
                let failed = || format!("cannot listen on `{}`", path.display());
                remove_dead_socket(path)?;
                let listener = UnixListener::bind(path).with_context(failed)?;
                let permissions = fs::Permissions::from_mode(mode);
                fs::set_permissions(path, permissions).with_context(failed)?;
                let inode = fs::symlink_metadata(path).with_context(failed)?.ino();
                Ok(Self::Unix(
                    listener,
                    SocketFile {
                        path: path.clone(),
                        inode,
                    },
                ))
            }
        }
    }

    /// What a client is given: `http://127.0.0.1:8731`, `unix:/run/refguard/socket`.
    pub fn url(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(_, address) => format!("{scheme}://{address}"),
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }
}

/// The listeners, and the files to remove at the end.
pub(super) fn into_listeners(sockets: Vec<Socket>) -> (Vec<Listener>, Vec<SocketFile>) {
    let (mut listeners, mut files) = (Vec::new(), Vec::new());
    for socket in sockets {
        match socket {
            Socket::Tcp(listener, _) => listeners.push(Listener::Tcp(listener)),
            Socket::Unix(listener, file) => {
                listeners.push(Listener::Unix(listener));
                files.push(file);
            }
        }
    }
    (listeners, files)
}

impl SocketFile {
    /// Removes the file, unless another one has taken its place.
    pub fn remove(self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| found.file_type().is_socket() && found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_dead_socket(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        bail!(
            "`{}` is there already and is no socket: name another path",
            path.display()
        );
    }
    // One that answers is in use: binding fails then, and says so.
    if UnixStream::connect(path).is_err() {
        let _ = fs::remove_file(path);
    }
    Ok(())
}
