use serde_json::json;

use super::*;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn s3(value: Value) -> Result<S3Settings, SettingsError> {
    S3Settings::new(&map(value))
}

#[test]
fn what_zot_takes_is_read() {
    let settings = s3(json!({
        "region": "eu-central-1", "bucket": "wharf", "accesskey": "AK", "secretkey": "geheim", "secure": true,
        "skipverify": false, "rootdirectory": "/zot/", "chunksize": 16_777_216, "encrypt": true, "keyid": "key",
        "storageclass": "STANDARD_IA", "v4auth": true, "objectacl": "private", "multipartcopychunksize": 33_554_432,
        "multipartcopymaxconcurrency": 100, "loglevel": "off",
    }))
    .unwrap();
    assert_eq!(settings.root, "zot");
    assert_eq!(settings.chunk_size, 16 << 20);
    assert!(!settings.path_style, "AWS is asked by the name of the bucket");
    let store = connect_s3(&settings).unwrap();
    assert_eq!(store.place(), "the bucket \"wharf\" at https://s3.eu-central-1.amazonaws.com");
    let shown = format!("{settings:?} {store:?}");
    assert!(!shown.contains("geheim") && !shown.contains("AK"), "{shown}");
}

#[test]
fn an_endpoint_is_a_host_or_a_url() {
    let cases = [
        ("minio:9000", true, "https://minio:9000"),
        ("minio:9000", false, "http://minio:9000"),
        ("http://minio:9000", true, "http://minio:9000"),
        ("https://minio/", false, "https://minio"),
    ];
    for (endpoint, secure, expected) in cases {
        let settings = s3(json!({ "bucket": "b", "regionendpoint": endpoint, "secure": secure })).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some(expected));
        assert!(settings.path_style, "an endpoint without forcepathstyle has the bucket in the path");
        connect_s3(&settings).unwrap();
    }
    let settings = s3(json!({ "bucket": "b", "regionendpoint": "minio", "forcepathstyle": false })).unwrap();
    assert!(!settings.path_style);
}

#[test]
fn endpoints_of_aws() {
    let endpoint = |value| {
        let settings = s3(value).unwrap();
        settings.aws(settings.region.as_deref().unwrap())
    };
    let of = |key: &str| endpoint(json!({ "bucket": "b", "region": "us-east-2", key: true }));
    assert_eq!(of("secure"), "https://s3.us-east-2.amazonaws.com");
    assert_eq!(of("usedualstack"), "https://s3.dualstack.us-east-2.amazonaws.com");
    assert_eq!(of("usefipsendpoint"), "https://s3-fips.us-east-2.amazonaws.com");
    assert_eq!(of("accelerate"), "https://s3-accelerate.amazonaws.com");
    assert_eq!(endpoint(json!({ "bucket": "b", "region": "cn-north-1" })), "https://s3.cn-north-1.amazonaws.com.cn");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let refused = |value: Value, key: &str, words: &str| {
        let error = s3(value).unwrap_err();
        assert_eq!(error.key, key);
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("geheim"), "{text}");
    };
    refused(json!({}), "bucket", "name the bucket");
    refused(json!({ "bucket": "" }), "bucket", "name the bucket");
    refused(json!({ "bucket": 3 }), "bucket", "must be a text");
    refused(json!({ "bucket": "b", "secure": "yes" }), "secure", "must be true or false");
    refused(json!({ "bucket": "b", "accesskey": "a" }), "secretkey", "needs it");
    refused(json!({ "bucket": "b", "secretkey": "geheim" }), "accesskey", "needs it");
    refused(json!({ "bucket": "b", "secretkey": ["geheim"] }), "secretkey", "must be a text");
    refused(json!({ "bucket": "b", "chunksize": 1000 }), "chunksize", "is 1000: must be from 5MiB");
    refused(json!({ "bucket": "b", "chunksize": "8MiB" }), "chunksize", "number of bytes");
    refused(json!({ "bucket": "b", "v4auth": false }), "v4auth", "leave it out");
    refused(json!({ "bucket": "b", "objectacl": "public-read" }), "objectacl", "policy");
    refused(json!({ "bucket": "b", "keyid": "k" }), "keyid", "encrypt");
    refused(json!({ "bucket": "b", "rootdirectory": "/a//b" }), "rootdirectory", "folders");
    refused(json!({ "bucket": "b", "rootdirectory": "../b" }), "rootdirectory", "folders");
    refused(json!({ "bucket": "b", "regionendpoint": "ftp://x" }), "regionendpoint", "host:port");
    refused(json!({ "bucket": "b", "regionendpoint": "http://x/y" }), "regionendpoint", "no path");
    refused(json!({ "bucket": "b", "regionendpoint": "http://a:geheim@x" }), "regionendpoint", "host:port");
    refused(json!({ "bucket": "b", "regionendpoint": "x", "accelerate": true }), "accelerate", "AWS only");
}

#[test]
fn keys_of_gcs() {
    let settings =
        GcsSettings::new(&map(json!({ "bucket": "b", "credentials": { "private_key": "geheim" } }))).unwrap();
    assert!(!format!("{settings:?}").contains("geheim"));
    let error = connect_gcs(&settings).unwrap_err();
    assert!(error.key == "credentials" && !error.to_string().contains("geheim"), "{error}");
    let settings = GcsSettings::new(&map(json!({ "bucket": "b", "keyfile": "/nowhere/key.json" }))).unwrap();
    let error = connect_gcs(&settings).unwrap_err();
    assert!(error.key == "keyfile" && error.to_string().contains("/nowhere/key.json"), "{error}");
}

#[test]
fn keys_of_azure() {
    let azure = |value| AzureSettings::new(&map(value));
    let settings = azure(json!({ "accountname": "me", "container": "c", "accountkey": "Z2VoZWlt" })).unwrap();
    assert_eq!(settings.endpoint, "https://me.blob.core.windows.net");
    assert!(!format!("{settings:?}").contains("Z2VoZWlt"));
    connect_azure(&settings).unwrap();
    let text =
        "DefaultEndpointsProtocol=https;AccountName=you;AccountKey=Z2VoZWlt==;EndpointSuffix=core.chinacloudapi.cn";
    let settings = azure(json!({ "container": "c", "connectionstring": text })).unwrap();
    assert_eq!(settings.endpoint, "https://you.blob.core.chinacloudapi.cn");
    assert_eq!(settings.credentials, AzureCredentials::SharedKey(Secret::new("Z2VoZWlt==")));
    let credentials = json!({ "type": "client_secret", "clientid": "i", "secret": "geheim" });
    let error = azure(json!({ "accountname": "me", "container": "c", "credentials": credentials })).unwrap_err();
    assert!(error.to_string().contains("tenantid"), "{error}");
    assert_eq!(azure(json!({ "accountname": "me" })).unwrap_err().key, "container");
    assert_eq!(azure(json!({ "container": "c" })).unwrap_err().key, "accountname");
    let settings = azure(json!({ "accountname": "me", "container": "c", "accountkey": "no base64!" })).unwrap();
    let error = connect_azure(&settings).unwrap_err();
    assert!(error.key == "accountkey" && !error.to_string().contains("no base64!"), "{error}");
}
