//! Keys of `storage`.

use super::Kind::{Block, Blocks, Bool, Bytes, Driver, Duration, Free, Int, List, OneOf, Path, Secret, Text, Window};
use super::{Key, inner, later, unneeded, used};

const DEDUPE: &str = "one copy of each blob is kept, always, and no database is needed for it";
const CACHE: &str = "there is no cache database: everything that counts is in the store itself";

/// The storage drivers that there are.
pub(crate) const DRIVERS: &[&str] = &["s3", "gcs", "azure"];

pub(super) const KEYS: &[Key] = &[
    used("storage.rootDirectory", Path),
    used("storage.storageDriver", Driver),
    used("storage.commit", Bool),
    used("storage.gc", Bool),
    used("storage.gcDelay", Duration),
    used("storage.gcInterval", Duration),
    used("storage.gcCallsPerSecond", Int),
    used("storage.redirectBlobURL", Bool),
    used("storage.singleReplica", Bool),
    used("storage.uploadMemory", Bytes),
    used("storage.cacheMemory", Bytes),
    unneeded("storage.dedupe", Bool, DEDUPE),
    unneeded("storage.remoteCache", Bool, CACHE),
    unneeded("storage.cacheDriver", Free, CACHE),
    unneeded("storage.fastRestart", Bool, "a start never walks the store, so that there is nothing to skip"),
    later("storage.gcTimeWindow", Window, "garbage is collected at any time of the day"),
    later("storage.maxRepos", Int, "the number of repositories is not limited"),
    later("storage.subPaths", Block, "every repository is kept in the one store that storage names"),
    inner("storage.subPaths.<prefix>.rootDirectory", Path),
    inner("storage.subPaths.<prefix>.storageDriver", Free),
    inner("storage.subPaths.<prefix>.commit", Bool),
    inner("storage.subPaths.<prefix>.gc", Bool),
    inner("storage.subPaths.<prefix>.gcDelay", Duration),
    inner("storage.subPaths.<prefix>.gcInterval", Duration),
    inner("storage.subPaths.<prefix>.gcTimeWindow", Window),
    inner("storage.subPaths.<prefix>.redirectBlobURL", Bool),
    inner("storage.subPaths.<prefix>.dedupe", Bool),
    inner("storage.subPaths.<prefix>.remoteCache", Bool),
    inner("storage.subPaths.<prefix>.cacheDriver", Free),
    inner("storage.subPaths.<prefix>.retention", Free),
    later("storage.retention", Block, "nothing is deleted by policy; what nobody deletes stays"),
    inner("storage.retention.dryRun", Bool),
    inner("storage.retention.delay", Duration),
    inner("storage.retention.policies", Blocks),
    inner("storage.retention.policies[].repositories", List),
    inner("storage.retention.policies[].deleteReferrers", Bool),
    inner("storage.retention.policies[].deleteUntagged", Bool),
    inner("storage.retention.policies[].keepTags", Blocks),
    inner("storage.retention.policies[].keepTags[].patterns", List),
    inner("storage.retention.policies[].keepTags[].pulledWithin", Duration),
    inner("storage.retention.policies[].keepTags[].pushedWithin", Duration),
    inner("storage.retention.policies[].keepTags[].mostRecentlyPulledCount", Int),
    inner("storage.retention.policies[].keepTags[].mostRecentlyPushedCount", Int),
    inner("storage.retention.policies[].keepUntagged", Block),
    inner("storage.retention.policies[].keepUntagged.pulledWithin", Duration),
    inner("storage.retention.policies[].keepUntagged.pushedWithin", Duration),
    inner("storage.retention.policies[].keepUntagged.mostRecentlyPulledCount", Int),
    inner("storage.retention.policies[].keepUntagged.mostRecentlyPushedCount", Int),
];

/// Keys of the storage drivers. The driver reads them; here only their names and types are known.
pub(super) const DRIVER_KEYS: &[Key] = &[
    used("storage.storageDriver.name", OneOf(DRIVERS)),
    // s3, gcs
    used("storage.storageDriver.bucket", Text),
    // all
    used("storage.storageDriver.rootdirectory", Text),
    // s3
    used("storage.storageDriver.region", Text),
    used("storage.storageDriver.regionendpoint", Text),
    used("storage.storageDriver.accesskey", Secret),
    used("storage.storageDriver.secretkey", Secret),
    used("storage.storageDriver.sessiontoken", Secret),
    used("storage.storageDriver.secure", Bool),
    used("storage.storageDriver.skipverify", Bool),
    used("storage.storageDriver.forcepathstyle", Bool),
    used("storage.storageDriver.encrypt", Bool),
    used("storage.storageDriver.keyid", Text),
    used("storage.storageDriver.accelerate", Bool),
    used("storage.storageDriver.usedualstack", Bool),
    used("storage.storageDriver.usefipsendpoint", Bool),
    used("storage.storageDriver.v4auth", Bool),
    used("storage.storageDriver.chunksize", Bytes),
    used("storage.storageDriver.multipartcopychunksize", Bytes),
    used("storage.storageDriver.multipartcopymaxconcurrency", Int),
    used("storage.storageDriver.multipartcopythresholdsize", Bytes),
    used("storage.storageDriver.storageclass", Text),
    used("storage.storageDriver.objectacl", Text),
    used("storage.storageDriver.useragent", Text),
    used("storage.storageDriver.loglevel", Text),
    // gcs
    used("storage.storageDriver.keyfile", Path),
    used("storage.storageDriver.maxconcurrency", Int),
    // gcs, azure
    used("storage.storageDriver.credentials", Free),
    // azure
    used("storage.storageDriver.accountname", Text),
    used("storage.storageDriver.accountkey", Secret),
    used("storage.storageDriver.connectionstring", Secret),
    used("storage.storageDriver.container", Text),
    used("storage.storageDriver.realm", Text),
    used("storage.storageDriver.serviceurl", Text),
    used("storage.storageDriver.max_retries", Int),
    used("storage.storageDriver.retry_delay", Text),
];
