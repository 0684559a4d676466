//! Which blocks are merged, and when: a pure function of what is known of them and the time.
//!
//! Blocks are merged by *windows*: the time in which their traces start, an hour on the grid of the
//! epoch. A block that ingest cut mostly lies in one; one with spans that came late spans several, and is
//! first cut up ([`Reason::Spanning`]), together with others that wait.
//!
//! While a window is *open* there is a merge when more than [`MANY_IN_OPEN`] blocks wait, of the smallest
//! ones, which are alike in size ([`Reason::Tier`]): so each span is written again once or twice, however many blocks
//! come. Once it has *settled*, some time after its end, it is merged as a whole ([`Reason::Settled`]), cut by
//! trace id into so many pieces that none is too large.
//!
//! What comes late into a settled window waits beside it, and late blocks are merged among themselves like
//! those of an open window; all of it is written again only where that is a fair share ([`LATE_SHARE`]) of
//! the window. Windows that came out small are joined into a day's ([`Reason::Day`]) once the day has
//! settled, so that a quiet tenant has a block a day. Windows longer than that, which hold the few traces of very many
//! hours, are only merged by themselves.
//!
//! Nothing here deletes, and nothing depends on the time but when: with a clock that is wrong, windows
//! are merged too early, in rounds that each grow by a share of the window, or too late.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::block::meta::{BlockMeta, HashPiece, Partition, Window};
use crate::ids::{BlockId, TenantId};

/// Length of a window, in seconds.
pub const HOUR_S: i64 = 3_600;
/// Length of the windows that small ones are joined to, in seconds.
pub const DAY_S: i64 = 86_400;
/// Blocks that may lie in a settled window beside the pieces that it is cut into, and of those that span
/// windows.
const MANY: usize = 8;
/// Blocks that may wait in an open window.
const MANY_IN_OPEN: usize = 16;
/// Fewer blocks are not worth a merge while their window is open.
const MIN_MERGED: usize = 4;
/// How long after its end a window has settled, in seconds: what comes in time has come by then.
const SETTLES_AFTER_S: i64 = 600;
/// How long after its end late blocks of a window are joined whatever their number, in seconds.
const LATE_AFTER_S: i64 = DAY_S;
/// A settled window is merged again when what waits beside it is one part in so many.
const LATE_SHARE: u64 = 4;
/// A window is small if so many fit into a block.
const SMALL_SHARE: u64 = 8;
/// Blocks that are cut up in one job, at most.
const MAX_SPANNING: usize = 64;
/// Bytes that are merged in one job, unless the window has more.
const MAX_JOB_BYTES: u64 = 2 << 30;
/// A piece goes by at most so many bits of the hash of a trace id.
const MAX_PIECE_BITS: u8 = 16;

/// What the policy has to know of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The block.
    pub id: BlockId,
    /// Bytes of its file.
    pub bytes: u64,
    /// Earliest span start, ns since the epoch.
    pub min_start_ns: i64,
    /// Latest span start, ns since the epoch.
    pub max_start_ns: i64,
    /// The traces that it is for, if compaction has made it.
    pub partition: Option<Partition>,
}

/// Blocks to be rewritten, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The blocks, ordered.
    pub inputs: Vec<BlockId>,
    /// Bytes of their files.
    pub bytes: u64,
    /// Length of the windows into which their traces go, in seconds.
    pub window_length_s: i64,
    /// Bits of the hash of a trace id by which a window is cut into pieces.
    pub piece_bits: u8,
    /// The window of the job, or of its newest blocks.
    pub window: Window,
    /// Why.
    pub reason: Reason,
}

/// Why blocks are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// They have spans of several windows.
    Spanning,
    /// Too many of about one size wait in a window.
    Tier,
    /// Their window has settled.
    Settled,
    /// Their windows are small, and their day has settled.
    Day,
}

impl Reason {
    /// The name of the reason, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spanning => "spanning",
            Self::Tier => "tier",
            Self::Settled => "settled",
            Self::Day => "day",
        }
    }
}

impl From<&BlockMeta> for Candidate {
    fn from(meta: &BlockMeta) -> Self {
        Self {
            id: meta.block_id,
            bytes: meta.file.as_ref().map_or(0, |file| file.size_bytes),
            min_start_ns: meta.min_start_ns,
            max_start_ns: meta.max_start_ns,
            partition: meta.partition,
        }
    }
}

impl Candidate {
    /// The window that the block's traces start in, if it is one; and their piece.
    fn place(&self) -> Option<Partition> {
        let first = Window::of(self.min_start_ns, HOUR_S);
        let within = first.holds(self.max_start_ns).then_some(Partition {
            window: first,
            piece: HashPiece::ALL,
        });
        self.partition.or(within)
    }
}

