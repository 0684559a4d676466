//! Numbers of groups, codes, rows and intervals as places in a list.

/// The place of a number. Where it does not fit it is past the end of any list.
#[inline]
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
