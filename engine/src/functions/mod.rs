//! Functions that TraceQL needs and DataFusion does not have.

pub(crate) mod arithmetic;
pub(crate) mod attribute;
pub(crate) mod check;
pub(crate) mod float;
pub(crate) mod ids;
pub(crate) mod list;
pub(crate) mod nested;
pub(crate) mod range_udaf;
pub(crate) mod regex;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A scalar function made of a closure.
///
/// Two functions are the same if name, parameters, inner expressions and return type are: the closure
/// must follow from those alone.
pub(crate) struct Function {
    name: &'static str,
    /// What the closure captured, as text; also what EXPLAIN shows in front of the arguments.
    parameters: String,
    /// The expressions that the closure evaluates by itself, on other rows than those of its
    /// arguments. Kept as they are, because no text of an expression tells all of them apart.
    inner: Vec<Expr>,
    return_type: DataType,
    signature: Signature,
    body: Body,
}

type Body = Arc<dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;

impl Function {
    /// A call of the function. `body` gets its arguments as arrays of equal length and returns one
    /// of that length.
    pub(crate) fn call(
        name: &'static str,
        parameters: impl Into<String>,
        return_type: DataType,
        arguments: Vec<Expr>,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Expr {
        let parameters = parameters.into();
        Self::new(name, parameters, Vec::new(), return_type, body).applied_to(arguments)
    }

    /// A call of a function that evaluates `inner` on rows of its own.
    pub(crate) fn call_on_inner(
        name: &'static str,
        inner: Vec<Expr>,
        return_type: DataType,
        arguments: Vec<Expr>,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Expr {
        let shown: Vec<_> = inner.iter().map(|e| e.schema_name().to_string()).collect();
        Self::new(name, shown.join(", "), inner, return_type, body).applied_to(arguments)
    }

    fn new(
        name: &'static str,
        parameters: String,
        inner: Vec<Expr>,
        return_type: DataType,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self {
            name,
            parameters,
            inner,
            return_type,
            signature,
            body: Arc::new(body),
        }
    }

    fn applied_to(self, arguments: Vec<Expr>) -> Expr {
        ScalarUDF::new_from_impl(self).call(arguments)
    }

    /// What tells functions apart.
    fn identity(&self) -> (&str, &str, &[Expr], &DataType) {
        (self.name, &self.parameters, &self.inner, &self.return_type)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<_> = args
            .iter()
            .map(|arg| arg.schema_name().to_string())
            .collect();
        let parameters = if self.parameters.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.parameters)
        };
        Ok(format!("{}{parameters}({})", self.name, args.join(", ")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.return_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Constants are spread to the number of rows: an expression of constants alone is folded
        // before it gets here, so this costs nothing that matters.
        let arrays = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<Result<Vec<_>>>()?;
        (self.body)(&arrays).map(ColumnarValue::Array)
    }
}
