//! From the series of the metrics queries of a query to its answer.

use std::sync::Arc;

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

/// How such series become the answer of a query.
#[derive(Debug)]
pub(crate) struct Finishing {
    /// What is computed with the series.
    pub(crate) plan: Arc<SeriesPlan>,
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

    /// Computes with the series, and cuts what that comes to to the limit.
    pub(crate) async fn combine(
        self,
        finishing: &Finishing,
        grid: Grid,
    ) -> Result<Answer, QueryError> {
        let (plan, operands) = (Arc::clone(&finishing.plan), self.operands);
        let mut series = off_reactor(move || plan.combine(grid, operands)).await??;
        let partial = match finishing.series_limit {
            // At the limit the answer counts as cut, as in Tempo: clients rely on either reading.
            Some(limit) if series.series.len() >= limit => {
                series.series.truncate(limit);
                Some(PartialReason::SeriesLimit { limit })
            }
            _ => None,
        };
        Ok(Answer {
            series,
            exemplars: Vec::new(),
            stats: self.stats,
            partial,
            notices: finishing.notices.clone(),
        })
    }
}
