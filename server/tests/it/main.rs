//! The running binary, from outside: the way its users see it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says aloud what it leaves out"
)]

mod acceptance;
mod arithmetic;
mod bad_input;
mod buckets;
mod command_line;
mod crash;
mod facts;
mod full_disk;
mod harness;
mod keeps;
mod lifecycle;
mod peers;
mod reading;
mod send;
