//! Amazon S3, and whatever speaks as it does.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use serde_json::{Map, Value};
use url::Url;

use super::client::{Connection, no_retries, refused};
use super::{Options, Secret, SettingsError};
use crate::PartLimits;
use crate::object::answer::Connector;
use crate::object::{ObjectStore, Service};

const MIB: u64 = 1 << 20;
/// The smallest part but the last, and the largest.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=5 * 1024 * MIB;
/// What the client takes where nobody names a region.
const DEFAULT_REGION: &str = "us-east-1";

/// The keys of the driver `s3`.
///
/// Credentials come from `accesskey` and `secretkey`; without them from the environment (`AWS_ACCESS_KEY_ID` and its
/// companions), a web identity, the container's task or the machine's role, in this order.
///
/// Read and not needed: `multipartcopychunksize`, `multipartcopymaxconcurrency`, `multipartcopythresholdsize` (Wharf copies
/// nothing within the bucket), `loglevel`, `v4auth: true` (nothing else is spoken), `objectacl: private`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// `bucket`.
    pub bucket: String,
    /// `region`; else from the environment.
    pub region: Option<String>,
    /// `regionendpoint` with `secure`, as a URL without a path; `None` for AWS itself.
    pub endpoint: Option<String>,
    /// `forcepathstyle`: the bucket is part of the path and not of the host. Without the key it is where there is an endpoint.
    pub path_style: bool,
    /// `accesskey`.
    pub access_key: Option<Secret>,
    /// `secretkey`.
    pub secret_key: Option<Secret>,
    /// `sessiontoken`.
    pub session_token: Option<Secret>,
    /// `secure`, for AWS itself.
    pub secure: bool,
    /// `skipverify`: any certificate will do.
    pub skip_verify: bool,
    /// `accelerate`: the bucket's transfer acceleration.
    pub accelerate: bool,
    /// `usedualstack`: IPv6 too.
    pub dual_stack: bool,
    /// `usefipsendpoint`.
    pub fips: bool,
    /// `rootdirectory`, once; zot itself repeats it.
    pub root: String,
    /// `chunksize`: size of a part in bytes.
    pub chunk_size: u64,
    /// `encrypt`: encryption by the service.
    pub encrypt: bool,
    /// `keyid`: with this key of AWS KMS.
    pub key_id: Option<String>,
    /// `storageclass`, for data.
    pub storage_class: Option<String>,
    /// `useragent`.
    pub user_agent: Option<String>,
}

impl S3Settings {
    /// Reads the options of the driver; the keys are in lower case.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(options: &Map<String, Value>) -> Result<Self, SettingsError> {
        let options = Options(options);
        refuse_unspoken(&options)?;
        let secure = options.switch("secure")?.unwrap_or(true);
        let endpoint = endpoint(&options, secure)?;
        let (access_key, secret_key) = credentials(&options)?;
        let encrypt = options.switch("encrypt")?.unwrap_or(false);
        let key_id = options.owned("keyid")?;
        if let (Some(key), false) = (&key_id, encrypt) {
            return Err(SettingsError::new("keyid", key, "needs encrypt: true, or leave it out"));
        }
        let accelerate = options.switch("accelerate")?.unwrap_or(false);
        let path_style = options.switch("forcepathstyle")?.unwrap_or(endpoint.is_some());
        if accelerate && (endpoint.is_some() || path_style) {
            let fix = "works with AWS only: leave it out, or regionendpoint and forcepathstyle";
            return Err(SettingsError::new("accelerate", accelerate, fix));
        }
        Ok(Self {
            bucket: options.required("bucket", "name the bucket that holds the registry")?,
            region: options.owned("region")?,
            path_style,
            endpoint,
            access_key,
            secret_key,
            session_token: options.secret("sessiontoken")?,
            secure,
            skip_verify: options.switch("skipverify")?.unwrap_or(false),
            accelerate,
            dual_stack: options.switch("usedualstack")?.unwrap_or(false),
            fips: options.switch("usefipsendpoint")?.unwrap_or(false),
            root: options.root()?,
            chunk_size: chunk_size(&options)?,
            encrypt,
            key_id,
            storage_class: options.owned("storageclass")?.filter(|class| class != "NONE"),
            user_agent: options.owned("useragent")?,
        })
    }

    /// The endpoint of a region of AWS, without the bucket.
    pub(super) fn aws(&self, region: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let fips = if self.fips { "-fips" } else { "" };
        let dual = if self.dual_stack { ".dualstack" } else { "" };
        let end = if region.starts_with("cn-") { ".cn" } else { "" };
        if self.accelerate {
            return format!("{scheme}://s3-accelerate{dual}.amazonaws.com");
        }
        format!("{scheme}://s3{fips}{dual}.{region}.amazonaws.com{end}")
    }

    /// Whether the bucket is part of the path. A name with dots fits no wildcard certificate.
    fn bucket_in_path(&self) -> bool {
        self.path_style || (self.endpoint.is_none() && !self.accelerate && self.bucket.contains('.'))
    }
}

