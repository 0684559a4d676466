//! `query`, `query_range` and their relatives.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::Grid;

use super::envelope::{ApiError, Success};
use super::language::{Language, SELECTOR_INFO};
use super::params;
use super::render::{RenderOptions, render};
use super::wire::{QueryData, QueryResult, Stats, WireSeries, WireValues};
use crate::answer::{Answer, RangeRequest};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::limits;
use crate::promql::{Constant, Value};
use crate::threads::off_reactor;

/// `/api/v1/query`: one value per series, at one time.
pub(super) async fn instant(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let config = state.frontend.config();
    let tenants = tenancy::tenants(config, &headers)?;
    let params = Params::of_url_and_form(config, request).await?;
    let text = params::query(&params)?;
    let dialect = params::dialect(&params)?;
    let time_ns = params::time(&params, "time")?.unwrap_or_else(|| state.frontend.now_ns());
    let timeout = params::timeout(&params)?;
    let options = RenderOptions::parse(&params, config.prom.label_names)?;
    let lookback_ns = params::duration(&params, "lookback_delta")?
        .unwrap_or_else(|| config.prom.instant_lookback.as_ns());

    match Language::of(
        text,
        dialect,
        config.query_frontend.max_query_expression_size_bytes,
    )? {
        Language::Constant(constant) => {
            let result = match constant.at(seconds(time_ns)) {
                Value::Scalar(value) => QueryResult::Scalar { time_ns, value },
                Value::Text(value) => QueryResult::Text { time_ns, value },
                Value::Vector(value) => {
                    let series = value.map(|value| unlabelled(vec![value]));
                    QueryResult::Vector {
                        time_ns,
                        series: series.into_iter().collect(),
                    }
                }
            };
            Ok(Success::new(QueryData {
                result,
                stats: None,
            })
            .small())
        }
        Language::Selector => Ok(selected(QueryResult::Vector {
            time_ns,
            series: Vec::new(),
        })
        .small()),
        Language::TraceQl => {
            let start_ns = time_ns.saturating_sub(lookback_ns);
            let grid = Grid::instant(start_ns, time_ns).ok_or_else(|| {
                ApiError::bad_data("instant query needs a time and a lookback_delta above zero")
            })?;
            limits::check_range(config, start_ns, time_ns)?;
            let query = text.to_owned();
            let request = RangeRequest {
                tenants,
                query,
                dialect,
                grid,
                max_series: None,
                exemplars: 0,
                timeout,
            };
            answer(&state, &params, &request, options, move |series| {
                QueryResult::Vector { time_ns, series }
            })
            .await
        }
    }
}

/// `/api/v1/query_range`: one value per series and step.
pub(super) async fn range(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let config = state.frontend.config();
    let tenants = tenancy::tenants(config, &headers)?;
    let params = Params::of_url_and_form(config, request).await?;
    let text = params::query(&params)?;
    let dialect = params::dialect(&params)?;
    let range = params::range(&params)?;
    let timeout = params::timeout(&params)?;
    let options = RenderOptions::parse(&params, config.prom.label_names)?;
    let grid = range.grid;

    match Language::of(
        text,
        dialect,
        config.query_frontend.max_query_expression_size_bytes,
    )? {
        Language::Constant(constant) => {
            let data = off_reactor(move || constant_matrix(&constant, grid)).await??;
            Success::new(data)
                .bounded(config.query.max_response_bytes)
                .await
        }
        Language::Selector => Ok(selected(QueryResult::Matrix {
            grid,
            series: Vec::new(),
        })
        .small()),
        Language::TraceQl => {
            limits::check_range(config, range.start_ns, range.end_ns)?;
            let query = text.to_owned();
            let request = RangeRequest {
                tenants,
                query,
                dialect,
                grid,
                max_series: None,
                exemplars: 0,
                timeout,
            };
            answer(&state, &params, &request, options, move |series| {
                QueryResult::Matrix { grid, series }
            })
            .await
        }
    }
}

/// Runs a TraceQL query and shows its series.
async fn answer(
    state: &ApiState,
    params: &Params,
    request: &RangeRequest,
    options: RenderOptions,
    result: impl FnOnce(Vec<WireSeries>) -> QueryResult,
) -> Result<Response, ApiError> {
    let Answer {
        series,
        stats,
        partial,
        notices,
        exemplars: _,
    } = state.frontend.query_range(request).await?;
    let rendered = off_reactor(move || render(series, options)).await?;
    let samples = rendered
        .series
        .iter()
        .map(|series| series.values.samples().count());
    let stats = params.get("stats").map(|_| Stats {
        seconds: stats.elapsed.as_secs_f64(),
        samples_read: stats.inspected_spans,
        samples_made: u64::try_from(samples.sum::<usize>()).unwrap_or(u64::MAX),
    });
    let mut success = Success::new(QueryData {
        result: result(rendered.series),
        stats,
    });
    success.warnings = rendered.warnings;
    success
        .warnings
        .extend(partial.map(|reason| reason.to_string()));
    success.infos = notices;
    success
        .bounded(state.frontend.config().query.max_response_bytes)
        .await
}

/// A constant at each step.
fn constant_matrix(constant: &Constant, grid: Grid) -> Result<QueryData, ApiError> {
    let times = (0..grid.intervals).map(|index| grid.sample_ns(index));
    let mut values = Vec::new();
    let mut dropped = false;
    for time_ns in times {
        match constant.at(seconds(time_ns)) {
            Value::Scalar(value) | Value::Vector(Some(value)) => values.push(value),
            Value::Vector(None) => {
                dropped = true;
                values.push(f64::NAN);
            }
            Value::Text(_) => {
                return Err(ApiError::parameter(
                    "query",
                    "invalid expression type \"string\" for range query, \
                     must be Scalar or instant Vector",
                ));
            }
        }
    }
    let mut series = unlabelled(values);
    if dropped && let WireValues::Full(values) = series.values {
        series.values = WireValues::Sparse(values.into());
    }
    let result = QueryResult::Matrix {
        grid,
        series: vec![series],
    };
    Ok(QueryData {
        result,
        stats: None,
    })
}

fn unlabelled(values: Vec<f64>) -> WireSeries {
    WireSeries {
        metric: Vec::new(),
        values: WireValues::Full(values),
    }
}

fn selected(result: QueryResult) -> Success<QueryData> {
    let mut success = Success::new(QueryData {
        result,
        stats: None,
    });
    success.infos.push(SELECTOR_INFO.to_owned());
    success
}

/// Seconds since the epoch, to the millisecond as in Prometheus.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of 64-bit ns are below 2^53"
)]
fn seconds(time_ns: i64) -> f64 {
    time_ns.div_euclid(1_000_000) as f64 / 1000.0
}

/// `/api/v1/format_query`: TraceQL in its canonical form.
pub(super) async fn format(
    State(state): State<ApiState>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::of_url_and_form(state.frontend.config(), request).await?;
    let text = params::query(&params)?;
    let dialect = params::dialect(&params)?;
    let limit = state
        .frontend
        .config()
        .query_frontend
        .max_query_expression_size_bytes;
    let formatted = match Language::of(text, dialect, limit)? {
        Language::TraceQl => traceql::parse_with(text, &dialect.into())
            .map_or_else(|_| text.to_owned(), |q| q.to_string()),
        Language::Constant(_) | Language::Selector => text.trim().to_owned(),
    };
    Ok(Success::new(formatted).small())
}
