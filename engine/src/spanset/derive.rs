//! Columns that follow from a span's place in its trace: values of its parent, and its self time.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use storage::schema::names;

use super::relation::{Forest, NONE};
use crate::batch::named;
use crate::columns::{OF_PARENT, SELF_TIME, of_parent};

/// Derived columns, in the order in which they are appended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Derived {
    self_time: bool,
    /// Columns whose value is wanted of the parent.
    of_parent: Vec<String>,
}

impl Derived {
    /// Those among the columns that a query names; the others are what it reads.
    pub(crate) fn among(columns: BTreeSet<String>) -> (Self, BTreeSet<String>) {
        let (mut derived, mut read) = (Self::default(), BTreeSet::new());
        for column in columns {
            let plain = match column.strip_prefix(OF_PARENT) {
                Some(plain) => {
                    derived.of_parent.push(plain.to_owned());
                    plain.to_owned()
                }
                None => column,
            };
            if plain == SELF_TIME {
                derived.self_time = true;
                read.extend([names::START_NS, names::DURATION].map(str::to_owned));
            } else {
                read.insert(plain);
            }
        }
        (derived, read)
    }

    /// Whether there is nothing to derive.
    pub(crate) const fn is_empty(&self) -> bool {
        !self.self_time && self.of_parent.is_empty()
    }

    /// Whether spans are looked at that stand below others, and not above them only.
    pub(crate) const fn looks_below(&self) -> bool {
        self.self_time
    }

    /// The columns with the derived ones behind them.
    pub(crate) fn schema(&self, input: &SchemaRef) -> Result<SchemaRef> {
        let mut fields: Vec<_> = input.fields().iter().cloned().collect();
        if self.self_time {
            fields.push(Arc::new(Field::new(SELF_TIME, DataType::Int64, false)));
        }
        for column in &self.of_parent {
            let of_parent =
                |field: &Arc<Field>| Field::new(of_parent(column), field.data_type().clone(), true);
            let field = fields.iter().find(|field| field.name() == column);
            let missing =
                || DataFusionError::Internal(format!("no column {column} to derive from"));
            let field = field.map(of_parent).ok_or_else(missing)?;
            fields.push(Arc::new(field));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Appends the derived columns. `schema` is that of [`Self::schema`].
    pub(crate) fn append(
        &self,
        batch: &RecordBatch,
        forest: &Forest,
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        let mut columns = batch.columns().to_vec();
        if self.self_time {
            columns.push(Arc::new(self_time(batch, forest)?));
        }
        let parents: UInt32Array = forest
            .parent
            .iter()
            .map(|&parent| (parent != NONE).then_some(parent))
            .collect();
        for column in &self.of_parent {
            let index = schema.index_of(column)?;
            columns.push(take(&columns[index], &parents, None)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

/// Duration minus the part in which at least one child was running.
fn self_time(batch: &RecordBatch, forest: &Forest) -> Result<Int64Array> {
    let (starts, durations) = (
        named(batch, names::START_NS)?,
        named(batch, names::DURATION)?,
    );
    let starts = starts.as_primitive::<Int64Type>().values();
    let durations = durations.as_primitive::<Int64Type>().values();
    let mut own: Vec<i64> = durations.to_vec();
    // Children stand in order of their start, so what is covered of the parent so far is known by
    // where it ends.
    let mut covered_until: Vec<i64> = starts.to_vec();
    for (at, &parent) in forest.parent.iter().enumerate() {
        if parent == NONE {
            continue;
        }
        let parent = parent as usize;
        let parent_end = starts[parent].saturating_add(durations[parent]);
        let from = starts[at].max(covered_until[parent]);
        let to = starts[at].saturating_add(durations[at]).min(parent_end);
        if to > from {
            own[parent] -= to - from;
            covered_until[parent] = to;
        }
    }
    Ok(own.into())
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;

    use super::*;

    #[test]
    fn self_time_is_what_children_leave() {
        // A span of 100 with children 10–30, 20–40, 35–36 and 90–120, and a lone one.
        let forest = Forest::new(vec![0, 5, 6], &[1, 2, 2, 2, 2, 1]);
        let starts = Int64Array::from(vec![0, 10, 20, 35, 90, 7]);
        let durations = Int64Array::from(vec![100, 20, 20, 1, 30, 5]);
        let batch = RecordBatch::try_from_iter([
            (names::START_NS, Arc::new(starts) as ArrayRef),
            (names::DURATION, Arc::new(durations) as ArrayRef),
        ])
        .unwrap();
        let own = self_time(&batch, &forest).unwrap();
        assert_eq!(own.values().to_vec(), [60, 20, 20, 1, 30, 5]);
    }

    #[test]
    fn columns_of_the_parent_are_read_once() {
        let columns = ["parent/span:selfTime", "parent/name", "name", "kind"];
        let (derived, read) = Derived::among(columns.iter().map(ToString::to_string).collect());
        assert!(derived.self_time && !derived.is_empty());
        assert_eq!(derived.of_parent, ["name", SELF_TIME]);
        let expected = [names::DURATION, "kind", "name", names::START_NS];
        assert_eq!(read.into_iter().collect::<Vec<_>>(), expected);
    }
}
