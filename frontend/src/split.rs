//! Cutting the surviving row groups into jobs. Pure: the same input gives the same jobs.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use engine::{Grid, MetricsPlan, Pieces, ReadSizes, Slice};
use storage::block::MemoryBlock;
use storage::block::meta::{BlockMeta, RowGroupMeta};

/// What jobs should be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// Bytes that one job should read.
    pub target_bytes_per_job: u64,
    /// Longest time in ns that the spans of one job should cover.
    pub interval_ns: i64,
    /// How many jobs a query should make if its row groups allow, so that all cores have work even
    /// where there are few bytes to read.
    pub min_jobs: u64,
}

/// One job: one query over one slice, run and repeated as a whole.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the job reads.
    pub slice: Slice,
    /// Bytes that the job will read from storage.
    pub bytes: u64,
}

/// The jobs of a query.
#[derive(Debug, Clone, Default)]
pub struct JobList(pub Vec<Job>);

/// A row group, as far as splitting looks at it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    index: usize,
    bytes: u64,
    min_start_ns: i64,
    max_start_ns: i64,
}

/// Cuts row groups of stored blocks, and live blocks, into jobs. Every row group given is in exactly
/// one job, and so is every live block. Those in `whole` are of one job each. The largest jobs come
/// first.
#[must_use]
pub fn split(
    plan: &MetricsPlan,
    grid: &Grid,
    stored: &[(Arc<BlockMeta>, Vec<usize>)],
    whole: &[(Arc<BlockMeta>, Vec<usize>)],
    live: &[Arc<MemoryBlock>],
    options: &SplitOptions,
) -> JobList {
    let mut sizes = ReadSizes::new(plan, grid);
    let pieces: Vec<Vec<Piece>> = stored
        .iter()
        .map(|(block, row_groups)| sized(block, row_groups, sizes.of(block, row_groups)))
        .collect();
    let total_bytes: u64 = pieces.iter().flatten().map(|piece| piece.bytes).sum();
    let options = options.for_total(total_bytes);

    let mut jobs = Vec::new();
    for live in live {
        jobs.push(Job {
            slice: Slice::Live(Arc::clone(live)),
            bytes: 0,
        });
    }
    for (block, row_groups) in whole {
        let bytes = sizes.of(block, row_groups);
        jobs.push(Job {
            slice: Slice::Stored {
                block: Arc::clone(block),
                row_groups: row_groups.clone(),
            },
            bytes: bytes.iter().sum(),
        });
    }
    for ((block, _), pieces) in stored.iter().zip(&pieces) {
        for job in group(pieces, &options) {
            jobs.push(Job {
                slice: Slice::Stored {
                    block: Arc::clone(block),
                    row_groups: job.iter().map(|piece| piece.index).collect(),
                },
                bytes: job.iter().map(|piece| piece.bytes).sum(),
            });
        }
    }
    // A large job that starts last runs alone while the other cores wait for it.
    jobs.sort_by_key(|job| Reverse(job.slice.row_count()));
    JobList(jobs)
}

/// Row groups of one block with the bytes that are read of each.
fn sized(block: &BlockMeta, row_groups: &[usize], bytes: Vec<u64>) -> Vec<Piece> {
    let piece = |(&index, bytes)| Piece::new(index, bytes, block.row_groups.get(index));
    row_groups.iter().zip(bytes).map(piece).collect()
}

impl JobList {
    /// The jobs with the traces of `pieces` evaluated by jobs of their own.
    #[must_use]
    pub fn with_pieces(
        mut self,
        pieces: &Pieces,
        stored: &[Arc<BlockMeta>],
        live: &[Arc<MemoryBlock>],
    ) -> Self {
        let rest = |job: Job| Job {
            slice: pieces.without(job.slice),
            ..job
        };
        self.0 = self.0.into_iter().map(rest).collect();
        let joined = pieces.slices(stored, live).into_iter();
        self.0.extend(joined.map(|slice| Job { slice, bytes: 0 }));
        self
    }
}

/// Cuts row groups of one block into runs, each for one job.
pub(crate) fn split_block(
    block: &BlockMeta,
    row_groups: &[usize],
    bytes: Vec<u64>,
    options: &SplitOptions,
) -> Vec<Vec<usize>> {
    let pieces = sized(block, row_groups, bytes);
    let runs = group(&pieces, options).into_iter();
    runs.map(|run| run.iter().map(|piece| piece.index).collect())
        .collect()
}

/// Cuts the row groups of one block into runs, each within the bounds or of a single row group.
fn group<'a>(pieces: &'a [Piece], options: &SplitOptions) -> Vec<&'a [Piece]> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut bytes = 0_u64;
    let (mut min_start_ns, mut max_start_ns) = (i64::MAX, i64::MIN);
    for (position, piece) in pieces.iter().enumerate() {
        let with_bytes = bytes.saturating_add(piece.bytes);
        let with_min = min_start_ns.min(piece.min_start_ns);
        let with_max = max_start_ns.max(piece.max_start_ns);
        let fits = with_bytes <= options.target_bytes_per_job
            && with_max.saturating_sub(with_min) <= options.interval_ns;
        if position > start && !fits {
            runs.push(&pieces[start..position]);
            start = position;
            (bytes, min_start_ns, max_start_ns) =
                (piece.bytes, piece.min_start_ns, piece.max_start_ns);
        } else {
            (bytes, min_start_ns, max_start_ns) = (with_bytes, with_min, with_max);
        }
    }
    if start < pieces.len() {
        runs.push(&pieces[start..]);
    }
    runs
}

