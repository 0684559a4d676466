//! Expressions over the events or links of a span.
//!
//! The lists of all spans of a batch are laid out as one flat batch with a row per event (or link),
//! the expression is evaluated on that with DataFusion's own kernels, and the result is folded back.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use storage::schema::names;

use super::Function;
use super::list::reduce_any;

/// Events or links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Nested {
    Event,
    Link,
}

/// Which of a span's events (or links).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    First,
    /// The last of those that satisfy a condition.
    Last,
}

/// Turns expressions over flat batches into physical ones. Made once: registering all that
/// DataFusion has costs more than planning an expression.
static PLANNER: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);

/// Columns of the flat batch.
pub(crate) const EVENT_NAME: &str = "event:name";
pub(crate) const EVENT_TIME_SINCE_START: &str = "event:timeSinceStart";
pub(crate) const LINK_TRACE_ID: &str = "link:traceID";
pub(crate) const LINK_SPAN_ID: &str = "link:spanID";
pub(crate) const ATTRIBUTES: &str = "attributes";

impl Nested {
    /// The column of spans that holds the list.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Event => names::EVENTS,
            Self::Link => names::LINKS,
        }
    }

    /// The schema of the flat batch.
    fn schema(self) -> SchemaRef {
        let entry = Field::new(
            "item",
            DataType::Struct(storage::schema::entry_fields()),
            false,
        );
        let attributes = Field::new(ATTRIBUTES, DataType::List(Arc::new(entry)), false);
        Arc::new(Schema::new(match self {
            Self::Event => vec![
                Field::new(EVENT_NAME, DataType::Utf8, false),
                Field::new(EVENT_TIME_SINCE_START, DataType::Int64, false),
                attributes,
            ],
            Self::Link => vec![
                Field::new(LINK_TRACE_ID, DataType::FixedSizeBinary(16), false),
                Field::new(LINK_SPAN_ID, DataType::FixedSizeBinary(8), false),
                attributes,
            ],
        }))
    }

    /// The flat batch of the list elements at `rows`, which belong to the spans at `owners`.
    fn flatten(
        self,
        elements: &ArrayRef,
        rows: &UInt32Array,
        owners: &UInt32Array,
        start_ns: &ArrayRef,
    ) -> Result<RecordBatch> {
        let elements = elements.as_struct();
        let field = |name: &str| -> Result<ArrayRef> {
            let missing =
                || DataFusionError::Internal(format!("events and links have no field {name}"));
            Ok(take(
                elements.column_by_name(name).ok_or_else(missing)?,
                rows,
                None,
            )?)
        };
        let columns = match self {
            Self::Event => {
                let times = field(names::EVENT_TIME_NS)?;
                let starts = take(start_ns, owners, None)?;
                let pairs = times
                    .as_primitive::<Int64Type>()
                    .values()
                    .iter()
                    .zip(starts.as_primitive::<Int64Type>().values());
                let since: Int64Array = pairs
                    .map(|(time, start)| time.wrapping_sub(*start))
                    .collect();
                vec![
                    field(names::EVENT_NAME)?,
                    Arc::new(since),
                    field(names::ITEM_ATTRIBUTES)?,
                ]
            }
            Self::Link => {
                vec![
                    field(names::LINK_TRACE_ID)?,
                    field(names::LINK_SPAN_ID)?,
                    field(names::ITEM_ATTRIBUTES)?,
                ]
            }
        };
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }

    fn physical(self, expr: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(self.schema())?;
        PLANNER.create_physical_expr(expr.clone(), &schema)
    }
}

