//! What an expression depends on: the attributes that it names, and whether it has series.

use crate::ast::{
    Attribute, FieldExpr, FieldExprKind, MetricsExpr, Pipeline, ScalarExpr, SpansetExpr, Stage,
};

impl FieldExpr {
    /// Whether the value depends on the span.
    #[must_use]
    pub fn references_span(&self) -> bool {
        !self.attributes().is_empty()
    }

    /// The attributes and intrinsics it mentions, in the order of the text, with repetitions.
    #[must_use]
    pub fn attributes(&self) -> Vec<&Attribute> {
        let mut found = Vec::new();
        self.collect_attributes(&mut found);
        found
    }

    fn collect_attributes<'a>(&'a self, found: &mut Vec<&'a Attribute>) {
        match &self.kind {
            FieldExprKind::Literal(_) | FieldExprKind::NilTest { operand: None, .. } => {}
            FieldExprKind::Attribute(attribute) => found.push(attribute),
            FieldExprKind::Unary { operand, .. }
            | FieldExprKind::NilTest {
                operand: Some(operand),
                ..
            } => operand.collect_attributes(found),
            FieldExprKind::Binary { lhs, rhs, .. } => {
                lhs.collect_attributes(found);
                rhs.collect_attributes(found);
            }
        }
    }
}

impl MetricsExpr {
    /// Whether some metrics query is part of it; else its value is the same at any time.
    #[must_use]
    pub fn has_series(&self) -> bool {
        match self {
            Self::Query { .. } => true,
            Self::Number { .. } => false,
            Self::Negative { operand, .. } | Self::Narrowed { operand, .. } => operand.has_series(),
            Self::Binary { lhs, rhs, .. } => lhs.has_series() || rhs.has_series(),
        }
    }
}

impl Pipeline {
    /// Every attribute that a stage names, in order of appearance, as often as it is named.
    #[must_use]
    pub fn attributes(&self) -> Vec<&Attribute> {
        let mut found = Vec::new();
        self.collect_attributes(&mut found);
        found
    }

    fn collect_attributes<'a>(&'a self, found: &mut Vec<&'a Attribute>) {
        for stage in &self.stages {
            match stage {
                Stage::Spansets(expr) => expr.collect_attributes(found),
                Stage::ScalarFilter(filter) => {
                    filter.lhs.collect_attributes(found);
                    filter.rhs.collect_attributes(found);
                }
                Stage::GroupBy(key) => found.extend(key.attributes()),
                Stage::Coalesce(_) => {}
                Stage::Select(selected) => found.extend(selected.iter().map(|a| &a.attribute)),
            }
        }
    }
}

impl SpansetExpr {
    fn collect_attributes<'a>(&'a self, found: &mut Vec<&'a Attribute>) {
        match self {
            Self::Filter { condition, .. } => {
                found.extend(
                    condition
                        .iter()
                        .flat_map(|condition| condition.attributes()),
                );
            }
            Self::Binary { lhs, rhs, .. } => {
                lhs.collect_attributes(found);
                rhs.collect_attributes(found);
            }
            Self::Pipeline { pipeline, .. } => pipeline.collect_attributes(found),
        }
    }
}

impl ScalarExpr {
    fn collect_attributes<'a>(&'a self, found: &mut Vec<&'a Attribute>) {
        match self {
            Self::Number { .. } | Self::Literal { .. } => {}
            Self::Aggregate(aggregate) => {
                found.extend(
                    aggregate
                        .argument
                        .iter()
                        .flat_map(|argument| argument.attributes()),
                );
            }
            Self::Binary { lhs, rhs, .. } => {
                lhs.collect_attributes(found);
                rhs.collect_attributes(found);
            }
            Self::Pipeline {
                pipeline,
                aggregate,
                ..
            } => {
                pipeline.collect_attributes(found);
                found.extend(
                    aggregate
                        .argument
                        .iter()
                        .flat_map(|argument| argument.attributes()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ast::Body;

    #[test]
    fn attributes_of_all_stages_are_found_in_order() {
        let text =
            "{ .a = 1 && name = \"x\" } >> { span.b } | by(.c) | avg(span.d) > 1 | select(.a)";
        let query = crate::compile(text).unwrap();
        let Body::Search(pipeline) = &query.body else {
            panic!("no search: {query:?}")
        };
        let found: Vec<_> = pipeline
            .attributes()
            .iter()
            .map(|a| a.canonical())
            .collect();
        assert_eq!(found, [".a", "name", "span.b", ".c", "span.d", ".a"]);
    }
}
