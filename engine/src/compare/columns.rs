//! What of a block is compared, and where it is.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use storage::block::meta::{AttributeScope, BlockMeta};
use storage::schema::names;
use traceql::ast::{Attribute, Intrinsic, Scope};

use crate::columns::column;
use crate::lower::layout::Layout;
use crate::types::Type;

/// The intrinsics that are compared.
const INTRINSICS: [Intrinsic; 9] = [
    Intrinsic::Name,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::Kind,
    Intrinsic::SpanChildCount,
    Intrinsic::RootName,
    Intrinsic::RootServiceName,
    Intrinsic::InstrumentationName,
    Intrinsic::InstrumentationVersion,
];

/// The scopes whose attributes are compared.
const SCOPES: [(AttributeScope, Scope); 3] = [
    (AttributeScope::Resource, Scope::Resource),
    (AttributeScope::Instrumentation, Scope::Instrumentation),
    (AttributeScope::Span, Scope::Span),
];

const SERVICE_NAME: &str = "service.name";

/// A column of values of one type of one attribute.
#[derive(Debug)]
pub(crate) struct ValueColumn {
    pub(crate) attribute: Arc<str>,
    pub(crate) value_type: Type,
    pub(crate) expr: Expr,
}

/// The list column of attributes of a scope that have no column of their own.
#[derive(Debug)]
pub(crate) struct ResidualColumn {
    pub(crate) scope: Scope,
    /// Name of the column.
    pub(crate) name: &'static str,
    pub(crate) lists: Expr,
    /// The typed columns of keys that may stand in the list as well, by key: what they hold came
    /// first, and counts.
    pub(crate) shadows: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

/// Everything that is compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) values: Vec<ValueColumn>,
    pub(crate) residuals: Vec<Arc<ResidualColumn>>,
}

impl Compared {
    /// What is compared of a block's spans.
    pub(crate) fn of(block: &BlockMeta, layout: &Layout<'_>) -> Result<Self> {
        let mut compared = Self::default();
        let service_name = Attribute::Key {
            scope: Scope::Resource,
            of_parent: false,
            key: SERVICE_NAME.to_owned(),
        };
        let intrinsics = INTRINSICS.map(Attribute::of_span);
        for attribute in intrinsics.iter().chain([&service_name]) {
            let name: Arc<str> = attribute.canonical().into();
            for alternative in layout.resolve(attribute)?.alternatives {
                compared.values.push(ValueColumn {
                    attribute: Arc::clone(&name),
                    value_type: alternative.value_type,
                    expr: alternative.expr,
                });
            }
        }
        for (stored, scope) in SCOPES {
            compared.add_scope(block, stored, scope);
        }
        Ok(compared)
    }

    fn add_scope(&mut self, block: &BlockMeta, stored: AttributeScope, scope: Scope) {
        let mut has_residual = !block.attributes_complete;
        let mut shadows = Vec::new();
        for attribute in block.attributes.iter().filter(|a| a.scope == stored) {
            if stored == AttributeScope::Resource && &*attribute.key == SERVICE_NAME {
                continue;
            }
            let name = canonical(scope, &attribute.key);
            let mut columns = Vec::new();
            for of_type in &attribute.types {
                let scalar = Type::of_scalar(of_type.value_type);
                match (&of_type.column, scalar) {
                    (Some(own), Some(value_type)) => {
                        columns.push(Arc::clone(own));
                        self.values.push(ValueColumn {
                            attribute: Arc::clone(&name),
                            value_type,
                            expr: column(own),
                        });
                    }
                    _ => has_residual = true,
                }
            }
            if !columns.is_empty() {
                shadows.push((Arc::clone(&attribute.key), columns));
            }
        }
        if let (true, Some(name)) = (has_residual, names::residual(stored)) {
            self.residuals.push(Arc::new(ResidualColumn {
                scope,
                name,
                lists: column(name),
                shadows,
            }));
        }
    }

    /// Everything that is read.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let values = self.values.iter().map(|value| &value.expr);
        values.chain(self.residuals.iter().map(|residual| &residual.lists))
    }
}

/// The label of an attribute.
pub(crate) fn canonical(scope: Scope, key: &str) -> Arc<str> {
    let attribute = Attribute::Key {
        scope,
        of_parent: false,
        key: key.to_owned(),
    };
    attribute.canonical().into()
}

/// Whether a key of a scope is compared in another way than by its place in a list.
pub(crate) fn is_service_name(scope: Scope, key: &str) -> bool {
    scope == Scope::Resource && key == SERVICE_NAME
}
