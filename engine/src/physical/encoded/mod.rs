//! Operators over encoded columns: scan, filter and what comes after them in one, by dictionary code.
//!
//! They do what a plan of DataFusion does, where all that is asked for lies flat in a stored block;
//! everything else goes that way, which is also what these are tested against. Reading order: [`plan`]
//! (which columns are read), [`page_index`] (which of their pages), [`codes`] (rows and their codes),
//! [`window`] (some neighbouring rows), then [`mod@aggregate`] with [`durations`], [`mod@compare`] with
//! [`lists`], and [`traces`].

mod aggregate;
mod codes;
mod compare;
mod durations;
mod lists;
mod page_index;
mod plan;
mod traces;
mod window;

pub(crate) use aggregate::EncodedAggregate;
pub(crate) use compare::EncodedCompare;
pub(super) use durations::Durations;
pub(crate) use traces::EncodedTraces;
