//! The queries, each in TraceQL and in SQL.

use storage::block::meta::AttributeScope;
use storage::schema::names;

use crate::dataset::Dataset;
use crate::error::BenchError;

/// What is computed for every label and interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The number of spans; TraceQL's `rate()` is this, divided by the step.
    Count,
    /// The 99th percentile of the duration.
    P99,
}

/// A query of the suite.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Short name, for choosing it on the command line.
    pub(crate) name: &'static str,
    pub(crate) traceql: String,
    pub(crate) measure: Measure,
    /// Whether TraceQL answers in spans per second.
    pub(crate) per_second: bool,
    /// The column to group by, besides the interval.
    label: Option<String>,
    /// SQL condition.
    condition: Option<String>,
    step_s: i64,
}

/// All queries; `service` is the one that the last selects.
pub(crate) fn suite(dataset: &Dataset, service: &str) -> Result<Vec<Question>, BenchError> {
    let column = |key| {
        dataset
            .column(AttributeScope::Span, key)
            .map(|(column, _)| column)
    };
    let by_service = Some(names::SERVICE_NAME.to_owned());
    let (route, status_code) = (column(ROUTE)?, column(STATUS_CODE)?);
    let question = |name, traceql: &str, label, condition| Question {
        name,
        traceql: traceql.to_owned(),
        measure: if traceql.contains("quantile") {
            Measure::P99
        } else {
            Measure::Count
        },
        per_second: traceql.contains("rate()"),
        label,
        condition,
        step_s: dataset.step_s(),
    };
    let one_service =
        format!("{{resource.service.name=\"{service}\"}} | rate() by (span.{STATUS_CODE})");
    let is_service = format!("\"{}\" = '{service}'", names::SERVICE_NAME);
    Ok(vec![
        question("count", "{} | count_over_time()", None, None),
        question(
            "errors",
            "{status=error} | count_over_time() by (resource.service.name)",
            by_service.clone(),
            Some(format!("{} = 2", names::STATUS)),
        ),
        question(
            "p99",
            "{} | quantile_over_time(duration, .99) by (resource.service.name)",
            by_service,
            None,
        ),
        question(
            "route",
            &format!("{{}} | rate() by (span.{ROUTE})"),
            Some(route),
            None,
        ),
        question("service", &one_service, Some(status_code), Some(is_service)),
    ])
}

const ROUTE: &str = "http.route";
const STATUS_CODE: &str = "http.response.status_code";

impl Question {
    /// The query in SQL: label, interval, value. Intervals are counted from the epoch and closed on
    /// the right; the blocks' column of starts rounded up to seconds serves every engine alike.
    pub(crate) fn sql(&self, table: &str, integer_division: &str, p99: &str) -> String {
        let step = self.step_s;
        let interval = format!("(start_s + {}) {integer_division} {step}", step - 1);
        let value = match self.measure {
            Measure::Count => "count(*)",
            Measure::P99 => p99,
        };
        let (label, group) = match &self.label {
            Some(column) => (format!("\"{column}\" AS label, "), "1, 2"),
            None => (String::new(), "1"),
        };
        let condition = self
            .condition
            .as_ref()
            .map(|c| format!(" WHERE {c}"))
            .unwrap_or_default();
        format!(
            "SELECT {label}{interval} AS bin, {value} AS value FROM {table}{condition} GROUP BY {group}"
        )
    }

    /// SQL of DuckDB for what the exact percentile lies between: label, interval, low, high.
    pub(crate) fn percentile_bounds_sql(&self, table: &str) -> String {
        let lists = self.sql(table, "//", "list_sort(list(duration))");
        format!(
            "SELECT label, bin, value[CAST(greatest(1, floor(0.99 * (len(value) - 1))) AS BIGINT)], \
             value[CAST(least(len(value), ceil(0.99 * len(value)) + 1) AS BIGINT)] FROM ({lists})"
        )
    }

    /// Columns of the files that the SQL names.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let mut columns = vec![
            names::START_S,
            names::DURATION,
            names::STATUS,
            names::SERVICE_NAME,
        ];
        columns.extend(self.label.as_deref());
        columns
    }

    /// Whether rows have a label.
    pub(crate) fn has_label(&self) -> bool {
        self.label.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_counts_intervals_closed_on_the_right() {
        let question = Question {
            name: "x",
            traceql: String::new(),
            measure: Measure::Count,
            per_second: false,
            label: Some("a.b".to_owned()),
            condition: Some("status = 2".to_owned()),
            step_s: 90,
        };
        assert_eq!(
            question.sql("spans", "/", ""),
            "SELECT \"a.b\" AS label, (start_s + 89) / 90 AS bin, count(*) AS value \
             FROM spans WHERE status = 2 GROUP BY 1, 2"
        );
    }
}
