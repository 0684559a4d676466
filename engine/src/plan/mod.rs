//! What a query needs, decided before any data is looked at, without a word of DataFusion.
//!
//! Reading order: [`selection`] (which spans), [`metrics`] (one metrics query), [`series`] (several,
//! and what is computed with their series), [`search`], [`patterns`].

mod metrics;
mod patterns;
mod search;
mod selection;
mod series;

pub use metrics::MetricsPlan;
pub(crate) use patterns::Patterns;
pub use search::{SearchLimits, SearchPlan, SearchWindow};
pub use selection::Selection;
pub(crate) use selection::{DepthTest, attribute_and_text};
pub(crate) use series::SeriesExpr;
pub use series::SeriesPlan;
