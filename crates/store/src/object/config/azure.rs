//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::MicrosoftAzureBuilder;
use serde_json::{Map, Value};

use super::client::{Connection, no_retries, refused};
use super::{Options, Secret, SettingsError};
use crate::PartLimits;
use crate::object::answer::Connector;
use crate::object::{ObjectStore, Service};

const MIB: u64 = 1 << 20;
/// Sizes of a block that the service takes.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 1..=4000 * MIB;

/// How to prove who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredentials {
    /// `accountkey`, or `credentials` of the type `shared_key`, or a connection string's `AccountKey`.
    SharedKey(Secret),
    /// A connection string's `SharedAccessSignature`.
    Signature(Secret),
    /// `credentials` of the type `client_secret`.
    ClientSecret {
        /// `clientid`.
        client: String,
        /// `tenantid`.
        tenant: String,
        /// `secret`.
        secret: Secret,
    },
    /// `credentials` of the type `default_credentials`, or none: the environment (`AZURE_…`), a federated token, or the
    /// machine's identity.
    Default,
}

/// The keys of the driver `azure`. Read and not needed: `max_retries` and `retry_delay`, which Wharf decides by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureSettings {
    /// `accountname`, or a connection string's `AccountName`.
    pub account: String,
    /// `container`.
    pub container: String,
    /// See [`AzureCredentials`].
    pub credentials: AzureCredentials,
    /// `serviceurl`, or else made of account and `realm`, or a connection string's `BlobEndpoint`.
    pub endpoint: String,
    /// `rootdirectory`.
    pub root: String,
    /// `chunksize`: size of a block in bytes.
    pub chunk_size: u64,
    /// `skipverify`: any certificate will do.
    pub skip_verify: bool,
    /// `useragent`.
    pub user_agent: Option<String>,
}

impl AzureSettings {
    /// Reads the options of the driver; the keys are in lower case.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(options: &Map<String, Value>) -> Result<Self, SettingsError> {
        let options = Options(options);
        let secret = options.secret("connectionstring")?;
        let string = ConnectionString(secret.as_ref().map(|secret| secret.0.as_str()).unwrap_or_default());
        let account = options.text("accountname")?.or_else(|| string.get("AccountName"));
        let account = account.ok_or_else(|| SettingsError::missing("accountname", "name the storage account"))?;
        let realm = options.text("realm")?.or_else(|| string.get("EndpointSuffix")).unwrap_or("core.windows.net");
        let endpoint = options.text("serviceurl")?.or_else(|| string.get("BlobEndpoint"));
        let endpoint = endpoint.map_or_else(|| format!("https://{account}.blob.{realm}"), str::to_owned);
        let is_url = url::Url::parse(&endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_url {
            return Err(SettingsError::new("serviceurl", endpoint, "must be a URL with http or https"));
        }
        Ok(Self {
            account: account.to_owned(),
            container: options.required("container", "name the container that holds the registry")?,
            credentials: credentials(&options, &string)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            root: options.root()?,
            chunk_size: block_size(&options)?,
            skip_verify: options.switch("skipverify")?.unwrap_or(false),
            user_agent: options.owned("useragent")?,
        })
    }
}

/// `Key=value;Key=value`, as the portal shows it.
struct ConnectionString<'a>(&'a str);

impl<'a> ConnectionString<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        let pairs = self.0.split(';').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

fn block_size(options: &Options<'_>) -> Result<u64, SettingsError> {
    const KEY: &str = "chunksize";
    let size = options.number(KEY)?.unwrap_or(8 * MIB);
    if BLOCK_SIZES.contains(&size) {
        return Ok(size);
    }
    Err(SettingsError::new(KEY, size, "must be from 1 byte to 4000MiB, the sizes of a block that the service takes"))
}

fn credentials(options: &Options<'_>, string: &ConnectionString<'_>) -> Result<AzureCredentials, SettingsError> {
    const KEY: &str = "credentials";
    let key = options.secret("accountkey")?.or_else(|| string.get("AccountKey").map(Secret::new));
    let map = match options.value(KEY) {
        None => None,
        Some(Value::Object(map)) => Some(map),
        Some(_) => return Err(SettingsError::missing(KEY, "must be a block with a type")),
    };
    let field = |name: &str| {
        let value = map.and_then(|map| map.get(name)).and_then(Value::as_str).filter(|text| !text.is_empty());
        value.map(str::to_owned)
    };
    let needed =
        |name: &str| field(name).ok_or_else(|| SettingsError::missing(KEY, format!("this type needs {name} too")));
    match (field("type").as_deref(), key) {
        (Some("client_secret"), _) => Ok(AzureCredentials::ClientSecret {
            client: needed("clientid")?,
            tenant: needed("tenantid")?,
            secret: Secret::new(needed("secret")?),
        }),
        (None | Some("shared_key"), Some(key)) => Ok(AzureCredentials::SharedKey(key)),
        (Some("shared_key"), None) => Err(SettingsError::missing("accountkey", "credentials of this type need it")),
        (Some("default_credentials"), _) => Ok(AzureCredentials::Default),
        (None, None) => Ok(match string.get("SharedAccessSignature") {
            Some(signature) => AzureCredentials::Signature(Secret::new(signature)),
            None => AzureCredentials::Default,
        }),
        (Some(other), _) => {
            Err(SettingsError::new(KEY, other, "the type must be shared_key, client_secret or default_credentials"))
        }
    }
}

/// The store that the settings describe. Nothing is sent yet.
///
/// # Errors
/// A setting that the client refuses.
pub fn connect_azure(settings: &AzureSettings) -> Result<ObjectStore, SettingsError> {
    let connection = Connection {
        allow_http: settings.endpoint.starts_with("http:"),
        skip_verify: settings.skip_verify,
        user_agent: settings.user_agent.as_deref(),
    };
    let builder = match &settings.credentials {
        AzureCredentials::SharedKey(key) => MicrosoftAzureBuilder::new().with_access_key(&key.0),
        AzureCredentials::Signature(signature) => {
            let pairs = url::form_urlencoded::parse(signature.0.trim_start_matches('?').as_bytes());
            let pairs = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
            MicrosoftAzureBuilder::new().with_sas_authorization(pairs.collect::<Vec<_>>())
        }
        AzureCredentials::ClientSecret { client, tenant, secret } => {
            MicrosoftAzureBuilder::new().with_client_secret_authorization(client, &secret.0, tenant)
        }
        AzureCredentials::Default => MicrosoftAzureBuilder::from_env(),
    };
    let builder = builder
        .with_account(&settings.account)
        .with_container_name(&settings.container)
        .with_endpoint(settings.endpoint.clone())
        .with_retry(no_retries())
        .with_client_options(connection.options()?)
        .with_http_connector(Connector::new(&settings.endpoint));
    Ok(ObjectStore {
        client: Arc::new(builder.build().map_err(|e| refused("accountkey", None, &e))?),
        service: Service::Azure,
        place: format!("the container {:?} at {}", settings.container, settings.endpoint),
        root: settings.root.clone(),
        limits: PartLimits { min: 0, target: settings.chunk_size, max_count: 50_000, in_place: false },
        storage_class: None,
        presigns: true,
        http: connection.plain()?,
    })
}
