//! The settings of the object store, as its client takes them.

use super::misfit::MisfitError;
use super::settings::Settings;

/// Where the blocks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// `file:///…`, `s3://bucket/prefix`, `gs://…`, `azure://…`.
    pub url: String,
    /// Options of the object store client, by its own names; they may hold secrets.
    pub options: Vec<(String, String)>,
}

impl StorageConfig {
    pub(super) fn new(settings: &Settings) -> Result<Self, MisfitError> {
        match settings.text("storage.trace.backend") {
            "s3" => s3(settings),
            "gcs" => gcs(settings),
            "azure" => azure(settings),
            _ => Ok(local(settings)),
        }
    }
}

fn s3(settings: &Settings) -> Result<StorageConfig, MisfitError> {
    let mut options = given(
        settings,
        &[
            ("aws_region", "storage.trace.s3.region"),
            ("aws_access_key_id", "storage.trace.s3.access_key"),
            ("aws_secret_access_key", "storage.trace.s3.secret_key"),
            ("aws_session_token", "storage.trace.s3.session_token"),
        ],
    );
    let mut option = |name: &str, value: String| options.push((name.to_owned(), value));
    let insecure = settings.is_on("storage.trace.s3.insecure");
    match settings.text("storage.trace.s3.endpoint") {
        "" => {}
        full if full.contains("://") => option("aws_endpoint", full.to_owned()),
        host => {
            let scheme = if insecure { "http" } else { "https" };
            option("aws_endpoint", format!("{scheme}://{host}"));
        }
    }
    if insecure {
        option("aws_allow_http", "true".to_owned());
    }
    let path_style = settings.is_on("storage.trace.s3.forcepathstyle");
    option(
        "aws_virtual_hosted_style_request",
        (!path_style).to_string(),
    );
    let bucket = needed(settings, "storage.trace.s3.bucket")?;
    Ok(StorageConfig {
        url: url("s3", bucket, settings.text("storage.trace.s3.prefix")),
        options,
    })
}

fn gcs(settings: &Settings) -> Result<StorageConfig, MisfitError> {
    let bucket = needed(settings, "storage.trace.gcs.bucket_name")?;
    Ok(StorageConfig {
        url: url("gs", bucket, settings.text("storage.trace.gcs.prefix")),
        options: Vec::new(),
    })
}

fn azure(settings: &Settings) -> Result<StorageConfig, MisfitError> {
    let mut options = given(
        settings,
        &[
            (
                "azure_storage_account_name",
                "storage.trace.azure.storage_account_name",
            ),
            (
                "azure_storage_account_key",
                "storage.trace.azure.storage_account_key",
            ),
        ],
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
    let container = needed(settings, "storage.trace.azure.container_name")?;
    let prefix = settings.text("storage.trace.azure.prefix");
    Ok(StorageConfig {
        url: url("azure", container, prefix),
        options,
    })
}

fn local(settings: &Settings) -> StorageConfig {
    let url = match settings.text("storage.trace.local.path") {
        "" => format!("{}/store", settings.text("data_dir").trim_end_matches('/')),
        path => path.to_owned(),
    };
    StorageConfig {
        url,
        options: Vec::new(),
    }
}

/// The options of the client, by its names, whose settings are not empty.
fn given(settings: &Settings, names_and_keys: &[(&str, &str)]) -> Vec<(String, String)> {
    let options = names_and_keys.iter().map(|(name, key)| {
        let text = settings.text(key);
        (!text.is_empty()).then(|| ((*name).to_owned(), text.to_owned()))
    });
    options.flatten().collect()
}

/// The text of a setting that the chosen backend cannot do without.
fn needed<'a>(settings: &'a Settings, key: &'static str) -> Result<&'a str, MisfitError> {
    match settings.text(key) {
        "" => Err(MisfitError::Needed {
            needed: key,
            backend: settings.text("storage.trace.backend").to_owned(),
        }),
        text => Ok(text),
    }
}

fn url(scheme: &str, bucket: &str, prefix: &str) -> String {
    format!("{scheme}://{bucket}/{}", prefix.trim_matches('/'))
        .trim_end_matches('/')
        .to_owned()
}
