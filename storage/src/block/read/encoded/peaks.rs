//! The largest numbers of a page, zone by zone.
//!
//! The page index knows the largest number of a page of twenty thousand rows. Who looks for the largest
//! ones of some rows learns more by zones; they are found once, and kept with the page.

use std::ops::Range;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::Int64Type;

/// Rows of a zone; the last one of a page has what is left.
pub(super) const ZONE_ROWS: usize = 512;

/// The largest number of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peak {
    /// The rows of the zone, by their places in the row group.
    pub zone: Range<usize>,
    /// The first row that has the number.
    pub row: usize,
    /// The number.
    pub value: i64,
}

/// The peaks of a page whose first row has this place, and whose rows have these values; none if they are
/// not all of them numbers.
pub(super) fn find(values: &ArrayRef, first_row: usize) -> Box<[Peak]> {
    let numbers = values.as_primitive_opt::<Int64Type>();
    let Some(numbers) = numbers.filter(|numbers| numbers.null_count() == 0) else {
        return Box::default();
    };
    let zones = numbers.values().chunks(ZONE_ROWS);
    let starts = (first_row..).step_by(ZONE_ROWS);
    let peak = |(start, zone): (usize, &[i64])| {
        let value = zone.iter().copied().max()?;
        let at = zone.iter().position(|number| *number == value)?;
        Some(Peak {
            zone: start..start + zone.len(),
            row: start + at,
            value,
        })
    };
    starts.zip(zones).filter_map(peak).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn each_zone_has_the_first_of_its_largest() {
        let mut numbers = vec![1; ZONE_ROWS + 10];
        numbers[7] = 9;
        numbers[9] = 9;
        let peaks = |numbers: Vec<i64>| find(&(Arc::new(Int64Array::from(numbers)) as _), 100);
        let found = peaks(numbers);
        let end = 100 + ZONE_ROWS;
        let expected = [(100..end, 107, 9), (end..end + 10, end, 1)];
        let found: Vec<_> = found
            .iter()
            .map(|p| (p.zone.clone(), p.row, p.value))
            .collect();
        assert_eq!(found, expected);
        assert!(peaks(Vec::new()).is_empty());
        let nulls: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        assert!(find(&nulls, 0).is_empty());
    }
}
