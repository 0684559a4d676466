//! A query to expressions and plans of DataFusion over one block.
//!
//! Types are decided by what the block holds. Reading order: [`value`] (what an attribute can be),
//! [`layout`] (where it is), [`nested_set`], [`expression`], [`scope`], [`spansets`] (stages over whole
//! traces), [`selection`] (which spans), [`mod@keys`] and [`mod@aggregate`] (what is aggregated of
//! them, and by what). What is done with selected spans is said by the kinds of jobs, see
//! [`crate::kinds`].

mod aggregate;
pub(crate) mod expression;
mod keys;
pub(crate) mod layout;
mod nested_set;
mod scope;
mod selection;
pub(crate) mod spansets;
pub(crate) mod value;

pub(crate) use aggregate::LoweredAggregate;
pub(crate) use selection::Selected;
