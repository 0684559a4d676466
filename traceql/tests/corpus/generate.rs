//! Random syntax trees of the shapes that parsing can give.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use traceql::ast::*;
use traceql::{Dialect, TextRange};

const RANGE: TextRange = TextRange::new(0, 0);

/// What can be asked of the parent span.
const OF_PARENT: &[Intrinsic] = &[
    Intrinsic::Duration,
    Intrinsic::Name,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::Kind,
    Intrinsic::SpanId,
    Intrinsic::SpanParentId,
    Intrinsic::SpanChildCount,
    Intrinsic::SpanSelfTime,
];

pub(crate) fn attribute() -> BoxedStrategy<Attribute> {
    let scope = select(vec![
        Scope::Unscoped,
        Scope::Span,
        Scope::Resource,
        Scope::Event,
        Scope::Link,
        Scope::Instrumentation,
    ]);
    let key = prop_oneof![
        "[a-z]{1,3}(\\.[a-z0-9]{1,3})?",
        "(span|resource|event|parent)\\.[a-z]",
        "\\PC{0,6}"
    ];
    let keyed = (scope, any::<bool>(), key).prop_map(|(scope, of_parent, key)| {
        let of_parent =
            of_parent && matches!(scope, Scope::Unscoped | Scope::Span | Scope::Resource);
        Attribute::Key {
            scope,
            of_parent,
            key,
        }
    });
    prop_oneof![
        4 => keyed,
        3 => select(Intrinsic::ALL.to_vec()).prop_map(Attribute::of_span),
        1 => select(OF_PARENT).prop_map(|intrinsic| Attribute::Intrinsic {
            intrinsic,
            of_parent: true,
        }),
    ]
    .boxed()
}

fn attribute_ref() -> impl Strategy<Value = AttributeRef> {
    attribute().prop_map(|attribute| AttributeRef {
        attribute,
        range: RANGE,
    })
}

/// A literal as it is written: numbers have no sign.
fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        unsigned_number(),
        prop_oneof!["\\PC{0,6}", "0{0,3}[a-f]{0,3}", "[\\x00-\\x1f\"\\\\]{0,4}"]
            .prop_map(Literal::String),
        any::<bool>().prop_map(Literal::Bool),
        select(vec![Status::Unset, Status::Ok, Status::Error]).prop_map(Literal::Status),
        select(vec![
            Kind::Unspecified,
            Kind::Internal,
            Kind::Server,
            Kind::Client,
            Kind::Producer,
            Kind::Consumer
        ])
        .prop_map(Literal::Kind),
    ]
}

fn unsigned_number() -> impl Strategy<Value = Literal> {
    let float = prop_oneof![
        0.0..10.0,
        (0u64..=f64::MAX.to_bits()).prop_map(f64::from_bits)
    ];
    prop_oneof![
        prop_oneof![0..10i64, 0..=i64::MAX, Just(i64::MIN)].prop_map(Literal::Int),
        float.prop_map(Literal::Float),
        prop_oneof![0..2000i64, 0..=i64::MAX].prop_map(Literal::Duration),
    ]
}

/// A number with an optional sign; here the smallest integer cannot be written.
fn signed_number() -> impl Strategy<Value = Literal> {
    (unsigned_number(), any::<bool>()).prop_map(|(number, is_negative)| match number {
        Literal::Int(i64::MIN) => Literal::Int(0),
        Literal::Int(value) if is_negative => Literal::Int(-value),
        Literal::Float(value) if is_negative => Literal::Float(-value),
        Literal::Duration(value) if is_negative => Literal::Duration(-value),
        other => other,
    })
}

fn arithmetic_op() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp as Op;
    select(vec![Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Mod, Op::Pow])
}

fn binary_op() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp as Op;
    let other = select(vec![
        Op::Eq,
        Op::NotEq,
        Op::Lt,
        Op::LtEq,
        Op::Gt,
        Op::GtEq,
        Op::Regex,
        Op::NotRegex,
        Op::And,
        Op::Or,
    ]);
    prop_oneof![arithmetic_op(), other]
}

