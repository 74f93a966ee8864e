//! The distribution project's registry: Debian's package (version 2.8) and the Go module (version 3).

use std::process::Command;

use serde_json::{Value, json};
use wharf_e2e::ports::Port;
use wharf_e2e::process::Process;
use wharf_e2e::tools;

use super::{Order, Place, bucket, launch};
use crate::failure::{Failure, Outcome};

pub(super) fn start(order: &Order<'_>, program: &str) -> Outcome<(Process, Port)> {
    let port = Port::claim();
    // JSON is YAML. As Debian installs it, without the password.
    let config = json!({
        "version": 0.1,
        "log": {"level": "info"},
        "storage": storage(order)?,
        "http": {"addr": port.address(), "secret": "bench"},
    });
    let config = order.lab.file(&format!("{}.yml", order.name), &format!("{config:#}"));
    let mut command = Command::new(order.program.map_or_else(|| tools::find(program), ToOwned::to_owned));
    command.arg("serve").arg(config).env("OTEL_TRACES_EXPORTER", "none");
    Ok((launch(order, &command), port))
}

fn storage(order: &Order<'_>) -> Outcome<Value> {
    let driver = match order.place {
        Place::Local => ("filesystem", json!({"rootdirectory": order.directory})),
        Place::NoCommit => return Err(Failure::Usage(format!("{}: never waits for the disk", order.name))),
        Place::S3 => {
            let mut settings = bucket(order)?.settings();
            settings["rootdirectory"] = format!("/{}", order.name).into();
            ("s3", settings)
        }
    };
    Ok(json!({
        "cache": {"blobdescriptor": "inmemory"},
        driver.0: driver.1,
        "delete": {"enabled": true},
        // Else a pull would be answered by the store.
        "redirect": {"disable": true},
    }))
}
