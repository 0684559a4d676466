//! What an operator over encoded columns reads, and what it derives of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::split_conjunction;
use storage::block::encoded::can_read;

use super::window::OfColumn;
use crate::batch::Evaluation;
use crate::columns::column_names;
use crate::scan::StoredRows;

/// Columns that are read: names, and leaf columns of the file with their types.
#[derive(Debug, Clone, Default)]
pub(super) struct EncodedColumns {
    pub(super) names: Vec<String>,
    pub(super) leaves: Vec<(usize, DataType)>,
}

/// Gathers what expressions need while they are made ready.
pub(super) struct Planner<'a> {
    session: &'a dyn Session,
    stored: &'a StoredRows<'a>,
    schema: &'a Schema,
    columns: EncodedColumns,
}

impl<'a> Planner<'a> {
    /// For a block of that schema.
    pub(super) fn new(
        session: &'a dyn Session,
        stored: &'a StoredRows<'a>,
        schema: &'a Schema,
    ) -> Self {
        Self {
            session,
            stored,
            schema,
            columns: EncodedColumns::default(),
        }
    }

    /// The columns that were asked for.
    pub(super) fn columns(self) -> EncodedColumns {
        self.columns
    }

    /// What a column takes before compression in the first row group, in bytes.
    pub(super) fn bytes(&self, column: usize) -> Option<i64> {
        let (leaf, _) = self.columns.leaves.get(column)?;
        let groups = self.stored.footer.metadata().row_groups();
        let group = groups.get(*self.stored.row_groups.first()?)?;
        Some(group.columns().get(*leaf)?.uncompressed_size())
    }

    /// Where a column will be among those read; `None` if it is not one that can be.
    pub(super) fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.columns.names.iter().position(|known| known == name) {
            return Some(known);
        }
        let data_type = self.schema.field_with_name(name).ok()?.data_type();
        let leaf = self.stored.footer.leaf(name)?;
        let metadata = self.stored.footer.metadata();
        let mut groups = self.stored.row_groups.iter();
        if !groups.all(|&group| can_read(metadata, group, leaf, data_type)) {
            return None;
        }
        self.columns.names.push(name.to_owned());
        self.columns.leaves.push((leaf, data_type.clone()));
        Some(self.columns.names.len() - 1)
    }

    /// What rows have to meet: a query's filter, and what is said of the rows that are read. `None` if it
    /// is not a conjunction of conditions that are each of one column.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(super) fn filters(&mut self, filter: Option<&Expr>) -> Result<Option<Vec<OfColumn>>> {
        let stored = self.stored;
        self.conditions(filter.into_iter().chain(&stored.condition))
    }

    /// A conjunction of conditions that are each of one column, those on short columns first: a
    /// condition on a dictionary is cheaper than one on each row's own value. `None` if it is not
    /// that.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(super) fn conditions<'e>(
        &mut self,
        conditions: impl Iterator<Item = &'e Expr>,
    ) -> Result<Option<Vec<OfColumn>>> {
        let mut derived = Vec::new();
        for condition in conditions.flat_map(split_conjunction) {
            // Dashboards join their conditions to `true`.
            if matches!(
                condition,
                Expr::Literal(ScalarValue::Boolean(Some(true)), _)
            ) {
                continue;
            }
            let Some(condition) = self.derived(condition)? else {
                return Ok(None);
            };
            derived.push(condition);
        }
        derived.sort_by_key(|condition| self.bytes(condition.column));
        Ok(Some(derived))
    }

    /// An expression of one column; `None` if it is not that.
    ///
    /// # Errors
    /// If the expression cannot be made ready.
    pub(super) fn derived(&mut self, expr: &Expr) -> Result<Option<OfColumn>> {
        let names = column_names([expr].into_iter());
        let mut names = names.iter();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Ok(None);
        };
        let Some(column) = self.column(name) else {
            return Ok(None);
        };
        let field = self.schema.field_with_name(name)?.clone();
        let schema = Arc::new(Schema::new(vec![field]));
        let expr = Evaluation::try_new(&schema, self.session)?.of(expr)?;
        Ok(Some(OfColumn {
            column,
            expr,
            schema,
        }))
    }
}
