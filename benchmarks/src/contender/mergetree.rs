//! ClickHouse's own table of spans, as the ClickHouse exporter of the OpenTelemetry collector makes it:
//! the same columns, codecs, order and indexes.

use storage::Snapshot;
use storage::block::meta::{AttributeScope, ValueType};

use super::driver::Driver;
use crate::dataset::{Dataset, path_text};
use crate::error::BenchError;
use crate::record::float;
use crate::suite::{quoted, text};

pub(super) const TABLE: &str = "otel_traces";

const CREATE: &str = include_str!("mergetree.sql");

/// Makes the table unless it has as many rows as there are spans, and merges its parts, as a table is
/// that nobody writes to.
pub(super) fn fill(dataset: &Dataset, driver: &mut Driver) -> Result<(), BenchError> {
    if count(driver)? == Some(dataset.spans()) {
        return Ok(());
    }
    driver.execute(&format!("DROP TABLE IF EXISTS {TABLE}"))?;
    driver.execute(CREATE)?;
    let columns = Columns::of(&dataset.snapshot);
    for file in &dataset.files {
        eprintln!("ClickHouse takes {}", file.display());
        let file = format!("file({}, Parquet)", text(path_text(file)?));
        driver.execute(&columns.insert(&file))?;
    }
    driver.execute(&format!("OPTIMIZE TABLE {TABLE} FINAL"))
}

fn count(driver: &mut Driver) -> Result<Option<u64>, BenchError> {
    let exists = format!("SELECT count(*) FROM system.tables WHERE name = '{TABLE}'");
    if number(driver, &exists)? == Some(0) {
        return Ok(None);
    }
    number(driver, &format!("SELECT count(*) FROM {TABLE}"))
}

fn number(driver: &mut Driver, sql: &str) -> Result<Option<u64>, BenchError> {
    let (_, rows) = driver.rows(sql)?;
    Ok(rows.first().and_then(|row| row.first()?.as_u64()))
}

/// Bytes of the live parts.
pub(super) fn bytes(driver: &mut Driver) -> Result<f64, BenchError> {
    let sql =
        format!("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{TABLE}'");
    let bytes = number(driver, &sql)?.unwrap_or(0);
    Ok(float(bytes))
}

/// The attribute columns of the blocks.
struct Columns {
    resource: String,
    span: String,
}

impl Columns {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            resource: map(snapshot, AttributeScope::Resource, "resource:attributes"),
            span: map(snapshot, AttributeScope::Span, "span:attributes"),
        }
    }

    fn insert(&self, file: &str) -> String {
        let Self { resource, span } = self;
        let attributes = entries("x.attributes");
        format!(
            r#"INSERT INTO {TABLE} SELECT
    fromUnixTimestamp64Nano(start_ns), lower(hex("trace:id")), lower(hex("span:id")),
    if(depth > 1, lower(hex(parent_id)), ''), ifNull(toString(trace_state), ''), name,
    ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'][kind + 1],
    ifNull("resource.service.name", ''), {resource}, "instrumentation:name", "instrumentation:version", {span},
    duration, ['Unset', 'Ok', 'Error'][status + 1], "statusMessage",
    arrayMap(x -> fromUnixTimestamp64Nano(x.time_ns), events), arrayMap(x -> x.name, events),
    arrayMap(x -> {attributes}, events),
    arrayMap(x -> lower(hex(x.trace_id)), links), arrayMap(x -> lower(hex(x.span_id)), links),
    arrayMap(x -> x.trace_state, links), arrayMap(x -> {attributes}, links)
FROM {file} AS spans
ASOF LEFT JOIN (SELECT "trace:id" AS parent_trace, depth + 1 AS level, trace_row AS parent_row, "span:id" AS parent_id FROM {file}) AS parents
ON spans."trace:id" = parent_trace AND spans.depth = level AND spans.trace_row > parent_row"#
        )
    }
}

/// A map of all attributes of a scope: those with columns, and the rest.
fn map(snapshot: &Snapshot, scope: AttributeScope, residual: &str) -> String {
    let mut pairs = Vec::new();
    for attribute in snapshot.stored.iter().flat_map(|block| &block.attributes) {
        for kind in attribute.types.iter().filter(|_| attribute.scope == scope) {
            let Some(column) = &kind.column else { continue };
            let column = quoted(column);
            let value = match kind.value_type {
                ValueType::Bool => format!("multiIf({column}, 'true', NOT {column}, 'false', '')"),
                _ => format!("ifNull(toString({column}), '')"),
            };
            let pair = format!("{}, {value}", text(&attribute.key));
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    let pairs = pairs.join(", ");
    let rest = entries(&quoted(residual));
    format!("mapConcat(mapFilter((k, v) -> v != '', map({pairs})), {rest})")
}

/// A map of a list of entries.
fn entries(list: &str) -> String {
    format!(
        "mapFromArrays(arrayMap(e -> e.key, {list}), arrayMap(e -> coalesce(e.string, toString(e.int), \
         toString(e.double), toString(e.bool), ''), {list}))"
    )
}
