//! Reading the log back at start.
//!
//! Everything that can be proven to have been written is kept. A record cut short at the very end of
//! a segment, which no later record knows to have been durable, is what a crash leaves: it was never
//! acknowledged, and is dropped without a word. Anything else is damage: the bytes are copied to
//! `quarantine/`, counted and reported, and reading goes on behind them.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use storage::ids::{BlockId, TenantId};
use storage::otlp::PlainRequest;

use super::parts::LogParts;
use super::record::{self, Record};
use super::scan::{self, Scan};
use super::segment::{self, QUARANTINE_DIR, WAL_DIR};
use crate::disk::Disk;
use crate::error::OpenError;

/// Reads the log of a process that has ended.
pub(crate) struct Replay<'a> {
    pub(crate) parts: &'a LogParts,
}

/// Where the numbering of a tenant's records goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) last_seq: u64,
}

/// The tenants that have a log.
pub(crate) fn tenants(disk: &dyn Disk) -> Result<Vec<TenantId>, OpenError> {
    let dir = Path::new(WAL_DIR);
    let mut tenants: Vec<TenantId> = list(disk, dir)?
        .into_iter()
        .filter_map(|name| TenantId::try_from(name).ok())
        .collect();
    tenants.sort();
    Ok(tenants)
}

/// A segment as found on the disk.
struct FoundSegment {
    id: BlockId,
    path: PathBuf,
    /// Where it ends, if not at the end of its file.
    end: Option<u64>,
}

/// The blocks that the segments of a tenant's log become.
pub(crate) fn segments(disk: &dyn Disk, tenant: &TenantId) -> Result<BTreeSet<BlockId>, OpenError> {
    let names = list(disk, &segment::tenant_dir(tenant))?;
    let ids = names.iter().filter_map(|name| segment::parse_name(name));
    Ok(ids.map(|(id, _)| id).collect())
}

fn found_segments(disk: &dyn Disk, tenant: &TenantId) -> Result<Vec<FoundSegment>, OpenError> {
    let dir = segment::tenant_dir(tenant);
    let mut segments = Vec::new();
    for name in list(disk, &dir)? {
        let path = dir.join(&name);
        match segment::parse_name(&name) {
            Some((id, end)) => segments.push(FoundSegment { id, path, end }),
            None => {
                tracing::warn!(path = %path.display(), "not a segment of the write-ahead log, left alone")
            }
        }
    }
    segments.sort_by_key(|segment| segment.id);
    Ok(segments)
}

