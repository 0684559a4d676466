//! The reference evaluator: what a query means, computed in the most obvious way.
//!
//! It is written from the language's definition to be compared with, so it knows neither blocks nor columns
//! and does nothing cleverly: every trace is put together from its spans, and every query is
//! evaluated span by span on that. It implements the logical semantics, not what the storage of a
//! particular engine makes of them.
//!
//! Reading order: [`value`] and [`operators`] (what expressions compute with), [`trace`] and
//! [`tree`] (what they are evaluated on), [`attributes`] and [`expression`] (one span),
//! [`relation`], [`scalar`] and [`pipeline`] (one trace); then [`mod@search`] for the answer to a
//! search; [`grid`], [`series`], `selected`, [`buckets`], [`aggregate`], [`comparison`],
//! [`second_stage`], [`arithmetic`] and, out of these, [`mod@metrics`] for that to a metrics query.
//!
//! Where the definition leaves room:
//!
//! - An operand of `&&` or `||` that is not Boolean counts as false.
//! - An attribute whose value is invisible to the language (bytes, key-value lists, …) is absent,
//!   so `.x` goes on to the resource.
//! - Series whose labels are equal are one series, whatever the values behind the labels were.
//! - A failing expression fails a metrics query if it fails on a span that starts in the window. A
//!   query that relates spans looks at all spans of the traces that have a span in the window.
//! - `({…} | count()) > 2` selects the spans of its pipelines, as one spanset.

pub mod aggregate;
pub mod arithmetic;
pub mod attributes;
pub mod buckets;
pub mod comparison;
pub mod error;
pub mod expression;
pub mod grid;
pub mod metrics;
pub mod operators;
pub mod pipeline;
pub mod relation;
pub mod scalar;
pub mod search;
pub mod second_stage;
pub(crate) mod selected;
pub mod series;
pub mod trace;
pub mod tree;
pub mod value;

use storage::ids::{SpanId, TraceId};
use storage::model::SpanGroup;
use traceql::ast::{Body, MetricsStage, Query};

pub use self::error::{EvalError, RuntimeError};
pub use self::grid::Grid;
pub use self::metrics::metrics;
pub use self::search::{
    SearchWindow, ServiceStats, SpanResult, SpansetResult, TraceResult, search,
};
pub use self::series::{LabelValue, Labels, RefSeries};

/// The spans that a query selects, trace by trace, in the order received. Of a metrics query, the
/// spans that its pipeline selects.
///
/// # Errors
/// The query selects nothing itself, or an operator fails on some span or trace.
pub fn select_spans(
    query: &Query,
    groups: &[SpanGroup],
) -> Result<Vec<(TraceId, SpanId)>, EvalError> {
    let selection = pipeline::Selection::of(query)?;
    let mut selected = Vec::new();
    for trace in trace::assemble(groups) {
        for spanset in selection.of_trace(&trace)? {
            selected.extend(spanset.spans.iter().map(|&index| trace.identity(index)));
        }
    }
    Ok(selected)
}

/// Whether each span can be judged without the others of its trace: the query is made of filters,
/// perhaps with a metrics stage that aggregates.
#[must_use]
pub fn is_span_local(query: &Query) -> bool {
    let compares = matches!(&query.body, Body::Metrics(metrics) if matches!(metrics.stage, MetricsStage::Compare(_)));
    !compares && pipeline::Selection::of(query).is_ok_and(|it| it.is_span_local())
}
