//! Work on very many groups, on all threads.
//!
//! Series are made when all jobs of a query are done, so other cores are free for it. (Merging is not
//! worth it: it goes on while other jobs run.) The pool is the engine's own: on that of the process
//! blocks are encoded, and an answer would wait for them.

use std::sync::LazyLock;

use rayon::ThreadPool;
use rayon::prelude::*;

/// So many groups are worth the other threads' waking up.
const MANY_GROUPS: usize = 4096;

static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("groups-{number}"));
    let pool = pool.build();
    pool.inspect_err(|error| tracing::warn!(%error, "series are made on one thread"))
        .ok()
});

/// Whether work on so many groups goes to all threads.
pub(crate) fn are_worth(groups: usize) -> bool {
    groups >= MANY_GROUPS
}

/// What `work` makes of each item, in their order: on all threads if that is about many groups.
pub(crate) fn map<I, T, R>(groups: usize, items: I, work: impl Fn(T) -> R + Sync + Send) -> Vec<R>
where
    I: IntoIterator<Item = T>
        + IntoParallelIterator<Item = T, Iter: IndexedParallelIterator>
        + Send,
    T: Send,
    R: Send,
{
    match pool(groups) {
        Some(pool) => pool.install(|| items.into_par_iter().map(work).collect()),
        None => items.into_iter().map(work).collect(),
    }
}

/// Sorts one item of each of so many groups.
pub(crate) fn sort<T: Ord + Send>(items: &mut [T]) {
    match pool(items.len()) {
        Some(pool) => pool.install(|| items.par_sort_unstable()),
        None => items.sort_unstable(),
    }
}

fn pool(groups: usize) -> Option<&'static ThreadPool> {
    if !are_worth(groups) {
        // Asked before the pool is, whose threads start when it is first looked at.
        return None;
    }
    POOL.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_come_in_the_order_of_few() {
        for count in [0, 1, MANY_GROUPS - 1, MANY_GROUPS, 3 * MANY_GROUPS] {
            let items: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = items.iter().map(|item| item * 7 % 1009).collect();
            let mut made = map(count, items.as_slice(), |item| item * 7 % 1009);
            assert_eq!(made, expected);
            sort(&mut made);
            assert!(made.is_sorted());
            assert_eq!(made.len(), count);
        }
    }
}
