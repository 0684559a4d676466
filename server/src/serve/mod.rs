//! The running process: ports, parts, readiness, shutdown.
//!
//! [`Server::start`] is the whole wiring: it opens the ports, then the storage, then reads the
//! write-ahead log back, and only then is ready. [`http`] serves the query port,
//! [`ports`] opens what listens, [`maintenance`] keeps the store in order, [`state`] says whether all is well, [`signals`] waits for the end.

pub mod http;
pub mod maintenance;
pub mod ports;
pub mod signals;
pub mod state;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use frontend::{Operations, router};
use ingest::connections::Connections;
use ingest::{Ingest, IngestParts, OsDisk};
use prometheus::Registry;
use storage::{Clock, Random, StoredBlocks, SystemClock};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::local::{self, Access};
use maintenance::{Maintenance, MaintenanceMetrics};
use ports::{Addresses, Ports};
use state::State;

/// The running process.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    state: Arc<State>,
    http: Connections,
    receivers: Connections,
    ingest: Arc<Ingest>,
    /// What is done without being asked; ends with the process.
    background: Vec<JoinHandle<()>>,
    config: Config,
}

/// How often the store is asked what other processes have committed, about: as long as they may go
/// unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Server {
    /// Opens everything and reads the log back; requests are answered when this returns. The query
    /// port answers before that, to say that the process is not ready yet.
    ///
    /// Dropping the future leaves nothing acknowledged behind: no receiver runs yet.
    ///
    /// # Errors
    /// A port is taken, a folder cannot be used or is in use, or storage cannot be read.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let ports = Ports::open(&config).await?;
        Self::start_on(ports, config).await
    }

    /// As [`Server::start`], on ports that are open already.
    ///
    /// # Errors
    /// A folder cannot be used or is in use, or storage cannot be read.
    pub async fn start_on(ports: Ports, config: Config) -> anyhow::Result<Self> {
        let addresses = ports.addresses();
        let disk = Arc::new(OsDisk::open(&config.wal_dir)?);
        let location = local::open(&config, Access::Write)?;
        let registry = Registry::new();
        let metrics = ingest::Metrics::register(&registry)?;
        let maintenance_metrics = MaintenanceMetrics::register(&registry)?;
        let state = Arc::new(State::default());
        let snapshots = Arc::clone(&state);
        let frontend = Arc::new(local::frontend(&location, snapshots, &config, &registry)?);
        let readiness = Arc::clone(&state);
        let operations = Operations {
            ready: Arc::new(move || readiness.ready()),
            registry,
            config: config.texts.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("SPANDREL_REVISION")
                .unwrap_or_default()
                .to_owned(),
        };
        let http = http::serve(ports.http, router(frontend, operations), &config.server);
        if let Some(path) = &config.server.ports_file {
            addresses
                .write(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        tracing::info!(query = %addresses.http, otlp_grpc = %addresses.otlp_grpc, otlp_http = %addresses.otlp_http, store = %config.storage.url, "starting");

        let random = Random::from_system();
        let stored = StoredBlocks::new(location.store, location.prefix, Arc::clone(&random));
        let stored = Arc::new(stored);
        let watching = StoredBlocks::watch(Arc::downgrade(&stored), LOOK_EVERY);
        let mut background = vec![tokio::spawn(watching)];
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        if config.maintenance.is_on {
            let maintenance = Maintenance::new(
                Arc::clone(&stored),
                config.maintenance,
                Arc::clone(&clock),
                Arc::clone(&random),
                maintenance_metrics,
            )?;
            background.push(tokio::spawn(maintenance.run()));
        }
        let ingest = Ingest::open(IngestParts {
            config: config.ingest.clone(),
            disk,
            stored,
            metrics,
            clock,
            random,
        })
        .await?;
        state.run(Arc::clone(&ingest));
        let receivers = ingest::receive(&ingest, [ports.otlp_grpc, ports.otlp_http]);
        tracing::info!("ready");
        Ok(Self {
            addresses,
            state,
            http,
            receivers,
            ingest,
            background,
            config,
        })
    }

    /// Where the process listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Says no to probes, finishes what is under way, and stores what is in memory. Every
    /// acknowledged span is in a block or in the log afterwards.
    pub async fn shutdown(self) {
        self.state.stop();
        tracing::info!("shutting down");
        tokio::time::sleep(self.config.server.shutdown_delay).await;
        tokio::join!(self.receivers.shutdown(), self.http.shutdown());
        self.background.iter().for_each(JoinHandle::abort);
        let report = self.ingest.shutdown().await;
        if report.blocks_left_in_log > 0 {
            tracing::warn!(
                blocks = report.blocks_left_in_log,
                "not all spans could be stored; the next start reads them from the log"
            );
        }
        tracing::info!("bye");
    }
}
