//! `/api/v1/query_exemplars`: spans that the series of a query count.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::{Exemplar, Grid, MAX_EXEMPLARS, Series, SeriesSet};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::envelope::{ApiError, Success};
use super::language::Language;
use super::params;
use super::render::{RenderOptions, render};
use super::sample::{Seconds, format_value};
use super::wire::Metric;
use crate::answer::{Answer, RangeRequest};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::step::default_step;
use crate::api::tenancy;
use crate::limits;

/// How far before the end a request without a start looks.
const DEFAULT_RANGE_NS: i64 = 3600 * 1_000_000_000;

/// Clients switch exemplars off for good unless this succeeds, for whatever they probe with.
pub(super) async fn exemplars(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let config = state.frontend.config();
    let tenants = tenancy::tenants(config, &headers)?;
    let params = Params::of_url_and_form(config, request).await?;
    let text = params::query(&params)?;
    let dialect = params::dialect(&params)?;
    let end_ns = params::time(&params, "end")?.unwrap_or_else(|| state.frontend.now_ns());
    let start_ns = params::time(&params, "start")?;
    let start_ns = start_ns.unwrap_or_else(|| end_ns.saturating_sub(DEFAULT_RANGE_NS));
    let timeout = params::timeout(&params)?;
    let step_ns = params::duration(&params, "step")?.filter(|step_ns| *step_ns > 0);
    let options = RenderOptions::parse(&params, config.prom.label_names)?;
    if end_ns < start_ns {
        let problem = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", problem));
    }
    let max_bytes = config.query_frontend.max_query_expression_size_bytes;
    let grid = match Language::of(text, dialect, max_bytes)? {
        Language::Constant(_) | Language::Selector => None,
        Language::TraceQl => grid(start_ns, end_ns, step_ns),
    };
    let Some(grid) = grid else {
        return Ok(Success::new(Vec::<OfSeries>::new()).small());
    };
    limits::check_range(config, start_ns, end_ns)?;
    let request = RangeRequest {
        tenants,
        query: text.to_owned(),
        dialect,
        grid,
        max_series: None,
        exemplars: MAX_EXEMPLARS,
        timeout,
    };
    let Answer {
        series, exemplars, ..
    } = state.frontend.query_range(&request).await?;
    let grid = series.grid;
    // The grid may begin before the range and end after it.
    let inside = |exemplar: &Exemplar| (start_ns..=end_ns).contains(&exemplar.start_ns);
    let shown = series.series.into_iter().zip(exemplars);
    let shown = shown.filter_map(|(series, mut exemplars)| {
        exemplars.retain(inside);
        (!exemplars.is_empty()).then(|| OfSeries {
            labels: labels(grid, series, options),
            exemplars: exemplars.into_iter().map(PromExemplar).collect(),
        })
    });
    Ok(Success::new(shown.collect::<Vec<_>>()).small())
}

/// The grid whose samples exemplars of counting functions take their values of. Clients do not say
/// which step their panel has.
fn grid(start_ns: i64, end_ns: i64, step_ns: Option<i64>) -> Option<Grid> {
    /// No finer than any range query may be.
    const MAX_INTERVALS: i64 = 11_000;
    let range_ns = end_ns.checked_sub(start_ns)?;
    let step_ns = step_ns.filter(|step_ns| range_ns / step_ns <= MAX_INTERVALS);
    Grid::aligned(
        start_ns,
        end_ns,
        step_ns.unwrap_or_else(|| default_step(range_ns)),
    )
}

/// The labels that `query_range` shows a series with.
fn labels(grid: Grid, series: Series, options: RenderOptions) -> Vec<(String, String)> {
    let set = SeriesSet {
        grid,
        series: vec![series],
    };
    let rendered = render(set, options).series.into_iter().next();
    rendered.map_or_else(Vec::new, |series| series.metric)
}

struct OfSeries {
    labels: Vec<(String, String)>,
    exemplars: Vec<PromExemplar>,
}

impl Serialize for OfSeries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Grafana reads the answer as a stream and must know the series first.
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("seriesLabels", &Metric(&self.labels))?;
        map.serialize_entry("exemplars", &self.exemplars)?;
        map.end()
    }
}

struct PromExemplar(Exemplar);

impl Serialize for PromExemplar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exemplar = &self.0;
        let trace_id = exemplar.trace_id.to_string();
        // Links are made of a label by its name, and several names are in use. Every exemplar of a
        // series must have the same labels.
        let labels = [
            ("traceID".to_owned(), trace_id.clone()),
            ("trace_id".to_owned(), trace_id),
            ("span_id".to_owned(), exemplar.span_id.to_string()),
        ];
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("labels", &Metric(&labels))?;
        map.serialize_entry("value", &format_value(exemplar.value))?;
        map.serialize_entry("timestamp", &Seconds(exemplar.start_ns))?;
        map.end()
    }
}
