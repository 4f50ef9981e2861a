//! What a rollback goes back to, as an editor's undo does it.
//!
//! The history of an environment is replayed on a stack. A promotion pushes its set, a rollback
//! pops down to its target, a hold or release changes nothing. The top is what is in force.
//!
//! ```text
//! 1 promote A      A
//! 2 promote B      A B
//! 3 rollback to 1  A            B is popped: it never comes back by itself
//! external C       A C
//! rollback         A            not B, which had been rolled away
//! rollback         nothing below A
//! ```

use std::collections::BTreeMap;

use crate::repo::{CommitId, Target, TreeId};

/// One step of an environment's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct UndoStep {
    /// Its promotion's number; `None`: something else moved the branch.
    pub number: Option<u64>,
    /// The tip that it made.
    pub commit: CommitId,
    /// The tree of that tip.
    pub tree: TreeId,
    /// What it does to the stack.
    pub kind: StepKind,
}

/// What a step does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum StepKind {
    /// A promotion, or an external move.
    Push,
    /// A rollback.
    BackTo(Target),
    /// A hold or a release: the same set as before.
    Stay,
}

/// A set that can be gone back to: where it was put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct UndoEntry {
    /// How a rollback names it.
    pub target: Target,
    /// The tip that brought it.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
}

/// The stack after the whole history.
#[derive(Debug, Default)]
pub(in crate::ops) struct UndoStack {
    /// The oldest first; the last one is in force.
    entries: Vec<UndoEntry>,
    /// Every entry that there ever was, by each name that means it.
    known: BTreeMap<Target, UndoEntry>,
}

impl UndoStack {
    /// Replays a history, the oldest step first.
    pub fn replay(steps: impl IntoIterator<Item = UndoStep>) -> Self {
        let mut stack = Self::default();
        for step in steps {
            stack.apply(&step);
        }
        stack
    }

    /// The entry that a name means. The number of a rollback, hold or release means the entry it
    /// stands on.
    pub fn find(&self, target: Target) -> Option<UndoEntry> {
        self.known.get(&target).copied()
    }

