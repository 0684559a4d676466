//! Counts in numbered buckets.
//!
//! Of a hundred thousand groups most have a value or two in an interval, and those stand in place. With
//! more values there are counters, in pages that exist only where something was counted.

use smallvec::SmallVec;

use super::rows::StateRow;

const PAGE_BITS: u32 = 5;
/// Buckets of a page: a cache line of counters, half a power of two of a
/// [`Sketch`](super::sketch::Sketch).
const PAGE: usize = 1 << PAGE_BITS;

type SmallCount = u16;
type Page = [SmallCount; PAGE];

/// Counts in numbered buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets {
    /// The buckets of few values, in no order; unused once there are counters.
    few: [i32; FEW],
    few_values: u8,
    counters: Option<Box<Counters>>,
}

/// So many values stand in place, which makes a cache line with the rest.
const FEW: usize = 13;

impl Buckets {
    /// Counts one more in a bucket. Returns the bytes that this allocated.
    #[inline]
    pub(crate) fn increment(&mut self, bucket: i32) -> usize {
        if let Some(counters) = &mut self.counters {
            return counters.increment(bucket);
        }
        match self.few.get_mut(usize::from(self.few_values)) {
            Some(free) => {
                *free = bucket;
                self.few_values += 1;
                0
            }
            None => self.add(bucket, 1),
        }
    }

    /// Counts `count` more in a bucket. Returns the bytes that this allocated.
    #[inline(never)]
    pub(crate) fn add(&mut self, bucket: i32, count: u64) -> usize {
        let before = self.heap_bytes();
        let has_room = self.counters.is_none() && self.few().len() < FEW;
        match count {
            0 => {}
            1 if has_room => {
                self.increment(bucket);
            }
            _ => {
                self.counters().add(bucket, count);
            }
        }
        self.heap_bytes() - before
    }

    /// Adds the counts of others.
    pub(crate) fn merge(&mut self, mut other: Self) {
        // The smaller one is added to the larger one.
        if self.counters.is_none() {
            std::mem::swap(self, &mut other);
        }
        for &bucket in other.few() {
            self.increment(bucket);
        }
        if let Some(counters) = other.counters {
            self.counters().merge(*counters);
        }
    }

    /// The buckets of the values that stand in place.
    fn few(&self) -> &[i32] {
        &self.few[..usize::from(self.few_values)]
    }

    /// The counters, of which values that stand in place become some.
    fn counters(&mut self) -> &mut Counters {
        let few = &self.few[..usize::from(self.few_values)];
        self.few_values = 0;
        self.counters.get_or_insert_with(|| {
            let mut counters = Box::new(Counters::default());
            for &bucket in few {
                counters.increment(bucket);
            }
            counters
        })
    }

    /// Whether nothing was counted.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.few_values == 0 && self.counters.is_none()
    }

    /// How many were counted in all.
    pub(crate) fn total(&self) -> u64 {
        let counted = self.counters.as_ref().map_or(0, |held| held.total());
        counted + u64::from(self.few_values)
    }

    /// How many were counted in one bucket.
    pub(crate) fn count(&self, bucket: i32) -> u64 {
        match &self.counters {
            Some(counters) => counters.count(bucket),
            None => self.few().iter().map(|&of| u64::from(of == bucket)).sum(),
        }
    }

    /// The buckets with something in them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let mut few: SmallVec<[(i32, u64); FEW]> = SmallVec::new();
        for bucket in self.ordered() {
            match few.last_mut() {
                Some((last, count)) if *last == bucket => *count += 1,
                _ => few.push((bucket, 1)),
            }
        }
        let counted = self.counters.iter().flat_map(|counters| counters.iter());
        few.into_iter().chain(counted)
    }

    /// The bucket of the value at a 1-based rank among all counted in order.
    pub(crate) fn at_rank(&self, rank: u64) -> Option<i32> {
        match &self.counters {
            Some(counters) => counters.at_rank(rank),
            None => {
                let place = usize::try_from(rank).ok()?.checked_sub(1)?;
                self.ordered().get(place).copied()
            }
        }
    }

    /// The buckets of the values that stand in place, ascending.
    fn ordered(&self) -> SmallVec<[i32; FEW]> {
        let mut few = SmallVec::from(self.few());
        few.sort_unstable();
        few
    }

    /// The buckets as rows of a state.
    pub(crate) fn rows(&self, interval: u32, mut push: impl FnMut(StateRow)) {
        for (key, count) in self.iter() {
            push(StateRow {
                interval,
                key,
                count,
                ..StateRow::default()
            });
        }
    }

    /// Bytes held besides the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        let held = |counters: &Counters| size_of::<Counters>() + counters.heap_bytes();
        self.counters.as_deref().map_or(0, held)
    }
}

