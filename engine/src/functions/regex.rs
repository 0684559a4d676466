//! `=~` and `!~` on text.

use std::sync::Arc;

use ::regex::Regex;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::Function;

/// Whether `text` matches, or with `negated` does not; null where `text` is null.
pub(crate) fn matches(text: Expr, regex: &Regex, negated: bool) -> Expr {
    let name = if negated { "not_regex" } else { "regex" };
    let regex = regex.clone();
    Function::call(
        name,
        regex.as_str().to_owned(),
        DataType::Boolean,
        vec![text],
        move |args| {
            match_array(&args[0], &regex, negated).map(|matched| Arc::new(matched) as ArrayRef)
        },
    )
}

/// Matches a text column; a dictionary's values are matched once each.
pub(crate) fn match_array(text: &ArrayRef, regex: &Regex, negated: bool) -> Result<BooleanArray> {
    if let DataType::Dictionary(..) = text.data_type() {
        let dictionary = text.as_any_dictionary();
        let values: ArrayRef = Arc::new(match_array(dictionary.values(), regex, negated)?);
        return Ok(take(&values, dictionary.keys(), None)?.as_boolean().clone());
    }
    let text = cast(text, &DataType::Utf8)?;
    let text = text.as_string::<i32>();
    Ok(text
        .iter()
        .map(|text| text.map(|text| regex.is_match(text) != negated))
        .collect())
}
