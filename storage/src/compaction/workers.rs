//! The threads of compaction: few, and such as leave the processor to others.

use std::sync::Arc;

use futures::channel::oneshot;

use crate::error::StorageError;

/// Threads that do nothing else than to rewrite blocks. Clones are the same threads.
#[derive(Debug, Clone)]
pub struct Workers {
    pool: Arc<rayon::ThreadPool>,
}

impl Workers {
    /// Starts so many threads, at least one. On Linux they have a lower priority than others, so that
    /// queries and ingest are served first.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(threads: usize) -> Result<Self, StorageError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|number| format!("compaction-{number}"))
            .start_handler(|_| lower_priority())
            .build();
        let pool = pool.map_err(|error| StorageError::Internal(error.to_string()))?;
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// How many things can be done at one time.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Has something done, and waits for it. What was begun is done to its end even if nobody waits any more.
    ///
    /// # Errors
    /// As the work; and if it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, result) = oneshot::channel();
        self.pool.spawn(move || {
            let work = std::panic::AssertUnwindSafe(work);
            // Whoever asked may have gone.
            done.send(std::panic::catch_unwind(work)).ok();
        });
        match result.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(StorageError::Internal(
                "a thread of compaction has panicked".to_owned(),
            )),
        }
    }
}

/// Of this thread alone: what Linux calls a process here is a thread.
#[cfg(target_os = "linux")]
fn lower_priority() {
    /// As `nice` does if it is not told by how much.
    const NICENESS: i32 = 10;
    // Where that is forbidden the threads are as others are.
    rustix::process::setpriority_process(None, NICENESS).ok();
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_an_error() {
        let workers = Workers::start(2).unwrap();
        assert_eq!(workers.threads(), 2);
        assert_eq!(workers.run(|| Ok(1)).await.unwrap(), 1);
        let panicked = workers.run(|| -> Result<(), StorageError> { panic!("on purpose") });
        assert!(panicked.await.unwrap_err().to_string().contains("panicked"));
        assert_eq!(workers.run(|| Ok(2)).await.unwrap(), 2);
    }
}