impl Replay<'_> {
    /// Brings a tenant's requests back into the head, but for segments whose block is `stored`.
    ///
    /// `after_segment` is called after each segment and may block to let memory drain.
    pub(crate) fn tenant(
        &self,
        tenant: &TenantId,
        stored: &BTreeSet<BlockId>,
        mut after_segment: impl FnMut(),
    ) -> Result<Numbering, OpenError> {
        let mut numbering = Numbering::default();
        let segments = found_segments(&*self.parts.disk, tenant)?;
        for (index, segment) in segments.iter().enumerate() {
            if stored.contains(&segment.id) {
                self.parts.head.remove_file(&segment.path);
                continue;
            }
            let bytes = self.read(segment)?;
            let found = scan::scan(&bytes, record::epoch(segment.id));
            if let Some(version) = found.newer {
                return Err(OpenError::NewerLog {
                    path: segment.path.clone(),
                    version,
                });
            }
            numbering.last_seq = numbering.last_seq.max(found.last_seq());
            self.report_damage(tenant, segment, &bytes, &found, &segments[index + 1..]);
            self.restore(tenant, segment, &bytes, &found);
            after_segment();
        }
        Ok(numbering)
    }

    fn read(&self, segment: &FoundSegment) -> Result<Vec<u8>, OpenError> {
        let mut bytes = self
            .parts
            .disk
            .read(&segment.path)
            .map_err(|source| OpenError::Log {
                operation: "read",
                path: segment.path.clone(),
                source,
            })?;
        if let Some(end) = segment.end {
            bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        }
        Ok(bytes)
    }

    fn report_damage(
        &self,
        tenant: &TenantId,
        segment: &FoundSegment,
        bytes: &[u8],
        found: &Scan<'_>,
        later: &[FoundSegment],
    ) {
        let torn = found
            .tail(bytes.len())
            .filter(|_| segment.end.is_none() && !self.covered(found, later));
        for range in &found.bad {
            if torn.as_ref() == Some(range) {
                tracing::warn!(path = %segment.path.display(), bytes = range.len(), "dropped an unfinished record");
            } else {
                self.quarantine(tenant, segment, bytes, range.clone(), "damaged record");
            }
        }
        if found.broken_chains > 0 {
            tracing::error!(
                path = %segment.path.display(),
                places = found.broken_chains,
                "records are missing from the write-ahead log"
            );
        }
    }

    /// Whether a later segment knows that records behind the last one of this segment were durable.
    fn covered(&self, found: &Scan<'_>, later: &[FoundSegment]) -> bool {
        later.iter().any(|segment| {
            self.read(segment).is_ok_and(|bytes| {
                scan::scan(&bytes, record::epoch(segment.id)).durable_seq() > found.last_seq()
            })
        })
    }

    fn restore(&self, tenant: &TenantId, segment: &FoundSegment, bytes: &[u8], found: &Scan<'_>) {
        let generation = self
            .parts
            .head
            .open(tenant, segment.id, segment.path.clone());
        self.parts.head.log_grew(&generation, bytes.len() as u64);
        for record in &found.records {
            match decode(tenant, record) {
                Some(spans) => {
                    // The same request twice: it was sent again after its first answer was lost.
                    if self.parts.retries.replayed(record.body.request_hash) {
                        self.parts.head.append(
                            &generation,
                            spans,
                            u64::from(record.body.request_len),
                        );
                        self.parts.metrics.replayed_requests.inc();
                    }
                }
                None => {
                    let range = record.start..record.start + record.len;
                    self.quarantine(tenant, segment, bytes, range, "undecodable record");
                }
            }
        }
        self.parts.head.seal(&generation);
    }

    fn quarantine(
        &self,
        tenant: &TenantId,
        segment: &FoundSegment,
        bytes: &[u8],
        range: Range<usize>,
        what: &str,
    ) {
        let dir = Path::new(QUARANTINE_DIR);
        let path = dir.join(format!(
            "{tenant}-{}-{}-{}",
            segment.id, range.start, range.end
        ));
        let copied =
            self.parts
                .disk
                .create_dir(dir)
                .and_then(|()| match self.parts.disk.create(&path) {
                    Ok(mut file) => {
                        file.append(&bytes[range.clone()])?;
                        file.sync()?;
                        self.parts.disk.sync_dir(dir)
                    }
                    // Put aside by an earlier start that did not get to its end.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    Err(error) => Err(error),
                });
        self.parts
            .metrics
            .wal_quarantined_bytes
            .inc_by(range.len() as u64);
        tracing::error!(
            segment = %segment.path.display(),
            ?range,
            copy = %path.display(),
            copied = copied.is_ok(),
            "{what} in the write-ahead log"
        );
    }
}

/// The spans of a record; `None` if it holds none that can be read. A panic in the decoder counts as
/// such: it must not come back at every start.
fn decode(tenant: &TenantId, record: &Record<'_>) -> Option<PlainRequest> {
    if record.body.tenant != tenant.as_str() {
        return None;
    }
    catch_unwind(AssertUnwindSafe(|| {
        let request = record::unpack(&record.body)?;
        // Ids were checked before the log, and are the same way at any time.
        let (spans, _rejected) = PlainRequest::read(request.into()).ok()?;
        Some(spans.arrived(record.body.received_s))
    }))
    .ok()
    .flatten()
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, OpenError> {
    disk.list(dir).map_err(|source| OpenError::Log {
        operation: "list",
        path: dir.to_owned(),
        source,
    })
}
