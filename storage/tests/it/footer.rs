//! Footers are loaded once, whoever asks.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use object_store::ObjectStore;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use storage::block::{BlockFile, WriteOptions};

use crate::common::{group, open, span, stored};

#[tokio::test(start_paused = true)]
async fn readers_that_start_together_load_one_footer() {
    let spans = (1..=10).map(|id| span(1, id, 0, 1)).collect();
    let (store, meta) = stored(&[group("shop", spans)], &WriteOptions::default()).await;
    let slow = ThrottleConfig {
        wait_get_per_call: Duration::from_millis(50),
        ..ThrottleConfig::default()
    };
    let slow: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(store, slow));
    let file = open(&slow, &meta);
    let mut readers = vec![file.clone(); 8];
    let others = join_all(readers.iter_mut().map(BlockFile::footer));
    // The one that loads it gives up, and another takes over.
    let mut first = file.clone();
    let first = tokio::time::timeout(Duration::from_millis(20), first.footer());
    let (first, footers) = join(first, others).await;
    assert!(first.is_err(), "the store takes longer");
    let footers: Vec<_> = footers.into_iter().map(Result::unwrap).collect();
    assert!(
        footers
            .iter()
            .all(|footer| Arc::ptr_eq(footer, &footers[0]))
    );
    assert_eq!(
        file.counters().requests(),
        1,
        "the one that was given up is not counted"
    );
}