/// Counters of numbered buckets.
///
/// A count is one load from the directory and one addition in a page. Counters are narrow, because
/// there are many and most are small; what does not fit into one is carried over.
#[derive(Debug, Clone, Default)]
struct Counters {
    /// Number of the page that `directory[0]` stands for.
    first_page: i32,
    /// Place in `pages` plus one for each page number from `first_page` on; 0 where there is none.
    directory: Vec<u16>,
    pages: Vec<Page>,
    /// What buckets hold besides their counters, which are never 0 then. In order of buckets.
    carried: Vec<(i32, u64)>,
}

#[expect(
    clippy::cast_sign_loss,
    reason = "the remainder of a division by a power of two"
)]
const fn split(bucket: i32) -> (i32, usize) {
    (bucket >> PAGE_BITS, bucket as usize % PAGE)
}

impl Counters {
    /// Counts one more in a bucket. Returns the bytes that this allocated.
    #[inline]
    fn increment(&mut self, bucket: i32) -> usize {
        let (number, slot) = split(bucket);
        if let Some(page) = self.page(number)
            && let Some(sum) = page[slot].checked_add(1)
        {
            page[slot] = sum;
            return 0;
        }
        self.add(bucket, 1)
    }

    /// Counts `count` more in a bucket. Returns the bytes that this allocated.
    #[inline(never)]
    fn add(&mut self, bucket: i32, count: u64) -> usize {
        if count == 0 {
            return 0;
        }
        let before = self.heap_bytes();
        let (number, slot) = split(bucket);
        let counter = &mut self.page_or_new(number)[slot];
        let sum = u64::from(*counter).saturating_add(count);
        match SmallCount::try_from(sum) {
            Ok(sum) => *counter = sum,
            Err(_) => {
                *counter = 1;
                self.carry(bucket, sum - 1);
            }
        }
        self.heap_bytes() - before
    }

    fn carry(&mut self, bucket: i32, count: u64) {
        match self.find_carried(bucket) {
            Ok(place) => {
                let carried = &mut self.carried[place].1;
                *carried = carried.saturating_add(count);
            }
            Err(place) => self.carried.insert(place, (bucket, count)),
        }
    }

