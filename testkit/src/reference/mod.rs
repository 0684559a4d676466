//! The reference evaluator: what a query means, computed in the most obvious way.
//!
//! It is written from the language's definition to be compared with, so it knows neither blocks nor columns
//! and does nothing cleverly: every trace is put together from its spans, and every query is
//! evaluated span by span on that. It implements the logical semantics, not what the storage of a
//! particular engine makes of them.
//!
//! Reading order: [`value`] and [`operators`] (what expressions compute with), [`trace`] and
//! [`tree`] (what they are evaluated on), [`attributes`] and [`expression`] (one span),
//! [`selection`] (one trace), [`mod@metrics`] (all of them), then [`aggregate`], [`buckets`],
//! [`series`] and [`second_stage`].
//!
//! Where the definition leaves room:
//!
//! - An operand of `&&` or `||` that is not Boolean counts as false.
//! - An attribute whose value is invisible to the language (bytes, key-value lists, …) is absent,
//!   so `.x` goes on to the resource.
//! - Series whose labels are equal are one series, whatever the values behind the labels were.

pub mod aggregate;
pub mod attributes;
pub mod buckets;
pub mod error;
pub mod expression;
pub mod grid;
pub mod metrics;
pub mod operators;
pub mod second_stage;
pub mod selection;
pub mod series;
pub mod trace;
pub mod tree;
pub mod value;

use storage::ids::{SpanId, TraceId};
use storage::model::SpanGroup;
use traceql::ast::{Body, Query};

pub use self::error::{EvalError, RuntimeError};
pub use self::grid::Grid;
pub use self::metrics::metrics;
pub use self::series::{LabelValue, Labels, RefSeries};

/// The spans that a query selects, trace by trace, in the order received. Of a metrics query, the
/// spans that its pipeline selects.
///
/// # Errors
/// The pipeline is of a kind not implemented here, or an operator fails on some span.
pub fn select_spans(
    query: &Query,
    groups: &[SpanGroup],
) -> Result<Vec<(TraceId, SpanId)>, EvalError> {
    let pipeline = match &query.body {
        Body::Search(pipeline) => pipeline,
        Body::Metrics(metrics) => &metrics.pipeline,
        Body::PipelineExpr(_) => return Err(EvalError::NotImplemented("pipeline as operand")),
        Body::ScalarPipelineFilter(_) => {
            return Err(EvalError::NotImplemented(
                "filter on a pipeline's aggregate",
            ));
        }
        Body::MetricsExpr(_) => return Err(EvalError::NotImplemented("arithmetic on series")),
    };
    let filter = selection::SpanFilter::of_pipeline(pipeline)?;
    let mut selected = Vec::new();
    for trace in trace::assemble(groups) {
        let all: Vec<usize> = (0..trace.spans.len()).collect();
        selected.extend(
            filter
                .select(&trace, &all)?
                .into_iter()
                .map(|index| trace.identity(index)),
        );
    }
    Ok(selected)
}

/// Whether this evaluator knows every construct of the query: a single spanset filter, perhaps with
/// a metrics stage.
#[must_use]
pub fn is_span_local(query: &Query) -> bool {
    let pipeline = match &query.body {
        Body::Search(pipeline) => pipeline,
        Body::Metrics(metrics)
            if matches!(metrics.stage, traceql::ast::MetricsStage::Aggregate(_)) =>
        {
            &metrics.pipeline
        }
        _ => return false,
    };
    selection::SpanFilter::of_pipeline(pipeline).is_ok()
}
