//! Limits that an error can name, and the way that such errors take through DataFusion.

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use storage::StorageError;

use crate::error::EngineError;

/// Most bytes that something may hold, and the configuration key that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MemoryLimit {
    /// The limit.
    pub(crate) bytes: u64,
    /// The key.
    pub(crate) key: &'static str,
}

impl MemoryLimit {
    /// # Errors
    /// [`EngineError::MemoryLimit`] if so many bytes are more than may be held.
    pub(crate) fn check(self, held: usize) -> Result<(), EngineError> {
        let Self {
            bytes: limit_bytes,
            key,
        } = self;
        if u64::try_from(held).is_ok_and(|held| held <= limit_bytes) {
            Ok(())
        } else {
            Err(EngineError::MemoryLimit { limit_bytes, key })
        }
    }
}

/// Our own error out of DataFusion's, which carries it somewhere in its chain of sources.
pub(crate) fn recover(error: DataFusionError, limit: MemoryLimit) -> EngineError {
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        return EngineError::MemoryLimit {
            limit_bytes: limit.bytes,
            key: limit.key,
        };
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = source {
        if let Some(own) = current
            .downcast_ref::<EngineError>()
            .and_then(EngineError::duplicate)
        {
            return own;
        }
        if let Some(storage) = current.downcast_ref::<StorageError>() {
            return EngineError::Storage(storage.clone());
        }
        source = match current.downcast_ref::<DataFusionError>() {
            // The boxed error itself, not what it says its source is.
            Some(DataFusionError::External(boxed)) => Some(boxed.as_ref()),
            Some(DataFusionError::ParquetError(parquet)) => Some(parquet.as_ref()),
            _ => match current.downcast_ref::<ParquetError>() {
                Some(ParquetError::External(boxed)) => Some(boxed.as_ref()),
                _ => current.source(),
            },
        };
    }
    EngineError::Internal(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EvaluationError;

    const LIMIT: MemoryLimit = MemoryLimit { bytes: 7, key: "k" };

    #[test]
    fn own_errors_survive_the_way_through_datafusion() {
        let own = EngineError::Evaluation(EvaluationError::DivisionByZero {
            expression: "1 / 0".into(),
        });
        let wrapped = DataFusionError::External(Box::new(own)).context("while running");
        assert!(matches!(
            recover(wrapped, LIMIT),
            EngineError::Evaluation(_)
        ));
    }

    #[test]
    fn damage_survives_the_way_through_parquet() {
        let damage = StorageError::EmptyBlock;
        let parquet = ParquetError::External(Box::new(damage));
        let wrapped = DataFusionError::ParquetError(Box::new(parquet));
        assert!(matches!(
            recover(wrapped, LIMIT),
            EngineError::Storage(StorageError::EmptyBlock)
        ));
    }

    #[test]
    fn a_full_pool_names_the_limit() {
        let full = DataFusionError::ResourcesExhausted("full".into()).context("aggregating");
        assert!(matches!(
            recover(full, LIMIT),
            EngineError::MemoryLimit {
                limit_bytes: 7,
                key: "k"
            }
        ));
    }
}
