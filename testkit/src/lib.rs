//! What tests and benchmarks need besides the thing they test.
//!
//! In reading order, from the ground up:
//!
//! - [`mod@reference`]: what a query means, computed in the most obvious way;
//! - [`compare`]: whether two answers are the same;
//! - [`generate`]: traces and queries from a seed;
//! - [`corpus`]: cases as text files, run against any engine;
//! - [`facts`] and [`testdata`]: what is known about recorded traces, and these themselves;
//! - [`clock`]: a time that tests move.
//!
//! It knows the query language and the plain model of a span, never an engine, so that what it says
//! about an engine is independent of it.

#![expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the obvious code is what this crate is for; its values are small"
)]
#![expect(
    clippy::expect_used,
    reason = "lists to choose from are not empty, and the language has checked its patterns"
)]
#![deny(missing_docs)]

pub mod clock;
pub mod compare;
pub mod corpus;
pub mod facts;
pub mod generate;
pub mod reference;
pub mod testdata;
