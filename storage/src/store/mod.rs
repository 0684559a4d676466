//! Where blocks are kept: a directory, memory, or a bucket.

mod durable;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;

pub use durable::DurableLocal;

use crate::error::StorageError;

/// An open store, and the place in it.
#[derive(Clone)]
pub struct StoreLocation {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// What all object names start with.
    pub prefix: Path,
    /// The location as given.
    pub url: String,
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLocation")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Opens a store: a directory (made if it is not there), `memory://`, `s3://bucket/prefix`,
/// `gs://bucket/prefix`, `az://container/prefix` or
/// `abfs[s]://container@account.dfs.core.windows.net/prefix`.
///
/// Options are those of the kind of store, such as `region` or `endpoint`; one that the kind of
/// store does not know is an error. The usual environment variables of the kind of store
/// (`AWS_…`, `GOOGLE_…`, `AZURE_…`) count where there is no option. Buckets are not contacted.
///
/// # Errors
///
/// If the location or an option makes no sense, or the directory cannot be written to.
pub fn open_store(
    location: &str,
    options: &BTreeMap<String, String>,
) -> Result<StoreLocation, StorageError> {
    let fail = |reason: String| StorageError::OpenStore {
        location: location.to_owned(),
        reason,
    };
    let built = |error: object_store::Error| fail(error.to_string());
    let (scheme, rest) = match location.split_once("://") {
        Some(("file", rest)) => (None, rest),
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, location),
    };
    if matches!(scheme, None | Some("memory"))
        && let Some(key) = options.keys().next()
    {
        return Err(fail(format!("this kind of store has no option {key}")));
    }
    let key_prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    let in_bucket = || Path::parse(key_prefix).map_err(|error| fail(error.to_string()));
    macro_rules! bucket {
        ($builder:expr, $key:ty) => {{
            let mut builder = $builder.with_url(location);
            for (key, value) in options {
                let key: $key = key
                    .to_ascii_lowercase()
                    .parse()
                    .map_err(|_| fail(format!("this kind of store has no option {key}")))?;
                builder = builder.with_config(key, value);
            }
            (
                Arc::new(builder.build().map_err(built)?) as Arc<dyn ObjectStore>,
                in_bucket()?,
            )
        }};
    }
    let (store, prefix): (Arc<dyn ObjectStore>, Path) = match scheme {
        None => (
            Arc::new(open_directory(rest).map_err(fail)?),
            Path::default(),
        ),
        Some("memory") => {
            let prefix = Path::parse(rest).map_err(|error| fail(error.to_string()))?;
            (Arc::new(InMemory::new()), prefix)
        }
        Some("s3" | "s3a") => bucket!(AmazonS3Builder::from_env(), AmazonS3ConfigKey),
        Some("gs") => bucket!(GoogleCloudStorageBuilder::from_env(), GoogleConfigKey),
        Some("az" | "azure" | "adl" | "abfs" | "abfss") => {
            bucket!(MicrosoftAzureBuilder::from_env(), AzureConfigKey)
        }
        Some(other) => {
            let known = "a directory, memory, s3, gs, az, abfs";
            return Err(fail(format!(
                "unknown kind of store {other}, known are {known}"
            )));
        }
    };
    Ok(StoreLocation {
        store,
        prefix,
        url: location.to_owned(),
    })
}

fn open_directory(directory: &str) -> Result<DurableLocal, String> {
    if directory.is_empty() {
        return Err("the path is empty".to_owned());
    }
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make the directory: {error}"))?;
    // Found out now and not at the first write, which may be much later.
    durable::stage(&directory, ".probe")
        .and_then(|(_, probe)| std::fs::remove_file(probe))
        .map_err(|error| format!("cannot write to the directory: {error}"))?;
    DurableLocal::new(directory).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    fn open(location: &str) -> Result<StoreLocation, StorageError> {
        open_store(location, &BTreeMap::new())
    }

    #[tokio::test]
    async fn a_directory_is_made_and_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let opened = open(path.to_str().unwrap()).unwrap();
        let object = opened.prefix.clone().join("x").join("y");
        opened.store.put(&object, "content".into()).await.unwrap();
        assert_eq!(std::fs::read(path.join("x/y")).unwrap(), b"content");
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        for (location, reason) in [
            ("", "the path is empty"),
            ("ftp://host/x", "unknown kind of store ftp"),
            (
                file.join("below").to_str().unwrap(),
                "cannot make the directory",
            ),
        ] {
            let error = open(location).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let options = BTreeMap::from([("no_such_option".to_owned(), "1".to_owned())]);
        let error = open_store("s3://bucket/x", &options)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no_such_option"), "{error}");
    }

    #[test]
    fn a_bucket_keeps_its_prefix() {
        let options = BTreeMap::from([("region".to_owned(), "eu-north-1".to_owned())]);
        let opened = open_store("s3://bucket/some/prefix", &options).unwrap();
        assert_eq!(opened.prefix.as_ref(), "some/prefix");
    }
}
