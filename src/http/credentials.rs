//! What a server is given to prove who it is, and to know who asks: replaced while it serves.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use super::Tokens;

/// Tokens and TLS as they were read last. A request, or the next connection, uses what is there then.
#[derive(Default)]
pub struct Credentials {
    tokens: ArcSwapOption<Tokens>,
    tls: ArcSwapOption<ServerConfig>,
}

impl Credentials {
    /// Accepts these tokens and no others from now on.
    pub fn set_tokens(&self, tokens: Tokens) {
        self.tokens.store(Some(Arc::new(tokens)));
    }

    /// Speaks TLS with this certificate on connections from now on.
    pub fn set_tls(&self, tls: Arc<ServerConfig>) {
        self.tls.store(Some(tls));
    }

    /// Who may ask; `None`: everybody who reaches the socket.
    pub(super) fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.load_full()
    }

    /// How TCP connections are encrypted; `None`: not at all.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.load_full()
    }
}
