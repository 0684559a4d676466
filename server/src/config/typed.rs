//! The settings as the parts of the program take them.

use std::net::SocketAddr;
use std::path::PathBuf;

use frontend::FrontendConfig;
use frontend::api::ConfigTexts;
use ingest::IngestConfig;
use serde_json::json;

use super::maintenance::MaintenanceConfig;
use super::misfit::MisfitError;
use super::print;
use super::server::ServerConfig;
use super::settings::Settings;
use super::storage::StorageConfig;

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
    /// Compaction and retention.
    pub maintenance: MaintenanceConfig,
    /// The query path.
    pub frontend: FrontendConfig,
    /// The settings as people may read them.
    pub texts: ConfigTexts,
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
            maintenance: MaintenanceConfig::new(settings)?,
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

#[cfg(test)]
mod tests {
    use super::super::collector::Collector;
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
