//! Ids as the text that TraceQL shows.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use hashbrown::HashSet;
use storage::ids::TraceId;

use super::Function;

/// A trace id as lowercase hex without leading zeros, or a span id as 16 hex digits.
pub(crate) fn hex_text(id: Expr, strip_zeros: bool) -> Expr {
    let name = if strip_zeros {
        "trace_id_text"
    } else {
        "span_id_text"
    };
    Function::call(name, "", DataType::Utf8, vec![id], move |args| {
        let ids = args[0].as_fixed_size_binary();
        let mut out = StringBuilder::with_capacity(ids.len(), ids.len() * 16);
        let mut text = String::new();
        for id in ids {
            match id {
                Some(id) => {
                    format_id(id, strip_zeros, &mut text);
                    out.append_value(&text);
                }
                None => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    })
}

/// Whether a trace id is none of some.
pub(crate) fn not_of_traces(id: Expr, traces: Arc<HashSet<TraceId>>) -> Expr {
    // The set is what makes the function; its address tells two of one plan apart.
    let name = format!("{} traces at {:p}", traces.len(), Arc::as_ptr(&traces));
    Function::call("not_of", name, DataType::Boolean, vec![id], move |args| {
        let ids = args[0].as_fixed_size_binary();
        let mut last: Option<(TraceId, bool)> = None;
        let is_other = ids.value_data().chunks_exact(16).map(|bytes| {
            let mut id = TraceId([0; 16]);
            id.0.copy_from_slice(bytes);
            let is_other = match last {
                Some((before, is_other)) if before == id => is_other,
                _ => !traces.contains(&id),
            };
            last = Some((id, is_other));
            is_other
        });
        Ok(Arc::new(BooleanArray::from(is_other.collect::<Vec<bool>>())) as ArrayRef)
    })
}

fn format_id(id: &[u8], strip_zeros: bool, text: &mut String) {
    text.clear();
    for byte in id {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    if strip_zeros {
        let zeros = text
            .bytes()
            .take_while(|&b| b == b'0')
            .count()
            .min(text.len().saturating_sub(1));
        text.drain(..zeros);
    }
}

/// The bytes of an id of `length` bytes that [`hex_text`] shows as `text`; `None` if it shows none so.
pub(crate) fn parse_id(text: &str, length: usize, strip_zeros: bool) -> Option<Expr> {
    if text.len() > length * 2 || text.is_empty() {
        return None;
    }
    let padded = format!("{text:0>width$}", width = length * 2);
    let mut id = Vec::with_capacity(length);
    for pair in padded.as_bytes().chunks(2) {
        id.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    let mut shown = String::new();
    format_id(&id, strip_zeros, &mut shown);
    let width = i32::try_from(length).ok()?;
    (shown == text).then(|| lit(ScalarValue::FixedSizeBinary(width, Some(id))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shown_form_is_parsed() {
        assert!(parse_id("abc", 16, true).is_some());
        assert!(parse_id("0abc", 16, true).is_none());
        assert!(parse_id("ABC", 16, true).is_none());
        assert!(parse_id("+1", 16, true).is_none());
        assert!(parse_id("0000000000000abc", 8, false).is_some());
        assert!(parse_id("abc", 8, false).is_none());
    }

    #[test]
    fn zero_keeps_one_digit() {
        let mut text = String::new();
        format_id(&[0; 16], true, &mut text);
        assert_eq!(text, "0");
    }
}
