//! Wharf itself.

use serde_json::{Value, json};
use wharf_e2e::ports::Port;
use wharf_e2e::process::Process;
use wharf_e2e::replica::driver;
use wharf_e2e::tools;

use super::{Order, Place, bucket, launch};
use crate::failure::Outcome;

pub(super) fn start(order: &Order<'_>) -> Outcome<(Process, Port)> {
    let port = Port::claim();
    let config = json!({
        "storage": storage(order)?,
        "http": {"address": "127.0.0.1", "port": port.number().to_string()},
        "log": {"level": "info"},
    });
    let config = order.lab.file(&format!("{}.json", order.name), &format!("{config:#}"));
    let mut command = tools::wharf_command(order.program.map_or_else(tools::wharf, ToOwned::to_owned));
    command.arg("serve").arg(config);
    Ok((launch(order, &command), port))
}

fn storage(order: &Order<'_>) -> Outcome<Value> {
    Ok(match order.place {
        Place::Local => json!({"rootDirectory": order.directory}),
        Place::NoCommit => json!({"rootDirectory": order.directory, "commit": false}),
        Place::S3 => {
            let mut driver = driver(bucket(order)?);
            driver["rootdirectory"] = format!("/{}", order.name).into();
            json!({"rootDirectory": order.directory, "storageDriver": driver})
        }
    })
}
