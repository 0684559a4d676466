//! The recorded traces. `testdata/traces` says where they come from.

use std::sync::Arc;

use anyhow::Context as _;
use storage::SystemClock;
use tokio::runtime::Handle;

use crate::load::{self, Cancel, Destination, LoadReport, Progress, Shift, Source};

/// Recorded traces of one system.
#[derive(Debug, Clone, Copy)]
pub struct DataSet {
    /// The system.
    pub name: &'static str,
    /// Length-delimited OTLP, compressed.
    bytes: &'static [u8],
}

macro_rules! recorded {
    ($name:literal, $file:literal) => {
        DataSet {
            name: $name,
            bytes: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../testdata/traces/",
                $file
            )),
        }
    };
}

/// One whole recording and three samples, of 68,043 spans together.
pub static DATA_SETS: [DataSet; 4] = [
    recorded!("OpenTelemetry demo shop", "oteldemo.otlp.zst"),
    recorded!("TrainTicket", "trainticket.sample.otlp.zst"),
    recorded!("HotelReservation", "hotelreservation.sample.otlp.zst"),
    recorded!("Zipkin's example traces", "zipkinprod.sample.otlp.zst"),
];

/// Loads all data sets, each moved in time so that its latest span ends at `end_ns`.
///
/// # Errors
/// A block cannot be stored.
pub fn load(
    destination: &Destination,
    end_ns: i64,
    runtime: &Handle,
) -> anyhow::Result<LoadReport> {
    let mut total = LoadReport::default();
    for set in &DATA_SETS {
        let source = Source::Embedded(set.name, set.bytes);
        let (shift, progress) = (
            Shift::EndAt(end_ns),
            Progress::hidden(Arc::new(SystemClock)),
        );
        let report = load::load(
            &[source],
            shift,
            destination,
            &progress,
            &Cancel::default(),
            runtime,
        )
        .with_context(|| format!("cannot load the recorded traces of {}", set.name))?;
        total.spans += report.spans;
        total.blocks += report.blocks;
        total.block_bytes += report.block_bytes;
    }
    Ok(total)
}