    /// What a rollback without a target goes back to: the nearest entry below the top with another
    /// tree.
    pub fn below_top(&self) -> Option<UndoEntry> {
        let top = self.entries.last()?;
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.tree != top.tree)
            .copied()
    }

    fn apply(&mut self, step: &UndoStep) {
        let own = match step.number {
            Some(number) => Target::Promotion(number),
            None => Target::Commit(step.commit),
        };
        match step.kind {
            StepKind::Push if step.number.is_none() && self.pop_down_to_commit(step.commit) => {}
            StepKind::Push => {
                let (commit, tree) = (step.commit, step.tree);
                self.entries.push(UndoEntry {
                    target: own,
                    commit,
                    tree,
                });
            }
            StepKind::BackTo(target) => self.go_back(target, step),
            StepKind::Stay => {}
        }
        if let Some(top) = self.entries.last().copied() {
            self.known.insert(own, top);
            self.known.insert(Target::Commit(step.commit), top);
        }
    }

    /// An external move to the commit of an entry, or to the tip of a rollback or hold that stands
    /// on it: whoever did it went back by hand.
    fn pop_down_to_commit(&mut self, commit: CommitId) -> bool {
        let meant = self.find(Target::Commit(commit)).map(|entry| entry.target);
        let stands = self
            .entries
            .iter()
            .position(|entry| entry.commit == commit || Some(entry.target) == meant);
        if let Some(at) = stands {
            self.entries.truncate(at + 1);
        }
        stands.is_some()
    }

    /// Pops down to the target; one that was popped before is pushed anew.
    fn go_back(&mut self, target: Target, step: &UndoStep) {
        // A rollback of which the target is not known brings its own tree.
        let unknown = UndoEntry {
            target,
            commit: step.commit,
            tree: step.tree,
        };
        let entry = self.find(target).unwrap_or(unknown);
        match self.entries.iter().position(|it| it.target == entry.target) {
            Some(at) => self.entries.truncate(at + 1),
            None => self.entries.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit(byte: u8) -> CommitId {
        CommitId::from_bytes([byte; 20])
    }

    fn tree(byte: u8) -> TreeId {
        TreeId::from_bytes([byte; 20])
    }

    /// A history as it is written in the test: each step with the tree that is in force after it.
    #[derive(Default)]
    struct History(Vec<UndoStep>);

    impl History {
        fn next(&self) -> u64 {
            self.0
                .iter()
                .filter_map(|step| step.number)
                .max()
                .unwrap_or(0)
                + 1
        }

        fn add(mut self, number: Option<u64>, content: u8, kind: StepKind) -> Self {
            let commit = commit(100 + u8::try_from(self.0.len()).unwrap());
            self.0.push(UndoStep {
                number,
                commit,
                tree: tree(content),
                kind,
            });
            self
        }

        fn promote(self, content: u8) -> Self {
            let next = self.next();
            self.add(Some(next), content, StepKind::Push)
        }

        fn external(self, content: u8) -> Self {
            self.add(None, content, StepKind::Push)
        }

        fn hold(self) -> Self {
            let (next, content) = (self.next(), self.0.last().unwrap().tree.to_bytes()[0]);
            self.add(Some(next), content, StepKind::Stay)
        }

        /// A rollback as refguard makes it: without a target, to what the stack says.
        fn back(self, to: Option<u64>) -> Self {
            let stack = self.stack();
            let entry = match to {
                Some(number) => stack.find(Target::Promotion(number)),
                None => stack.below_top(),
            };
            let entry = entry.expect("something to go back to");
            let next = self.next();
            self.add(
                Some(next),
                entry.tree.to_bytes()[0],
                StepKind::BackTo(entry.target),
            )
        }

        fn stack(&self) -> UndoStack {
            UndoStack::replay(self.0.iter().copied())
        }

        /// Where a rollback would go.
        fn undo(&self) -> Option<u8> {
            self.stack()
                .below_top()
                .map(|entry| entry.tree.to_bytes()[0])
        }
    }

    #[test]
    fn what_was_rolled_away_never_comes_back_by_itself() {
        let good_bad = History::default().promote(b'A').promote(b'B').back(None);
        assert_eq!(good_bad.undo(), None);
        let hotfix = good_bad.external(b'C');
        assert_eq!(hotfix.undo(), Some(b'A'), "not B");
    }

    #[test]
    fn a_second_rollback_goes_further_back() {
        let three = History::default()
            .promote(b'A')
            .promote(b'B')
            .promote(b'C')
            .back(None);
        assert_eq!(three.undo(), Some(b'A'));
        assert_eq!(three.back(None).undo(), None);
    }

    #[test]
    fn an_entry_that_was_popped_is_pushed_anew_by_name() {
        let redo = History::default()
            .promote(b'A')
            .promote(b'B')
            .back(None)
            .back(Some(2));
        assert_eq!(redo.undo(), Some(b'A'));
        assert_eq!(redo.0.last().unwrap().tree, tree(b'B'));
    }

    #[test]
    fn the_number_of_a_hold_or_rollback_means_what_it_stands_on() {
        let held = History::default().promote(b'A').hold().promote(b'B');
        assert_eq!(
            held.stack().find(Target::Promotion(2)).unwrap().target,
            Target::Promotion(1)
        );
        let back = held.back(None).promote(b'C');
        assert_eq!(
            back.stack().find(Target::Promotion(4)).unwrap().target,
            Target::Promotion(1)
        );
        assert_eq!(back.undo(), Some(b'A'));
    }

    #[test]
    fn an_external_move_to_an_entry_pops_down_to_it() {
        let mut history = History::default().promote(b'A').promote(b'B').promote(b'C');
        let first = history.0[0];
        history.0.push(UndoStep {
            number: None,
            kind: StepKind::Push,
            ..first
        });
        assert_eq!(history.undo(), None);
        assert_eq!(history.promote(b'D').undo(), Some(b'A'));
    }

    #[test]
    fn promotions_of_the_same_set_are_one_step() {
        let same = History::default().promote(b'A').promote(b'B').promote(b'B');
        assert_eq!(same.undo(), Some(b'A'));
    }

    /// A step of a random history.
    #[derive(Debug, Clone, Copy)]
    enum Act {
        Promote(u8),
        External(u8),
        Hold,
        Back,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (1_u8..5).prop_map(Act::Promote),
            (1_u8..5).prop_map(Act::External),
            Just(Act::Hold),
            Just(Act::Back),
        ];
        proptest::collection::vec(act, 0..25)
    }

    fn play(acts: &[Act]) -> History {
        acts.iter()
            .fold(History::default().promote(9), |history, act| match act {
                Act::Promote(content) => history.promote(*content),
                Act::External(content) => history.external(*content),
                Act::Hold => history.hold(),
                Act::Back if history.undo().is_none() => history,
                Act::Back => history.back(None),
            })
    }

    #[test]
    fn a_hand_that_moves_back_to_the_tip_of_a_rollback_pops_down_to_what_that_went_back_to() {
        let history = History::default()
            .promote(1)
            .promote(2)
            .back(Some(1))
            .promote(3);
        let rollback = history.0[2].commit;
        let moved = UndoStep {
            number: None,
            commit: rollback,
            tree: tree(1),
            kind: StepKind::Push,
        };

        let stack = UndoStack::replay(history.0.into_iter().chain([moved]));

        assert_eq!(
            stack.below_top(),
            None,
            "neither what was rolled away nor what came after it"
        );
    }

    proptest! {
        #[test]
        fn repeated_rollbacks_end_and_never_visit_a_set_that_was_rolled_away(acts in acts()) {
            let mut history = play(&acts);
            let mut rolled_away = Vec::new();
            while history.undo().is_some() {
                rolled_away.push(history.stack().entries.last().unwrap().target);
                history = history.back(None);
                let top = history.stack().entries.last().unwrap().target;
                prop_assert!(!rolled_away.contains(&top));
                prop_assert!(rolled_away.len() <= acts.len() + 1, "rollbacks must come to an end");
            }
        }

        #[test]
        fn a_change_and_a_rollback_are_as_if_nothing_had_been(acts in acts(), content in 20_u8..30) {
            let before = play(&acts);
            let (undo, depth) = (before.undo(), before.stack().entries.len());
            let after = play(&acts).promote(content).back(None);
            prop_assert_eq!(after.undo(), undo);
            prop_assert_eq!(after.stack().entries.len(), depth);
        }

        #[test]
        fn the_top_of_the_stack_is_what_is_in_force(acts in acts()) {
            let history = play(&acts);
            let stack = history.stack();
            prop_assert_eq!(stack.entries.last().unwrap().tree, history.0.last().unwrap().tree);
        }
    }
}
