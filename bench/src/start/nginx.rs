//! nginx, which only sends files: the limit of what a pull can be.

use std::fmt::Write;
use std::process::Command;

use wharf_e2e::ports::Port;
use wharf_e2e::process::Process;
use wharf_e2e::tools;

use super::{Order, launch};
use crate::failure::Outcome;

pub(super) fn start(order: &Order<'_>) -> Outcome<(Process, Port)> {
    let port = Port::claim();
    let config = order.lab.file(&format!("{}.conf", order.name), &configuration(order, &port.address()));
    let mut command = Command::new(order.program.map_or_else(|| tools::find("nginx"), ToOwned::to_owned));
    command.arg("-c").arg(config).arg("-p").arg(order.lab.path());
    Ok((launch(order, &command), port))
}

/// Without an access log, which the registries do write.
fn configuration(order: &Order<'_>, address: &str) -> String {
    let lab = order.lab.path().display();
    let mut text = String::new();
    // Whoever is root starts workers that may not read the directory of another user.
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        text.push_str("user root;\n");
    }
    let _ = writeln!(
        text,
        "daemon off;
worker_processes auto;
pid {lab}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    default_type application/octet-stream;
    client_body_temp_path {lab}/nginx-body;
    proxy_temp_path {lab}/nginx-proxy;
    fastcgi_temp_path {lab}/nginx-fastcgi;
    uwsgi_temp_path {lab}/nginx-uwsgi;
    scgi_temp_path {lab}/nginx-scgi;
    server {{
        listen {address} backlog=1024;
        root {root};
    }}
}}",
        root = order.directory.display(),
    );
    text
}