impl SplitOptions {
    /// The options with jobs small enough that `total_bytes` make [`min_jobs`](Self::min_jobs).
    fn for_total(&self, total_bytes: u64) -> Self {
        let share = total_bytes / self.min_jobs.max(1);
        Self {
            target_bytes_per_job: self.target_bytes_per_job.min(share),
            ..*self
        }
    }
}

impl Piece {
    /// A row group that the catalog does not describe may hold spans of any time.
    fn new(index: usize, bytes: u64, meta: Option<&RowGroupMeta>) -> Self {
        Self {
            index,
            bytes,
            min_start_ns: meta.map_or(i64::MIN, |meta| meta.min_start_ns),
            max_start_ns: meta.map_or(i64::MAX, |meta| meta.max_start_ns),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans = self.slice.row_count();
        write!(f, "{}: spans={spans} bytes={}", self.slice, self.bytes)
    }
}

impl fmt::Display for JobList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Beyond this many jobs a reader wants the sum, not the list.
        const SHOWN: usize = 20;
        let (spans, bytes) = self.0.iter().fold((0_u64, 0_u64), |(spans, bytes), job| {
            (
                spans.saturating_add(job.slice.row_count()),
                bytes.saturating_add(job.bytes),
            )
        });
        write!(f, "{} jobs: spans={spans} bytes={bytes}", self.0.len())?;
        for job in self.0.iter().take(SHOWN) {
            write!(f, "\n  {job}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\n  … and {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(index: usize, bytes: u64, start: i64, end: i64) -> Piece {
        Piece {
            index,
            bytes,
            min_start_ns: start,
            max_start_ns: end,
        }
    }

    fn indexes(runs: &[&[Piece]]) -> Vec<Vec<usize>> {
        runs.iter()
            .map(|run| run.iter().map(|piece| piece.index).collect())
            .collect()
    }

    const ANY: SplitOptions = SplitOptions {
        target_bytes_per_job: u64::MAX,
        interval_ns: i64::MAX,
        min_jobs: 1,
    };

    #[test]
    fn bytes_bound_a_job() {
        let pieces = [
            piece(0, 60, 0, 1),
            piece(2, 40, 1, 2),
            piece(3, 1, 2, 3),
            piece(4, 500, 3, 4),
        ];
        let options = SplitOptions {
            target_bytes_per_job: 100,
            ..ANY
        };
        assert_eq!(
            indexes(&group(&pieces, &options)),
            [vec![0, 2], vec![3], vec![4]]
        );
    }

    #[test]
    fn time_bounds_a_job() {
        let pieces = [
            piece(0, 1, 0, 10),
            piece(1, 1, 5, 20),
            piece(2, 1, 15, 21),
            piece(3, 1, 21, 99),
        ];
        let options = SplitOptions {
            interval_ns: 20,
            ..ANY
        };
        assert_eq!(
            indexes(&group(&pieces, &options)),
            [vec![0, 1], vec![2], vec![3]]
        );
    }

    #[test]
    fn little_to_read_is_still_shared_by_all_cores() {
        let options = SplitOptions {
            target_bytes_per_job: 1000,
            min_jobs: 4,
            ..ANY
        };
        assert_eq!(options.for_total(100).target_bytes_per_job, 25);
        assert_eq!(options.for_total(100_000).target_bytes_per_job, 1000);
    }

    #[test]
    fn nothing_makes_no_job() {
        assert!(group(&[], &ANY).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            sizes in prop::collection::vec((0_u64..1000, 0_i64..50, 0_i64..50), 0..60),
            target in 0_u64..3000,
            interval_ns in 0_i64..200,
        ) {
            let mut start = 0;
            let pieces: Vec<Piece> = sizes
                .iter()
                .enumerate()
                .map(|(index, (bytes, gap, length))| {
                    start += gap;
                    piece(index * 2, *bytes, start, start + length)
                })
                .collect();
            let options = SplitOptions { target_bytes_per_job: target, interval_ns, min_jobs: 1 };
            let runs = group(&pieces, &options);

            let all: Vec<usize> = runs.iter().flat_map(|run| run.iter().map(|p| p.index)).collect();
            let expected: Vec<usize> = pieces.iter().map(|piece| piece.index).collect();
            prop_assert_eq!(all, expected);
            for run in runs {
                prop_assert!(!run.is_empty());
                let bytes: u64 = run.iter().map(|piece| piece.bytes).sum();
                let first = run.iter().map(|piece| piece.min_start_ns).min().unwrap();
                let last = run.iter().map(|piece| piece.max_start_ns).max().unwrap();
                prop_assert!(run.len() == 1 || (bytes <= target && last - first <= interval_ns));
            }
        }
    }
}
