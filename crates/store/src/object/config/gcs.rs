//! Google Cloud Storage.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GcpSigningCredential, GoogleCloudStorageBuilder};
use serde_json::{Map, Value};

use super::client::{Connection, no_retries, refused};
use super::s3::{chunk_size, part_limits};
use super::{Options, Secret, SettingsError};
use crate::object::answer::Connector;
use crate::object::{ObjectStore, Service};

/// Where Google's own libraries look for an emulator.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
const ENDPOINT: &str = "https://storage.googleapis.com";

/// The keys of the driver `gcs`.
///
/// Credentials come from `credentials` or `keyfile`; without them from the file that `GOOGLE_APPLICATION_CREDENTIALS` names,
/// from `gcloud`'s own file, or from the machine's metadata service. With `STORAGE_EMULATOR_HOST` in the environment requests
/// go there unsigned, as Google's own libraries do it.
///
/// Read and not needed: `maxconcurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcsSettings {
    /// `bucket`.
    pub bucket: String,
    /// `keyfile`: path of a service account's key.
    pub key_file: Option<String>,
    /// `credentials`: a service account's key itself, as JSON.
    pub credentials: Option<Secret>,
    /// `rootdirectory`.
    pub root: String,
    /// `chunksize`: size of a part in bytes.
    pub chunk_size: u64,
    /// `skipverify`: any certificate will do.
    pub skip_verify: bool,
    /// `useragent`.
    pub user_agent: Option<String>,
}

impl GcsSettings {
    /// Reads the options of the driver; the keys are in lower case.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(options: &Map<String, Value>) -> Result<Self, SettingsError> {
        let options = Options(options);
        let key_file = options.owned("keyfile")?;
        let credentials = match options.value("credentials") {
            None => None,
            Some(Value::String(json)) => Some(Secret::new(json)),
            Some(map @ Value::Object(_)) => Some(Secret::new(map.to_string())),
            Some(_) => {
                return Err(SettingsError::missing("credentials", "must be the key of a service account, as JSON"));
            }
        };
        if key_file.is_some() && credentials.is_some() {
            return Err(SettingsError::missing("keyfile", "give it or credentials, not both"));
        }
        Ok(Self {
            bucket: options.required("bucket", "name the bucket that holds the registry")?,
            key_file,
            credentials,
            root: options.root()?,
            chunk_size: chunk_size(&options)?,
            skip_verify: options.switch("skipverify")?.unwrap_or(false),
            user_agent: options.owned("useragent")?,
        })
    }
}

/// The store that the settings describe. Nothing is sent yet; the file with the key is read.
///
/// # Errors
/// A setting that the client refuses.
pub fn connect_gcs(settings: &GcsSettings) -> Result<ObjectStore, SettingsError> {
    let emulator = std::env::var(EMULATOR).ok().filter(|host| !host.is_empty());
    let emulator = emulator.map(|host| if host.contains("://") { host } else { format!("http://{host}") });
    let endpoint = emulator.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/').to_owned();
    let connection = Connection {
        allow_http: endpoint.starts_with("http:"),
        skip_verify: settings.skip_verify,
        user_agent: settings.user_agent.as_deref(),
    };
    let mut builder = match (&settings.key_file, &settings.credentials) {
        (Some(file), _) => GoogleCloudStorageBuilder::new().with_service_account_path(file),
        (None, Some(key)) => GoogleCloudStorageBuilder::new().with_service_account_key(&key.0),
        (None, None) => GoogleCloudStorageBuilder::from_env(),
    };
    if emulator.is_some() {
        // The client's own way to leave out signatures forgets some requests.
        let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
        let unsigned = StaticCredentialProvider::new(GcpSigningCredential { email: String::new(), private_key: None });
        builder = builder.with_credentials(Arc::new(nobody)).with_signing_credentials(Arc::new(unsigned));
    }
    let builder = builder
        .with_base_url(&endpoint)
        .with_bucket_name(&settings.bucket)
        .with_retry(no_retries())
        .with_client_options(connection.options()?)
        .with_http_connector(Connector::new(&endpoint));
    let key = if settings.credentials.is_some() { "credentials" } else { "keyfile" };
    Ok(ObjectStore {
        client: Arc::new(builder.build().map_err(|e| refused(key, settings.key_file.as_deref(), &e))?),
        service: Service::Gcs,
        place: format!("the bucket {:?} at {endpoint}", settings.bucket),
        root: settings.root.clone(),
        limits: part_limits(settings.chunk_size),
        storage_class: None,
        presigns: emulator.is_none(),
        http: connection.plain()?,
    })
}
