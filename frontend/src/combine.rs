//! From the series of the metrics queries of a query to its answer.

use engine::{Grid, SeriesPlan, SeriesSet};

use crate::answer::{Answer, PartialReason};
use crate::error::QueryError;
use crate::stats::QueryStats;
use crate::threads::off_reactor;

/// The series of the metrics queries that have been run, and what that took.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    operands: Vec<SeriesSet>,
    stats: QueryStats,
}

/// How series become an answer.
#[derive(Debug)]
pub(crate) struct Finishing {
    /// Most series of the answer.
    pub(crate) series_limit: Option<usize>,
    /// What is worth knowing about the query.
    pub(crate) notices: Vec<String>,
}

impl Finished {
    /// Adds what the next metrics query came to.
    pub(crate) fn add(&mut self, (series, stats): (SeriesSet, QueryStats)) {
        self.operands.push(series);
        self.stats.add(&stats);
    }

    /// Bytes of the values of the series.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.operands.iter().map(SeriesSet::value_bytes).sum()
    }

    /// Computes with the series, as the query says.
    pub(crate) async fn combine(
        self,
        plan: &SeriesPlan,
        grid: Grid,
        finishing: &Finishing,
    ) -> Result<Answer, QueryError> {
        let (plan, operands) = (plan.clone(), self.operands);
        let series = off_reactor(move || plan.combine(grid, operands)).await??;
        Ok(finishing.answer(series, self.stats))
    }
}

impl Finishing {
    /// The answer of finished series, cut to the limit.
    pub(crate) fn answer(&self, mut series: SeriesSet, stats: QueryStats) -> Answer {
        let partial = match self.series_limit {
            // At the limit the answer counts as cut, as in Tempo: clients rely on either reading.
            Some(limit) if series.series.len() >= limit => {
                series.series.truncate(limit);
                Some(PartialReason::SeriesLimit { limit })
            }
            _ => None,
        };
        Answer {
            series,
            exemplars: Vec::new(),
            stats,
            partial,
            notices: self.notices.clone(),
        }
    }
}
