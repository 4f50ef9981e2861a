//! The files of tokens and TLS: read at the start, and again on SIGHUP.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::http::{Credentials, Tokens, tls_config};

/// Where they are.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    /// Hashes of the tokens that are accepted.
    pub tokens: Option<PathBuf>,
    /// The certificate chain and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Secrets {
    /// Reads the files and has a server use them. Tokens come first, so that a certificate at fault
    /// keeps no revoked token alive.
    ///
    /// # Errors
    /// What of them cannot be read; what was in use before stays in use.
    pub fn read_into(&self, credentials: &Credentials) -> Result<()> {
        let tokens = self.read_tokens().map(|tokens| {
            if let Some(tokens) = tokens {
                credentials.set_tokens(tokens);
            }
        });
        if let Some((cert, key)) = &self.tls {
            let tls = tls_config(&read_secret(cert)?, &read_secret(key)?)
                .map_err(|error| read_secret_at(cert, &error))?;
            credentials.set_tls(tls);
        }
        tokens
    }

    fn read_tokens(&self) -> Result<Option<Tokens>> {
        let Some(path) = &self.tokens else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&read_secret(path)?).into_owned();
        Tokens::parse(&text)
            .map(Some)
            .map_err(|error| read_secret_at(path, &error))
    }
}

fn read_secret(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn read_secret_at(path: &Path, error: &str) -> anyhow::Error {
    anyhow!("`{}`: {error}", path.display())
}