/// Whether some event (or link) of the span satisfies `condition`.
pub(crate) fn any(nested: Nested, condition: &Expr, lists: Expr, start_ns: Expr) -> Result<Expr> {
    let physical = nested.physical(condition)?;
    let name = match nested {
        Nested::Event => "any_event",
        Nested::Link => "any_link",
    };
    Ok(Function::call_on_inner(
        name,
        vec![condition.clone()],
        DataType::Boolean,
        vec![lists, start_ns],
        move |args| {
            let lists = args[0].as_list::<i32>();
            let (rows, owners) = all_elements(lists);
            let batch = nested.flatten(lists.values(), &rows, &owners, &args[1])?;
            let hits = physical.evaluate(&batch)?.into_array(batch.num_rows())?;
            let any = reduce_any(lists, hits.as_boolean());
            Ok(Arc::new(BooleanArray::from(any)) as ArrayRef)
        },
    ))
}

/// The value of `value` on the first event (or link) of the span; null if there is none.
pub(crate) fn first(
    nested: Nested,
    value: &Expr,
    value_type: DataType,
    lists: Expr,
    start_ns: Expr,
) -> Result<Expr> {
    let physical = nested.physical(value)?;
    let name = match nested {
        Nested::Event => "first_event",
        Nested::Link => "first_link",
    };
    Ok(Function::call_on_inner(
        name,
        vec![value.clone()],
        value_type,
        vec![lists, start_ns],
        move |args| {
            let lists = args[0].as_list::<i32>();
            let (rows, owners) = first_elements(lists);
            let batch = nested.flatten(lists.values(), &rows, &owners, &args[1])?;
            let values = physical.evaluate(&batch)?.into_array(batch.num_rows())?;
            let mut slots = vec![None; lists.len()];
            for (slot, &owner) in (0_u32..).zip(owners.values()) {
                slots[owner as usize] = Some(slot);
            }
            let slots: UInt32Array = slots.into_iter().collect();
            Ok(take(&values, &slots, None)?)
        },
    ))
}

/// The value of `value` on the last event (or link) of the span that satisfies `condition`; null if
/// there is none.
pub(crate) fn last(
    nested: Nested,
    condition: &Expr,
    value: &Expr,
    value_type: DataType,
    lists: Expr,
    start_ns: Expr,
) -> Result<Expr> {
    let (holds, physical) = (nested.physical(condition)?, nested.physical(value)?);
    let name = match nested {
        Nested::Event => "last_event",
        Nested::Link => "last_link",
    };
    Ok(Function::call_on_inner(
        name,
        vec![value.clone(), condition.clone()],
        value_type,
        vec![lists, start_ns],
        move |args| {
            let lists = args[0].as_list::<i32>();
            let (rows, owners) = all_elements(lists);
            let batch = nested.flatten(lists.values(), &rows, &owners, &args[1])?;
            let holds = holds.evaluate(&batch)?.into_array(batch.num_rows())?;
            let values = physical.evaluate(&batch)?.into_array(batch.num_rows())?;
            let mut slots = vec![None; lists.len()];
            let elements = owners.values().iter().zip(holds.as_boolean());
            for (slot, (&owner, holds)) in (0_u32..).zip(elements) {
                if holds == Some(true) {
                    slots[owner as usize] = Some(slot);
                }
            }
            let slots: UInt32Array = slots.into_iter().collect();
            Ok(take(&values, &slots, None)?)
        },
    ))
}

/// Every element of every list, and the row it belongs to.
fn all_elements(lists: &ListArray) -> (UInt32Array, UInt32Array) {
    let mut rows = Vec::new();
    let mut owners = Vec::new();
    for (owner, pair) in (0_u32..).zip(lists.offsets().windows(2)) {
        for row in pair[0]..pair[1] {
            rows.push(row.unsigned_abs());
            owners.push(owner);
        }
    }
    (rows.into(), owners.into())
}

/// The first element of every list that has one, and the row it belongs to.
fn first_elements(lists: &ListArray) -> (UInt32Array, UInt32Array) {
    let mut rows = Vec::new();
    let mut owners: Vec<u32> = Vec::new();
    for (owner, pair) in (0_u32..).zip(lists.offsets().windows(2)) {
        if pair[0] < pair[1] {
            rows.push(pair[0].unsigned_abs());
            owners.push(owner);
        }
    }
    (rows.into(), owners.into())
}
