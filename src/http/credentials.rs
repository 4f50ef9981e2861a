//! What a server is given to prove who it is, and to know who asks: replaced while it serves.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use super::Tokens;

type Listener = Box<dyn Fn(&Tokens) + Send + Sync>;

/// Tokens and TLS as they were read last. A request, or the next connection, uses what is there
/// then.
#[derive(Default)]
pub struct Credentials {
    tokens: ArcSwapOption<Tokens>,
    tls: ArcSwapOption<ServerConfig>,
    listener: OnceLock<Listener>,
}

impl Credentials {
    /// Accepts these tokens and no others from now on.
    pub fn set_tokens(&self, tokens: Tokens) {
        let tokens = Arc::new(tokens);
        self.tokens.store(Some(tokens.clone()));
        if let Some(listener) = self.listener.get() {
            listener(&tokens);
        }
    }

    /// Calls a function, the first one that is given, each time that tokens are replaced.
    pub(super) fn on_tokens(&self, listener: impl Fn(&Tokens) + Send + Sync + 'static) {
        self.listener.get_or_init(|| Box::new(listener));
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
