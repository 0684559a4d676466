//! The settings as the parts of the program take them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use frontend::FrontendConfig;
use frontend::api::ConfigTexts;
use ingest::IngestConfig;
use serde_json::json;

use super::settings::Settings;
use super::{print, value};

/// The settings as the parts of the program take them.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the write-ahead log, and of local blocks.
    pub data_dir: PathBuf,
    /// Where the blocks are, as a URL or a path, without secrets.
    pub storage: StorageConfig,
    /// The query port and the process.
    pub server: ServerConfig,
    /// Address for OTLP over gRPC.
    pub otlp_grpc: String,
    /// Address for OTLP over HTTP.
    pub otlp_http: String,
    /// Folder of the write-ahead log.
    pub wal_dir: PathBuf,
    /// The receive path.
    pub ingest: IngestConfig,
    /// The query path.
    pub frontend: FrontendConfig,
    /// The settings as people may read them.
    pub texts: ConfigTexts,
}

/// The query port and the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Address of the query port.
    pub http_address: String,
    /// Time without a request after which a connection is closed; of HTTP/2, if nobody answers.
    pub idle_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Time between saying not ready and closing the ports.
    pub shutdown_delay: Duration,
    /// Time that requests under way get at shutdown.
    pub drain_timeout: Duration,
    /// File that gets the addresses in use.
    pub ports_file: Option<PathBuf>,
}

/// Where the blocks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// `file:///…`, `s3://bucket/prefix`, `gs://…`, `azure://…`.
    pub url: String,
    /// Options of the object store client, by its own names; they may hold secrets.
    pub options: Vec<(String, String)>,
}

/// Settings that are well written one by one, but do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MisfitError {
    /// A setting is needed because of another one.
    #[error("`{needed}` must be set, because `storage.trace.backend` is `{backend}`")]
    Needed {
        /// The one that is missing.
        needed: &'static str,
        /// The backend that needs it.
        backend: String,
    },
    /// An address cannot be understood.
    #[error("`{key}` is no address such as 0.0.0.0:4317: {value}")]
    Address {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A part of the program refuses its settings.
    #[error("{0}")]
    Refused(String),
}

const GRPC: &str = "distributor.receivers.otlp.protocols.grpc.endpoint";
const HTTP: &str = "distributor.receivers.otlp.protocols.http.endpoint";

impl TryFrom<&Settings> for Config {
    type Error = MisfitError;

    fn try_from(settings: &Settings) -> Result<Self, MisfitError> {
        let refused = |error: serde_json::Error| MisfitError::Refused(error.to_string());
        let ingest = json!({
            "multitenancy_enabled": settings.is_on("multitenancy_enabled"),
            "live_store": settings.section("live_store"),
            "ingest": settings.section("ingest"),
            "rates": settings.section("overrides.defaults.ingestion"),
            "wal": settings.section("wal"),
            "receivers": settings.section("receivers"),
        });
        let mut ingest: IngestConfig = serde_json::from_value(ingest).map_err(refused)?;
        let server = ServerConfig::new(settings);
        ingest.receivers.drain_timeout = server.drain_timeout;
        let frontend = json!({
            "http_api_prefix": settings.text("http_api_prefix"),
            "multitenancy_enabled": settings.is_on("multitenancy_enabled"),
            "query_frontend": settings.section("query_frontend"),
            "querier": settings.section("querier"),
            "prom": settings.section("prom"),
            "query": settings.section("query"),
            // What limits receiving stands in the same section, and is read above.
            "overrides": { "defaults": {
                "global": settings.section("overrides.defaults.global"),
                "read": settings.section("overrides.defaults.read"),
            } },
        });
        let data_dir = PathBuf::from(settings.text("data_dir"));
        let wal_dir = match settings.text("storage.trace.wal.path") {
            "" => data_dir.clone(),
            path => PathBuf::from(path),
        };
        Ok(Self {
            storage: StorageConfig::new(settings)?,
            server,
            otlp_grpc: endpoint(settings, GRPC)?,
            otlp_http: endpoint(settings, HTTP)?,
            wal_dir,
            ingest,
            frontend: serde_json::from_value(frontend).map_err(refused)?,
            data_dir,
            texts: ConfigTexts {
                current: print::effective(settings),
                defaults: print::defaults(),
                diff: print::differences(settings),
            },
        })
    }
}

