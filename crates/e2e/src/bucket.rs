//! A bucket, looked at past Wharf: what is really in it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::tools;

/// Where a replica finds a bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `host:port` of the S3 API.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Region of the signatures.
    pub region: String,
    /// Access key id.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl Bucket {
    /// The same bucket behind a proxy at `endpoint`.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// How the drivers of registries are told of it: the keys are the distribution project's, which zot and Wharf took over.
    #[must_use]
    pub fn settings(&self) -> Value {
        json!({
            "region": self.region,
            "regionendpoint": format!("http://{}", self.endpoint),
            "bucket": self.bucket,
            "accesskey": self.access_key,
            "secretkey": self.secret_key,
            "secure": false,
            "forcepathstyle": true,
        })
    }

    /// Makes the bucket; whether that succeeded.
    #[must_use]
    pub fn create(&self) -> bool {
        self.request("PUT", "").is_some()
    }

    /// Whether it takes an object and lets it go.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.request("PUT", "/probe").is_some() && self.request("DELETE", "/probe").is_some()
    }

    /// Puts an object without bytes, past every replica; whether that succeeded.
    #[must_use]
    pub fn put_empty(&self, key: &str) -> bool {
        self.request("PUT", &format!("/{key}")).is_some()
    }

    /// Every object's key and size.
    ///
    /// # Panics
    /// When the store does not answer.
    #[must_use]
    pub fn list(&self, prefix: &str) -> BTreeMap<String, u64> {
        let mut objects = BTreeMap::new();
        let mut token = String::new();
        loop {
            // In the order of their names, as they have to be signed.
            let from =
                if token.is_empty() { String::new() } else { format!("continuation-token={}&", encoded(&token)) };
            let query = format!("?{from}list-type=2&max-keys=1000&prefix={}", encoded(prefix));
            let page = self.request("GET", &query).unwrap_or_else(|| panic!("the bucket does not list {prefix}"));
            for object in values(&page, "Contents") {
                let size = value(object, "Size").and_then(|size| size.parse().ok());
                objects.insert(value(object, "Key").unwrap_or_default().to_owned(), size.unwrap_or_default());
            }
            match value(&page, "NextContinuationToken") {
                Some(next) if value(&page, "IsTruncated") == Some("true") => token = next.to_owned(),
                _ => return objects,
            }
        }
    }

    /// Keys of the multipart uploads that were begun and neither completed nor aborted.
    ///
    /// # Panics
    /// When the store does not answer.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        let page = self.request("GET", "?uploads=").unwrap_or_else(|| panic!("the bucket does not list uploads"));
        values(&page, "Upload").filter_map(|upload| value(upload, "Key")).map(str::to_owned).collect()
    }

    /// Downloads objects into a directory, each under its number in `keys`.
    ///
    /// # Panics
    /// When one cannot be had.
    pub fn download<'a>(&self, keys: impl Iterator<Item = &'a str>, directory: &Path) {
        let mut config = String::new();
        for (number, key) in keys.enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(config, "url = \"{}/{key}\"", self.url());
            let _ = writeln!(config, "output = \"{}\"", directory.join(number.to_string()).display());
        }
        if config.is_empty() {
            return;
        }
        let list = directory.join("curl.config");
        std::fs::write(&list, config).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
        tools::run(self.curl().arg("--config").arg(&list));
    }

    /// A signed request without a body; its answer if it succeeded.
    fn request(&self, method: &str, path: &str) -> Option<String> {
        let mut command = self.curl();
        command.args(["--request", method, &format!("{}{path}", self.url())]);
        let (succeeded, output) = tools::attempt(&mut command);
        succeeded.then_some(output)
    }

    fn curl(&self) -> Command {
        let mut command = Command::new(tools::find("curl"));
        command
            .args(["--silent", "--fail", "--max-time", "10"])
            .args(["--aws-sigv4", &format!("aws:amz:{}:s3", self.region)])
            .args(["--user", &format!("{}:{}", self.access_key, self.secret_key)])
            // Part of what some stores want to see signed.
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        command
    }

    fn url(&self) -> String {
        format!("http://{}/{}", self.endpoint, self.bucket)
    }
}

/// The contents of every element of this name; these answers have none within itself.
fn values<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str())
        .skip(1)
        .filter_map(move |rest| rest.split_once(close.as_str()).map(|(value, _)| value))
        .collect::<Vec<_>>()
        .into_iter()
}

fn value<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    values(xml, name).next()
}

/// A value of a query, percent-encoded as signatures want it.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_taken_apart() {
        let xml =
            "<R><Contents><Key>a/b</Key><Size>5</Size></Contents><Contents><Key>c</Key><Size>7</Size></Contents></R>";
        let keys: Vec<_> =
            values(xml, "Contents").map(|object| (value(object, "Key"), value(object, "Size"))).collect();
        assert_eq!(keys, [(Some("a/b"), Some("5")), (Some("c"), Some("7"))]);
        assert_eq!(encoded("a/b=="), "a%2Fb%3D%3D");
    }
}
