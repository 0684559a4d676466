//! The engine against the reference evaluator, on the corpora, on recorded traces, and on traces and
//! queries made up from seeds.

#![expect(clippy::float_cmp, reason = "counts are exact")]
#![expect(clippy::expect_used, reason = "a test that fails says where")]

mod bad_input;
mod corpora;
mod cuts;
mod dialects;
mod differential;
mod drilldown;
mod encoded;
mod exemplars;
mod golden;
mod long;
mod many_groups;
mod recorded;
mod support;