/// Ways of speaking that would be dropped silently.
fn refuse_unspoken(options: &Options<'_>) -> Result<(), SettingsError> {
    if options.switch("v4auth")? == Some(false) {
        return Err(SettingsError::new("v4auth", false, "only version 4 signatures are made: leave it out"));
    }
    match options.text("objectacl")? {
        None | Some("private") => Ok(()),
        Some(acl) => {
            let fix = "objects are written private: leave it out, and give others access by a policy of the bucket";
            Err(SettingsError::new("objectacl", acl, fix))
        }
    }
}

fn endpoint(options: &Options<'_>, secure: bool) -> Result<Option<String>, SettingsError> {
    const KEY: &str = "regionendpoint";
    let Some(text) = options.text(KEY)? else { return Ok(None) };
    let scheme = if secure { "https" } else { "http" };
    let full = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let wrong = || SettingsError::new(KEY, text, "must be host:port, or a URL with http or https and no path");
    let url = Url::parse(&full).map_err(|_| wrong())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        // It may hold a password.
        return Err(if url.password().is_some() { SettingsError { value: None, ..wrong() } } else { wrong() });
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

fn credentials(options: &Options<'_>) -> Result<(Option<Secret>, Option<Secret>), SettingsError> {
    let pair = (options.secret("accesskey")?, options.secret("secretkey")?);
    match pair {
        (Some(_), None) => Err(SettingsError::missing("secretkey", "an accesskey needs it")),
        (None, Some(_)) => Err(SettingsError::missing("accesskey", "a secretkey needs it")),
        pair => Ok(pair),
    }
}

pub(super) fn chunk_size(options: &Options<'_>) -> Result<u64, SettingsError> {
    const KEY: &str = "chunksize";
    let size = options.number(KEY)?.unwrap_or(8 * MIB);
    if PART_SIZES.contains(&size) {
        return Ok(size);
    }
    Err(SettingsError::new(KEY, size, "must be from 5MiB to 5GiB, the sizes of a part that the service takes"))
}

pub(super) const fn part_limits(target: u64) -> PartLimits {
    PartLimits { min: *PART_SIZES.start(), target, max_count: 10_000, in_place: false }
}

/// The store that the settings describe. Nothing is sent yet.
///
/// # Errors
/// A setting that the client refuses.
pub fn connect_s3(settings: &S3Settings) -> Result<ObjectStore, SettingsError> {
    let environment = AmazonS3Builder::from_env();
    let of_environment = |key| environment.get_config_value(&key);
    let region = settings.region.clone().or_else(|| of_environment(AmazonS3ConfigKey::Region));
    let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let other = settings.endpoint.clone().or_else(|| {
        of_environment(AmazonS3ConfigKey::S3Endpoint).or_else(|| of_environment(AmazonS3ConfigKey::Endpoint))
    });
    let in_path = settings.bucket_in_path() || (settings.endpoint.is_none() && other.is_some());
    let endpoint = other.unwrap_or_else(|| settings.aws(&region));
    let connection = Connection {
        allow_http: endpoint.starts_with("http:"),
        skip_verify: settings.skip_verify,
        user_agent: settings.user_agent.as_deref(),
    };
    let address =
        if in_path { endpoint.clone() } else { endpoint.replacen("://", &format!("://{}.", settings.bucket), 1) };
    let builder = authorised(environment, settings)
        .with_bucket_name(&settings.bucket)
        .with_region(&region)
        // The one that counts, should the environment name another.
        .with_config(AmazonS3ConfigKey::S3Endpoint, address)
        .with_virtual_hosted_style_request(!in_path)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_unsigned_payload(true)
        .with_disable_bulk_delete(true)
        .with_retry(no_retries())
        .with_client_options(connection.options()?)
        .with_http_connector(Connector::new(&endpoint));
    let builder = encrypted(builder, settings)?;
    Ok(ObjectStore {
        client: Arc::new(builder.build().map_err(|e| refused("name", None, &e))?),
        service: Service::S3,
        place: format!("the bucket {:?} at {endpoint}", settings.bucket),
        root: settings.root.clone(),
        limits: part_limits(settings.chunk_size),
        storage_class: settings.storage_class.clone(),
        presigns: true,
        http: connection.plain()?,
    })
}

/// Credentials of the settings, or else of the environment: what belongs to one set is not mixed with the other.
fn authorised(environment: AmazonS3Builder, settings: &S3Settings) -> AmazonS3Builder {
    let (Some(access), Some(secret)) = (&settings.access_key, &settings.secret_key) else { return environment };
    let builder = AmazonS3Builder::new().with_access_key_id(&access.0).with_secret_access_key(&secret.0);
    match &settings.session_token {
        Some(token) => builder.with_token(&token.0),
        None => builder,
    }
}

fn encrypted(builder: AmazonS3Builder, settings: &S3Settings) -> Result<AmazonS3Builder, SettingsError> {
    match (settings.encrypt, &settings.key_id) {
        (false, _) => Ok(builder),
        (true, Some(key)) => Ok(builder.with_sse_kms_encryption(key)),
        (true, None) => {
            let key = "aws_server_side_encryption".parse().map_err(|e| refused("encrypt", None, &e))?;
            Ok(builder.with_config(key, "AES256"))
        }
    }
}
