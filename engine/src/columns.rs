//! Which columns there are: those of a block, those that a scan adds, and those that follow from a
//! span's place in its trace.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use storage::block::meta::AttributeScope;
use storage::schema::names;
use traceql::ast::Scope;

/// The column that resolves a span's literal parent id; the scan computes it.
pub(crate) const RESOLVED_PARENT_ID: &str = "span:parentID (resolved)";

/// The columns that [`RESOLVED_PARENT_ID`] follows from.
pub(crate) const RESOLVED_FROM: [&str; 3] = [names::SPAN_ID, names::DEPTH, names::PARENT_ID];

/// The column of a span's place among the rows of its block; the scan counts it.
pub(crate) const ROW: &str = "row";

/// The column of a span's duration that none of its children covers, in ns.
pub(crate) const SELF_TIME: &str = "span:selfTime";

/// What stands before the name of a column whose value is taken of the parent.
pub(crate) const OF_PARENT: &str = "parent/";

/// The column with the parent's value of a column, null where a span has no parent in its trace.
pub(crate) fn of_parent(column: &str) -> String {
    format!("{OF_PARENT}{column}")
}

/// A column by its exact name, dots and all.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Names of the columns that some expressions refer to.
pub(crate) fn column_names<'a>(exprs: impl Iterator<Item = &'a Expr>) -> BTreeSet<String> {
    let names = |expr: &Expr| {
        let columns = expr.column_refs().into_iter().map(|c| c.name.clone());
        columns.collect::<Vec<_>>()
    };
    exprs.flat_map(names).collect()
}

/// The columns of a block from which a scan makes those of these names.
pub(crate) fn stored_columns(mut names: BTreeSet<String>) -> BTreeSet<String> {
    names.remove(ROW);
    if names.remove(RESOLVED_PARENT_ID) {
        names.extend(RESOLVED_FROM.map(str::to_owned));
    }
    names
}

/// Where the attributes of a scope are stored: the first that has a key has its value.
pub(crate) const fn stored_scopes(scope: Scope) -> &'static [AttributeScope] {
    match scope {
        Scope::Unscoped => &[AttributeScope::Span, AttributeScope::Resource],
        Scope::Span => &[AttributeScope::Span],
        Scope::Resource => &[AttributeScope::Resource],
        Scope::Event => &[AttributeScope::Event],
        Scope::Link => &[AttributeScope::Link],
        Scope::Instrumentation => &[AttributeScope::Instrumentation],
    }
}