impl ServerConfig {
    fn new(settings: &Settings) -> Self {
        let duration = |path| value::parse_duration(settings.text(path)).unwrap_or_default();
        let host = match settings.text("server.http_listen_address") {
            "" => "0.0.0.0",
            host => host,
        };
        let port = settings.number("server.http_listen_port");
        let http_address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let ports_file = settings.text("server.ports_file");
        Self {
            http_address,
            idle_timeout: duration("server.http_server_idle_timeout"),
            max_connections: usize::try_from(settings.number("server.max_connections"))
                .unwrap_or(usize::MAX),
            shutdown_delay: duration("shutdown_delay"),
            drain_timeout: duration("server.graceful_shutdown_timeout"),
            ports_file: (!ports_file.is_empty()).then(|| PathBuf::from(ports_file)),
        }
    }
}

/// An address `host:port`; Tempo's `:4317` means every address.
fn endpoint(settings: &Settings, key: &'static str) -> Result<String, MisfitError> {
    let text = settings.text(key);
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    let port = full
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() && full.parse::<SocketAddr>().is_err() {
        return Err(MisfitError::Address {
            key,
            value: text.to_owned(),
        });
    }
    Ok(full)
}

impl StorageConfig {
    fn new(settings: &Settings) -> Result<Self, MisfitError> {
        let backend = settings.text("storage.trace.backend");
        let needed = |key: &'static str| match settings.text(key) {
            "" => Err(MisfitError::Needed {
                needed: key,
                backend: backend.to_owned(),
            }),
            text => Ok(text),
        };
        let mut options = Vec::new();
        let mut option = |name: &str, key: &str| {
            let text = settings.text(key);
            if !text.is_empty() {
                options.push((name.to_owned(), text.to_owned()));
            }
        };
        let with_prefix = |scheme: &str, bucket: &str, prefix: &str| {
            format!(
                "{scheme}://{bucket}/{}",
                settings.text(prefix).trim_matches('/')
            )
            .trim_end_matches('/')
            .to_owned()
        };
        let url = match backend {
            "s3" => {
                option("aws_region", "storage.trace.s3.region");
                option("aws_access_key_id", "storage.trace.s3.access_key");
                option("aws_secret_access_key", "storage.trace.s3.secret_key");
                option("aws_session_token", "storage.trace.s3.session_token");
                let insecure = settings.is_on("storage.trace.s3.insecure");
                match settings.text("storage.trace.s3.endpoint") {
                    "" => {}
                    full if full.contains("://") => {
                        options.push(("aws_endpoint".to_owned(), full.to_owned()))
                    }
                    host => {
                        let scheme = if insecure { "http" } else { "https" };
                        options.push(("aws_endpoint".to_owned(), format!("{scheme}://{host}")));
                    }
                }
                if insecure {
                    options.push(("aws_allow_http".to_owned(), "true".to_owned()));
                }
                let path_style = settings.is_on("storage.trace.s3.forcepathstyle");
                options.push((
                    "aws_virtual_hosted_style_request".to_owned(),
                    (!path_style).to_string(),
                ));
                with_prefix(
                    "s3",
                    needed("storage.trace.s3.bucket")?,
                    "storage.trace.s3.prefix",
                )
            }
            "gcs" => with_prefix(
                "gs",
                needed("storage.trace.gcs.bucket_name")?,
                "storage.trace.gcs.prefix",
            ),
            "azure" => {
                option(
                    "azure_storage_account_name",
                    "storage.trace.azure.storage_account_name",
                );
                option(
                    "azure_storage_account_key",
                    "storage.trace.azure.storage_account_key",
                );
                let account = settings.text("storage.trace.azure.storage_account_name");
                let endpoint = match settings.text("storage.trace.azure.endpoint_suffix") {
                    whole if whole.contains("://") => Some(whole.to_owned()),
                    // An account from the environment has the usual address.
                    suffix => (!account.is_empty()).then(|| format!("https://{account}.{suffix}")),
                };
                if let Some(endpoint) = endpoint {
                    let allow_http = endpoint.starts_with("http://").to_string();
                    options.push(("azure_allow_http".to_owned(), allow_http));
                    options.push(("azure_endpoint".to_owned(), endpoint));
                }
                with_prefix(
                    "azure",
                    needed("storage.trace.azure.container_name")?,
                    "storage.trace.azure.prefix",
                )
            }
            _ => match settings.text("storage.trace.local.path") {
                "" => format!("{}/store", settings.text("data_dir").trim_end_matches('/')),
                path => path.to_owned(),
            },
        };
        Ok(Self { url, options })
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Collector;
    use super::*;

