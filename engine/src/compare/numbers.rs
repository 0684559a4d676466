//! Codes for numbers.

use hashbrown::HashMap;

/// Numbers below this have their code in a table.
const SMALL: u64 = 1 << 14;
/// No code yet.
const NONE: u32 = u32::MAX;

/// Distinct 64-bit patterns, each with a code: 0, 1, … in the order in which they appear.
#[derive(Debug, Default)]
pub(super) struct NumberCodes {
    /// Codes of small ones, by number: most numbers of spans are ports, counts and status codes.
    small: Vec<u32>,
    others: HashMap<u64, u32>,
    values: Vec<u64>,
}

impl NumberCodes {
    /// The code of a number.
    #[inline]
    pub(super) fn code(&mut self, bits: u64) -> u32 {
        let values = &mut self.values;
        let mut next = || {
            values.push(bits);
            // There are never as many as rows of a job.
            u32::try_from(values.len() - 1).unwrap_or(NONE)
        };
        if bits >= SMALL {
            return *self.others.entry(bits).or_insert_with(next);
        }
        let index = usize::try_from(bits).unwrap_or(usize::MAX);
        if index >= self.small.len() {
            self.small.resize(index + 1, NONE);
        }
        let code = &mut self.small[index];
        if *code == NONE {
            *code = next();
        }
        *code
    }

    /// The numbers, by code.
    pub(super) fn values(&self) -> &[u64] {
        &self.values
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.small.clear();
        self.others.clear();
        self.values.clear();
    }

    /// Bytes that are held, about.
    pub(super) fn bytes(&self) -> usize {
        self.small.capacity() * 4 + self.others.capacity() * 18 + self.values.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_code() {
        let mut numbers = NumberCodes::default();
        let given = [5, SMALL, 0, SMALL - 1, u64::MAX, 5, SMALL, 0, u64::MAX];
        let codes = given.map(|number| numbers.code(number));
        assert_eq!(codes, [0, 1, 2, 3, 4, 0, 1, 2, 4]);
        assert_eq!(numbers.values(), &given[..5]);
        numbers.clear();
        assert_eq!(numbers.code(SMALL), 0);
        assert_eq!(numbers.code(5), 1);
    }
}
