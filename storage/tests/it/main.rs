//! Blocks and catalogs against stores that behave and stores that do not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test that fails says where"
)]

mod catalog;
mod columns;
mod common;
mod damage;
mod footer;
mod golden;
mod golden_spans;
mod maintenance;
mod plain;
mod received;
mod repeats;
mod rewrite;
mod round_trip;
mod trace;
mod values;
