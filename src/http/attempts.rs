//! How many wrong tokens came from where: after a few of them a peer has to wait.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::daemon::lock_unpoisoned;

/// Wrong tokens that one peer may send at once.
const MOST: u32 = 10;
/// How long it takes until one of them is forgotten.
pub(super) const FORGIVEN: Duration = Duration::from_secs(6);
/// Peers that are remembered.
const MAX_PEERS: usize = 10_000;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// An address, of IPv6 its network: who has one address of it has them all.
    Address(IpAddr),
    /// The Unix socket.
    Socket,
}

impl Peer {
    /// Of an address.
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self::Address(IpAddr::V6(network.into()))
            }
            address => Self::Address(address),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Self::Socket => write!(f, "the Unix socket"),
        }
    }
}

/// The wrong tokens of late.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Peer, Wrong>>);

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    at: Instant,
}

impl Wrong {
    /// How many still count.
    fn count_left(self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.at).as_secs() / FORGIVEN.as_secs();
        self.count
            .saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// Whether a peer may try now.
    pub fn may_try(&self, peer: Peer, now: Instant) -> bool {
        let known = lock_unpoisoned(&self.0);
        known
            .get(&peer)
            .is_none_or(|wrong| wrong.count_left(now) < MOST)
    }

    /// A peer has sent a wrong token.
    pub fn note_wrong_token(&self, peer: Peer, now: Instant) {
        let mut known = lock_unpoisoned(&self.0);
        if known.len() >= MAX_PEERS {
            known.retain(|_, wrong| wrong.count_left(now) > 0);
        }
        if known.len() >= MAX_PEERS {
            known.clear();
        }
        let count = known.get(&peer).map_or(0, |wrong| wrong.count_left(now));
        known.insert(
            peer,
            Wrong {
                count: count + 1,
                at: now,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_waits_after_ten_wrong_tokens_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let peer = Peer::of_address("2001:db8::1".parse().unwrap());
        for _ in 0..MOST {
            assert!(attempts.may_try(peer, now));
            attempts.note_wrong_token(peer, now);
        }
        assert!(!attempts.may_try(peer, now));
        assert!(!attempts.may_try(Peer::of_address("2001:db8::ffff".parse().unwrap()), now));
        assert!(attempts.may_try(Peer::of_address("192.0.2.1".parse().unwrap()), now));
        assert!(attempts.may_try(Peer::Socket, now));
        assert!(attempts.may_try(peer, now + FORGIVEN));
        assert_eq!(peer.to_string(), "2001:db8::/64");
        assert_eq!(
            Peer::of_address("::ffff:192.0.2.1".parse().unwrap()).to_string(),
            "192.0.2.1"
        );
    }
}
