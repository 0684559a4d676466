//! The engine against the reference evaluator, on the corpora, on recorded traces, and on traces and
//! queries made up from seeds.

mod corpora;
mod cuts;
mod differential;
mod recorded;
mod support;
