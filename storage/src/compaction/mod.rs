//! Compaction: many small blocks become few that are ordered by time and cut by trace id.
//!
//! [`policy`] says which blocks are merged, [`rewrite`] merges them, on
//! threads of its own ([`workers`]).

pub mod policy;
pub mod rewrite;
pub mod workers;
