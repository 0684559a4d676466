//! The syntax tree of a TraceQL query.
//!
//! Every node that a diagnostic can point at carries the [`TextRange`] it was written at. Ranges are
//! positions, not meaning: comparing two trees ignores them, so that printing a query and parsing it
//! again gives an equal tree.

use crate::dialect::Dialect;
use crate::text_range::TextRange;

/// A whole query: what to select, and the hints of its last `with(…)` group.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The rules it was read by, which are those to evaluate it by.
    pub dialect: Dialect,
    /// What the query selects or computes.
    pub body: Body,
    /// The hints of the last `with(…)` group; earlier groups have no effect and are not kept.
    pub hints: Vec<Hint>,
}

/// The five forms of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A search: spansets, one list per trace.
    Search(Pipeline),
    /// A search whose operands are parenthesised pipelines: `({…} | count() > 1) && ({…})`.
    PipelineExpr(SpansetExpr),
    /// `({…} | count()) > 2`: a search that compares scalars of parenthesised pipelines.
    ScalarPipelineFilter(ScalarFilter),
    /// A metrics query: a pipeline of spansets that is counted or aggregated over time.
    Metrics(MetricsQuery),
    /// `({…} | rate()) / ({…} | rate())`: arithmetic on the series of metrics queries, each in
    /// parentheses. Only in [`Dialect::Spandrel`].
    MetricsExpr(MetricsExpr),
}

/// Arithmetic on finished series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsExpr {
    /// `( metrics query )`.
    Query {
        /// The query between the parentheses.
        query: Box<MetricsQuery>,
        /// The parentheses and what is between them.
        range: TextRange,
    },
    /// A number, which is the same at any time, its minus sign folded in; a duration counts in
    /// seconds.
    Number {
        /// Int, Float or Duration.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
    /// `-operand`, of anything but a number.
    Negative {
        /// The operand.
        operand: Box<MetricsExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator; always an arithmetic one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<MetricsExpr>,
        /// Right operand.
        rhs: Box<MetricsExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `operand > 0.5 | topk(3)`: second stages of an expression.
    Narrowed {
        /// What the stages narrow.
        operand: Box<MetricsExpr>,
        /// The stages, left to right, never empty.
        stages: Vec<SecondStage>,
        /// The whole expression.
        range: TextRange,
    },
}

/// `pipeline | stage | second stages`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsQuery {
    /// Selects the spans.
    pub pipeline: Pipeline,
    /// Turns spans into series.
    pub stage: MetricsStage,
    /// Narrows the series, left to right.
    pub second_stages: Vec<SecondStage>,
}

/// Stages joined by `|`, never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// The stages, left to right.
    pub stages: Vec<Stage>,
}

/// One stage of a spanset pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// `{…}` or an expression of spanset operators.
    Spansets(SpansetExpr),
    /// `count() > 2`.
    ScalarFilter(ScalarFilter),
    /// `by(expr)`.
    GroupBy(FieldExpr),
    /// `coalesce()`.
    Coalesce(TextRange),
    /// `select(a, b)`.
    Select(Vec<AttributeRef>),
}

/// An expression over the spansets of one trace.
#[derive(Debug, Clone, PartialEq)]
pub enum SpansetExpr {
    /// `{ condition }`; `None` is `{}`, which selects every span.
    Filter {
        /// The condition, if any.
        condition: Option<FieldExpr>,
        /// The braces and what is between them.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator.
        op: SpansetOp,
        /// Left operand.
        lhs: Box<SpansetExpr>,
        /// Right operand.
        rhs: Box<SpansetExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `( pipeline )`: only inside [`Body::PipelineExpr`].
    Pipeline {
        /// The pipeline between the parentheses.
        pipeline: Pipeline,
        /// The parentheses and what is between them.
        range: TextRange,
    },
}

/// Spanset operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpansetOp {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `>`, `!>`, `&>`, …
    Structural {
        /// Which relation between the two sides.
        relation: Relation,
        /// Plain, negated or union form.
        form: StructuralForm,
    },
}

/// How a span of the right side relates to one of the left side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `>`: right is a child of left.
    Child,
    /// `<`: right is the parent of left.
    Parent,
    /// `>>`: right is a descendant of left.
    Descendant,
    /// `<<`: right is an ancestor of left.
    Ancestor,
    /// `~`: right is a sibling of left.
    Sibling,
}