    /// Adds the counts of others.
    fn merge(&mut self, other: Self) {
        for (number, theirs) in other.numbered_pages() {
            let mine = self.page_or_new(number);
            let mut fits = true;
            for (mine, theirs) in mine.iter().zip(theirs) {
                fits &= mine.checked_add(*theirs).is_some();
            }
            if fits {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    *mine += theirs;
                }
            } else {
                for (slot, &count) in (0_i32..).zip(theirs) {
                    self.add((number << PAGE_BITS) + slot, count.into());
                }
            }
        }
        for (bucket, count) in other.carried {
            self.carry(bucket, count);
        }
    }

    /// Place of a page in the directory; beyond its end for pages in front of the first.
    #[inline]
    #[expect(
        clippy::cast_sign_loss,
        reason = "a negative distance becomes one beyond any directory"
    )]
    fn place(&self, number: i32) -> usize {
        number.wrapping_sub(self.first_page) as u32 as usize
    }

    #[inline]
    fn page(&mut self, number: i32) -> Option<&mut Page> {
        let entry = *self.directory.get(self.place(number))?;
        self.pages.get_mut(usize::from(entry).checked_sub(1)?)
    }

    fn page_or_new(&mut self, number: i32) -> &mut Page {
        if self.directory.is_empty() {
            self.first_page = number;
        }
        if number < self.first_page {
            let missing = usize::try_from(self.first_page - number).unwrap_or_default();
            self.directory.splice(..0, std::iter::repeat_n(0, missing));
            self.first_page = number;
        }
        let place = self.place(number);
        if place >= self.directory.len() {
            self.directory.resize(place + 1, 0);
        }
        if self.directory[place] == 0 {
            if self.pages.len() == self.pages.capacity() {
                self.pages.reserve_exact((self.pages.len() / 2).max(4));
            }
            self.pages.push([0; PAGE]);
            // A float has 18 bits of bucket number, so there are far fewer than 2^16 pages.
            self.directory[place] = u16::try_from(self.pages.len()).unwrap_or(u16::MAX);
        }
        let index = usize::from(self.directory[place]) - 1;
        &mut self.pages[index]
    }

    /// The pages, by number.
    fn numbered_pages(&self) -> impl Iterator<Item = (i32, &Page)> + '_ {
        (self.first_page..)
            .zip(&self.directory)
            .filter_map(|(number, &entry)| {
                Some((number, self.pages.get(usize::from(entry).checked_sub(1)?)?))
            })
    }

    fn carried(&self, bucket: i32) -> u64 {
        let place = self.find_carried(bucket);
        place.map_or(0, |place| self.carried[place].1)
    }

    fn find_carried(&self, bucket: i32) -> Result<usize, usize> {
        self.carried.binary_search_by_key(&bucket, |(of, _)| *of)
    }

    /// How many were counted in all.
    fn total(&self) -> u64 {
        let counters: u64 = self.pages.iter().map(sum).sum();
        counters + self.carried.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// How many were counted in one bucket.
    fn count(&self, bucket: i32) -> u64 {
        let (number, slot) = split(bucket);
        let entry = self.directory.get(self.place(number)).copied();
        let page = entry.and_then(|entry| self.pages.get(usize::from(entry).checked_sub(1)?));
        page.map_or(0, |page| u64::from(page[slot]) + self.carried(bucket))
    }

    /// The buckets with something in them, ascending.
    fn iter(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.numbered_pages()
            .flat_map(|(number, page)| {
                (0_i32..)
                    .map(move |slot| (number << PAGE_BITS) + slot)
                    .zip(page)
            })
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, &count)| (bucket, u64::from(count) + self.carried(bucket)))
    }

    /// The bucket of the value at a 1-based rank among all counted in order.
    fn at_rank(&self, rank: u64) -> Option<i32> {
        let mut seen = 0;
        for (number, page) in self.numbered_pages() {
            // Whole pages are skipped by their sum, unless the exact counts are elsewhere.
            if self.carried.is_empty() {
                let with_page = seen + sum(page);
                if with_page < rank {
                    seen = with_page;
                    continue;
                }
            }
            for (slot, &count) in (0_i32..).zip(page) {
                if count == 0 {
                    continue;
                }
                let bucket = (number << PAGE_BITS) + slot;
                seen += u64::from(count) + self.carried(bucket);
                if seen >= rank {
                    return Some(bucket);
                }
            }
        }
        None
    }

    /// Bytes held besides the struct itself.
    fn heap_bytes(&self) -> usize {
        self.directory.capacity() * size_of::<u16>()
            + self.pages.capacity() * size_of::<Page>()
            + self.carried.capacity() * size_of::<(i32, u64)>()
    }
}

fn sum(page: &Page) -> u64 {
    page.iter().map(|&count| u64::from(count)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn of(counts: &[(i32, u64)]) -> Buckets {
        let mut buckets = Buckets::default();
        for &(bucket, count) in counts {
            let before = buckets.heap_bytes();
            let allocated = if count == 1 {
                buckets.increment(bucket)
            } else {
                buckets.add(bucket, count)
            };
            assert_eq!(before + allocated, buckets.heap_bytes());
        }
        buckets
    }

    proptest! {
        #[test]
        fn counts_as_a_map_does(
            counts in prop::collection::vec(
                (-70_i32..70, prop_oneof![Just(1_u64), Just(2), Just(u64::from(u32::MAX)), Just(1 << 33)]),
                0..40,
            ),
            cut in 0_usize..40,
        ) {
            let mut expected = BTreeMap::new();
            for &(bucket, count) in &counts {
                *expected.entry(bucket).or_insert(0) += count;
            }
            let (one, other) = counts.split_at(cut.min(counts.len()));
            let mut merged = of(one);
            merged.merge(of(other));
            for buckets in [of(&counts), merged] {
                prop_assert_eq!(
                    buckets.iter().collect::<Vec<_>>(),
                    expected.iter().map(|(bucket, count)| (*bucket, *count)).collect::<Vec<_>>()
                );
                prop_assert_eq!(buckets.total(), expected.values().sum::<u64>());
                let mut below = 0;
                for (&bucket, &count) in &expected {
                    prop_assert_eq!(buckets.count(bucket), count);
                    prop_assert_eq!(buckets.at_rank(below + 1), Some(bucket));
                    below += count;
                    prop_assert_eq!(buckets.at_rank(below), Some(bucket));
                }
                prop_assert_eq!(buckets.at_rank(below + 1), None);
            }
        }
    }

    #[test]
    fn far_apart_buckets_take_little() {
        let buckets = of(&[(-131_072, 1), (0, 1), (131_072, 1)]);
        assert!(buckets.heap_bytes() < 64 << 10, "{}", buckets.heap_bytes());
        assert_eq!(buckets.count(131_073), 0);
        assert_eq!(buckets.count(-200_000), 0);
    }
}
