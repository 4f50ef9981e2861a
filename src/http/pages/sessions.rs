//! Who has signed in: random ids that browsers keep, and until when each of them is good.
//!
//! An id says nothing of the token: the server holds the hash of the id beside the hash of the
//! token that it was given for. A session ends with its time, when its browser signs out, when the
//! token is no longer accepted, and with the daemon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::daemon::lock_unpoisoned;

/// The cookie's name.
pub(super) const COOKIE: &str = "refguard-session";
/// The same over TLS: a browser takes it from an encrypted connection only.
pub(super) const SECURE_COOKIE: &str = "__Secure-refguard-session";

/// Sessions of one token at most; its own one that would end first makes place.
const MAX_OF_TOKEN: usize = 100;
/// Sessions of all tokens at most; then one of the token that has the most makes place.
const MAX_SESSIONS: usize = 10_000;

type Hash = [u8; 32];

/// Which session: the hash of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) struct SessionKey(Hash);

impl SessionKey {
    /// Of an id. Looking a hash up tells nothing of an id by the time that it takes.
    pub fn of(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }
}

#[derive(Debug, Clone, Copy)]
struct Session {
    token: Hash,
    ends: Instant,
}

/// The sessions.
#[derive(Debug)]
pub(in crate::http) struct Sessions {
    life: Duration,
    known: Mutex<HashMap<SessionKey, Session>>,
}

impl Sessions {
    /// None yet; each will last so long.
    pub fn new(life: Duration) -> Self {
        Self {
            life,
            known: Mutex::default(),
        }
    }

    /// How long one lasts.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Begins one for whoever has a token, by the token's hash. Returns its id; `None` where the
    /// system gives no random bytes.
    pub fn begin_session(&self, token: Hash) -> Option<String> {
        let mut random = [0; 32];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut random)
            .ok()?;
        let id = HEXLOWER.encode(&random);

        let now = Instant::now();
        let mut known = self.lock();
        known.retain(|_, session| session.ends > now);
        if known
            .values()
            .filter(|session| session.token == token)
            .count()
            >= MAX_OF_TOKEN
        {
            remove_first(&mut known, token);
        } else if known.len() >= MAX_SESSIONS {
            let mut counts: HashMap<Hash, usize> = HashMap::new();
            known
                .values()
                .for_each(|it| *counts.entry(it.token).or_default() += 1);
            let most = counts.into_iter().max_by_key(|(_, count)| *count);
            most.into_iter()
                .for_each(|(token, _)| remove_first(&mut known, token));
        }
        known.insert(
            SessionKey::of(&id),
            Session {
                token,
                ends: now + self.life,
            },
        );
        Some(id)
    }

    /// Whether there is a session, whose token is still accepted. One that is refused never comes
    /// back.
    pub fn is_good(&self, key: SessionKey, is_accepted: impl Fn(&Hash) -> bool) -> bool {
        let mut known = self.lock();
        let session = known.get(&key);
        let is_good = session.is_some_and(|it| it.ends > Instant::now() && is_accepted(&it.token));
        if !is_good {
            known.remove(&key);
        }
        is_good
    }

    /// How long a session still lasts.
    pub fn time_left(&self, key: SessionKey) -> Option<Duration> {
        let session = self.lock().get(&key).copied()?;
        session.ends.checked_duration_since(Instant::now())
    }

    /// Ends one.
    pub fn end_session(&self, key: SessionKey) {
        self.lock().remove(&key);
    }

    /// Ends those whose tokens are no longer accepted.
    pub fn retain_sessions(&self, is_accepted: impl Fn(&Hash) -> bool) {
        self.lock().retain(|_, session| is_accepted(&session.token));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Session>> {
        lock_unpoisoned(&self.known)
    }
}

/// Ends the session of a token that would end first.
fn remove_first(known: &mut HashMap<SessionKey, Session>, token: Hash) {
    let own = known.iter().filter(|(_, session)| session.token == token);
    let first = own
        .min_by_key(|(_, session)| session.ends)
        .map(|(key, _)| *key);
    first.and_then(|key| known.remove(&key));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_time_by_sign_out_and_with_its_token() {
        let sessions = Sessions::new(Duration::from_secs(3600));
        let begin = |token: u8| SessionKey::of(&sessions.begin_session([token; 32]).unwrap());
        let key = begin(7);
        assert!(sessions.is_good(key, |token| *token == [7; 32]));
        assert_ne!(begin(7), key);
        assert!(!sessions.is_good(SessionKey::of(""), |_| true));
        sessions.end_session(key);
        assert!(!sessions.is_good(key, |_| true));

        let refused = begin(7);
        assert!(!sessions.is_good(refused, |_| false));
        assert!(
            !sessions.is_good(refused, |_| true),
            "what was refused does not come back"
        );
        let (gone, kept) = (begin(7), begin(8));
        sessions.retain_sessions(|token| *token == [8; 32]);
        assert!(!sessions.is_good(gone, |_| true) && sessions.is_good(kept, |_| true));

        let over = Sessions::new(Duration::ZERO);
        let key = SessionKey::of(&over.begin_session([7; 32]).unwrap());
        assert!(!over.is_good(key, |_| true));
        assert_eq!(over.time_left(key), None);
    }

    #[test]
    fn who_has_most_makes_place() {
        let sessions = Sessions::new(Duration::from_secs(3600));
        let begin = |token: [u8; 32]| SessionKey::of(&sessions.begin_session(token).unwrap());
        for token in 0..u8::try_from(MAX_SESSIONS / MAX_OF_TOKEN).unwrap() {
            for _ in 1..MAX_OF_TOKEN {
                begin([token; 32]);
            }
        }
        let first = begin([101; 32]);
        for _ in 1..MAX_OF_TOKEN {
            begin([101; 32]);
        }
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        let other = begin([102; 32]);
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert!(!sessions.is_good(first, |_| true) && sessions.is_good(other, |_| true));
    }
}
