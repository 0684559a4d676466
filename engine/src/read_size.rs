//! How much a query reads of a block, from the catalog alone.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use storage::block::meta::{AttributeScope, BlockMeta, ValueType};
use traceql::ast::{Attribute, MetricsStage};

use crate::columns::stored_scopes;
use crate::grid::Grid;
use crate::kinds;
use crate::kinds::search::SearchJob;
use crate::plan::{MetricsPlan, SearchPlan, SearchWindow};

/// Bytes that a metrics query reads of blocks. The query is lowered once for all blocks that hold
/// what it names in the same columns.
#[derive(Debug)]
pub struct ReadSizes<'a> {
    plan: &'a MetricsPlan,
    grid: &'a Grid,
    /// The attributes that the query names, where they may stand.
    keys: Vec<(AttributeScope, String)>,
    columns: HashMap<Holding<'a>, BTreeSet<String>>,
    lowered: usize,
}

/// How a block holds what a query names.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Holding<'a> {
    attributes_complete: bool,
    /// Of each attribute, the types and whether every span has a value of that type.
    types: Vec<(usize, ValueType, Option<&'a str>, bool)>,
}

impl<'a> ReadSizes<'a> {
    /// Of one query.
    #[must_use]
    pub fn new(plan: &'a MetricsPlan, grid: &'a Grid) -> Self {
        let mut keys = vec![(AttributeScope::Resource, "service.name".to_owned())];
        for attribute in plan.attributes() {
            let Attribute::Key { scope, key, .. } = attribute else {
                continue;
            };
            let scopes = stored_scopes(scope).iter();
            keys.extend(scopes.map(|scope| (*scope, key.clone())));
        }
        Self {
            plan,
            grid,
            keys,
            columns: HashMap::new(),
            lowered: 0,
        }
    }

    /// Compressed bytes that are read from each of these row groups of a block.
    #[must_use]
    pub fn of(&mut self, block: &'a BlockMeta, row_groups: &[usize]) -> Vec<u64> {
        if matches!(self.plan.stage, MetricsStage::Compare(_)) {
            // Reads whatever there is.
            return compressed_bytes(&self.lower(block), block, row_groups);
        }
        let holding = self.holding(block);
        if let Some(columns) = self.columns.get(&holding) {
            return compressed_bytes(columns, block, row_groups);
        }
        let columns = self.lower(block);
        let bytes = compressed_bytes(&columns, block, row_groups);
        self.columns.insert(holding, columns);
        bytes
    }

    fn holding(&self, block: &'a BlockMeta) -> Holding<'a> {
        let mut types = Vec::new();
        for (number, (scope, key)) in self.keys.iter().enumerate() {
            let found = block.attribute(*scope, key);
            types.extend(found.iter().flat_map(|found| &found.types).map(|held| {
                let everywhere = held.count == block.row_count;
                (number, held.value_type, held.column.as_deref(), everywhere)
            }));
        }
        Holding {
            attributes_complete: block.attributes_complete,
            types,
        }
    }

    fn lower(&mut self, block: &BlockMeta) -> BTreeSet<String> {
        self.lowered += 1;
        // A query that cannot be lowered reads nothing: its job will say why.
        kinds::columns(self.plan, self.grid, block).unwrap_or_default()
    }
}

/// Compressed bytes that a search reads from each of these row groups of a block.
#[must_use]
pub fn bytes_to_search(
    plan: &SearchPlan,
    window: SearchWindow,
    block: &BlockMeta,
    row_groups: &[usize],
) -> Vec<u64> {
    // A query that cannot be lowered reads nothing: its job will say why.
    let columns = SearchJob::lower(plan, window, block)
        .map_or_else(|_| BTreeSet::new(), |lowered| lowered.columns());
    compressed_bytes(&columns, block, row_groups)
}

fn compressed_bytes(
    columns: &BTreeSet<String>,
    block: &BlockMeta,
    row_groups: &[usize],
) -> Vec<u64> {
    // Few of many columns are read.
    let of_name = |name: &String| block.columns.iter().find(|column| *column.name == **name);
    let read = columns.iter().filter_map(of_name);
    let read: u64 = read.map(|column| column.compressed_bytes).sum();
    // Row groups of a block are alike, so each has its share of the bytes by its rows.
    let rows = u128::from(block.row_count.max(1));
    let bytes = |&group: &usize| {
        let of_group = block
            .row_groups
            .get(group)
            .map_or(0, |group| group.row_count);
        let bytes = u128::from(read) * u128::from(of_group) / rows;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    };
    row_groups.iter().map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use storage::block::meta::{AttributeMeta, AttributeTypeMeta, ColumnMeta, RowGroupMeta};
    use storage::ids::{BlockId, TenantId};
    use ulid::Ulid;

    use super::*;
    use crate::SeriesPlan;

    /// A block with an attribute `span.x` of which so many spans have a value, in its own column or
    /// in the residual one.
    fn block(count: u64, own_column: bool) -> BlockMeta {
        let column = |name: &str, bytes| ColumnMeta {
            name: name.into(),
            compressed_bytes: bytes,
        };
        BlockMeta {
            format_version: 1,
            block_id: BlockId(Ulid(1)),
            tenant: TenantId::single(),
            row_count: 10,
            trace_count: 1,
            min_start_ns: 0,
            max_start_ns: 1,
            max_end_ns: 1,
            file: None,
            row_groups: vec![RowGroupMeta {
                row_count: 10,
                min_start_ns: 0,
                max_start_ns: 1,
            }],
            columns: vec![
                column("start_s", 1),
                column("duration", 10),
                column("span.x", 100),
                column("span.attributes", 1000),
            ],
            attributes: vec![AttributeMeta {
                scope: AttributeScope::Span,
                key: "x".into(),
                types: vec![AttributeTypeMeta {
                    value_type: ValueType::Int,
                    column: own_column.then(|| "span.x".into()),
                    count,
                }],
            }],
            attributes_complete: true,
            services: None,
            trace_id_filter: None,
            made_of: Vec::new(),
            partition: None,
        }
    }

    #[test]
    fn blocks_that_hold_things_alike_are_planned_once() {
        let query = traceql::compile("{} | sum_over_time(span.x)").expect("compiles");
        let plan = SeriesPlan::analyse(&query).expect("a metrics query");
        let plan = &*plan.operands()[0];
        let second = 1_000_000_000;
        let grid = Grid::aligned(0, 9 * second, second).expect("a grid");
        let mut blocks: Vec<BlockMeta> = (0..1000).map(|n| block(n % 10, true)).collect();
        let residual = block(3, false);
        blocks.push(residual.clone());
        let mut sizes = ReadSizes::new(plan, &grid);
        let bytes: Vec<u64> = blocks
            .iter()
            .flat_map(|block| sizes.of(block, &[0]))
            .collect();
        assert!(bytes[..1000].iter().all(|&bytes| bytes == 101), "{bytes:?}");
        let alone = ReadSizes::new(plan, &grid).of(&residual, &[0]);
        assert_eq!(bytes[1000..], alone);
        assert_ne!(alone, [101]);
        assert_eq!(sizes.lowered, 2);
    }
}
