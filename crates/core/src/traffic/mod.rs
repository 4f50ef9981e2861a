//! Requests that were really made: read from the lines of logs, tallied, and answered by two sets.
//!
//! A line is of the decision log, of LiteLLM's spend log, or a request as `resolve --batch` takes
//! it. What a line does not tell and a set asks for makes it unclear, never an absent value. Must
//! not know files, compression or the terminal.

mod asked;
mod replay;
mod report;
mod row;
mod tally;
#[cfg(test)]
mod tests;

pub use asked::{Asked, hidden_key, is_hidden_key};
pub use replay::{Compared, Comparer, replay_traffic};
pub use report::{Group, GroupContext, LaterRows, RegionTraffic, Replay, UnclearRows};
pub use row::{Decider, Row, RowReader, Seen, Unclear};
pub use tally::{LogPlace, Tally};
