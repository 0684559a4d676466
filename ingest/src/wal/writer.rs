//! The thread that writes the log.
//!
//! Group commit: all requests that arrived while the previous sync ran are written with one write
//! and made durable with one sync. Only then are they put into the head and acknowledged, in this
//! order, so that whoever has an answer can see its spans.
//!
//! A failed write or sync is never tried again on the same file: what the file then holds is
//! unknown. Its segment ends at the last position that was synced, and the next requests go to a new
//! one. As long as no new one can be written, the log is read-only and says so.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::ids::TenantId;
use tokio::sync::mpsc;

use super::command::{Append, Command, Seal};
use super::health::Health;
use super::open_segment::OpenSegment;
use super::parts::LogParts;
use super::record::{self, Body, Place};
use super::replay::Numbering;
use super::segment;
use crate::error::AppendError;
use crate::head::Generation;
use crate::metrics::gauge_value;

/// A group is written once it has this many bytes, even if more requests wait.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// What the thread that writes the log works on.
pub(super) struct Writer {
    parts: LogParts,
    health: Arc<Health>,
    tenants: HashMap<TenantId, TenantLog>,
}

/// What the thread knows of one tenant's log.
#[derive(Default)]
struct TenantLog {
    /// The segment that is appended to; none before the next request.
    open: Option<OpenSegment>,
    /// The last record that is durable.
    last_seq: u64,
}

impl Writer {
    /// A writer that goes on with each tenant's numbering.
    pub(super) fn new(
        parts: LogParts,
        health: Arc<Health>,
        numbering: BTreeMap<TenantId, Numbering>,
    ) -> Self {
        let tenants = numbering.into_iter().map(|(tenant, numbering)| {
            let log = TenantLog {
                open: None,
                last_seq: numbering.last_seq,
            };
            (tenant, log)
        });
        Self {
            tenants: tenants.collect(),
            parts,
            health,
        }
    }

    /// Does what it is asked until told to stop, or nobody is left who could ask.
    pub(super) fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut next = None;
        loop {
            let Some(command) = next.take().or_else(|| commands.blocking_recv()) else {
                return;
            };
            match command {
                Command::Append(first) => {
                    let mut bytes = first.packed.len();
                    let mut group = vec![*first];
                    while bytes < MAX_GROUP_BYTES {
                        match commands.try_recv() {
                            Ok(Command::Append(append)) => {
                                bytes += append.packed.len();
                                group.push(*append);
                            }
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(group);
                }
                Command::Seal(which, done) => {
                    self.seal(which);
                    self.parts.head.retry_removals();
                    self.look_after_disk();
                    // Whoever asked may have left.
                    let _ = done.send(());
                }
                Command::Stop => {
                    self.seal(Seal::All);
                    return;
                }
            }
        }
    }

    /// Makes a group durable, shows it, and answers it.
    fn commit(&mut self, group: Vec<Append>) {
        self.parts.metrics.group_size.observe(count(group.len()));
        let mut by_tenant: Vec<(TenantId, Vec<Append>)> = Vec::new();
        for append in group {
            match by_tenant
                .iter_mut()
                .find(|(tenant, _)| *tenant == append.tenant)
            {
                Some((_, appends)) => appends.push(append),
                None => by_tenant.push((append.tenant.clone(), vec![append])),
            }
        }
        for (tenant, appends) in by_tenant {
            let outcome = self.write(&tenant, &appends);
            let answer = outcome.as_ref().map(|_| ()).map_err(|error| *error);
            for append in appends {
                if let Ok(generation) = &outcome {
                    self.parts
                        .head
                        .append(generation, append.spans, u64::from(append.request_len));
                }
                drop(append.memory);
                self.parts.retries.complete(append.request_hash, &answer);
                // A sender that left needs no answer.
                let _ = append.reply.send(answer);
            }
            if let Ok(generation) = outcome
                && generation.bytes() >= self.parts.config.live_store.max_block_bytes
            {
                self.seal_tenant(&tenant);
            }
        }
    }

    fn write(
        &mut self,
        tenant: &TenantId,
        appends: &[Append],
    ) -> Result<Arc<Generation>, AppendError> {
        if self.disk_low() {
            return Err(AppendError::DiskLow);
        }
        let log = self.tenants.entry(tenant.clone()).or_default();
        let segment = match &mut log.open {
            Some(segment) => segment,
            none => match OpenSegment::create(&self.parts, tenant) {
                Ok(segment) => none.insert(segment),
                Err(error) => return Err(self.failed(tenant, "create a segment", &error)),
            },
        };

        let mut bytes = Vec::with_capacity(
            appends
                .iter()
                .map(|a| a.packed.len() + 2 * record::HEADER_LEN)
                .sum(),
        );
        let mut seq = log.last_seq;
        let mut previous_crc = segment.previous_crc;
        for append in appends {
            seq += 1;
            let place = Place {
                epoch: segment.epoch,
                seq,
                durable_seq: log.last_seq,
                previous_crc,
            };
            let body = Body {
                tenant: tenant.as_str(),
                request_hash: append.request_hash,
                request_len: append.request_len,
                received_s: append.spans.received_s(),
                packed: &append.packed,
            };
            previous_crc = record::write(&mut bytes, place, body);
        }

        let started = self.parts.clock.instant();
        match segment.append_durably(&*self.parts.disk, &bytes) {
            Ok(()) => {
                let took = self.parts.clock.instant() - started;
                self.parts.metrics.fsync_seconds.observe(took.as_secs_f64());
                segment.previous_crc = previous_crc;
                log.last_seq = seq;
                let generation = Arc::clone(&segment.generation);
                self.parts.head.log_grew(&generation, bytes.len() as u64);
                *self.health.failed() = None;
                Ok(generation)
            }
            Err(error) => {
                self.abandon(tenant);
                Err(self.failed(tenant, "write", &error))
            }
        }
    }

    /// Ends a segment whose file can no longer be trusted, at the last position that was synced.
    fn abandon(&mut self, tenant: &TenantId) {
        let Some(segment) = self.tenants.get_mut(tenant).and_then(|log| log.open.take()) else {
            return;
        };
        let OpenSegment {
            generation,
            file,
            durable_len,
            ..
        } = segment;
        drop(file);
        if durable_len > 0 {
            // The new name tells a later start not to read what follows. It is a help, not a need:
            // the same requests are known by their hash.
            let sealed = segment::sealed_path(tenant, generation.id(), durable_len);
            if self
                .parts
                .disk
                .rename(&generation.log_path(), &sealed)
                .is_ok()
            {
                generation.set_log_path(sealed);
                let _unsynced = self.parts.disk.sync_dir(&segment::tenant_dir(tenant));
            }
        }
        self.parts.head.seal(&generation);
    }

    fn failed(
        &mut self,
        tenant: &TenantId,
        operation: &'static str,
        error: &io::Error,
    ) -> AppendError {
        self.parts.metrics.wal_failures.inc();
        tracing::error!(%tenant, %error, "the write-ahead log failed: cannot {operation}");
        let error = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::DiskFull,
            _ => AppendError::Unavailable,
        };
        *self.health.failed() = Some(error);
        error
    }