fn comparison_op() -> impl Strategy<Value = ComparisonOp> {
    use ComparisonOp as Op;
    select(vec![Op::Eq, Op::NotEq, Op::Lt, Op::LtEq, Op::Gt, Op::GtEq])
}

fn field_expr() -> BoxedStrategy<FieldExpr> {
    let leaf = prop_oneof![
        attribute().prop_map(FieldExprKind::Attribute),
        literal().prop_map(FieldExprKind::Literal),
    ]
    .prop_map(|kind| FieldExpr { kind, range: RANGE });
    leaf.prop_recursive(5, 24, 2, |inner| {
        let unary =
            (select(vec![UnaryOp::Neg, UnaryOp::Not]), inner.clone()).prop_map(|(op, operand)| {
                FieldExprKind::Unary {
                    op,
                    operand: Box::new(operand),
                }
            });
        let binary = (binary_op(), inner.clone(), inner.clone())
            .prop_map(|(op, lhs, rhs)| FieldExprKind::Binary {
                op,
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
            })
            .prop_map(without_zeros_beside_trace_id);
        let nil_test = (option::of(inner), any::<bool>()).prop_map(|(operand, is_nil)| {
            FieldExprKind::NilTest {
                operand: operand.map(Box::new),
                is_nil,
            }
        });
        prop_oneof![2 => unary, 4 => binary, 1 => nil_test]
            .prop_map(|kind| FieldExpr { kind, range: RANGE })
    })
    .boxed()
}

/// Parsing never leaves leading zeros in a text that is compared with a trace id.
fn without_zeros_beside_trace_id(mut kind: FieldExprKind) -> FieldExprKind {
    let is_trace_id = |expr: &FieldExpr| {
        expr.kind == FieldExprKind::Attribute(Attribute::of_span(Intrinsic::TraceId))
    };
    let strip = |expr: &mut FieldExpr| {
        if let FieldExprKind::Literal(Literal::String(text)) = &mut expr.kind {
            *text = text.trim_start_matches('0').to_owned();
        }
    };
    if let FieldExprKind::Binary { lhs, rhs, .. } = &mut kind {
        if is_trace_id(lhs) {
            strip(rhs);
        }
        if is_trace_id(rhs) {
            strip(lhs);
        }
    }
    kind
}

fn spanset_op() -> impl Strategy<Value = SpansetOp> {
    let relation = select(vec![
        Relation::Child,
        Relation::Parent,
        Relation::Descendant,
        Relation::Ancestor,
        Relation::Sibling,
    ]);
    let form = select(vec![
        StructuralForm::Plain,
        StructuralForm::Negated,
        StructuralForm::Union,
    ]);
    prop_oneof![
        Just(SpansetOp::And),
        Just(SpansetOp::Or),
        (relation, form).prop_map(|(relation, form)| SpansetOp::Structural { relation, form }),
    ]
}

/// Filters and operators, as a stage has them.
fn spansets() -> BoxedStrategy<SpansetExpr> {
    option::of(field_expr())
        .prop_map(|condition| SpansetExpr::Filter {
            condition,
            range: RANGE,
        })
        .prop_recursive(3, 8, 2, |inner| {
            (spanset_op(), inner.clone(), inner).prop_map(spanset_binary)
        })
        .boxed()
}

fn spanset_binary((op, lhs, rhs): (SpansetOp, SpansetExpr, SpansetExpr)) -> SpansetExpr {
    SpansetExpr::Binary {
        op,
        lhs: Box::new(lhs),
        rhs: Box::new(rhs),
        range: RANGE,
    }
}

/// Parenthesised pipelines and operators. The leftmost operand is always one that no spanset
/// expression could be; `({ … })` stands only to the right.
fn pipeline_expr() -> BoxedStrategy<SpansetExpr> {
    let leading = unmistakable_pipeline().prop_map(|pipeline| SpansetExpr::Pipeline {
        pipeline,
        range: RANGE,
    });
    leading
        .prop_recursive(2, 4, 2, |inner| {
            let plain = spansets().prop_map(|spansets| SpansetExpr::Pipeline {
                pipeline: Pipeline {
                    stages: vec![Stage::Spansets(spansets)],
                },
                range: RANGE,
            });
            (spanset_op(), inner.clone(), prop_oneof![plain, inner]).prop_map(spanset_binary)
        })
        .boxed()
}

