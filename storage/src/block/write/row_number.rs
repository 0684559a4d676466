//! Row numbers of 32 bits.

/// A row number, or a count of at most as many things as there are rows. The number of rows is
/// checked where they come in, so nothing here is ever cut off.
pub(super) fn row_number(number: usize) -> u32 {
    debug_assert!(
        u32::try_from(number).is_ok(),
        "more rows than a block can have"
    );
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// As [`row_number`], for dictionary keys.
pub(super) fn row_i32(number: usize) -> i32 {
    debug_assert!(
        i32::try_from(number).is_ok(),
        "more rows than a block can have"
    );
    i32::try_from(number).unwrap_or(i32::MAX)
}