/// The jobs for some blocks of one tenant, the most urgent first. No block is in two of them. The order
/// in which the blocks are given makes no difference.
#[must_use]
pub fn jobs(blocks: &[Candidate], now_ns: i64, max_block_bytes: u64) -> Vec<Job> {
    let policy = Policy {
        now_s: now_ns.div_euclid(1_000_000_000),
        max_block_bytes: max_block_bytes.max(1),
    };
    let mut spanning = Vec::new();
    let mut days: BTreeMap<i64, Vec<Placed<'_>>> = BTreeMap::new();
    let mut long: BTreeMap<Window, Vec<Placed<'_>>> = BTreeMap::new();
    for block in blocks {
        match block.place() {
            Some(Partition { window, piece }) => {
                let day = Window::of(window.start_s.saturating_mul(1_000_000_000), DAY_S);
                let placed = Placed {
                    block,
                    window,
                    piece,
                };
                if window.length_s > DAY_S {
                    long.entry(window).or_default().push(placed);
                } else {
                    days.entry(day.start_s).or_default().push(placed);
                }
            }
            None => spanning.push(block),
        }
    }
    let mut jobs = policy.cut_up(spanning);
    for (day_s, placed) in days {
        policy.day(day_s, placed, &mut jobs);
    }
    for (window, placed) in long {
        jobs.extend(policy.window(window, &placed));
    }
    jobs.sort_by_key(|job| (job.reason, job.window, job.inputs.first().copied()));
    jobs
}

/// Which of some processes does a job, by the highest hash of both: all agree without asking each other,
/// and where one comes or goes, only its own jobs move. Two that disagree for a while do work twice, of
/// which one is thrown away. `None` if there are no processes.
#[must_use]
pub fn owner<'a>(tenant: &TenantId, job: &Job, processes: &[&'a str]) -> Option<&'a str> {
    let window = (job.window.start_s, job.window.length_s);
    let rank = |process: &str| {
        let key = format!("{tenant}\n{}\n{}\n{process}", window.0, window.1);
        xxh3_64(key.as_bytes())
    };
    let ranked = processes.iter().map(|process| (rank(process), *process));
    ranked.max().map(|(_, process)| process)
}

/// A block in its window.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    block: &'a Candidate,
    window: Window,
    piece: HashPiece,
}

#[derive(Debug, Clone, Copy)]
struct Policy {
    now_s: i64,
    max_block_bytes: u64,
}

impl Policy {
    /// Cuts blocks of several windows up, when many wait or the newest window of one has settled.
    fn cut_up(&self, mut spanning: Vec<&Candidate>) -> Vec<Job> {
        spanning.sort_by_key(|block| (block.max_start_ns, block.id));
        let newest = |block: &Candidate| Window::of(block.max_start_ns, HOUR_S);
        if spanning.len() < MANY {
            spanning.retain(|block| self.has_settled(newest(block), SETTLES_AFTER_S));
        }
        let mut jobs = Vec::new();
        let mut rest = &spanning[..];
        while let Some(first) = rest.first() {
            let mut bytes = 0u64;
            let fits = |block: &&&Candidate| {
                bytes = bytes.saturating_add(block.bytes);
                bytes <= MAX_JOB_BYTES.max(first.bytes)
            };
            let count = rest.iter().take(MAX_SPANNING).take_while(fits).count();
            let (together, left) = rest.split_at(count.max(1));
            rest = left;
            // Most of what a block has lies in its newest window.
            let mut by_window: BTreeMap<Window, u64> = BTreeMap::new();
            for block in together {
                *by_window.entry(newest(block)).or_default() += block.bytes;
            }
            let largest = by_window.values().copied().max().unwrap_or_default();
            let window = newest(together.last().unwrap_or(first));
            jobs.push(self.job(together, (window, HOUR_S), largest, Reason::Spanning));
        }
        jobs
    }