fn unmistakable_pipeline() -> impl Strategy<Value = Pipeline> {
    pipeline().prop_map(|mut pipeline| {
        if matches!(pipeline.stages[..], [Stage::Spansets(_)]) {
            pipeline.stages.push(Stage::Coalesce(RANGE));
        }
        pipeline
    })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    use AggregateFunction as F;
    let function = select(vec![F::Count, F::Min, F::Max, F::Avg, F::Sum]);
    (function, field_expr()).prop_map(|(function, argument)| Aggregate {
        function,
        argument: (function != F::Count).then_some(argument),
        range: RANGE,
    })
}

fn scalar() -> BoxedStrategy<ScalarExpr> {
    let leaf = prop_oneof![
        aggregate().prop_map(ScalarExpr::Aggregate),
        signed_number().prop_map(|value| ScalarExpr::Number {
            value,
            range: RANGE
        }),
    ];
    leaf.prop_recursive(3, 6, 2, |inner| {
        (arithmetic_op(), inner.clone(), inner).prop_map(scalar_binary)
    })
    .boxed()
}

fn scalar_binary((op, lhs, rhs): (BinaryOp, ScalarExpr, ScalarExpr)) -> ScalarExpr {
    ScalarExpr::Binary {
        op,
        lhs: Box::new(lhs),
        rhs: Box::new(rhs),
        range: RANGE,
    }
}

fn scalar_pipeline() -> BoxedStrategy<ScalarExpr> {
    (pipeline(), aggregate())
        .prop_map(|(pipeline, aggregate)| ScalarExpr::Pipeline {
            pipeline,
            aggregate,
            range: RANGE,
        })
        .prop_recursive(2, 4, 2, |inner| {
            (arithmetic_op(), inner.clone(), inner).prop_map(scalar_binary)
        })
        .boxed()
}

fn scalar_filter() -> impl Strategy<Value = ScalarFilter> {
    (scalar(), comparison_op(), scalar()).prop_map(|(lhs, op, rhs)| ScalarFilter {
        lhs,
        op,
        rhs,
        range: RANGE,
    })
}

fn scalar_pipeline_filter() -> impl Strategy<Value = ScalarFilter> {
    let value = literal().prop_map(|value| match value {
        Literal::Int(_) | Literal::Float(_) | Literal::Duration(_) => ScalarExpr::Number {
            value,
            range: RANGE,
        },
        _ => ScalarExpr::Literal {
            value,
            range: RANGE,
        },
    });
    (
        scalar_pipeline(),
        comparison_op(),
        prop_oneof![scalar_pipeline(), value.boxed()],
    )
        .prop_map(|(lhs, op, rhs)| ScalarFilter {
            lhs,
            op,
            rhs,
            range: RANGE,
        })
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        spansets().prop_map(Stage::Spansets),
        scalar_filter().prop_map(Stage::ScalarFilter),
        field_expr().prop_map(Stage::GroupBy),
        vec(attribute_ref(), 1..3).prop_map(Stage::Select),
    ]
}

fn pipeline() -> BoxedStrategy<Pipeline> {
    let later = prop_oneof![4 => stage(), 1 => Just(Stage::Coalesce(RANGE))];
    (stage(), vec(later, 0..3))
        .prop_map(|(first, later)| {
            let mut stages = vec![first];
            stages.extend(later);
            Pipeline { stages }
        })
        .boxed()
}

