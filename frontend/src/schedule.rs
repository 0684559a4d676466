//! Running the jobs of a query: so many at a time, repeated where that can help, stopped with it.

use std::future::Future;
use std::time::Duration;

use engine::{EngineError, ErrorKind};
use futures::stream::{self, Stream, StreamExt};
use storage::ids::TenantId;
use tokio::task::JoinSet;

use crate::turns::Turns;

/// How the jobs of a query are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleOptions {
    /// Jobs in flight at once, above zero.
    pub concurrent_jobs: usize,
    /// How often a job is run again because storage was unavailable.
    pub max_retries: u32,
}

/// A job that was run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed<T> {
    /// The result of the job.
    pub value: T,
    /// How often the job had to be run again.
    pub retries: u32,
}

/// Wait before the first repetition; doubled before each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Runs jobs and gives their results as they come, in no order.
///
/// A job runs only while the stream is polled or its own threads have work; dropping the stream
/// drops every job in flight, which stops it. At most `concurrent_jobs` results exist at once.
pub fn run_jobs<J, T, F, R>(
    jobs: Vec<J>,
    options: ScheduleOptions,
    run: R,
) -> impl Stream<Item = Result<Completed<T>, EngineError>> + Send
where
    J: Send + Sync,
    T: Send,
    F: Future<Output = Result<T, EngineError>> + Send,
    R: Fn(&J) -> F + Clone + Send + Sync,
{
    stream::iter(jobs)
        .map(move |job| run_whole(job, options.max_retries, run.clone()))
        .buffer_unordered(options.concurrent_jobs.max(1))
}

/// Runs a job when it is its tenant's turn. Dropping the future stops it.
///
/// # Errors
/// Those of the job.
pub(crate) async fn in_turn<T: Send + 'static>(
    turns: Turns,
    tenant: TenantId,
    job: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    // A task of its own, so that the turn ends with the job and not when its query next looks.
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _turn = turns.take(&tenant, usize::MAX).await;
        job.await
    });
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(failed)) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(EngineError::Cancelled),
        },
        None => Err(EngineError::Cancelled),
    }
}

/// Runs one job, and runs it again as a whole where storage was unavailable.
pub(crate) async fn run_whole<J, T, F, R>(
    job: J,
    max_retries: u32,
    run: R,
) -> Result<Completed<T>, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
    R: Fn(&J) -> F,
{
    let mut retries = 0;
    let mut backoff = FIRST_BACKOFF;
    loop {
        match run(&job).await {
            Ok(value) => return Ok(Completed { value, retries }),
            Err(error) if error.kind() == ErrorKind::Unavailable && retries < max_retries => {
                tracing::debug!(%error, retries, "job failed, running it again");
                tokio::time::sleep(backoff).await;
                backoff *= 2;
                retries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use futures::TryStreamExt;
    use storage::StorageError;

    use super::*;

    fn unavailable() -> EngineError {
        let tenant = TenantId::single();
        EngineError::Storage(StorageError::CommitContention {
            tenant,
            attempts: 1,
        })
    }

    const OPTIONS: ScheduleOptions = ScheduleOptions {
        concurrent_jobs: 2,
        max_retries: 2,
    };

    #[tokio::test(start_paused = true)]
    async fn unavailable_jobs_are_run_again_as_a_whole() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let results = run_jobs(vec![7], OPTIONS, move |job: &i32| {
            let (job, run) = (*job, counted.fetch_add(1, Ordering::SeqCst));
            async move { if run < 2 { Err(unavailable()) } else { Ok(job) } }
        });
        let results: Vec<_> = results.try_collect().await.unwrap();
        assert_eq!(
            results,
            [Completed {
                value: 7,
                retries: 2
            }]
        );
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_and_too_many_repetitions_end_the_query() {
        for (error, expected_runs) in [
            (unavailable as fn() -> EngineError, 3),
            (|| EngineError::Cancelled, 1),
        ] {
            let runs = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&runs);
            let results = run_jobs(vec![()], OPTIONS, move |()| {
                counted.fetch_add(1, Ordering::SeqCst);
                async move { Err::<(), _>(error()) }
            });
            assert!(results.try_collect::<Vec<_>>().await.is_err());
            assert_eq!(runs.load(Ordering::SeqCst), expected_runs);
        }
    }

    #[tokio::test]
    async fn jobs_of_tenants_run_in_turns_that_end_with_them() {
        let turns = Turns::new(1);
        let ran = Arc::new(Mutex::new(String::new()));
        let mut results: Vec<_> = ["a", "a", "a", "a", "b", "b"]
            .map(|name| {
                let ran = Arc::clone(&ran);
                let job = async move {
                    ran.lock().unwrap().push_str(name);
                    // The others get to queue up.
                    tokio::task::yield_now().await;
                    Ok(())
                };
                Box::pin(in_turn(turns.clone(), name.parse().unwrap(), job))
            })
            .into();
        for result in &mut results {
            assert!(futures::poll!(result).is_pending());
        }
        // Only the last one is looked at, and those before it run nevertheless.
        results.pop().unwrap().await.unwrap();
        assert!(ran.lock().unwrap().starts_with("aabab"));
        for result in results {
            result.await.unwrap();
        }
        assert_eq!(*ran.lock().unwrap(), "aababa");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_nobody_wants_ends_its_turn() {
        let turns = Turns::new(1);
        let endless = std::future::pending::<Result<(), EngineError>>();
        let mut job = Box::pin(in_turn(turns.clone(), TenantId::single(), endless));
        assert!(futures::poll!(&mut job).is_pending());
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(job);
        turns.take(&TenantId::single(), 1).await.unwrap();
    }

    /// Counts how many exist at once.
    struct Running(Arc<AtomicUsize>);

    impl Running {
        fn start(count: &Arc<AtomicUsize>) -> Self {
            count.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(count))
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_in_flight_are_bounded_and_dropped_with_the_stream() {
        let running = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&running);
        let mut results = Box::pin(run_jobs((0..10).collect(), OPTIONS, move |job: &u64| {
            let (job, counted) = (*job, Arc::clone(&counted));
            async move {
                let _running = Running::start(&counted);
                tokio::time::sleep(Duration::from_secs(job + 1)).await;
                assert!(counted.load(Ordering::SeqCst) <= 2);
                Ok(job)
            }
        }));
        assert_eq!(results.next().await.unwrap().unwrap().value, 0);
        assert_eq!(results.next().await.unwrap().unwrap().value, 1);
        assert!(running.load(Ordering::SeqCst) > 0);
        drop(results);
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
}
