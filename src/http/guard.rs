//! Who may ask: bearer tokens by their hashes, and the names that a request may call this server.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::app::App;
use super::attempts::{FORGIVEN, Peer};
use super::pages::access::has_session;
use super::pages::is_page;
use super::problem::Problem;
use crate::daemon::{Accepted, Owner};

/// Paths that a probe may ask without a token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// SHA-256 hashes of the tokens that are accepted.
#[derive(Clone, Default)]
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// From lines of 64 hex digits; empty lines and `#` comments are skipped.
    ///
    /// # Errors
    /// The number of the first line that is none of these, or that there is no hash at all.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let word = line.split('#').next().unwrap_or("").trim();
            if !word.is_empty() {
                tokens.push(
                    read_hash(word)
                        .ok_or_else(|| format!("line {number} is no SHA-256 hash in hex"))?,
                );
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.is_empty() {
            Err("it has no hash".to_owned())
        } else {
            Ok(Self(tokens))
        }
    }

    fn accept(&self, token: &str) -> bool {
        self.has_hash(&hash_token(token))
    }

    /// Compares in the same time whatever the token is.
    pub(super) fn has_hash(&self, given: &[u8; 32]) -> bool {
        let found = |found: Choice, known: &[u8; 32]| found | known.ct_eq(given);
        self.0.iter().fold(Choice::from(0), found).into()
    }
}

fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn read_hash(word: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE
        .decode(word.as_bytes())
        .ok()?
        .try_into()
        .ok()
}

/// The names of this server. A page that a browser loaded from elsewhere can reach a loopback
/// address under its own name (DNS rebinding): such a request is refused.
#[derive(Debug, Clone, Default)]
pub struct HostGuard {
    /// Names beside the loopback ones.
    pub allowed: Vec<String>,
}

impl HostGuard {
    fn accepts(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
            || self
                .allowed
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// Whether a path is one that a probe asks.
pub(super) fn is_open(path: &str) -> bool {
    OPEN.contains(&path)
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// One with a token that is accepted, or with a session on a page; where no tokens are asked
    /// for, anybody.
    Known,
    /// One without a token.
    Unknown,
    /// One with a wrong token.
    Wrong,
    /// One with a wrong token, and too many of these came from its address of late.
    Late,
}

/// Finds out who asks. A right token is always known, whatever else came from the same address; of
/// wrong ones each address has a few.
pub(super) fn recognise_caller(app: &App, request: &Request) -> Caller {
    let headers = request.headers();
    let has_session = || is_page(request.uri().path()) && has_session(app, headers);
    if has_token(app, headers) || has_session() {
        return Caller::Known;
    }
    // Of other schemes a proxy in front may have taken credentials, which are no token of ours.
    if !has_bearer(headers) {
        return Caller::Unknown;
    }

    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or(Peer::Socket);
    let now = Instant::now();
    if !app.wrong_tokens.may_try(peer, now) {
        return Caller::Late;
    }
    app.wrong_tokens.note_wrong_token(peer, now);
    tracing::warn!(peer = %peer, "a request had a wrong token");
    Caller::Wrong
}

/// Whether a request may be answered.
pub(super) fn judge_caller(
    app: &App,
    headers: &HeaderMap,
    path: &str,
    caller: Caller,
) -> Result<(), Problem> {
    judge_host(app, headers)?;
    if is_open(path) || caller == Caller::Known {
        return Ok(());
    }
    Err(refuse_caller(caller))
}

/// What is said to who may not ask.
pub(super) fn refuse_caller(caller: Caller) -> Problem {
    match caller {
        Caller::Late => Problem {
            retry_seconds: FORGIVEN.as_secs(),
            ..Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "this token is wrong, and so were many from this address of late: a right one is \
                 answered at once",
            )
        },
        Caller::Known | Caller::Unknown | Caller::Wrong => Problem::new(
            StatusCode::UNAUTHORIZED,
            "a bearer token of this server is needed",
        ),
    }
}

/// Whether a request names this server as its host.
pub(super) fn judge_host(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(hosts) = &app.options.hosts else {
        return Ok(());
    };
    // Without a Host header no browser speaks.
    for host in headers.get_all(header::HOST) {
        if !host.to_str().is_ok_and(|host| hosts.accepts(host)) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "the Host header names another server",
            ));
        }
    }
    Ok(())
}

/// Whether a request has a token that is accepted, or none is asked for.
fn has_token(app: &App, headers: &HeaderMap) -> bool {
    let Some(tokens) = app.options.credentials.tokens() else {
        return true;
    };
    single_token(headers).is_some_and(|token| tokens.accept(token))
}

/// The hash of a token that is accepted as it was typed; `None` of any other.
pub(super) fn accepted_hash(app: &App, token: &str) -> Option<[u8; 32]> {
    let tokens = app.options.credentials.tokens()?;
    tokens.accept(token).then(|| hash_token(token))
}

/// Whose token a request has that was let through; where no tokens are asked for, nobody is told
/// from another.
pub(super) fn find_owner(app: &App, headers: &HeaderMap) -> Owner {
    let asks = app.options.credentials.tokens().is_some();
    Owner(single_token(headers).filter(|_| asks).map(hash_token))
}

/// The tokens that are accepted now, and whose owners they are.
pub(super) fn accepted(app: &App) -> Accepted<impl Fn(Owner) -> bool> {
    Accepted {
        tokens: app
            .options
            .credentials
            .tokens()
            .map_or(0, |tokens| tokens.0.len()),
        includes: |owner| is_accepted(app, owner),
    }
}

/// Whether an owner may still ask.
pub(super) fn is_accepted(app: &App, owner: Owner) -> bool {
    match (app.options.credentials.tokens(), owner.0) {
        (Some(tokens), Some(hash)) => tokens.has_hash(&hash),
        (None, None) => true,
        _ => false,
    }
}

/// Whether a request gives a bearer token, right or wrong.
fn has_bearer(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    given.any(|value| value.to_str().ok().and_then(bearer_token).is_some())
}

/// The bearer token of a request, which must have one `Authorization` only.
fn single_token(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let token = given
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(bearer_token);
    token.filter(|_| given.next().is_none())
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_by_their_hashes() {
        let text = "# proxies\n\
            9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 # test\n\n";
        let tokens = Tokens::parse(text).unwrap();
        assert!(tokens.accept("test"));
        assert!(!tokens.accept("Test"));
        assert!(!tokens.accept(""));
        assert!(Tokens::parse("").is_err());
        assert!(Tokens::parse("test").is_err_and(|error| error.starts_with("line 1")));
    }

    #[test]
    fn only_loopback_and_allowed_names_are_this_server() {
        let guard = HostGuard {
            allowed: vec!["refguard.internal".to_owned()],
        };
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "refguard.internal:1",
        ] {
            assert!(guard.accepts(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "127.0.0.1.nip.io",
            "0.0.0.0",
        ] {
            assert!(!guard.accepts(host), "{host}");
        }
    }
}