    fn config(sets: &[&str]) -> Result<Config, MisfitError> {
        let mut collector = Collector::default();
        sets.iter().for_each(|set| collector.assignment(set));
        let (settings, _) = collector.finish().expect("valid settings");
        Config::try_from(&settings)
    }

    /// What the table of settings says is what the parts of the program default to.
    #[test]
    fn the_defaults_of_the_table_are_the_defaults_of_the_parts() {
        let config = config(&[]).expect("defaults fit together");
        assert_eq!(
            format!("{:#?}", config.ingest),
            format!("{:#?}", IngestConfig::default())
        );
        assert_eq!(
            format!("{:#?}", config.frontend),
            format!("{:#?}", FrontendConfig::default())
        );
    }

    #[test]
    fn every_setting_of_the_query_path_is_in_the_table() {
        let json =
            serde_json::to_value(FrontendConfig::default()).expect("a configuration is JSON");
        assert_known("", &json);
    }

    fn assert_known(path: &str, value: &serde_json::Value) {
        if let serde_json::Value::Object(object) = value {
            for (name, value) in object {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                assert_known(&path, value);
            }
        } else {
            assert!(
                super::super::keys::find(path).is_some(),
                "{path} is not in the table"
            );
        }
    }

    #[test]
    fn stores_are_named_by_url() {
        assert_eq!(
            config(&["data_dir=/d"]).expect("valid").storage.url,
            "/d/store"
        );
        let s3 = config(&[
            "storage.trace.backend=s3",
            "storage.trace.s3.bucket=b",
            "storage.trace.s3.prefix=/p/",
            "storage.trace.s3.endpoint=minio:9000",
            "storage.trace.s3.insecure=true",
        ])
        .expect("valid");
        assert_eq!(s3.storage.url, "s3://b/p");
        assert!(
            s3.storage
                .options
                .contains(&("aws_endpoint".to_owned(), "http://minio:9000".to_owned()))
        );
        let azure = |sets: &[&str]| {
            let named = [
                "storage.trace.backend=azure",
                "storage.trace.azure.container_name=c",
                "storage.trace.azure.storage_account_name=a",
            ];
            let config = config(&[&named, sets].concat()).expect("valid");
            let mut options = config.storage.options.into_iter();
            options
                .find(|(name, _)| name == "azure_endpoint")
                .expect("an address")
                .1
        };
        assert_eq!(azure(&[]), "https://a.blob.core.windows.net");
        let whole = "storage.trace.azure.endpoint_suffix=http://azurite:10000/a";
        assert_eq!(azure(&[whole]), "http://azurite:10000/a");
        assert_eq!(
            config(&["storage.trace.backend=s3"])
                .expect_err("no bucket")
                .to_string(),
            "`storage.trace.s3.bucket` must be set, because `storage.trace.backend` is `s3`"
        );
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            config(&["distributor.receivers.otlp.protocols.grpc.endpoint=:1"])
                .expect("valid")
                .otlp_grpc,
            "0.0.0.0:1"
        );
        assert!(config(&["distributor.receivers.otlp.protocols.grpc.endpoint=here"]).is_err());
    }
}
