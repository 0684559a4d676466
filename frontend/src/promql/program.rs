//! Programs of a stack machine, and running them.

/// Whether an expression is a number, or one sample without labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Vector,
}

/// One operation; it takes its operands from the stack and leaves its value there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Push(f64),
    Time,
    Negate,
    Arithmetic(Arithmetic),
    /// Gives 1 or 0.
    CompareBool(Comparison),
    /// Keeps the left value or drops it.
    KeepLeft(Comparison),
    /// Keeps the right value or drops it.
    KeepRight(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// The parser leaves exactly one value on the stack, and every operator finds its operands there.
pub(super) fn run(ops: &[Op], time_s: f64) -> Option<f64> {
    let mut stack: Vec<Option<f64>> = Vec::new();
    for op in ops {
        let value = match op {
            Op::Push(value) => Some(*value),
            Op::Time => Some(time_s),
            Op::Negate => stack.pop().flatten().map(|value| -value),
            Op::Arithmetic(op) => pop_two(&mut stack).map(|(a, b)| op.apply(a, b)),
            Op::CompareBool(op) => pop_two(&mut stack).map(|(a, b)| f64::from(op.holds(a, b))),
            Op::KeepLeft(op) => pop_two(&mut stack)
                .filter(|(a, b)| op.holds(*a, *b))
                .map(|(a, _)| a),
            Op::KeepRight(op) => pop_two(&mut stack)
                .filter(|(a, b)| op.holds(*a, *b))
                .map(|(_, b)| b),
        };
        stack.push(value);
    }
    stack.pop().flatten()
}

fn pop_two(stack: &mut Vec<Option<f64>>) -> Option<(f64, f64)> {
    // Both must leave the stack, whether or not they have a value.
    let (right, left) = (stack.pop().flatten(), stack.pop().flatten());
    left.zip(right)
}

impl Arithmetic {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "the language compares exactly")]
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Eq => a == b,
            Self::NotEq => a != b,
            Self::Lt => a < b,
            Self::LtEq => a <= b,
            Self::Gt => a > b,
            Self::GtEq => a >= b,
        }
    }
}
