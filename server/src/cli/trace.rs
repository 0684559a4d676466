//! `spandrel trace`: one trace, from a server or straight from storage.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use frontend::TraceRequest;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use storage::ids::TraceId;
use storage::model::SpanGroup;
use storage::otlp::to_resource_spans;

use super::options::{AsOf, ConfigOptions, Logging};
use super::query::DEFAULT_SERVER;
use crate::client::Client;
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::output::{self, Screen};
use crate::render;

#[derive(Debug, Args)]
#[command(
    after_help = "Asks the server at http://localhost:3200 unless --server says another or --data-dir,\n--config or --set name a storage to read directly.\n\nExamples:\n  spandrel trace 0eb0c150ab1eda5b3c4ed14104ec779c\n  spandrel trace eb0c150ab1eda5b3c4ed14104ec779c --data-dir ./spandrel-data\n  spandrel trace 0eb0c150ab1eda5b3c4ed14104ec779c --output json > trace.jsonl"
)]
pub(super) struct TraceArgs {
    /// Trace id: hex digits, zeros in front may be left out
    id: String,
    /// Server to ask
    #[arg(long, value_name = "URL", env = "SPANDREL_SERVER")]
    server: Option<String>,
    #[command(flatten)]
    config: ConfigOptions,
    #[command(flatten)]
    as_of: AsOf,
    /// Whose spans; needed where there are several tenants
    #[arg(long)]
    tenant: Option<String>,
    /// How to show the trace
    #[arg(long, short, value_enum, default_value_t = TraceOutput::Tree)]
    output: TraceOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TraceOutput {
    /// The tree of its spans
    Tree,
    /// OTLP as one line of JSON, which `spandrel load` reads
    Json,
}

pub(super) fn run(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let id: TraceId = args
        .id
        .parse()
        .map_err(|error| Mistake::new(format!("{error}")))?;
    let (groups, warning) = super::runtime::runtime()?.block_on(async {
        if args.config.is_given() && args.server.is_none() {
            from_storage(args, id).await
        } else {
            args.as_of.refuse()?;
            let server = args.server.as_deref().unwrap_or(DEFAULT_SERVER);
            Client::try_new(server, args.tenant.as_deref())?
                .trace(id)
                .await
        }
    })?;
    if let Some(warning) = warning {
        output::note(&format!("warning: {warning}"));
    }
    if groups.iter().all(|group| group.spans.is_empty()) {
        bail!("there is no trace {id}");
    }
    let text = match args.output {
        TraceOutput::Tree => render::trace(&groups, Screen::of_stdout()),
        TraceOutput::Json => {
            let resource_spans = to_resource_spans(&groups);
            format!(
                "{}\n",
                serde_json::to_string(&TracesData { resource_spans })?
            )
        }
    };
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn from_storage(
    args: &TraceArgs,
    trace_id: TraceId,
) -> anyhow::Result<(Vec<SpanGroup>, Option<String>)> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
    local::note_log(&config);
    let frontend = local::stored_frontend(&location, &config, args.as_of.version())?;
    let request = TraceRequest {
        tenants: vec![tenant],
        trace_id,
        start_ns: None,
        end_ns: None,
    };
    let answer = frontend.trace(&request).await?;
    Ok((
        answer.groups,
        answer.partial.map(|reason| reason.to_string()),
    ))
}
