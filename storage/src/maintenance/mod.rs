//! What keeps a store in order without anybody asking: blocks are merged, those that are old go, and
//! objects that nothing names any more are removed.
//!
//! [`compactor`] merges blocks, [`deletion`] takes traces out of them;
//! [`repeats`] leaves out of new blocks what is stored; [`backup`] copies all of it elsewhere; [`retention`] says which blocks are too old; [`sweep`] removes objects.

pub mod backup;
pub mod compactor;
pub mod deletion;
pub mod repeats;
pub mod retention;
pub mod sweep;
