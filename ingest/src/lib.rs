//! From a request to acknowledged, durable, queryable spans.
//!
//! ```text
//! receivers → limits, decode → log: one write and one sync for all who wait → head → acknowledge
//!                                                          head → block → store → catalog → log freed
//! ```
//!
//! What holds:
//!
//! - an acknowledged span survives the loss of the process and of power, and is in every snapshot
//!   taken from then on, in exactly one of its parts;
//! - the same request sent again is stored once;
//! - one bad span costs itself only, and its sender is told; what is refused retryably can succeed
//!   unchanged later, what is refused for good cannot;
//! - no bytes make it panic or use memory without bound.
//!
//! Not here: queries and their languages, configuration files, deciding who a sender is.
//!
//! What happens is read from the top down, beginning with [`ingest`](Ingest). From the ground up, each
//! floor knows those below it only:
//!
//! - words: `error`, `config`, `metrics`, `budget`, `disk`; and [`connections`], which know nothing else
//!   of here;
//! - checks of one request: `decompress`, `json`, [`prescan`](mod@prescan), `limits`, `rates`;
//! - memory: `head`, the spans that are not stored yet, and `retries`, the requests that were seen;
//! - the log: `wal`;
//! - work that waits for nobody: `prepare`, from bytes to a record, and `flush`, from spans to a block;
//! - the receive path: `ingest`;
//! - its protocols: `receive`.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod budget;
mod config;
pub mod connections;
mod decompress;
mod disk;
mod error;
mod flush;
mod head;
mod ingest;
mod json;
mod limits;
mod metrics;
mod prepare;
pub mod prescan;
mod rates;
mod receive;
mod retries;
mod wal;

pub use config::{
    IngestConfig, LimitsConfig, LiveStoreConfig, RatesConfig, ReceiverConfig, WalConfig,
};
pub use disk::{Disk, DiskFile, OsDisk};
pub use error::{ErrorKind, FlushError, OpenError, PushError};
pub use ingest::{Ingest, IngestParts, PushOutcome, ShutdownReport};
pub use json::{JsonError, decode_json};
pub use metrics::Metrics;
pub use receive::receive;
