//! The library from outside: LiteLLM's answers, the round trip, the index against a plain scan.

mod conformance;
mod index;
mod litellm;
mod round_trip;
mod support;