fn metrics_stage() -> impl Strategy<Value = MetricsStage> {
    use MetricsFunction as F;
    let quantiles = vec(prop_oneof![0.0..1.0, Just(1.0), Just(99.0)], 1..3);
    let function = prop_oneof![
        select(vec![
            F::Rate,
            F::CountOverTime,
            F::MinOverTime,
            F::MaxOverTime,
            F::AvgOverTime
        ]),
        select(vec![F::SumOverTime, F::HistogramOverTime]),
        quantiles.prop_map(|quantiles| F::QuantileOverTime { quantiles }),
    ];
    let aggregate = (function, attribute_ref(), vec(attribute_ref(), 0..6)).prop_map(
        |(function, argument, by)| {
            let argument = (!matches!(function, F::Rate | F::CountOverTime)).then_some(argument);
            MetricsStage::Aggregate(MetricsAggregate {
                function,
                argument,
                by,
                range: RANGE,
            })
        },
    );
    let window = prop_oneof![
        Just((0, 0)),
        (0..5i64, 0..5i64),
        (0..=i64::MAX, 0..=i64::MAX)
    ];
    let compare =
        (option::of(field_expr()), 0..20i64, window).prop_map(|(selection, top_n, window_ns)| {
            MetricsStage::Compare(Compare {
                selection,
                top_n,
                window_ns,
                range: RANGE,
            })
        });
    prop_oneof![4 => aggregate, 1 => compare]
}

fn second_stage() -> impl Strategy<Value = SecondStage> {
    prop_oneof![
        (0..=i64::MAX).prop_map(|limit| SecondStage::TopK {
            limit,
            range: RANGE
        }),
        (0..5i64).prop_map(|limit| SecondStage::BottomK {
            limit,
            range: RANGE
        }),
        (comparison_op(), signed_number()).prop_map(|(op, value)| SecondStage::Filter {
            op,
            value,
            range: RANGE
        }),
    ]
}

fn metrics_query() -> impl Strategy<Value = MetricsQuery> {
    (pipeline(), metrics_stage(), vec(second_stage(), 0..3)).prop_map(
        |(pipeline, stage, second_stages)| MetricsQuery {
            pipeline,
            stage,
            second_stages,
        },
    )
}

/// Arithmetic on series, of which at least one operand is some.
fn metrics_expr() -> BoxedStrategy<MetricsExpr> {
    let number = || {
        signed_number().prop_map(|value| MetricsExpr::Number {
            value,
            range: RANGE,
        })
    };
    let leaf = metrics_query().prop_map(|query| MetricsExpr::Query {
        query: Box::new(query),
        range: RANGE,
    });
    leaf.prop_recursive(3, 4, 2, move |inner| {
        let other = prop_oneof![inner.clone(), number()];
        let binary = (arithmetic_op(), inner.clone(), other, any::<bool>()).prop_map(
            |(op, series, other, is_left)| {
                let (lhs, rhs) = if is_left {
                    (series, other)
                } else {
                    (other, series)
                };
                MetricsExpr::Binary {
                    op,
                    lhs: Box::new(lhs),
                    rhs: Box::new(rhs),
                    range: RANGE,
                }
            },
        );
        let negative = inner.clone().prop_map(|operand| MetricsExpr::Negative {
            operand: Box::new(operand),
            range: RANGE,
        });
        let narrowed = (inner, vec(second_stage(), 1..3)).prop_map(|(operand, stages)| {
            MetricsExpr::Narrowed {
                operand: Box::new(operand),
                stages,
                range: RANGE,
            }
        });
        prop_oneof![3 => binary, 1 => negative, 1 => narrowed]
    })
    .boxed()
}

pub(crate) fn query() -> impl Strategy<Value = Query> {
    let body = prop_oneof![
        3 => pipeline().prop_map(Body::Search),
        2 => pipeline_expr().prop_map(Body::PipelineExpr),
        1 => scalar_pipeline_filter().prop_map(Body::ScalarPipelineFilter),
        3 => metrics_query().prop_map(Body::Metrics),
        3 => metrics_expr().prop_map(Body::MetricsExpr),
    ];
    let hint = ("[a-z]{1,2}_[a-zé0-9]{1,4}", literal()).prop_map(|(name, value)| Hint {
        name,
        value,
        range: RANGE,
    });
    (body, vec(hint, 0..3)).prop_map(|(body, hints)| Query {
        dialect: Dialect::Spandrel,
        body,
        hints,
    })
}
