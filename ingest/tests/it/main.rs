//! The receive path from outside: its promises under crashes, faults, concurrency and hostile input.

mod cluster;
mod crash;
mod disk_faults;
mod flush;
mod receivers;
mod requests;
mod sim_disk;
mod snapshots;
mod wal;
