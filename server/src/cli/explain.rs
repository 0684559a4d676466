//! `spandrel explain`: the steps of a query, each as it prints.

use std::process::ExitCode;

use clap::Args;
use frontend::ExplainMode;
use storage::{Clock as _, SystemClock};

use super::options::{AsOf, ConfigOptions, DialectOption, Logging, TimeOptions};
use super::query::{query_failure, request};
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::output;

#[derive(Debug, Args)]
#[command(
    after_help = "Shows the typed query, the plan, the blocks kept and pruned and why, the jobs with the\nbytes they will read, and DataFusion's plan of the first job.\n\nExamples:\n  spandrel explain '{ status = error } | rate()' --data-dir ./spandrel-data\n  spandrel explain '{} | rate() by (span.http.route)' --data-dir ./spandrel-data --analyze"
)]
pub(super) struct ExplainArgs {
    /// TraceQL metrics query
    query: String,
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
    /// Run the query, too, and show what that took
    #[arg(long)]
    analyze: bool,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let dialect = args.dialect.dialect();
    let query = traceql::compile_with(&args.query, &dialect.into())
        .map_err(|error| Mistake::new(error.render(&args.query)))?;
    let config = args.config.load(Logging::OnlyProblems)?;
    let explanation = super::runtime::runtime()?.block_on(async {
        let location = local::open(&config, Access::Read)?;
        let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
        let data = local::time_range(&location, &tenant, args.as_of.version()).await?;
        let range = args.time.resolve(SystemClock.now_ns(), Some(data))?;
        let mut request = request(&args.query, dialect, vec![tenant], range, args.time.instant)?;
        // As many as the query itself says.
        if query.hints.iter().any(|hint| hint.name == "exemplars") {
            request.exemplars = engine::MAX_EXEMPLARS;
        }
        let frontend = local::stored_frontend(&location, &config, args.as_of.version())?;
        let mode = if args.analyze {
            ExplainMode::Analyze
        } else {
            ExplainMode::Plan
        };
        frontend
            .explain(&request, mode)
            .await
            .map_err(|error| query_failure(error, &args.query))
    })?;
    for (name, printed) in &explanation.steps {
        output::line(&format!(
            "── {name} {}",
            "─".repeat(72_usize.saturating_sub(name.len()))
        ))?;
        output::line(printed.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