/// The three forms of a structural operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StructuralForm {
    /// `>`: spans of the right side for which the relation holds.
    Plain,
    /// `!>`: spans of the right side for which it holds with no span of the left.
    Negated,
    /// `&>`: the members of all related pairs, from both sides.
    Union,
}

/// `lhs cmp rhs` over scalars.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarFilter {
    /// Left operand.
    pub lhs: ScalarExpr,
    /// The comparison.
    pub op: ComparisonOp,
    /// Right operand.
    pub rhs: ScalarExpr,
    /// The whole filter.
    pub range: TextRange,
}

/// A scalar of one spanset.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalarExpr {
    /// `count()`, `avg(duration)`, …
    Aggregate(Aggregate),
    /// A number, its optional minus sign folded in.
    Number {
        /// Int, Float or Duration.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator; always an arithmetic one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<ScalarExpr>,
        /// Right operand.
        rhs: Box<ScalarExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `( pipeline | aggregate )`: only inside [`Body::ScalarPipelineFilter`].
    Pipeline {
        /// The pipeline.
        pipeline: Pipeline,
        /// The aggregate of its spansets.
        aggregate: Aggregate,
        /// The parentheses and what is between them.
        range: TextRange,
    },
    /// A literal that is not a number; the grammar admits it only on the right of a
    /// [`Body::ScalarPipelineFilter`].
    Literal {
        /// The literal.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
}

/// `f(expr)` over the spans of one spanset.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The function.
    pub function: AggregateFunction,
    /// Its argument; `None` exactly for `count()`.
    pub argument: Option<FieldExpr>,
    /// The whole call.
    pub range: TextRange,
}

/// Aggregates of a scalar filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// `count()`
    Count,
    /// `min(e)`
    Min,
    /// `max(e)`
    Max,
    /// `avg(e)`
    Avg,
    /// `sum(e)`
    Sum,
}

/// An expression evaluated on one span.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldExpr {
    /// What it is.
    pub kind: FieldExprKind,
    /// Where it stands.
    pub range: TextRange,
}

/// The forms of a field expression.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldExprKind {
    /// A constant.
    Literal(Literal),
    /// An attribute or intrinsic of the span.
    Attribute(Attribute),
    /// `-e` or `!e`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<FieldExpr>,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<FieldExpr>,
        /// Right operand.
        rhs: Box<FieldExpr>,
    },
    /// `e = nil`, `e != nil`, `nil = e`, `nil != e`, `nil = nil`, `nil != nil`.
    NilTest {
        /// What is tested; `None` where it is itself `nil`, for which both tests are false.
        operand: Option<Box<FieldExpr>>,
        /// `true` for `= nil` (absent), `false` for `!= nil` (present).
        is_nil: bool,
    },
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text.
    String(String),
    /// 64-bit integer, `minInt` and `maxInt` included.
    Int(i64),
    /// 64-bit float.
    Float(f64),
    /// Duration in nanoseconds.
    Duration(i64),
    /// `true` or `false`.
    Bool(bool),
    /// `ok`, `error`, `unset`.
    Status(Status),
    /// `server`, `client`, …
    Kind(Kind),
}

/// Span status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are OTLP's own names")]
pub enum Status {
    Unset,
    Ok,
    Error,
}

