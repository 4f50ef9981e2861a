//! What judging a tree comes to.

use std::sync::Arc;

use refguard_core::policy::Checked;
use refguard_core::resolve::Engine;

/// What a tree came to.
#[derive(Debug)]
pub enum Judged {
    /// A valid set.
    Sound(Arc<Engine>),
    /// None, and the errors that say why.
    Faulty(Box<Checked>),
}

impl Judged {
    /// The set, if it is one.
    pub fn sound(self) -> Option<Arc<Engine>> {
        match self {
            Self::Sound(engine) => Some(engine),
            Self::Faulty(_) => None,
        }
    }
}

impl From<Checked> for Judged {
    fn from(mut checked: Checked) -> Self {
        match checked.set.take() {
            Some(set) => Self::Sound(Arc::new(Engine::new(Arc::new(set)))),
            None => Self::Faulty(Box::new(checked)),
        }
    }
}
