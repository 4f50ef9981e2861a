//! A cache of answers: gateways ask for the same few thousand keys, teams and models all day.
//!
//! Each snapshot has a cache of its own, which is dropped with it: a snapshot never changes, so an
//! entry never becomes wrong, and an answer of one set is never given for another. A hit costs 0.1
//! µs where working out the answer costs 6 µs (1,000 policies) to 24 µs (10,000). Knows nothing of
//! how questions are read or answers written.

use std::sync::OnceLock;

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, OptionsBuilder, Weighter};
use refguard_core::resolve::Fields;

/// Bytes of questions and answers in one cache.
const CAPACITY: u64 = 12 << 20;
/// Entries to expect. As many evicted questions are remembered, so that one that comes again is
/// kept longer.
const EXPECTED: usize = 4_096;
/// The share of the capacity for entries that were hit before; new entries have the rest.
const AGAIN: f64 = 0.5;
/// Shards of the cache, each with its own lock.
const SHARDS: usize = 8;
/// Bytes that an entry costs beside its question and answer.
const OVERHEAD: u64 = 200;
/// The longest entry: a few long ones must not evict all others.
const LONGEST: u64 = CAPACITY / 64;

/// A request as it was sent: equal bytes have equal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question<B> {
    /// The body of the request.
    pub body: B,
    /// Which parts of the answer are wanted.
    pub fields: Fields,
    /// Whether unknown names are refused.
    pub strict: bool,
}

/// The key of an entry.
type Answered = Question<Box<[u8]>>;

impl Equivalent<Answered> for Question<&[u8]> {
    fn equivalent(&self, key: &Answered) -> bool {
        *self
            == Question {
                body: &*key.body,
                fields: key.fields,
                strict: key.strict,
            }
    }
}

#[derive(Clone)]
struct Length;

impl Weighter<Answered, Bytes> for Length {
    fn weight(&self, question: &Answered, answer: &Bytes) -> u64 {
        weigh_answer(question.body.len(), answer.len())
    }
}

fn weigh_answer(question: usize, answer: usize) -> u64 {
    u64::try_from(question.saturating_add(answer))
        .map_or(u64::MAX, |bytes| bytes.saturating_add(OVERHEAD))
}

/// The cache of one snapshot. Evicts what is used least.
#[derive(Default)]
pub struct Answers(OnceLock<Option<Cache<Answered, Bytes, Length>>>);

impl Answers {
    /// The cached answer to a question.
    pub fn find_answer(&self, question: Question<&[u8]>) -> Option<Bytes> {
        self.0.get()?.as_ref()?.get(&question)
    }

    /// Caches an answer, if it is not too long, and returns it.
    pub fn keep_answer(&self, question: Question<&[u8]>, answer: Vec<u8>) -> Bytes {
        let answer = shrink_cache(answer);
        if weigh_answer(question.body.len(), answer.len()) > LONGEST {
            return answer;
        }
        // The first entry allocates the cache: many sets are never asked.
        if let Some(kept) = self.0.get_or_init(new_cache) {
            let Question {
                body,
                fields,
                strict,
            } = question;
            kept.insert(
                Question {
                    body: body.into(),
                    fields,
                    strict,
                },
                answer.clone(),
            );
        }
        answer
    }
}

/// Copies an answer without its spare capacity, unless that is little. Shrinking in place may free
/// nothing.
fn shrink_cache(answer: Vec<u8>) -> Bytes {
    match answer.capacity() - answer.len() > answer.len() / 8 {
        true => Bytes::copy_from_slice(&answer),
        false => answer.into(),
    }
}

fn new_cache() -> Option<Cache<Answered, Bytes, Length>> {
    let mut options = OptionsBuilder::new();
    options
        .estimated_items_capacity(EXPECTED)
        .weight_capacity(CAPACITY)
        .shards(SHARDS);
    options.hot_allocation(AGAIN).ghost_allocation(1.0);
    // Building fails only without the two capacities.
    let options = options.build().ok()?;
    Some(Cache::with_options(
        options,
        Length,
        Default::default(),
        Default::default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(body: &str) -> Question<&[u8]> {
        Question {
            body: body.as_bytes(),
            fields: Fields::ALL,
            strict: false,
        }
    }

    #[test]
    fn an_answer_is_given_again_to_the_same_question_only() {
        let answers = Answers::default();
        let asked = question(r#"{"context":{}}"#);
        assert_eq!(answers.find_answer(asked), None);
        assert_eq!(
            answers.keep_answer(asked, b"this".to_vec()),
            Bytes::from_static(b"this")
        );
        assert_eq!(
            answers.find_answer(asked),
            Some(Bytes::from_static(b"this"))
        );
        assert_eq!(answers.find_answer(question(r#"{"context": {}}"#)), None);
        assert_eq!(
            answers.find_answer(Question {
                strict: true,
                ..asked
            }),
            None
        );
        assert_eq!(
            answers.find_answer(Question {
                fields: Fields::parse_list("guardrails").unwrap(),
                ..asked
            }),
            None
        );
    }

    #[test]
    fn those_that_ask_again_find_room_after_many_that_asked_once() {
        let (answers, answer) = (Answers::default(), vec![b'x'; 7_600]);
        let ask = |body: &str| {
            let known = answers.find_answer(question(body)).is_some();
            if !known {
                answers.keep_answer(question(body), answer.clone());
            }
            known
        };
        assert_eq!((0..20_000).filter(|n| ask(&format!("once {n}"))).count(), 0);
        let again = |_| (0..1_000).filter(|n| ask(&format!("again {n}"))).count();
        let rounds: Vec<usize> = (0..4).map(again).collect();
        assert!(
            rounds[3] > 950,
            "of 1,000 that asked again were known, round by round: {rounds:?}"
        );
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let (answers, answer) = (Answers::default(), vec![b'x'; 10_000]);
        let all: Vec<String> = (0..5_000).map(|n| format!("question {n}")).collect();
        for body in &all {
            answers.keep_answer(question(body), answer.clone());
        }
        let kept = all
            .iter()
            .filter(|body| answers.find_answer(question(body)).is_some())
            .count();
        assert!((600..=1_258).contains(&kept), "{kept} of 10 kB in 12 MiB");
        assert_eq!(
            answers
                .keep_answer(question("long"), vec![b'x'; 1 << 20])
                .len(),
            1 << 20
        );
        assert_eq!(answers.find_answer(question("long")), None);
    }
}