/// Span kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are OTLP's own names")]
pub enum Kind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-e`
    Neg,
    /// `!e`
    Not,
}

/// Infix operators of field and scalar expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants say their operator")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
    And,
    Or,
}

/// Comparisons of scalar and metrics filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants say their operator")]
pub enum ComparisonOp {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// An attribute where only an attribute may stand: `by(…)`, `select(…)`, metrics arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeRef {
    /// The attribute.
    pub attribute: Attribute,
    /// Where it stands.
    pub range: TextRange,
}

/// What a name refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// A field every span has.
    Intrinsic {
        /// Which field.
        intrinsic: Intrinsic,
        /// `parent:…`: of the parent span, so absent where there is none.
        of_parent: bool,
    },
    /// A key in one scope.
    Key {
        /// Where the key is looked up.
        scope: Scope,
        /// `parent.…`: of the parent span.
        of_parent: bool,
        /// The key, without scope and quotes.
        key: String,
    },
}

/// Where an attribute key is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `.x`: the span, then its resource.
    Unscoped,
    /// `span.x`
    Span,
    /// `resource.x`
    Resource,
    /// `event.x`
    Event,
    /// `link.x`
    Link,
    /// `instrumentation.x`
    Instrumentation,
}

/// Fields that every span has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants say their TraceQL name")]
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    SpanParentId,
    SpanChildCount,
    /// The part of the span's duration in which none of its children runs.
    SpanSelfTime,
    TraceId,
    TraceDuration,
    RootName,
    RootServiceName,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    /// The parent span itself, of which only existence can be tested.
    Parent,
}

/// The stage that turns spans into series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsStage {
    /// Every function but `compare`.
    Aggregate(MetricsAggregate),
    /// `compare({…}, top_n, start, end)`.
    Compare(Compare),
}

/// `function(argument) by (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsAggregate {
    /// The function, with its own parameters.
    pub function: MetricsFunction,
    /// The aggregated attribute; `None` exactly for `rate()` and `count_over_time()`.
    pub argument: Option<AttributeRef>,
    /// Grouping, in order; empty without `by`.
    pub by: Vec<AttributeRef>,
    /// The whole stage.
    pub range: TextRange,
}

/// The aggregating functions.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants say their TraceQL name")]
pub enum MetricsFunction {
    Rate,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    AvgOverTime,
    SumOverTime,
    HistogramOverTime,
    QuantileOverTime {
        /// The quantiles, in order, as written.
        quantiles: Vec<f64>,
    },
}

/// `compare({ selection }, top_n, start_ns, end_ns)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The filter that makes a span part of the selection; `None` for `{}`.
    pub selection: Option<FieldExpr>,
    /// Values kept per attribute and side; 10 where not given.
    pub top_n: i64,
    /// Selection window `(start, end]` in epoch ns; zeros where not given.
    pub window_ns: (i64, i64),
    /// The whole stage.
    pub range: TextRange,
}

/// Stages that follow the metrics stage.
#[derive(Debug, Clone, PartialEq)]
pub enum SecondStage {
    /// `| topk(n)`
    TopK {
        /// How many series to keep per timestamp.
        limit: i64,
        /// The whole stage.
        range: TextRange,
    },
    /// `| bottomk(n)`
    BottomK {
        /// How many series to keep per timestamp.
        limit: i64,
        /// The whole stage.
        range: TextRange,
    },
    /// `> 0.5`
    Filter {
        /// The comparison.
        op: ComparisonOp,
        /// Int, Float or Duration, its optional minus sign folded in.
        value: Literal,
        /// The whole stage.
        range: TextRange,
    },
}

/// `name = value` inside `with(…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// The hint's name; unknown ones are kept.
    pub name: String,
    /// Its value.
    pub value: Literal,
    /// The whole hint.
    pub range: TextRange,
}

impl Query {
    /// The metrics query, if it is one.
    #[must_use]
    pub const fn metrics(&self) -> Option<&MetricsQuery> {
        match &self.body {
            Body::Metrics(metrics) => Some(metrics),
            Body::Search(_)
            | Body::PipelineExpr(_)
            | Body::ScalarPipelineFilter(_)
            | Body::MetricsExpr(_) => None,
        }
    }
}

impl SpansetExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Filter { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Filter { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. } => {
                *range = new;
            }
        }
    }
}

impl Attribute {
    /// An intrinsic of the span itself.
    #[must_use]
    pub const fn of_span(intrinsic: Intrinsic) -> Self {
        Self::Intrinsic {
            intrinsic,
            of_parent: false,
        }
    }

    /// Whether it is of the parent span.
    #[must_use]
    pub const fn is_of_parent(&self) -> bool {
        match self {
            Self::Intrinsic { of_parent, .. } | Self::Key { of_parent, .. } => *of_parent,
        }
    }
}

impl MetricsExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Query { range, .. }
            | Self::Number { range, .. }
            | Self::Negative { range, .. }
            | Self::Binary { range, .. }
            | Self::Narrowed { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Query { range, .. }
            | Self::Number { range, .. }
            | Self::Negative { range, .. }
            | Self::Binary { range, .. }
            | Self::Narrowed { range, .. } => *range = new,
        }
    }
}

impl ScalarExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Aggregate(aggregate) => aggregate.range,
            Self::Number { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. }
            | Self::Literal { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Aggregate(aggregate) => aggregate.range = new,
            Self::Number { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. }
            | Self::Literal { range, .. } => *range = new,
        }
    }
}
