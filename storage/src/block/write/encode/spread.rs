//! Values of units over the rows that have these units.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, NullBuffer};

use super::attributes::Values;

/// Which rows have which units.
#[derive(Debug, Clone, Copy)]
pub(super) enum Units<'a> {
    /// Each row is a unit: the row of each.
    Own { rows: &'a [u32] },
    /// Rows share so many units: the unit of each row. No unit is without rows.
    Shared { count: usize, of_row: &'a [u32] },
}

impl Units<'_> {
    /// The value of each row, or what stands for none.
    pub(super) fn spread<T: Copy>(self, values: &Values<T>, none: T) -> Vec<T> {
        let of_units = values.units.iter().zip(&values.values);
        match self {
            // Straight into place: what is in between costs more memory than the values.
            Units::Own { rows } => {
                let mut out = vec![none; rows.len()];
                for (unit, value) in of_units {
                    out[rows[*unit as usize] as usize] = *value;
                }
                out
            }
            Units::Shared { count, of_row } => {
                let mut units = vec![none; count];
                for (unit, value) in of_units {
                    units[*unit as usize] = *value;
                }
                of_row.iter().map(|unit| units[*unit as usize]).collect()
            }
        }
    }

    /// Which rows have a value; `None` if all have.
    pub(super) fn validity<T>(self, values: &Values<T>) -> Option<NullBuffer> {
        let units = || values.units.iter().map(|unit| *unit as usize);
        let valid = match self {
            Units::Own { rows } if units().len() < rows.len() => {
                let mut valid = BooleanBufferBuilder::new(rows.len());
                valid.append_n(rows.len(), false);
                units().for_each(|unit| valid.set_bit(rows[unit] as usize, true));
                valid.finish()
            }
            Units::Shared { count, of_row } if units().len() < count => {
                let mut has = vec![false; count];
                units().for_each(|unit| has[unit] = true);
                BooleanBuffer::collect_bool(of_row.len(), |row| has[of_row[row] as usize])
            }
            Units::Own { .. } | Units::Shared { .. } => return None,
        };
        Some(NullBuffer::new(valid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_the_rows_of_their_units() {
        let some = Values {
            units: vec![0, 2],
            values: vec!['a', 'c'],
        };
        let own = Units::Own { rows: &[2, 0, 1] };
        assert_eq!(own.spread(&some, '-'), ['-', 'c', 'a']);
        let valid = own.validity(&some).unwrap();
        assert_eq!(valid.iter().collect::<Vec<_>>(), [false, true, true]);
        let shared = Units::Shared {
            count: 3,
            of_row: &[2, 2, 1, 0],
        };
        assert_eq!(shared.spread(&some, '-'), ['c', 'c', '-', 'a']);
        let valid = shared.validity(&some).unwrap();
        assert_eq!(valid.iter().collect::<Vec<_>>(), [true, true, false, true]);
        let all = Values {
            units: vec![0, 1, 2],
            values: vec!['a', 'b', 'c'],
        };
        assert!(own.validity(&all).is_none());
        assert!(shared.validity(&all).is_none());
    }
}
