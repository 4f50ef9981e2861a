//! Asking daemons from the command line: their addresses, TLS, tokens, and one request at a time by
//! HTTP/1.0.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::http::{Deadline, TlsClient, connect_to, host_name, read_answer};

/// How long one daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read at most: a listing of clients has 64 MiB of reports.
const MAX_ANSWER: usize = 96 << 20;

/// The daemons that a verb asks, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct DaemonArgs {
    /// Send the bearer token that is in this variable of the environment
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,

    /// Trust the certificates that these sign, as PEM, instead of those that this machine trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The daemons: http://HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(value_name = "URL", required = true)]
    daemons: Vec<String>,
}

impl DaemonArgs {
    /// Everything that it takes to ask them.
    ///
    /// # Errors
    /// Where an address is none, the token is not set or the authorities cannot be read.
    pub(in crate::cli) fn asker(&self) -> Result<Asker<'_>> {
        let token = match &self.token_env {
            None => None,
            Some(name) => Some(
                std::env::var(name).with_context(|| format!("the variable `{name}` is not set"))?,
            ),
        };
        let addresses: Vec<Address<'_>> = self
            .daemons
            .iter()
            .map(|daemon| Address::parse(daemon))
            .collect::<Result<_>>()?;
        let tls = match addresses.iter().any(Address::is_tls) {
            true => Some(trusted_authorities(self.ca.as_deref())?),
            false => None,
        };
        let daemons = self
            .daemons
            .iter()
            .map(String::as_str)
            .zip(addresses)
            .collect();
        Ok(Asker {
            daemons,
            token,
            tls,
        })
    }
}

/// Trusts those who are in a file, else those that this machine trusts.
///
/// # Errors
/// Where they cannot be read.
pub(in crate::cli) fn trusted_authorities(file: Option<&Path>) -> Result<TlsClient> {
    let Some(path) = file else {
        return TlsClient::trusting_this_machine().map_err(anyhow::Error::msg);
    };
    let named = || format!("`{}`", path.display());
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", named()))?;
    TlsClient::trust_roots(&pem)
        .map_err(anyhow::Error::msg)
        .with_context(named)
}

/// Where a daemon listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address<'a> {
    /// `HOST` or `HOST:PORT`
    Http(&'a str),
    Https(&'a str),
    Unix(&'a str),
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::Unix(path));
        }
        let (address, host) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(host), _) => (Self::Http as fn(&'a str) -> Self, host),
            (_, Some(host)) => (Self::Https as fn(&'a str) -> Self, host),
            (None, None) => (Self::Http as fn(&'a str) -> Self, ""),
        };
        let host = host.trim_end_matches('/');
        // A name as a header takes it; no path, no user.
        if host.is_empty() || host.contains(|c: char| "/?#@\\".contains(c) || !c.is_ascii_graphic())
        {
            bail!(
                "`{url}` is no daemon's address: write it as http://HOST:PORT, https://HOST:PORT \
                 or \
                 unix:PATH"
            );
        }
        Ok(address(host))
    }

    fn is_tls(&self) -> bool {
        matches!(self, Self::Https(_))
    }
}

/// What every daemon is asked with.
pub(in crate::cli) struct Asker<'a> {
    /// Each with its address as it was typed.
    daemons: Vec<(&'a str, Address<'a>)>,
    token: Option<String>,
    /// Where any daemon is asked by https.
    tls: Option<TlsClient>,
}

/// What a daemon said.
pub(in crate::cli) struct Answer {
    /// The status code of HTTP.
    pub status: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Result<Self> {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .context("it does not speak HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or("").to_owned();
        Ok(Self {
            status,
            body: body.to_owned(),
        })
    }

    /// Its body, where it is an answer to what was asked.
    ///
    /// # Errors
    /// Where it refused, or said no JSON.
    pub(in crate::cli) fn json(&self) -> Result<Value> {
        if self.status != "200" {
            bail!("{}", self.title("refuses"));
        }
        serde_json::from_str(&self.body).context("its answer is no JSON")
    }

    /// What a problem document says is wrong, else the status.
    pub(in crate::cli) fn title(&self, verb: &str) -> String {
        let problem: Option<Value> = serde_json::from_str(&self.body).ok();
        let said = problem
            .as_ref()
            .and_then(|it| it.get("detail").or_else(|| it.get("title")));
        match said.and_then(Value::as_str) {
            Some(said) => format!("{verb}: {said}"),
            None => format!("answers with status {}", self.status),
        }
    }
}

impl<'a> Asker<'a> {
    /// Asks every daemon in turn; each answer with the daemon's address as it was typed.
    pub(in crate::cli) fn ask_all<'s>(
        &'s self,
        method: &'s str,
        path: &'s str,
    ) -> impl Iterator<Item = (&'a str, Result<Answer>)> + use<'a, 's> {
        self.daemons
            .iter()
            .map(move |(daemon, address)| (*daemon, self.ask_daemon(address, method, path)))
    }

    fn ask_daemon(&self, address: &Address<'_>, method: &str, path: &str) -> Result<Answer> {
        let token = self.token.as_deref();
        let deadline = Deadline::from_now(ANSWER);
        let request = |host: &str| write_request(host, method, path, token);
        let answer = match *address {
            Address::Http(host) => {
                let stream = connect_to(host, 80, &deadline)?;
                read_answer(stream, request(host).as_bytes(), MAX_ANSWER, &deadline)
            }
            Address::Https(host) => {
                let tls = self
                    .tls
                    .as_ref()
                    .context("there is no authority to trust")?;
                let stream = connect_to(host, 443, &deadline)?;
                let stream = tls
                    .open_connection(stream, host_name(host))
                    .map_err(anyhow::Error::msg)?;
                read_answer(stream, request(host).as_bytes(), MAX_ANSWER, &deadline)
            }
            Address::Unix(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                read_answer(
                    stream,
                    request("localhost").as_bytes(),
                    MAX_ANSWER,
                    &deadline,
                )
            }
        };
        let text = String::from_utf8(answer.map_err(anyhow::Error::msg)?);
        Answer::parse(&text.context("its answer is no text")?)
    }
}

/// The text of a request.
fn write_request(host: &str, method: &str, path: &str, token: Option<&str>) -> String {
    let bearer = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{bearer}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        assert_eq!(Address::parse("http://a:1/").unwrap(), Address::Http("a:1"));
        assert_eq!(
            Address::parse("https://[::1]:8731").unwrap(),
            Address::Https("[::1]:8731")
        );
        assert_eq!(
            Address::parse("unix:/run/x").unwrap(),
            Address::Unix("/run/x")
        );
        for bad in [
            "a:1",
            "http://",
            "https://a/b",
            "http://u@a",
            "http://a\r\nX: y",
            "ftp://a",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
