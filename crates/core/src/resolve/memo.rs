//! Answers to questions that are asked again and again within one request.

use fixedbitset::FixedBitSet;

/// Which questions, numbered from 0, have been answered, and with yes.
pub(super) struct Memo {
    questions: usize,
    known: FixedBitSet,
    held: FixedBitSet,
}

impl Memo {
    /// For so many questions; none is answered yet.
    pub(super) fn of(questions: usize) -> Self {
        Self { questions, known: FixedBitSet::new(), held: FixedBitSet::new() }
    }

    /// The answer, if it was learned.
    pub(super) fn known(&self, question: usize) -> Option<bool> {
        self.known.contains(question).then(|| self.held.contains(question))
    }

    /// Takes in an answer, and gives it back.
    pub(super) fn learn(&mut self, question: usize, held: bool) -> bool {
        // A request that asks nothing takes no memory.
        let questions = self.questions.max(question + 1);
        self.known.grow(questions);
        self.known.insert(question);
        if held {
            self.held.grow(questions);
            self.held.insert(question);
        }
        held
    }

    /// The answer, worked out the first time.
    pub(super) fn answer(&mut self, question: usize, work_out: impl FnOnce() -> bool) -> bool {
        self.known(question).unwrap_or_else(|| self.learn(question, work_out()))
    }
}
