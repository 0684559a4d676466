//! Memory set aside for requests that are being received and decoded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::PushError;

/// Bytes in one unit; semaphores count in 32 bits.
const UNIT: usize = 1024;

/// The memory of all requests together.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// A request's share; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX);
        let units = usize::try_from(total)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            total,
        }
    }

    /// A share that holds no memory yet.
    pub(crate) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            permit: None,
            bytes: 0,
        }
    }
}

impl Share {
    /// Adds so many bytes to the share. Never waits: two requests that each wait for the other's memory would
    /// wait forever. A request larger than the whole budget gets the whole.
    ///
    /// # Errors
    /// Other requests have too much of the memory.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), PushError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let wanted = u32::try_from(self.bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .min(self.budget.total);
        let held = self
            .permit
            .as_ref()
            .map_or(0, |p| u32::try_from(p.num_permits()).unwrap_or(u32::MAX));
        if wanted <= held {
            return Ok(());
        }
        let more = Arc::clone(&self.budget.units).try_acquire_many_owned(wanted - held);
        let more = more.map_err(|_| PushError::Overloaded {
            resource: "the memory for requests",
            key: "ingest.max_decode_memory_bytes",
        })?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_and_come_back() {
        let budget = Budget::new(10 * UNIT);
        let mut first = budget.share();
        first.grow(1).unwrap();
        first.grow(6 * UNIT).unwrap();
        let mut second = budget.share();
        assert!(second.grow(4 * UNIT).is_err());
        drop(first);
        second.grow(4 * UNIT).unwrap();
        drop(second);
        budget.share().grow(1000 * UNIT).unwrap();
        assert_eq!(budget.units.available_permits(), 10);
    }
}
