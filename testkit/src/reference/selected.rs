//! The spans that count in a metrics query.

use storage::model::SpanGroup;

use super::attributes::SpanView;
use super::error::EvalError;
use super::grid::Grid;
use super::pipeline::Selection;
use super::trace::assemble;

/// Calls `visit` with each span of the spansets that starts in the window, and its interval. A span
/// in several spansets comes several times.
pub(crate) fn each_selected(
    selection: &Selection,
    groups: &[SpanGroup],
    grid: Grid,
    mut visit: impl FnMut(SpanView<'_>, usize) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    for trace in assemble(groups) {
        let interval_of = |index: usize| grid.interval_of(trace.spans[index].span.start_ns);
        let all = 0..trace.spans.len();
        let inside: Vec<usize> = all
            .clone()
            .filter(|&it| interval_of(it).is_some())
            .collect();
        if inside.is_empty() {
            continue;
        }
        let looked_at = if selection.is_span_local() {
            inside
        } else {
            all.collect()
        };
        for index in selection
            .spansets(&trace, looked_at)?
            .into_iter()
            .flat_map(|spanset| spanset.spans)
        {
            if let Some(interval) = interval_of(index) {
                visit(SpanView::new(&trace, index), interval)?;
            }
        }
    }
    Ok(())
}
