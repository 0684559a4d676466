//! The rows of a block that its page index leaves for some conditions.
//!
//! Conditions here are DataFusion expressions, and so is the proof that a page has no row for one:
//! nulls and texts cut short in the statistics are as careful as in its own scan.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource_parquet::{
    PagePruningAccessPlanFilter, ParquetAccessPlan, ParquetFileMetrics, RowGroupAccess,
};
use parquet::arrow::arrow_reader::RowSelector;
use storage::block::footer::BlockFooter;

/// Rows of one row group to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remaining {
    pub(super) row_group: usize,
    /// Ascending and apart.
    pub(super) rows: Vec<Range<usize>>,
}

/// What is left of `row_groups` without the pages that have no row for one of `conditions`: each is
/// about one column, and comes with a schema of that one. Row groups with nothing left are left out.
///
/// # Errors
/// If the block's schema cannot be read.
pub(super) fn remaining<'a>(
    footer: &BlockFooter,
    row_groups: &[usize],
    conditions: impl Iterator<Item = (&'a Arc<dyn PhysicalExpr>, &'a SchemaRef)>,
) -> Result<Vec<Remaining>> {
    let metadata = footer.metadata();
    let mut access = ParquetAccessPlan::new_none(metadata.num_row_groups());
    for &row_group in row_groups {
        access.scan(row_group);
    }
    let (schema, parquet_schema) = (footer.schema()?, metadata.file_metadata().schema_descr());
    let metrics = ParquetFileMetrics::new(0, "", &ExecutionPlanMetricsSet::new());
    for (condition, own_schema) in conditions {
        let filter = PagePruningAccessPlanFilter::new(condition, Arc::clone(own_schema));
        access =
            filter.prune_plan_with_page_index(access, schema, parquet_schema, metadata, &metrics);
    }
    let left = row_groups.iter().map(|&row_group| {
        let count = metadata.row_group(row_group).num_rows();
        let all = RowSelector::select(usize::try_from(count).unwrap_or_default());
        let steps = match access.inner().get(row_group) {
            Some(RowGroupAccess::Scan) => vec![all],
            Some(RowGroupAccess::Selection(selection)) => selection.iter().copied().collect(),
            Some(RowGroupAccess::Skip) | None => Vec::new(),
        };
        let mut next = 0;
        let ranges = steps.into_iter().map(|step| {
            let range = next..next + step.row_count;
            next = range.end;
            (!step.skip && !range.is_empty()).then_some(range)
        });
        Remaining {
            row_group,
            rows: ranges.flatten().collect(),
        }
    });
    Ok(left.filter(|left| !left.rows.is_empty()).collect())
}
