//! Counts the steps of reading and judging, for tests only.
//!
//! A test of growth asks how much work an input of twice the size takes. Seconds depend on the
//! machine, so the primitives that loops consist of report themselves here: an event of the parser,
//! a character counted for a column, a look at a name, a cell of an edit distance. Outside of tests
//! it is nothing.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts some steps of work on this thread.
#[inline(always)]
pub(crate) fn note_steps(steps: usize) {
    #[cfg(test)]
    STEPS.with(|total| total.set(total.get() + steps as u64));
    #[cfg(not(test))]
    let _ = steps;
}

/// The steps that a call takes on this thread.
#[cfg(test)]
pub(crate) fn count_steps<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.with(std::cell::Cell::get);
    let result = call();
    (result, STEPS.with(std::cell::Cell::get) - before)
}
