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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use storage::ids::{BlockId, TenantId};
use storage::otlp::PlainRequest;
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::record::{self, Body, Place};
use super::segment;
use crate::budget::Share;
use crate::config::IngestConfig;
use crate::disk::{Disk, DiskFile};
use crate::error::{AppendError, OpenError};
use crate::head::{Generation, Head};
use crate::metrics::{Metrics, gauge_value};
use crate::retries::{AppendResult, RetryWindow};

/// A group is written once it has this many bytes, even if more requests wait.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// A request to be made durable.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) tenant: TenantId,
    pub(crate) request_hash: u128,
    pub(crate) packed: Vec<u8>,
    pub(crate) request_len: u32,
    pub(crate) spans: PlainRequest,
    /// Given back once the request is in the head, which has a bound of its own.
    pub(crate) memory: Share,
    pub(crate) reply: oneshot::Sender<AppendResult>,
}

/// Which generations to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Those that are old or idle enough.
    Due,
    /// All.
    All,
}

enum Command {
    Append(Box<Append>),
    Seal(Seal, oneshot::Sender<()>),
    Stop,
}

/// How the log is doing.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// How the last write failed, if no write has succeeded since.
    failed: Mutex<Option<AppendError>>,
    /// The disk has less free space than the low-water mark.
    disk_low: AtomicBool,
}

impl Health {
    /// Why the next request will not be written, as far as is known.
    pub(crate) fn trouble(&self) -> Option<AppendError> {
        let low = self.disk_low.load(Ordering::Relaxed);
        low.then_some(AppendError::DiskLow).or(*self.failed())
    }

    fn failed(&self) -> MutexGuard<'_, Option<AppendError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log's thread.
#[derive(Debug)]
pub(crate) struct Log {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where the numbering of a tenant's records goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) last_seq: u64,
}

impl Log {
    /// Starts the thread.
    pub(crate) fn start(
        config: &IngestConfig,
        disk: Arc<dyn Disk>,
        head: Arc<Head>,
        retries: Arc<RetryWindow>,
        metrics: Metrics,
        numbering: BTreeMap<TenantId, Numbering>,
    ) -> Result<Self, OpenError> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let health = Arc::new(Health::default());
        let tenants = numbering
            .into_iter()
            .map(|(tenant, numbering)| {
                (
                    tenant,
                    TenantLog {
                        open: None,
                        last_seq: numbering.last_seq,
                    },
                )
            })
            .collect();
        let writer = Writer {
            config: config.clone(),
            disk,
            head,
            retries,
            metrics,
            health: Arc::clone(&health),
            tenants,
        };
        let thread = std::thread::Builder::new()
            .name("wal".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            commands,
            health,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands a request over; its outcome comes through its `reply`, and to the retry window.
    pub(crate) fn append(&self, append: Box<Append>) -> Result<(), AppendError> {
        self.commands
            .send(Command::Append(append))
            .map_err(|_| AppendError::Unavailable)
    }

    /// Ends generations; returns when it is done.
    pub(crate) async fn seal(&self, which: Seal) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Seal(which, done)).is_ok() {
            // An error means that the thread has ended, and with it all generations.
            let _ = wait.await;
        }
    }

    /// Ends the thread, and all generations, once all that was handed over is done.
    pub(crate) async fn stop(&self) {
        let _ended_already = self.commands.send(Command::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread has been reported when it happened.
            let _panic = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

struct Writer {
    config: IngestConfig,
    disk: Arc<dyn Disk>,
    head: Arc<Head>,
    retries: Arc<RetryWindow>,
    metrics: Metrics,
    health: Arc<Health>,
    tenants: HashMap<TenantId, TenantLog>,
}

#[derive(Default)]
struct TenantLog {
    open: Option<OpenSegment>,
    /// The last record that is durable.
    last_seq: u64,
}

struct OpenSegment {
    generation: Arc<Generation>,
    file: Box<dyn DiskFile>,
    epoch: u64,
    /// Bytes known to be durable.
    durable_len: u64,
    previous_crc: u32,
    /// Whether its name is durable.
    named: bool,
}

impl Writer {
    fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
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
                    self.head.retry_removals();
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
        self.metrics.group_size.observe(count(group.len()));
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
                    self.head
                        .append(generation, append.spans, u64::from(append.request_len));
                }
                drop(append.memory);
                self.retries.complete(append.request_hash, &answer);
                // A sender that left needs no answer.
                let _ = append.reply.send(answer);
            }
            if let Ok(generation) = outcome
                && generation.size().bytes >= self.config.live_store.max_block_bytes
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
            none => match OpenSegment::create(&*self.disk, &self.head, tenant) {
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
                packed: &append.packed,
            };
            previous_crc = record::write(&mut bytes, place, body);
        }

