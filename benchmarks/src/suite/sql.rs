//! A question in the SQL of each rival.
//!
//! Labels and conditions are written once, in terms between braces; a [`Dialect`] says what a term is
//! in its own tables. A term that a dialect has no words for leaves its engine out of the question.

use storage::block::meta::AttributeScope;
use storage::schema::names;

use super::question::{Question, Value};
use super::window::Window;
use crate::dataset::Dataset;

/// Whose SQL, over which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// DuckDB over the blocks' files.
    DuckDb,
    /// DataFusion over the blocks' files.
    DataFusion,
    /// ClickHouse over the blocks' files.
    ClickHouse,
    /// ClickHouse over its own table of the OpenTelemetry exporter.
    MergeTree,
}

/// Writes questions in a dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) dataset: &'a Dataset,
    pub(crate) table: &'a str,
}

impl Writer<'_> {
    /// The query: label, interval, value. `None`: the dialect has no way to ask this.
    pub(crate) fn query(
        &self,
        question: &Question,
        window: &Window,
        form: usize,
    ) -> Option<String> {
        let value = self.value(question.value, form)?;
        self.select(question, window, &value)
    }

    /// Label, interval, and what the exact percentile lies between; for DuckDB.
    pub(crate) fn percentile_bounds(&self, question: &Question, window: &Window) -> Option<String> {
        let Value::Quantile(q) = question.value else {
            return None;
        };
        let lists = self.select(question, window, "list_sort(list(duration))")?;
        Some(format!(
            "SELECT label, bin, value[CAST(greatest(1, floor({q} * (len(value) - 1))) AS BIGINT)] AS low, \
             value[CAST(least(len(value), ceil({q} * len(value)) + 1) AS BIGINT)] AS high FROM ({lists})"
        ))
    }

    /// How an engine can be asked for a value; the fastest counts.
    pub(crate) fn forms(&self, value: Value) -> &'static [&'static str] {
        match (value, self.dialect) {
            (Value::Quantile(_), Dialect::DuckDb) => &["quantile_cont", "approx_quantile"],
            (Value::Quantile(_), Dialect::ClickHouse | Dialect::MergeTree) => {
                &["quantile", "quantileDD", "quantileTDigest"]
            }
            (Value::Quantile(_), Dialect::DataFusion) => &["approx_percentile_cont"],
            _ => &["SQL"],
        }
    }

    fn value(&self, value: Value, form: usize) -> Option<String> {
        let duration = self.term("duration")?;
        Some(match (value, self.dialect, form) {
            (Value::Present, ..) => "1".to_owned(),
            (Value::Count, ..) => "count(*)".to_owned(),
            (Value::Average, ..) => format!("avg({duration}) / 1e9"),
            (Value::Quantile(q), Dialect::DuckDb, 0) => format!("quantile_cont({duration}, {q})"),
            (Value::Quantile(q), Dialect::DuckDb, _) => format!("approx_quantile({duration}, {q})"),
            (Value::Quantile(q), Dialect::DataFusion, _) => {
                format!("approx_percentile_cont({q}) WITHIN GROUP (ORDER BY {duration})")
            }
            (Value::Quantile(q), _, 0) => format!("quantile({q})({duration})"),
            (Value::Quantile(q), _, 1) => format!("quantileDD(0.01, {q})({duration})"),
            (Value::Quantile(q), ..) => format!("quantileTDigest({q})({duration})"),
            (Value::Compare, ..) => return None,
        })
    }

    fn select(&self, question: &Question, window: &Window, value: &str) -> Option<String> {
        let table = self.table;
        let label = match question.label {
            Some(label) => self.expand(label)?,
            None => "''".to_owned(),
        };
        let mut conditions = Vec::new();
        if !question.condition.is_empty() {
            conditions.push(self.expand(question.condition)?);
        }
        if let Some((after, until)) = window.bounds_s {
            conditions.push(match self.dialect {
                Dialect::MergeTree => format!(
                    "Timestamp > toDateTime64({after}, 9) AND Timestamp <= toDateTime64({until}, 9)"
                ),
                _ => format!("start_s > {after} AND start_s <= {until}"),
            });
        }
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let bin = self.bin(window);
        let group = match (question.value, question.label) {
            (Value::Present, _) => "GROUP BY label",
            (_, Some(_)) => "GROUP BY label, bin",
            (_, None) => "GROUP BY bin",
        };
        let bin = if question.value == Value::Present {
            "0"
        } else {
            bin.as_str()
        };
        let slowest = if question.slowest {
            format!(", {} AS slowest", self.slowest())
        } else {
            String::new()
        };
        let rows = format!(
            "SELECT {label} AS label, {bin} AS bin, {value} AS value{slowest} FROM {table}{conditions} {group}"
        );
        Some(match question.top {
            None => rows,
            Some(top) => format!(
                "SELECT label, bin, value FROM (SELECT label, bin, value, row_number() OVER \
                 (PARTITION BY bin ORDER BY value DESC, label) AS place FROM ({rows}) AS cells) AS places \
                 WHERE place <= {top}"
            ),
        })
    }

    /// The trace of the slowest span; as text in the end only, since not every reply takes bytes.
    fn slowest(&self) -> String {
        let (trace, duration) = (quoted(names::TRACE_ID), names::DURATION);
        match self.dialect {
            Dialect::DuckDb => format!("lower(hex(arg_max({trace}, {duration})))"),
            // It has no such aggregate, but takes an order.
            Dialect::DataFusion => format!("first_value({trace} ORDER BY {duration} DESC)"),
            Dialect::ClickHouse => format!("lower(hex(argMax({trace}, {duration})))"),
            Dialect::MergeTree => "argMax(TraceId, Duration)".to_owned(),
        }
    }

    /// The interval's number, counted from the epoch and closed on the right; files have the start
    /// rounded up to seconds, which serves every engine alike.
    fn bin(&self, window: &Window) -> String {
        let step = window.step_s();
        match self.dialect {
            Dialect::DuckDb => format!("(start_s + {}) // {step}", step - 1),
            Dialect::DataFusion => format!("(start_s + {}) / {step}", step - 1),
            Dialect::ClickHouse => format!("intDiv(start_s + {}, {step})", step - 1),
            Dialect::MergeTree => format!(
                "intDiv(toUnixTimestamp64Nano(Timestamp) + {}, {})",
                window.grid.step_ns - 1,
                window.grid.step_ns
            ),
        }
    }

    /// Replaces every `{term}`.
    fn expand(&self, template: &str) -> Option<String> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (term, after) = after.split_once('}')?;
            text.push_str(before);
            text.push_str(&self.term(term)?);
            rest = after;
        }
        text.push_str(rest);
        Some(text)
    }

    /// What a term is: a column, or a word and what it is about.
    fn term(&self, term: &str) -> Option<String> {
        let native = self.dialect == Dialect::MergeTree;
        let plain = |files: &str, own: &str| {
            Some(if native {
                own.to_owned()
            } else {
                files.to_owned()
            })
        };
        if let Some((word, about)) = term.split_once(' ') {
            return match word {
                "has" if native => Some(format!("{} != ''", self.term(about)?)),
                "has" => Some(format!("{} IS NOT NULL", self.term(about)?)),
                "int" if native => Some(format!("toInt64OrZero({})", self.term(about)?)),
                "int" => self.term(about),
                "regex" => {
                    let (field, pattern) = about.split_once(' ')?;
                    Some(self.regex(&self.term(field)?, pattern))
                }
                "parent" => Some(self.parent(&self.term(about)?)),
                "ancestor" => self.ancestor(about),
                "trace" => Some(self.trace(about)),
                _ => None,
            };
        }
        match term {
            "service" => plain(&quoted(names::SERVICE_NAME), "ServiceName"),
            "name" => plain(names::NAME, "SpanName"),
            "duration" => plain(names::DURATION, "Duration"),
            "error" => plain("status = 2", "StatusCode = 'Error'"),
            "server" => plain("kind = 2", "SpanKind = 'Server'"),
            "client" => plain("kind = 3", "SpanKind = 'Client'"),
            "root" => plain("depth = 1", "ParentSpanId = ''"),
            "trace" => Some(self.hex(names::TRACE_ID, "TraceId")),
            "span" => Some(self.hex(names::SPAN_ID, "SpanId")),
            "bucket" => {
                let duration = self.term("duration")?;
                Some(format!("CAST(ceil(log2({duration})) AS BIGINT)"))
            }
            attribute => self.attribute(attribute),
        }
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let (scope, key) = name.split_once('.')?;
        let (scope, map) = match scope {
            "span" => (AttributeScope::Span, "SpanAttributes"),
            "resource" => (AttributeScope::Resource, "ResourceAttributes"),
            _ => return None,
        };
        if self.dialect == Dialect::MergeTree {
            return Some(format!("{map}['{key}']"));
        }
        Some(quoted(&self.dataset.column(scope, key)?))
    }

    fn hex(&self, files: &str, own: &str) -> String {
        let files = quoted(files);
        match self.dialect {
            Dialect::MergeTree => own.to_owned(),
            Dialect::DataFusion => files,
            Dialect::DuckDb | Dialect::ClickHouse => format!("lower(hex({files}))"),
        }
    }

    fn trace(&self, id: &str) -> String {
        let column = quoted(names::TRACE_ID);
        match self.dialect {
            Dialect::DuckDb => format!("{column} = from_hex('{id}')"),
            Dialect::DataFusion => format!("{column} = X'{id}'"),
            Dialect::ClickHouse => format!("{column} = unhex('{id}')"),
            Dialect::MergeTree => format!("TraceId = '{id}'"),
        }
    }

    fn regex(&self, field: &str, pattern: &str) -> String {
        match self.dialect {
            Dialect::DuckDb => format!("regexp_full_match({field}, '{pattern}')"),
            Dialect::DataFusion => format!("{field} ~ '^(?:{pattern})$'"),
            Dialect::ClickHouse | Dialect::MergeTree => {
                format!("match({field}, '^(?:{pattern})$')")
            }
        }
    }

    /// The parent of a span is one for which this holds.
    fn parent(&self, condition: &str) -> String {
        let (table, trace) = (self.table, quoted(names::TRACE_ID));
        match self.dialect {
            Dialect::MergeTree => format!(
                "(TraceId, ParentSpanId) IN (SELECT TraceId, SpanId FROM {table} WHERE {condition})"
            ),
            Dialect::DuckDb | Dialect::DataFusion => format!(
                "EXISTS (SELECT 1 FROM {table} AS p WHERE {} AND p.depth = {table}.depth - 1 AND p.{condition})",
                self.is_above("p")
            ),
            // The last span before this one that is one less deep.
            Dialect::ClickHouse => format!(
                "({trace}, trace_row) IN (SELECT c.{trace}, c.trace_row \
                 FROM (SELECT {trace}, trace_row, depth - 1 AS level FROM {table}) AS c \
                 ASOF JOIN (SELECT {trace}, trace_row, depth AS level, ({condition}) AS holds FROM {table}) AS p \
                 ON c.{trace} = p.{trace} AND c.level = p.level AND c.trace_row > p.trace_row WHERE p.holds)"
            ),
        }
    }

    /// Whether another row is of a span above.
    fn is_above(&self, other: &str) -> String {
        let (table, trace) = (self.table, quoted(names::TRACE_ID));
        format!(
            "{other}.{trace} = {table}.{trace} AND {other}.trace_row < {table}.trace_row AND \
             {table}.trace_row <= {other}.trace_row + {other}.descendants"
        )
    }

    /// A span above is of this service.
    fn ancestor(&self, service: &str) -> Option<String> {
        let is_service = format!("a.{} = '{service}'", quoted(names::SERVICE_NAME));
        match self.dialect {
            Dialect::DuckDb | Dialect::DataFusion => Some(format!(
                "EXISTS (SELECT 1 FROM {} AS a WHERE {} AND {is_service})",
                self.table,
                self.is_above("a")
            )),
            // No joins on ranges without first making all pairs; and the exporter's table has
            // parents only.
            Dialect::ClickHouse | Dialect::MergeTree => None,
        }
    }
}

/// A name with anything in it; ClickHouse takes double quotes, too.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL.
pub(crate) fn text(of: &str) -> String {
    format!("'{}'", of.replace('\'', "''"))
}