    /// The jobs of a day.
    fn day(&self, day_s: i64, placed: Vec<Placed<'_>>, jobs: &mut Vec<Job>) {
        let day = Window {
            start_s: day_s,
            length_s: DAY_S,
        };
        if placed.iter().any(|placed| placed.window == day) {
            // Small windows were joined before: what came later is late for all of the day.
            jobs.extend(self.window(day, &placed));
            return;
        }
        let mut windows: BTreeMap<Window, Vec<Placed<'_>>> = BTreeMap::new();
        for placed in &placed {
            windows.entry(placed.window).or_default().push(*placed);
        }
        let before = jobs.len();
        for (window, placed) in &windows {
            jobs.extend(self.window(*window, placed));
        }
        let bytes = |placed: &[Placed<'_>]| placed.iter().map(|it| it.block.bytes).sum::<u64>();
        let small = self.max_block_bytes / SMALL_SHARE;
        let is_small = windows.values().all(|placed| bytes(placed) <= small);
        let fits = bytes(&placed) <= self.max_block_bytes;
        let is_due = placed.len() > 1 && self.has_settled(day, SETTLES_AFTER_S);
        if jobs.len() == before && is_small && fits && is_due {
            let blocks: Vec<&Candidate> = placed.iter().map(|it| it.block).collect();
            jobs.push(self.job(&blocks, (day, DAY_S), bytes(&placed), Reason::Day));
        }
    }

    /// The job of a window, if one is due.
    fn window(&self, window: Window, placed: &[Placed<'_>]) -> Option<Job> {
        let mut placed = placed.to_vec();
        placed.sort_by_key(|it| (std::cmp::Reverse(it.block.bytes), it.block.id));
        if !self.has_settled(window, SETTLES_AFTER_S) {
            return self.tier(window, &placed, MANY_IN_OPEN);
        }
        // The largest blocks that have no trace in common are what the window was merged to.
        let (mut merged, mut late): (Vec<Placed<'_>>, Vec<Placed<'_>>) = Default::default();
        for it in placed {
            let overlaps = merged.iter().any(|other| other.piece.overlaps(&it.piece));
            let is_of_part = it.window != window;
            if overlaps || is_of_part {
                late.push(it);
            } else {
                merged.push(it);
            }
        }
        let bytes = |placed: &[Placed<'_>]| placed.iter().map(|it| it.block.bytes).sum::<u64>();
        let (merged_bytes, late_bytes) = (bytes(&merged), bytes(&late));
        let all = merged_bytes.saturating_add(late_bytes);
        let is_too_large = merged
            .iter()
            .any(|it| it.piece.bits < self.piece_bits(merged_bytes));
        if is_too_large || (!late.is_empty() && late_bytes >= merged_bytes / LATE_SHARE) {
            let blocks: Vec<&Candidate> = merged.iter().chain(&late).map(|it| it.block).collect();
            return Some(self.job(&blocks, (window, window.length_s), all, Reason::Settled));
        }
        if late.len() > 1 << self.piece_bits(late_bytes) && self.has_settled(window, LATE_AFTER_S) {
            let blocks: Vec<&Candidate> = late.iter().map(|it| it.block).collect();
            let how = (window, window.length_s);
            return Some(self.job(&blocks, how, late_bytes, Reason::Tier));
        }
        self.tier(window, &late, MANY - 1)
    }

    /// A merge of the smallest blocks that are alike, if more wait than may. The largest come first.
    fn tier(&self, window: Window, placed: &[Placed<'_>], may_wait: usize) -> Option<Job> {
        if placed.len() <= may_wait {
            return None;
        }
        let mut bytes = 0u64;
        let mut blocks = Vec::new();
        for it in placed.iter().rev() {
            // What was merged before is larger than what has come since, and waits.
            let is_alike = it.block.bytes <= bytes / 2;
            if blocks.len() >= MIN_MERGED && !is_alike {
                break;
            }
            bytes = bytes.saturating_add(it.block.bytes);
            blocks.push(it.block);
        }
        // Blocks that are large already wait for the whole.
        let made = 1usize << self.piece_bits(bytes);
        let how = (window, window.length_s);
        (made * 2 <= blocks.len()).then(|| self.job(&blocks, how, bytes, Reason::Tier))
    }

    fn has_settled(&self, window: Window, after_s: i64) -> bool {
        let end = window.start_s.saturating_add(window.length_s);
        self.now_s >= end.saturating_add(after_s)
    }

    /// The least number of bits that cut so many bytes into pieces of which none is too large.
    fn piece_bits(&self, bytes: u64) -> u8 {
        let pieces = bytes.div_ceil(self.max_block_bytes).max(1);
        let bits = u64::BITS - (pieces - 1).leading_zeros();
        u8::try_from(bits)
            .unwrap_or(MAX_PIECE_BITS)
            .min(MAX_PIECE_BITS)
    }

    /// The job of some blocks, of which so many bytes go into one window.
    fn job(
        &self,
        blocks: &[&Candidate],
        (window, window_length_s): (Window, i64),
        bytes_of_window: u64,
        reason: Reason,
    ) -> Job {
        let mut inputs: Vec<BlockId> = blocks.iter().map(|block| block.id).collect();
        inputs.sort_unstable();
        Job {
            inputs,
            bytes: blocks.iter().map(|block| block.bytes).sum(),
            window_length_s,
            piece_bits: self.piece_bits(bytes_of_window),
            window,
            reason,
        }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