    fn disk_low(&self) -> bool {
        // If the question fails, the write that follows gives the answer.
        let free = self.parts.disk.free_space().unwrap_or(u64::MAX);
        self.parts.metrics.disk_free_bytes.set(gauge_value(free));
        let low = free < self.parts.config.wal.low_water_bytes;
        if low != self.health.disk_low.swap(low, Ordering::Relaxed) {
            tracing::warn!(
                free_bytes = free,
                low,
                "free space of the write-ahead log's disk"
            );
        }
        low
    }

    /// Finds out whether a log that failed can be written again, without waiting for a request.
    fn look_after_disk(&mut self) {
        let low = self.disk_low();
        let failed = self.health.failed().is_some();
        if !low && failed && self.probe().is_ok() {
            *self.health.failed() = None;
            tracing::info!("the write-ahead log can be written again");
        }
    }

    fn probe(&self) -> io::Result<()> {
        let dir = Path::new(segment::WAL_DIR);
        let path = dir.join(format!("probe-{}", self.parts.random.ulid()));
        self.parts.disk.create_dir(dir)?;
        let written = self.parts.disk.create(&path).and_then(|mut file| {
            file.append(&[0; 4096])?;
            file.sync()
        });
        self.parts.head.remove_file(&path);
        written
    }

    fn seal(&mut self, which: Seal) {
        let live_store = &self.parts.config.live_store;
        let now = self.parts.clock.instant();
        // Many tenants can fill the memory without any of them having enough for a block.
        let open = self.tenants.values().filter_map(|log| log.open.as_ref());
        let pressure = open.map(|segment| segment.generation.bytes()).sum::<u64>()
            > live_store.max_unflushed_bytes / 2;
        let due: Vec<TenantId> = self
            .tenants
            .iter()
            .filter_map(|(tenant, log)| Some((tenant, log.open.as_ref()?)))
            .filter(|(_, segment)| {
                let ages = segment.generation.ages(now);
                which == Seal::All
                    || pressure
                    || ages.opened >= live_store.max_block_duration
                    || ages.appended >= live_store.max_trace_idle
            })
            .map(|(tenant, _)| tenant.clone())
            .collect();
        for tenant in due {
            self.seal_tenant(&tenant);
        }
    }

    fn seal_tenant(&mut self, tenant: &TenantId) {
        if let Some(segment) = self.tenants.get_mut(tenant).and_then(|log| log.open.take()) {
            self.parts.head.seal(&segment.generation);
        }
    }
}

fn count(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::MAX, f64::from)
}
