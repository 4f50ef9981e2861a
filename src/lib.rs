//! refguard: the policies of an LLM gateway as files in git.
pub mod document;
pub mod policy;
pub mod resolve;
pub mod prove;
