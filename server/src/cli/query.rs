//! `spandrel query`: one metrics query, from a server or straight from storage.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use engine::{Grid, SeriesSet};
use frontend::{QueryError, RangeRequest};
use storage::{Clock as _, SystemClock};
use traceql::Dialect;

use super::options::{AsOf, ConfigOptions, DialectOption, Logging, TimeOptions};
use crate::client::Client;
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::output::{self, Screen};
use crate::render::{self, Drawing, Line};
use crate::times::TimeRange;

/// Where a server is expected.
pub(super) const DEFAULT_SERVER: &str = "http://localhost:3200";

#[derive(Debug, Args)]
#[command(
    after_help = "Asks the server at http://localhost:3200 unless --server says another or --data-dir,\n--config or --set name a storage to read directly.\n\nExamples:\n  spandrel query '{} | rate() by (resource.service.name)' --since 30m\n  spandrel query '{ status = error } | count_over_time()' --from 2024-12-13T12:37:00Z --to now --step 1m\n  spandrel query '{} | quantile_over_time(duration, .5, .99)' --data-dir ./spandrel-data --output plot\n  spandrel query '{ kind = server } | rate() by (span.http.route)' --instant --output json\n  spandrel query '({ status = error } | rate()) / ({} | rate())' --since 1h --output plot"
)]
pub(super) struct QueryArgs {
    /// TraceQL metrics query
    query: String,
    /// Server to ask
    #[arg(long, value_name = "URL", env = "SPANDREL_SERVER")]
    server: Option<String>,
    #[command(flatten)]
    config: ConfigOptions,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    time: TimeOptions,
    /// Whose spans; needed where there are several tenants
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    dialect: DialectOption,
    /// How to show the series
    #[arg(long, short, value_enum, default_value_t = SeriesOutput::Table)]
    output: SeriesOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SeriesOutput {
    /// One row a series: last, least, greatest and mean value
    Table,
    /// One row a point in time, one column a series
    Values,
    /// A chart
    Plot,
    /// As a Prometheus server would answer
    Json,
    /// One row a sample
    Csv,
}

pub(super) fn run(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    // A mistake in the query is shown with its place, wherever the query would have run.
    traceql::compile_with(&args.query, &args.dialect.dialect().into())
        .map_err(|error| Mistake::new(error.render(&args.query)))?;
    let drawing = super::runtime::runtime()?.block_on(async {
        if args.config.is_given() && args.server.is_none() {
            from_storage(args).await
        } else {
            args.as_of.refuse()?;
            from_server(args).await
        }
    })?;
    let text = match args.output {
        SeriesOutput::Table => render::table(&drawing, false),
        SeriesOutput::Values => render::table(&drawing, true),
        SeriesOutput::Plot => render::plot(&drawing, &args.query, Screen::of_stdout()),
        SeriesOutput::Json => render::json(&drawing),
        SeriesOutput::Csv => render::csv(&drawing)?,
    };
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn from_server(args: &QueryArgs) -> anyhow::Result<Drawing> {
    let client = Client::try_new(
        args.server.as_deref().unwrap_or(DEFAULT_SERVER),
        args.tenant.as_deref(),
    )?;
    let range = args.time.resolve(SystemClock.now_ns(), None)?;
    let dialect = args.dialect.dialect();
    let (drawing, remarks) = if args.time.instant {
        client
            .query(&args.query, dialect, range.start_ns, range.end_ns)
            .await?
    } else {
        client.query_range(&args.query, dialect, range).await?
    };
    remarks.iter().for_each(|remark| output::note(remark));
    Ok(drawing)
}

async fn from_storage(args: &QueryArgs) -> anyhow::Result<Drawing> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
    let data = local::time_range(&location, &tenant, args.as_of.version()).await?;
    let range = args.time.resolve(SystemClock.now_ns(), Some(data))?;
    local::note_log(&config);
    let frontend = local::stored_frontend(&location, &config, args.as_of.version())?;
    let dialect = args.dialect.dialect();
    let request = request(&args.query, dialect, vec![tenant], range, args.time.instant)?;
    let answer = frontend
        .query_range(&request)
        .await
        .map_err(|error| query_failure(error, &args.query))?;
    if let Some(partial) = &answer.partial {
        output::note(&format!("warning: {partial}"));
    }
    for notice in &answer.notices {
        output::note(&format!("note: {notice}"));
    }
    Ok(drawing(&answer.series, args.time.instant))
}

/// The request for a range; an instant query covers all of it with one interval.
pub(super) fn request(
    query: &str,
    dialect: Dialect,
    tenants: Vec<storage::ids::TenantId>,
    range: TimeRange,
    instant: bool,
) -> anyhow::Result<RangeRequest> {
    let grid = if instant {
        // The interval is left-open: the span that starts first is in it, too.
        Grid::instant(range.start_ns.saturating_sub(1), range.end_ns)
    } else {
        grid(range)
    };
    let grid = grid.ok_or_else(|| Mistake::new("the range and the step do not fit together"))?;
    Ok(RangeRequest {
        tenants,
        query: query.to_owned(),
        dialect,
        grid,
        max_series: None,
        exemplars: 0,
        timeout: None,
    })
}

/// Samples at multiples of the step, so that the whole range is covered.
fn grid(range: TimeRange) -> Option<Grid> {
    let floor = |time: i64| time.div_euclid(range.step_ns).checked_mul(range.step_ns);
    let first = floor(range.start_ns.saturating_sub(1))?.checked_add(range.step_ns)?;
    let last = floor(range.end_ns.checked_add(range.step_ns - 1)?)?;
    Grid::of_samples(first, last.max(first), range.step_ns)
}

/// A failed query, with its place in the text where it has one.
pub(super) fn query_failure(error: QueryError, query: &str) -> anyhow::Error {
    if let QueryError::Invalid(invalid) = &error {
        return Mistake::new(invalid.render(query));
    }
    match error.kind() {
        frontend::ErrorKind::Invalid => Mistake::new(error.to_string()),
        _ => error.into(),
    }
}

/// The series as they are drawn.
pub(super) fn drawing(set: &SeriesSet, is_instant: bool) -> Drawing {
    let sample =
        |index: usize| u32::try_from(index).map_or(i64::MAX, |index| set.grid.sample_ns(index));
    let lines = set.series.iter().map(|series| Line {
        labels: series
            .labels
            .iter()
            .map(|label| (label.name.to_string(), label.value.to_text()))
            .collect(),
        points: series
            .values
            .samples()
            .map(|(index, value)| (sample(index), value))
            .collect(),
    });
    Drawing {
        start_ns: set.grid.sample_ns(0),
        end_ns: set.grid.end_ns(),
        is_instant,
        lines: lines.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::SECOND_NS;

    #[test]
    fn the_grid_covers_the_whole_range() {
        let range = TimeRange {
            start_ns: 60 * SECOND_NS,
            end_ns: 171 * SECOND_NS,
            step_ns: 60 * SECOND_NS,
        };
        let grid = grid(range).expect("a grid");
        // The interval up to the start is in it, because a span may start right there.
        assert_eq!(grid.sample_ns(0), 60 * SECOND_NS);
        assert_eq!(grid.end_ns(), 180 * SECOND_NS);
        for start in [range.start_ns, range.start_ns + 1, range.end_ns] {
            assert!(grid.interval_of(start).is_some(), "{start}");
        }
    }
}
