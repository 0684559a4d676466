//! Tests of the repository as a whole, and of the testkit against recorded data.

mod corpora;
mod recorded;
mod tidy;
