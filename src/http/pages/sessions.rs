//! Who has signed in: random ids that browsers keep, and until when each of them is good.
//!
//! An id says nothing of the token: the server holds the hash of the id beside the hash of the token that it was given
//! for. A session ends with its time, when its browser signs out, when the token is no longer accepted, and with the
//! daemon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The cookie's name.
pub(super) const COOKIE: &str = "refguard-session";
/// The same over TLS: a browser takes it from an encrypted connection only.
pub(super) const SECURE_COOKIE: &str = "__Secure-refguard-session";

/// Sessions at most; the one that would end first makes place.
const MAX_SESSIONS: usize = 10_000;

type Hash = [u8; 32];

#[derive(Debug, Clone, Copy)]
struct Session {
    token: Hash,
    ends: Instant,
}

/// The sessions.
#[derive(Debug)]
pub(in crate::http) struct Sessions {
    life: Duration,
    known: Mutex<HashMap<Hash, Session>>,
}

impl Sessions {
    /// None yet; each will last so long.
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    /// How long one lasts.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Begins one for whoever has a token, by the token's hash. Returns its id; `None` where the system gives no
    /// random bytes.
    pub fn begin(&self, token: Hash) -> Option<String> {
        let mut random = [0; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut random).ok()?;
        let id = HEXLOWER.encode(&random);

        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= MAX_SESSIONS {
            known.retain(|_, session| session.ends > now);
        }
        if known.len() >= MAX_SESSIONS {
            let first = known.iter().min_by_key(|(_, session)| session.ends).map(|(hash, _)| *hash);
            first.and_then(|hash| known.remove(&hash));
        }
        known.insert(hash_id(&id), Session { token, ends: now + self.life });
        Some(id)
    }

    /// Whether an id is that of a session, whose token is still accepted.
    pub fn is_good(&self, id: &str, is_accepted: impl Fn(&Hash) -> bool) -> bool {
        let session = self.lock().get(&hash_id(id)).copied();
        session.is_some_and(|it| it.ends > Instant::now() && is_accepted(&it.token))
    }

    /// How long a session still lasts.
    pub fn left(&self, id: &str) -> Option<Duration> {
        let session = self.lock().get(&hash_id(id)).copied()?;
        session.ends.checked_duration_since(Instant::now())
    }

    /// Ends one.
    pub fn end(&self, id: &str) {
        self.lock().remove(&hash_id(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Session>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looking a hash up tells nothing of an id by the time that it takes.
fn hash_id(id: &str) -> Hash {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_time_by_sign_out_and_with_its_token() {
        let sessions = Sessions::new(Duration::from_secs(3600));
        let id = sessions.begin([7; 32]).unwrap();
        assert!(sessions.is_good(&id, |token| *token == [7; 32]));
        assert!(!sessions.is_good(&id, |_| false));
        assert!(!sessions.is_good("", |_| true));
        assert_ne!(sessions.begin([7; 32]).unwrap(), id);
        sessions.end(&id);
        assert!(!sessions.is_good(&id, |_| true));

        let over = Sessions::new(Duration::ZERO);
        let id = over.begin([7; 32]).unwrap();
        assert!(!over.is_good(&id, |_| true));
        assert_eq!(over.left(&id), None);
    }
}
