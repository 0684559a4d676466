//! Asks a server over its HTTP APIs.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use frontend::api::TraceByIdResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use storage::ids::TraceId;
use storage::model::SpanGroup;
use storage::otlp::from_request;
use traceql::Dialect;

use crate::failure::Mistake;
use crate::render::{Drawing, Line};
use crate::times::{self, SECOND_NS, TimeRange};

/// Longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A server to ask.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    tenant: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Value>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: Map<String, Value>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

impl Client {
    /// A client for the server at this URL; the paths of its APIs are added to it.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn try_new(server: &str, tenant: Option<&str>) -> anyhow::Result<Self> {
        let with_scheme = if server.contains("://") {
            server.to_owned()
        } else {
            format!("http://{server}")
        };
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let base = with_scheme.trim_end_matches('/').to_owned();
        Ok(Self {
            http,
            base,
            tenant: tenant.map(str::to_owned),
        })
    }

    /// A query over time, and what the server remarks.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the query.
    pub async fn query_range(
        &self,
        query: &str,
        dialect: Dialect,
        range: TimeRange,
    ) -> anyhow::Result<(Drawing, Vec<String>)> {
        // Samples at multiples of the step, as Grafana asks for them.
        let start = range
            .start_ns
            .div_euclid(range.step_ns)
            .saturating_mul(range.step_ns);
        let end = range
            .end_ns
            .saturating_add(range.step_ns - 1)
            .div_euclid(range.step_ns)
            .saturating_mul(range.step_ns);
        let form = [
            ("query", query.to_owned()),
            ("dialect", dialect.to_string()),
            ("start", seconds(start)),
            ("end", seconds(end)),
            ("step", seconds(range.step_ns)),
        ];
        let (lines, remarks) = self.ask("query_range", &form).await?;
        Ok((
            Drawing {
                start_ns: start,
                end_ns: end,
                is_instant: false,
                lines,
            },
            remarks,
        ))
    }

    /// One value over a range, both ends included; and what the server remarks.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the query.
    pub async fn query(
        &self,
        query: &str,
        dialect: Dialect,
        start_ns: i64,
        end_ns: i64,
    ) -> anyhow::Result<(Drawing, Vec<String>)> {
        // Prometheus counts in milliseconds, and its window is open on the left.
        let end = end_ns.saturating_add(999_999).div_euclid(1_000_000) * 1_000_000;
        let lookback =
            end.saturating_sub(start_ns.saturating_sub(1).div_euclid(1_000_000) * 1_000_000);
        let form = [
            ("query", query.to_owned()),
            ("dialect", dialect.to_string()),
            ("time", seconds(end)),
            ("lookback_delta", seconds(lookback)),
        ];
        let (lines, remarks) = self.ask("query", &form).await?;
        Ok((
            Drawing {
                start_ns,
                end_ns,
                is_instant: true,
                lines,
            },
            remarks,
        ))
    }

    /// The spans of a trace, none if there is no such trace; and what the server remarks.
    ///
    /// # Errors
    /// The server cannot be reached or fails.
    pub async fn trace(&self, id: TraceId) -> anyhow::Result<(Vec<SpanGroup>, Option<String>)> {
        let url = format!("{}/api/v2/traces/{id}", self.base);
        let request = self.http.get(&url).header("Accept", "application/protobuf");
        let response = self.send(request).await?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .context("the server's answer broke off")?;
        if !status.is_success() {
            bail!(
                "the server failed: HTTP {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        let answer =
            TraceByIdResponse::decode(body).with_context(|| format!("{url} is no Tempo API"))?;
        let remark = (!answer.message.is_empty()).then_some(answer.message);
        let resource_spans = answer.trace.unwrap_or_default().resource_spans;
        let decoded = from_request(ExportTraceServiceRequest { resource_spans });
        Ok((decoded.groups, remark))
    }

    /// Sends a request in the name of the tenant.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.tenant {
            Some(tenant) => request.header("X-Scope-OrgID", tenant),
            None => request,
        };
        request.send().await.map_err(|error| {
            if error.is_connect() {
                anyhow!("no server answers at {}: start one with `spandrel serve`, name another with --server, or read storage directly with --data-dir", self.base)
            } else {
                anyhow::Error::new(error)
            }
        })
    }

    async fn ask(
        &self,
        endpoint: &str,
        form: &[(&str, String)],
    ) -> anyhow::Result<(Vec<Line>, Vec<String>)> {
        let url = format!("{}/prom/api/v1/{endpoint}", self.base);
        let response = self.send(self.http.post(&url).form(form)).await?;
        let status = response.status();
        let body = response
            .text()
            .await
            .context("the server's answer broke off")?;
        let envelope: Envelope = match serde_json::from_str(&body) {
            Ok(envelope) => envelope,
            Err(_) => bail!(
                "{url} is no Prometheus API: HTTP {status}: {}",
                body.chars().take(200).collect::<String>()
            ),
        };
        if let Some(error) = envelope.error {
            let invalid = matches!(
                status,
                StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
            );
            return Err(if invalid {
                Mistake::new(error)
            } else {
                anyhow!("the server failed: {error}")
            });
        }
        let data: Data = serde_json::from_value(envelope.data.unwrap_or_default())
            .context("the server's answer has another shape than a matrix or a vector")?;
        let warnings = envelope
            .warnings
            .iter()
            .map(|text| format!("warning: {text}"));
        let infos = envelope.infos.iter().map(|text| format!("note: {text}"));
        Ok((
            data.result.into_iter().map(line).collect(),
            warnings.chain(infos).collect(),
        ))
    }
}

fn line(series: Series) -> Line {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let samples = series.values.into_iter().chain(series.value);
    Line {
        labels: series
            .metric
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        points: samples
            .filter_map(|(time, value)| Some((nanoseconds(time)?, value.parse::<f64>().ok()?)))
            .filter(|(_, value)| !value.is_nan())
            .collect(),
    }
}

/// Nanoseconds as decimal seconds, without going through a float.
fn seconds(ns: i64) -> String {
    format!(
        "{}.{:03}",
        ns.div_euclid(SECOND_NS),
        ns.rem_euclid(SECOND_NS) / 1_000_000
    )
}

/// Decimal seconds with at most three places as nanoseconds.
fn nanoseconds(seconds: f64) -> Option<i64> {
    times::parse(&format!("{seconds:.3}"), 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_to_the_server_and_back() {
        let ns = 1_734_093_420_123_000_000;
        assert_eq!(seconds(ns), "1734093420.123");
        assert_eq!(nanoseconds(1_734_093_420.123), Some(ns));
        assert_eq!(seconds(500_000_000), "0.500");
    }

    #[test]
    fn series_are_read_from_both_shapes() {
        let series: Series = serde_json::from_str(
            r#"{"metric":{"p":"0.9"},"values":[[1,"2.5"],[2,"NaN"],[3,"+Inf"]]}"#,
        )
        .expect("a series");
        let line = line(series);
        assert_eq!(line.labels, [("p".to_owned(), "0.9".to_owned())]);
        assert_eq!(
            line.points,
            [(SECOND_NS, 2.5), (3 * SECOND_NS, f64::INFINITY)]
        );
        let series: Series =
            serde_json::from_str(r#"{"metric":{},"value":[1,"7"]}"#).expect("a series");
        assert_eq!(super::line(series).points, [(SECOND_NS, 7.0)]);
    }
}
