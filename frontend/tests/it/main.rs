//! The HTTP APIs and EXPLAIN, over spans in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says where"
)]

mod common;
mod exemplars;
mod explain;
mod prom_api;
mod refresh;
mod replaced;
mod search_api;
mod stored;
mod strict;
mod tags_api;
mod tempo_api;
mod trace_api;
mod watch;