        let started = Instant::now();
        match segment.append_durably(&*self.disk, &bytes) {
            Ok(()) => {
                self.metrics
                    .fsync_seconds
                    .observe(started.elapsed().as_secs_f64());
                segment.previous_crc = previous_crc;
                log.last_seq = seq;
                let generation = Arc::clone(&segment.generation);
                self.head.log_grew(&generation, bytes.len() as u64);
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
            if self.disk.rename(&generation.log_path(), &sealed).is_ok() {
                generation.set_log_path(sealed);
                let _unsynced = self.disk.sync_dir(&segment::tenant_dir(tenant));
            }
        }
        self.head.seal(&generation);
    }

    fn failed(
        &mut self,
        tenant: &TenantId,
        operation: &'static str,
        error: &io::Error,
    ) -> AppendError {
        self.metrics.wal_failures.inc();
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
        let free = self.disk.free_space().unwrap_or(u64::MAX);
        self.metrics.disk_free_bytes.set(gauge_value(free));
        let low = free < self.config.wal.low_water_bytes;
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
        let path = dir.join(format!("probe-{}", Ulid::new()));
        self.disk.create_dir(dir)?;
        let written = self.disk.create(&path).and_then(|mut file| {
            file.append(&[0; 4096])?;
            file.sync()
        });
        self.head.remove_file(&path);
        written
    }

    fn seal(&mut self, which: Seal) {
        let live_store = &self.config.live_store;
        // Many tenants can fill the memory without any of them having enough for a block.
        let open = self.tenants.values().filter_map(|log| log.open.as_ref());
        let pressure = open
            .map(|segment| segment.generation.size().bytes)
            .sum::<u64>()
            > live_store.max_unflushed_bytes / 2;
        let due: Vec<TenantId> = self
            .tenants
            .iter()
            .filter_map(|(tenant, log)| Some((tenant, log.open.as_ref()?)))
            .filter(|(_, segment)| {
                let size = segment.generation.size();
                which == Seal::All
                    || pressure
                    || size.age >= live_store.max_block_duration
                    || size.idle >= live_store.max_trace_idle
            })
            .map(|(tenant, _)| tenant.clone())
            .collect();
        for tenant in due {
            self.seal_tenant(&tenant);
        }
    }

    fn seal_tenant(&mut self, tenant: &TenantId) {
        if let Some(segment) = self.tenants.get_mut(tenant).and_then(|log| log.open.take()) {
            self.head.seal(&segment.generation);
        }
    }
}

impl OpenSegment {
    fn create(disk: &dyn Disk, head: &Head, tenant: &TenantId) -> io::Result<Self> {
        disk.create_dir(&segment::tenant_dir(tenant))?;
        let id = BlockId(Ulid::new());
        let path = segment::path(tenant, id);
        let file = disk.create(&path)?;
        let generation = head.open(tenant, id, path);
        Ok(Self {
            generation,
            file,
            epoch: record::epoch(id),
            durable_len: 0,
            previous_crc: 0,
            named: false,
        })
    }

    fn append_durably(&mut self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.file.sync()?;
        if !self.named {
            disk.sync_dir(&segment::tenant_dir(self.generation.tenant()))?;
            self.named = true;
        }
        self.durable_len += bytes.len() as u64;
        Ok(())
    }
}

fn count(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::MAX, f64::from)
}
