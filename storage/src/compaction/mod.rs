//! Compaction: many small blocks become few that are ordered by time and cut by trace id.
//!
//! [`policy`] says which blocks are merged.

pub mod policy;
