//! The receive path from outside: its promises under crashes, faults, concurrency and hostile input.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_wrap,
    reason = "a test that fails says where"
)]

mod cluster;
mod connections;
mod crash;
mod disk_faults;
mod flush;
mod golden;
mod http2;
mod receivers;
mod requests;
mod sim_disk;
mod snapshots;
mod wal;
