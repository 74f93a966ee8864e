//! The stores in a bucket against real servers. `tools/test-stores.sh` starts them and says in the environment where they are; a
//! test whose server is not named is skipped, and says so.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and shows what it measured")]

use std::env;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use wharf_store::{AzureSettings, GcsSettings, ObjectStore, S3Settings, connect_azure, connect_gcs, connect_s3, suite};

/// A key that every installation of the emulator has.
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

mod s3;

fn options(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

/// A variable, or a loud skip.
fn endpoint(name: &str) -> Option<String> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("SKIPPED: {name} is not set; tools/test-stores.sh starts the servers");
    }
    value
}

/// A folder in the bucket that no other run uses.
fn root() -> String {
    format!("test-{:016x}", rand::random::<u64>())
}

fn s3_options() -> Option<Map<String, Value>> {
    let var = |name: &str| env::var(name).unwrap_or_default();
    Some(options(json!({
        "regionendpoint": endpoint("WHARF_TEST_S3_ENDPOINT")?,
        "bucket": var("WHARF_TEST_S3_BUCKET"),
        "accesskey": var("WHARF_TEST_S3_ACCESS_KEY"),
        "secretkey": var("WHARF_TEST_S3_SECRET_KEY"),
        "rootdirectory": root(),
    })))
}

fn s3() -> Option<ObjectStore> {
    Some(connect_s3(&S3Settings::new(&s3_options()?).unwrap()).unwrap())
}

fn azure() -> Option<ObjectStore> {
    let settings = AzureSettings::new(&options(json!({
        "accountname": "devstoreaccount1",
        "accountkey": AZURITE_KEY,
        "serviceurl": endpoint("WHARF_TEST_AZURE_ENDPOINT")?,
        "container": env::var("WHARF_TEST_AZURE_CONTAINER").unwrap_or_default(),
        "rootdirectory": root(),
    })));
    Some(connect_azure(&settings.unwrap()).unwrap())
}

fn gcs() -> Option<ObjectStore> {
    let bucket = endpoint("WHARF_TEST_GCS_BUCKET")?;
    let settings = GcsSettings::new(&options(json!({ "bucket": bucket, "rootdirectory": root() })));
    Some(connect_gcs(&settings.unwrap()).unwrap())
}

macro_rules! suite_of {
    ($($service:ident: $records:ident, $data:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $records() {
            if let Some(store) = $service() {
                suite::records(Arc::new(store), "suite").await;
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $data() {
            if let Some(store) = $service() {
                suite::data(Arc::new(store)).await;
            }
        }
    )*};
}

suite_of! {
    s3: s3_passes_the_suite_for_records, s3_passes_the_suite_for_data;
    azure: azure_passes_the_suite_for_records, azure_passes_the_suite_for_data;
    gcs: gcs_passes_the_suite_for_records, gcs_passes_the_suite_for_data;
}
