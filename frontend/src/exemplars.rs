//! Spans shown as examples of what the series of an answer count.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use engine::{
    Candidates, Chosen, MAX_EXEMPLARS, MetricsPlan, SeriesPlan, ShownSpan, Slice, Work, attach,
};
use futures::StreamExt as _;
use storage::ids::BlockId;

use crate::answer::Answer;
use crate::blocks::Block;
use crate::error::QueryError;
use crate::stats::QueryStats;
use crate::survivors::Survivors;
use crate::workers::Workers;

/// How many exemplars an answer gets: as many as the request asks for, unless the query says; none
/// where its series count no spans of their own.
pub(crate) fn exemplar_count(plan: &SeriesPlan, asked: usize) -> usize {
    match (plan.exemplified(), asked) {
        (None, _) | (_, 0) => 0,
        (Some(plan), asked) => plan.exemplars.unwrap_or(asked).min(MAX_EXEMPLARS),
    }
}

/// How many exemplars an answer has got, of how many series, and what reading them took.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    exemplars: usize,
    series: usize,
    stats: QueryStats,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exemplars, series) = (self.exemplars, self.series);
        write!(
            f,
            "{exemplars} exemplars of {series} series\n  {}",
            self.stats
        )
    }
}

/// Adds at most `count` exemplars to an answer, out of the candidates that its jobs chose: reads what
/// these are shown with, where that is not known yet.
pub(crate) async fn add_exemplars(
    plan: &Arc<MetricsPlan>,
    count: usize,
    candidates: Candidates,
    (survivors, workers): (&Survivors, &Workers),
    answer: &mut Answer,
) -> Result<Shown, QueryError> {
    if answer.series.series.is_empty() {
        return Ok(Shown::default());
    }
    let mut chosen = candidates.choose(count);
    let unread = unread(&chosen);
    let mut jobs = Vec::with_capacity(unread.len());
    for (&block, spans) in &unread {
        let work = Work::Exemplars {
            plan: Arc::clone(plan),
            rows: spans.keys().copied().collect(),
        };
        jobs.push((block, work, whole(survivors, block)?));
    }
    let mut stats = QueryStats {
        jobs_total: u64::try_from(jobs.len()).unwrap_or(u64::MAX),
        ..QueryStats::default()
    };
    let mut results = pin!(workers.run_all(jobs));
    while let Some(result) = results.next().await {
        let completed = result?;
        stats.jobs_completed += 1;
        stats.jobs_retried += u64::from(completed.retries);
        let (block, shown): (_, Vec<ShownSpan>) = completed.value;
        let spans = unread.get(&block).into_iter().flatten();
        for (shown, (_, at)) in shown.into_iter().zip(spans) {
            chosen[*at].show(shown);
        }
    }
    stats.set_reads(&workers.context.counters);
    answer.stats.add(&stats);
    answer.exemplars = attach(&chosen, plan, &answer.series);
    let with_some = answer.exemplars.iter().filter(|of| !of.is_empty());
    Ok(Shown {
        exemplars: answer.exemplars.iter().map(Vec::len).sum(),
        series: with_some.count(),
        stats,
    })
}

/// By block the chosen spans of which it is to be read what they are shown with, by row: which row, and
/// which of the spans.
fn unread(chosen: &[Chosen]) -> BTreeMap<BlockId, BTreeMap<u64, usize>> {
    let mut unread: BTreeMap<BlockId, BTreeMap<u64, usize>> = BTreeMap::new();
    for (at, chosen) in chosen.iter().enumerate() {
        if let Some(place) = chosen.unread() {
            let of_block = unread.entry(place.block).or_default();
            of_block.insert(place.row, at);
        }
    }
    unread
}

/// The whole of a block.
fn whole(survivors: &Survivors, block: BlockId) -> Result<Slice, QueryError> {
    let mut stored = survivors.stored.iter().map(|(block, _)| block);
    let block = stored.find(|stored| stored.block_id == block);
    let block = block.ok_or(QueryError::Internal("an exemplar of no block"))?;
    Ok(Block::Stored(Arc::clone(block)).whole())
}
