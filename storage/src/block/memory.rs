//! A block in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::block::meta::BlockMeta;

/// A block in memory: the same columns, in the same row order, as the file of a stored block.
#[derive(Debug, Clone)]
pub struct MemoryBlock {
    /// What is known of the block; `file` is `None`.
    pub meta: Arc<BlockMeta>,
    /// Schema of every batch.
    pub schema: SchemaRef,
    /// The rows, in block order; none of the batches is empty. A batch may end inside a trace.
    pub batches: Vec<RecordBatch>,
}

impl MemoryBlock {
    /// Number of spans.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Bytes of the Arrow buffers. Batches that are slices of one allocation count it once.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let mut seen = hashbrown::HashMap::new();
        for batch in &self.batches {
            for column in batch.columns() {
                buffers(&column.to_data(), &mut seen);
            }
        }
        seen.values().sum()
    }
}

fn buffers(data: &arrow::array::ArrayData, seen: &mut hashbrown::HashMap<usize, usize>) {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    for buffer in data.buffers().iter().chain(nulls) {
        seen.insert(buffer.data_ptr().addr().get(), buffer.capacity());
    }
    data.child_data()
        .iter()
        .for_each(|child| buffers(child, seen));
}
