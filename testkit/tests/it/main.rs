//! Tests of the repository as a whole, and of the testkit against recorded data.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that fails says where"
)]

mod corpora;
mod floors;
mod imports;
mod recorded;
mod tidy;
